"""Models of the catalogue and of registries, as a table, as a page and as plain data. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from provisioner.catalog import CatalogModel, Lifecycle, Stage, furthest
from provisioner.cli.render.problems import wrapped
from provisioner.cloud import Agreement, RegistryModel
from provisioner.errors.harmless import clean

TARGETS: Final = ("serverless", "managedCompute")


@dataclass(frozen=True, slots=True)
class Entry:
    """A model as far as it is known: from the shipped catalogue, its registry, the provider.

    `offered` is where the resource provider reports each target, per target; empty: not asked.
    """

    registry: str
    name: str
    known: CatalogModel | None = None
    registered: RegistryModel | None = None
    agreement: Agreement | None = None
    offered: Mapping[str, frozenset[str]] | None = None

    @property
    def short(self) -> str:
        return f"{self.registry}/{self.name}"

    @property
    def targets(self) -> tuple[str, ...]:
        """Targets that are known to serve it; a registry that lists sizes says managed compute."""
        serverless = self.known is not None and self.known.serverless is not None
        managed = self.known is not None and self.known.managed is not None
        listed = self.registered is not None and bool(
            self.registered.skus or self.registered.min_sku
        )
        return tuple(
            target
            for target, yes in zip(TARGETS, (serverless, managed or listed), strict=True)
            if yes
        )

    @property
    def regions(self) -> tuple[str, ...] | None:
        """Regions of workspaces that may deploy it as a serverless API; None: not published."""
        facts = self.known.serverless if self.known is not None else None
        if facts is None or facts.regions is None:
            return None
        return tuple(sorted(facts.regions))

    def lifecycle(self, target: str, today: date) -> Lifecycle | None:
        """Managed compute follows the registry's dates; serverless the published schedule too,
        whichever of the two is further on."""
        published = self.known.lifecycle if self.known is not None else None
        found, own = self.registered, None
        if found is not None and (found.legacy or found.deprecation or found.retirement):
            names = published.replacements if published is not None else ()
            own = Lifecycle(Stage.GA, found.legacy, found.deprecation, found.retirement, names)
        return furthest((own, published if target == "serverless" else None), today)


def models_table(entries: Sequence[Entry], today: date, width: int | None = None) -> str:
    """One line per model; where the screen is too narrow, the regions are left out, then who
    sells it, and at last the targets go below their model."""
    head = ["MODEL", "TARGETS", "SOLD BY", "SERVERLESS REGIONS"]
    lines = [head, *(_cells(one, today) for one in entries)]
    for columns in (4, 3, 2):
        text = _aligned([line[:columns] for line in lines])
        if width is None or all(len(line) <= width for line in text):
            return "\n".join(text) + "\n"
    rows = (f"{model}\n  {targets or 'no known target'}\n" for model, targets, *_ in lines[1:])
    return "".join(rows)


def _cells(entry: Entry, today: date) -> list[str]:
    regions = entry.regions
    facts = entry.known.serverless if entry.known is not None else None
    offer = {True: "Marketplace", False: "Microsoft", None: ""}[
        facts.marketplace if facts else None
    ]
    return [
        clean(entry.short),
        ", ".join(_staged(entry, target, today) for target in entry.targets),
        offer,
        ", ".join(regions) if regions is not None else "",
    ]


def _staged(entry: Entry, target: str, today: date) -> str:
    """The target, and its stage where that is worth a word."""
    short = "managed" if target == "managedCompute" else target
    lifecycle = entry.lifecycle(target, today)
    stage = lifecycle.stage(today) if lifecycle is not None else Stage.GA
    return short if stage is Stage.GA else f"{short} ({stage})"


def _aligned(lines: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(f"{cell:<{wide}}" for cell, wide in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def model_document(entry: Entry, today: date) -> dict[str, object]:
    """Everything that is known of a model; what is not known is left out."""
    known, found = entry.known, entry.registered
    facts: dict[str, object | None] = {
        "model": entry.short,
        "id": f"azureml://registries/{entry.registry}/models/{entry.name}",
        "publisher": known.publisher if known is not None else None,
        "latestVersion": found.ref.version if found is not None else None,
        "task": found.task if found is not None else None,
        "license": found.license if found is not None else None,
        "targets": list(entry.targets),
        "serverless": _serverless(entry, today) or None,
        "managedCompute": _managed(entry, today) or None,
        "catalogDated": known.dated.isoformat() if known is not None else None,
        "sources": list(known.sources) if known is not None else None,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _serverless(entry: Entry, today: date) -> dict[str, object]:
    facts = entry.known.serverless if entry.known is not None else None
    if facts is None:
        return {}
    document: dict[str, object] = {}
    if facts.marketplace is not None:
        document["marketplace"] = facts.marketplace
    if entry.regions is not None:
        document["regions"] = list(entry.regions)
    offered = (entry.offered or {}).get("serverless")
    if offered:
        document["providerRegions"] = sorted(offered)
    plan = facts.plan
    if plan is not None:
        ids = {"publisher": plan.publisher, "offer": plan.offer, "plan": plan.plan}
        document["offer"] = {name: value for name, value in ids.items() if value}
        if plan.publisher and plan.offer:
            document["prices"] = (
                f"https://azuremarketplace.microsoft.com/marketplace/apps/"
                f"{plan.publisher}.{plan.offer}?tab=PlansAndPrice"
            )
    if entry.agreement is not None:
        document["terms"] = {"accepted": entry.agreement.accepted, **entry.agreement.links}
    return document | _dates(entry.lifecycle("serverless", today), today)


def _managed(entry: Entry, today: date) -> dict[str, object]:
    document: dict[str, object] = {}
    found = entry.registered
    facts = entry.known.managed if entry.known is not None else None
    sizes = (
        found.skus
        if found is not None and found.skus
        else tuple(sorted(facts.skus or ()))
        if facts
        else ()
    )
    if sizes:
        document["instanceTypes"] = list(sizes)
    if found is not None:
        if found.recommended_sku:
            document["recommended"] = found.recommended_sku
        if found.min_sku is not None:
            names = ("cores", "gpus", "memoryGb", "diskGb")
            document["minimum"] = dict(zip(names, found.min_sku, strict=True))
        if found.shared_capacity is not None:
            document["sharedQuota"] = found.shared_capacity
    offered = (entry.offered or {}).get("managedCompute")
    if offered and "managedCompute" in entry.targets:
        document["providerRegions"] = sorted(offered)
    return document | _dates(entry.lifecycle("managedCompute", today), today)


def _dates(lifecycle: Lifecycle | None, today: date) -> dict[str, object]:
    if lifecycle is None:
        return {}
    days = {
        "legacy": lifecycle.legacy,
        "deprecation": lifecycle.deprecation,
        "retirement": lifecycle.retirement,
    }
    document: dict[str, object] = {"stage": str(lifecycle.stage(today))}
    document |= {name: day.isoformat() for name, day in days.items() if day is not None}
    if lifecycle.replacements:
        document["replacements"] = list(lifecycle.replacements)
    return {"lifecycle": document}


def model_page(entry: Entry, today: date, width: int | None = None) -> str:
    """The document as indented lines: names to the left, values to the right; long lists go on
    below, further in."""
    return "\n".join(_lines(model_document(entry, today), "", width)) + "\n"


def _lines(document: Mapping[str, object], indent: str, width: int | None) -> list[str]:
    lines: list[str] = []
    for name, value in document.items():
        label = "".join(f" {char.lower()}" if char.isupper() else char for char in name)
        if isinstance(value, Mapping):
            lines += [f"{indent}{label}:", *_lines(value, f"{indent}  ", width)]
        else:
            lines += wrapped(f"{label}: {_value(value)}", indent, f"{indent}  ", width)
    return lines


def _value(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(clean(str(one)) for one in value) or "none"
        case _:
            return clean(str(value))
