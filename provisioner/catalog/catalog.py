"""Reading and asking the catalogue."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from difflib import SequenceMatcher, get_close_matches
from functools import cache, cached_property
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

from provisioner.catalog.facts import (
    LIMITS,
    CatalogModel,
    Lifecycle,
    Limits,
    ManagedFacts,
    Minimum,
    OfferPlan,
    ServerlessFacts,
    Sku,
    Source,
    Stage,
)
from provisioner.resources import ModelRef, normal_region

_AS_GOOD: Final = 0.02
"""How much worse than the best a suggestion may fit and still be made."""


@dataclass(frozen=True)
class Catalog:
    """Everything known; all look-ups disregard case.

    `models` by lower-cased (registry, name), `skus` by lower-cased name, `regions` from Azure's
    spelling to the display name, `registries` from name to publisher, `sources` by their short
    name as entries give it.
    """

    models: Mapping[tuple[str, str], CatalogModel]
    skus: Mapping[str, Sku]
    regions: Mapping[str, str]
    registries: Mapping[str, str]
    sources: Mapping[str, Source]
    limits: Limits = LIMITS

    def find(self, text: str) -> CatalogModel | None:
        """The model of a registry id, of `registry/name`, or of a name that only one has."""
        ref = ModelRef.parse(text)
        if ref.registry:
            return self.models.get((ref.registry.lower(), ref.name.lower()))
        named = [model for model in self.models.values() if model.name.lower() == text.lower()]
        return named[0] if len(named) == 1 else None

    def near(self, text: str, *, ratio: float = 0.8) -> list[str]:
        """Up to three models whose `registry/name`, or whose name, is nearly `text`."""
        if len(text) > 300:
            return []
        ref = ModelRef.parse(text)
        exact = self.find(text)
        if exact is not None:
            return [exact.short]
        same = ref.registry.lower() in self.registries
        words = self._shorts if ref.registry else self._names
        if same:
            words = {key: short for key, short in words.items() if _of(ref.registry, key)}
        word = f"{ref.registry}/{ref.name}" if ref.registry else ref.name
        close = get_close_matches(word.lower(), words, 3, ratio)
        scores = [SequenceMatcher(None, word.lower(), key).ratio() for key in close]
        return [
            words[key]
            for key, score in zip(close, scores, strict=True)
            if score > scores[0] - _AS_GOOD
        ]

    @cached_property
    def _shorts(self) -> Mapping[str, str]:
        return {model.short.lower(): model.short for model in self.models.values()}

    @cached_property
    def _names(self) -> Mapping[str, str]:
        return {model.name.lower(): model.short for model in self.models.values()}

    def sku(self, name: str) -> Sku | None:
        """The VM size of this name; None where the public list lacks it."""
        return self.skus.get(name.lower())

    def region(self, text: str) -> str | None:
        """Azure's spelling of a region, of `East US 2` as of `eastus2`; None if there is none."""
        name = normal_region(text)
        return name if name in self.regions else None


def _of(registry: str, short: str) -> bool:
    return short.startswith(f"{registry.lower()}/")


@cache
def load() -> Catalog:
    """The shipped catalogue, read once."""
    models, skus, regions = (_read(name) for name in ("models", "skus", "regions"))
    sources = {
        name: Source(entry["title"], entry["location"], date.fromisoformat(entry["dated"]))
        for part in (models, skus, regions)
        for name, entry in part["sources"].items()
    }
    sets = {name: frozenset(entries) for name, entries in models["regionSets"].items()}
    known_models = (_model(entry, sets, sources) for entry in models["models"])
    known_skus = (_sku(entry, sources) for entry in skus["skus"])
    return Catalog(
        MappingProxyType({(one.registry.lower(), one.name.lower()): one for one in known_models}),
        MappingProxyType({one.name.lower(): one for one in known_skus}),
        MappingProxyType(regions["regions"]),
        MappingProxyType({entry["name"]: entry["publisher"] for entry in models["registries"]}),
        MappingProxyType(sources),
    )


def _read(name: str) -> Any:
    return json.loads(files(__package__).joinpath("data", f"{name}.json").read_bytes())


def _dated(entry: Mapping[str, Any], sources: Mapping[str, Source]) -> date:
    return max(sources[name].dated for name in entry["sources"])


def _model(
    entry: Mapping[str, Any], sets: Mapping[str, frozenset[str]], sources: Mapping[str, Source]
) -> CatalogModel:
    return CatalogModel(
        registry=entry["registry"],
        name=entry["name"],
        publisher=entry["publisher"],
        serverless=_serverless(entry["serverless"], sets) if "serverless" in entry else None,
        managed=_managed(entry["managed"]) if "managed" in entry else None,
        lifecycle=_lifecycle(entry["lifecycle"]) if "lifecycle" in entry else None,
        sources=tuple(entry["sources"]),
        dated=_dated(entry, sources),
    )


def _serverless(entry: Mapping[str, Any], sets: Mapping[str, frozenset[str]]) -> ServerlessFacts:
    regions = entry["regions"]
    return ServerlessFacts(
        sets[regions] if regions is not None else None,
        entry["marketplace"],
        OfferPlan(**entry["offer"]) if "offer" in entry else None,
    )


def _managed(entry: Mapping[str, Any]) -> ManagedFacts:
    least = entry.get("minimum")
    return ManagedFacts(
        frozenset(entry["skus"]) if "skus" in entry else None,
        Minimum(least["cores"], least["gpus"], least["memoryGb"], least["diskGb"])
        if least
        else None,
    )


def _lifecycle(entry: Mapping[str, Any]) -> Lifecycle:
    def day(key: str) -> date | None:
        return date.fromisoformat(entry[key]) if key in entry else None

    return Lifecycle(
        Stage(entry["status"]),
        day("legacy"),
        day("deprecation"),
        day("retirement"),
        tuple(entry.get("replacements", ())),
    )


def _sku(entry: Mapping[str, Any], sources: Mapping[str, Source]) -> Sku:
    return Sku(
        name=entry["name"],
        family=entry["family"],
        cores=entry["cores"],
        gpus=entry.get("gpus", 0),
        gpu_memory_gb=entry.get("gpuMemoryGb"),
        memory_gb=entry.get("memoryGb"),
        reserve_exempt=entry.get("reserveExempt", False),
        sources=tuple(entry["sources"]),
        dated=_dated(entry, sources),
    )
