"""The models of the emulator's registries: `data/models.yaml` as frozen values.

Facts and their sources are in the data file; what the emulator had to invent is marked there
and reaches callers as `Offer.invented` and `Managed.invented`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Protocol

import yaml


@dataclass(frozen=True, slots=True)
class Offer:
    """The Azure Marketplace plan through which a model is sold."""

    publisher: str
    offer: str
    plan: str
    invented: bool = False


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """Dates (UTC days) from which a model is legacy, closed to new deployments, and gone."""

    legacy: dt.date | None = None
    deprecation: dt.date | None = None
    retirement: dt.date | None = None

    def stage(self, today: dt.date) -> str:
        """`GenerallyAvailable`, `Legacy`, `Deprecated` or `Retired` on that day."""
        for name, since in (
            ("Retired", self.retirement),
            ("Deprecated", self.deprecation),
            ("Legacy", self.legacy),
        ):
            if since is not None and today >= since:
                return name
        return "GenerallyAvailable"


@dataclass(frozen=True, slots=True)
class Serverless:
    """Where and how a model is had as a serverless API. No offer: sold by Microsoft itself."""

    regions: frozenset[str]
    offer: Offer | None
    lifecycle: Lifecycle
    tokens_per_minute: int = 200_000
    requests_per_minute: int = 1_000


@dataclass(frozen=True, slots=True)
class Managed:
    """What a managed online deployment of a model runs on."""

    instance_types: tuple[str, ...]
    min_sku: str
    """cores|GPUs|memory GB|disk GB, as `inference-min-sku-spec` says it."""
    shared: bool
    """May run on shared quota, and then for 168 h only."""
    invented: bool


@dataclass(frozen=True, slots=True)
class Model:
    """One model of a registry; `versions` in order of creation, the last is the latest."""

    registry: str
    name: str
    versions: tuple[str, ...]
    task: str
    context: int
    """Tokens of prompt and answer together."""
    modalities: frozenset[str]
    publisher: str
    fine_tuning: bool = False
    dimensions: int = 0
    serverless: Serverless | None = None
    managed: Managed | None = None
    lifecycle: Lifecycle = Lifecycle()

    @property
    def latest(self) -> str:
        """The newest version."""
        return self.versions[-1]

    @property
    def asset_id(self) -> str:
        """`azureml://registries/{registry}/models/{name}`, without a version."""
        return f"azureml://registries/{self.registry}/models/{self.name}"

    def stage(self, today: dt.date, *, serverless: bool) -> str:
        """Lifecycle stage for one of the two targets: the later of the model's and the offer's."""
        order = ("GenerallyAvailable", "Legacy", "Deprecated", "Retired")
        stages = [self.lifecycle.stage(today)]
        if serverless and self.serverless is not None:
            stages.append(self.serverless.lifecycle.stage(today))
        return max(stages, key=order.index)

    def created(self, version: str) -> dt.datetime:
        """When a version was registered (invented: one version a month since 2024)."""
        months = self.versions.index(version)
        return dt.datetime(2024 + months // 12, months % 12 + 1, 1, 12, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry that Microsoft hosts."""

    name: str
    publisher: str
    location: str


class Override(Protocol):
    """A scenario's change: a mapping in the data file's own words, laid over a model's entry."""

    @property
    def registry(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def changes(self) -> Mapping[str, Any]: ...


def load_models(overrides: Iterable[Override] = ()) -> Mapping[tuple[str, str], Model]:
    """All models by (registry, name), both lower-cased.

    An override of an unknown model adds it; its nested mappings replace the entry's key by key.
    Raises ValueError, naming the model and the key, for a change that the data file cannot hold.
    """
    changes = list(overrides)
    if not changes:
        return _models()
    entries = {key: (registry, dict(entry)) for key, (registry, entry) in _entries().items()}
    for change in changes:
        key = (change.registry.lower(), change.name.lower())
        registry, entry = entries.get(key, (change.registry, _blank(change.name)))
        entries[key] = (registry, _merged(entry, change.changes))
    return {key: _model(registry, entry) for key, (registry, entry) in entries.items()}


@cache
def load_registries() -> Mapping[str, Registry]:
    """All registries by lower-cased name."""
    rows: dict[str, dict[str, Any]] = _data()["registries"]
    return {
        name.lower(): Registry(name, str(row["publisher"]), str(row["location"]))
        for name, row in rows.items()
    }


def parse_asset_id(text: str) -> tuple[str, str, str | None] | None:
    """(registry, name, version or None) of an `azureml://registries/…` id, else None."""
    prefix, rest = text[:21], text[21:]
    if prefix.lower() != "azureml://registries/":
        return None
    match rest.strip("/").split("/"):
        case [registry, models, name] if models.lower() == "models" and registry and name:
            return registry, name, None
        case [registry, models, name, kind, version] if (
            models.lower() == "models" and kind.lower() in ("versions", "labels") and name
        ):
            latest = kind.lower() == "labels" and version.lower() == "latest"
            return registry, name, None if latest else version
        case _:
            return None


@cache
def _models() -> Mapping[tuple[str, str], Model]:
    return {key: _model(registry, entry) for key, (registry, entry) in _entries().items()}


@cache
def _entries() -> Mapping[tuple[str, str], tuple[str, Mapping[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = _data()["models"]
    return {
        (registry.lower(), str(entry["name"]).lower()): (registry, entry)
        for registry, entries in rows.items()
        for entry in entries
    }


def _blank(name: str) -> dict[str, Any]:
    return {"name": name, "versions": [1], "task": "chat-completion", "context": 8192}


def _merged(entry: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(entry)
    for key, value in changes.items():
        old = merged.get(key)
        nested = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(old, value) if nested and old is not None else value
    return merged


def _model(registry: str, entry: Mapping[str, Any]) -> Model:
    try:
        return Model(
            registry=registry,
            name=str(entry["name"]),
            versions=tuple(str(version) for version in entry["versions"]),
            task=str(entry["task"]),
            context=int(entry["context"]),
            modalities=frozenset(entry.get("modalities", ("text",))),
            publisher=_publisher(registry),
            fine_tuning=bool(entry.get("fineTuning", False)),
            dimensions=int(entry.get("dimensions", 0)),
            serverless=_serverless(entry.get("serverless")),
            managed=_managed(entry.get("managed")),
            lifecycle=_lifecycle(entry.get("lifecycle")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"model {registry}/{entry.get('name')}: {error!r}") from error


def _publisher(registry: str) -> str:
    known = load_registries().get(registry.lower())
    return known.publisher if known else registry


def _serverless(entry: Mapping[str, Any] | None) -> Serverless | None:
    if entry is None:
        return None
    regions = entry["regions"]
    named: dict[str, list[str]] = _data()["regionSets"]
    return Serverless(
        regions=frozenset(named[regions] if isinstance(regions, str) else regions),
        offer=_offer(entry.get("offer")),
        lifecycle=_lifecycle(entry.get("lifecycle")),
        tokens_per_minute=int(entry.get("tpm", 200_000)),
        requests_per_minute=int(entry.get("rpm", 1_000)),
    )


def _offer(entry: Mapping[str, Any] | None) -> Offer | None:
    if entry is None:
        return None
    invented = bool(entry.get("invented", False))
    return Offer(str(entry["publisher"]), str(entry["offer"]), str(entry["plan"]), invented)


def _managed(entry: Mapping[str, Any] | None) -> Managed | None:
    if entry is None:
        return None
    named: dict[str, dict[str, Any]] = _data()["skuSets"]
    merged = {**(named[entry["skus"]] if "skus" in entry else {}), **entry}
    return Managed(
        instance_types=tuple(merged["instanceTypes"]),
        min_sku=str(merged["minSku"]),
        shared=bool(merged.get("shared", False)),
        invented=bool(merged.get("invented", False)),
    )


def _lifecycle(entry: Mapping[str, Any] | None) -> Lifecycle:
    dates = {key: _date(entry[key]) for key in entry} if entry else {}
    return Lifecycle(**dates)


def _date(value: object) -> dt.date | None:
    if value is None or (isinstance(value, dt.date) and not isinstance(value, dt.datetime)):
        return value
    return dt.date.fromisoformat(str(value))


@cache
def _data() -> dict[str, Any]:
    text = (files("provisioner.emulator") / "data" / "models.yaml").read_text("utf-8")
    data: dict[str, Any] = yaml.safe_load(text)
    return data
