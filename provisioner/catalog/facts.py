"""The shapes of catalogue entries. A field that is None is not known: ask Azure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from provisioner.resources import ModelRef


@dataclass(frozen=True, slots=True)
class Source:
    """A public document; `dated` is its own date, or the day it was read."""

    title: str
    location: str
    dated: date


class Stage(StrEnum):
    """Where a model is in its life. Legacy is still deployable; deprecated takes no new
    deployments, existing ones live until it is retired."""

    PREVIEW = "preview"
    GA = "ga"
    LEGACY = "legacy"
    DEPRECATED = "deprecated"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """A model's stage as published, and the dates that move it on.

    The schedules are those of serverless deployments; a registry model's own tags say when
    managed compute ends.
    """

    status: Stage
    legacy: date | None = None
    deprecation: date | None = None
    retirement: date | None = None
    replacements: tuple[str, ...] = ()

    def stage(self, on: date) -> Stage:
        """The stage on a day: what was published, moved on by the dates that have passed."""
        if self.status is Stage.RETIRED or _past(self.retirement, on):
            return Stage.RETIRED
        if self.status is Stage.DEPRECATED or _past(self.deprecation, on):
            return Stage.DEPRECATED
        if self.status is Stage.LEGACY or _past(self.legacy, on):
            return Stage.LEGACY
        return self.status


_AGES: Final = (Stage.PREVIEW, Stage.GA, Stage.LEGACY, Stage.DEPRECATED, Stage.RETIRED)


def furthest(lifecycles: Iterable[Lifecycle | None], on: date) -> Lifecycle | None:
    """Of several accounts of one model's life, the one that is furthest on; the first of equals."""
    told = [one for one in lifecycles if one is not None]
    return max(told, key=lambda one: _AGES.index(one.stage(on)), default=None)


def _past(day: date | None, on: date) -> bool:
    return day is not None and day <= on


@dataclass(frozen=True, slots=True)
class OfferPlan:
    """As much of an offer's ids as a public document gives."""

    publisher: str | None = None
    offer: str | None = None
    plan: str | None = None


@dataclass(frozen=True, slots=True)
class ServerlessFacts:
    """`regions`: those of workspaces that may deploy it, in Azure's spelling.
    `marketplace`: whether the workspace must subscribe to an offer."""

    regions: frozenset[str] | None = None
    marketplace: bool | None = None
    plan: OfferPlan | None = None


@dataclass(frozen=True, slots=True)
class Minimum:
    """The least machine that a model runs on; memory and disk in GB."""

    cores: int
    gpus: int
    memory_gb: int
    disk_gb: int


@dataclass(frozen=True, slots=True)
class ManagedFacts:
    """`skus`: the VM sizes that the model's publisher allows."""

    skus: frozenset[str] | None = None
    minimum: Minimum | None = None


@dataclass(frozen=True, slots=True)
class CatalogModel:
    """A registry model. A target that is None is not known to serve it.

    `sources` name the documents behind the entry; `dated` is the newest of their dates.
    """

    registry: str
    name: str
    publisher: str
    serverless: ServerlessFacts | None
    managed: ManagedFacts | None
    lifecycle: Lifecycle | None
    sources: tuple[str, ...]
    dated: date

    @property
    def ref(self) -> ModelRef:
        return ModelRef(self.registry, self.name)

    @property
    def short(self) -> str:
        """`azureml-meta/Llama-3.3-70B-Instruct`."""
        return f"{self.registry}/{self.name}"


@dataclass(frozen=True, slots=True)
class Sku:
    """A VM size that managed online endpoints take.

    `cores` and `gpus` are per instance, a GPU's share as a fraction; `gpu_memory_gb` is per GPU,
    `memory_gb` per instance. `reserve_exempt`: Azure reserves no 20 % for upgrades on it.
    """

    name: str
    family: str
    cores: int
    gpus: float
    gpu_memory_gb: int | None
    memory_gb: int | None
    reserve_exempt: bool
    sources: tuple[str, ...]
    dated: date


@dataclass(frozen=True, slots=True)
class Limits:
    """Azure's limits, per subscription and region unless said otherwise.

    From Microsoft Learn: how-to-manage-quotas.md and how-to-deploy-models-serverless.md of
    MicrosoftDocs/azure-ai-docs, read 2025-11.
    """

    endpoints: int = 100
    deployments: int = 500
    deployments_per_endpoint: int = 20
    instances_per_deployment: int = 50
    serverless_per_model_and_workspace: int = 1
    tokens_per_minute: int = 200_000
    requests_per_minute: int = 1_000


LIMITS: Final = Limits()
