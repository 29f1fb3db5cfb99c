"""What a scenario can change in the catalogue of models (`models` of the file)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioner.emulator.scenario_yaml import camel


@dataclass(frozen=True, slots=True)
class LifecycleChange:
    """Days from which the model is legacy, closed to new deployments, and gone."""

    legacy: str | None = None
    deprecation: str | None = None
    retirement: str | None = None


@dataclass(frozen=True, slots=True)
class OfferChange:
    """The Marketplace plan of a model."""

    publisher: str
    offer: str
    plan: str


@dataclass(frozen=True, slots=True)
class ServerlessChange:
    """Where and how a model is had as a serverless API."""

    regions: tuple[str, ...] | None = None
    offer: OfferChange | None = None
    lifecycle: LifecycleChange | None = None
    tpm: int | None = None
    rpm: int | None = None


@dataclass(frozen=True, slots=True)
class ManagedChange:
    """What a managed deployment of a model runs on."""

    instance_types: tuple[str, ...] | None = None
    min_sku: str | None = None
    shared: bool | None = None


@dataclass(frozen=True, slots=True)
class ModelOverride:
    """Laid over the model's entry in data/models.yaml; an unknown name adds a model."""

    registry: str
    name: str
    versions: tuple[str, ...] | None = None
    task: str | None = None
    context: int | None = None
    lifecycle: LifecycleChange | None = None
    serverless: ServerlessChange | None = None
    managed: ManagedChange | None = None

    @property
    def changes(self) -> Mapping[str, Any]:
        """The keys given, in the words of data/models.yaml."""
        changes = _given(self)
        del changes["registry"], changes["name"]
        return changes


def _given(value: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in dataclasses.fields(value):
        inner = getattr(value, each.name)
        if inner is None:
            continue
        found[camel(each.name)] = _given(inner) if dataclasses.is_dataclass(inner) else inner
    return found
