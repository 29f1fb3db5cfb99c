"""Cores: what managed compute takes of each VM family, and what it gives back. Pure.

A deployment of n instances takes ceil(1.2 n) × cores of its family in its region, because Azure
keeps 20 % for upgrades; some GPU families take n × cores (MicrosoftDocs/azure-ai-docs,
includes/quota-allocation-online-deployment.md; the catalogue says which). Shared quota draws on
another pool.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from provisioner.catalog import load
from provisioner.cloud import Usage, VmSize
from provisioner.plan import Step
from provisioner.plan.steps import Await, Create, Delete, Replace, Until, Update
from provisioner.preflight.case import Case
from provisioner.preflight.constraints import RegionKey
from provisioner.preflight.sizes import size_of
from provisioner.resources import Kind, OnlineDeployment


@dataclass(frozen=True, slots=True)
class Demand:
    """Cores that a step takes (or gives back, when negative) of a family.

    `sum` is how that number comes about; `sure` says whether they count in any case, or only if
    what failed did hold cores.
    """

    step: Step
    family: str
    cores: int
    sum: str
    sure: bool = True


@dataclass(slots=True)
class Ledger:
    """All demands of one Azure subscription and region, per family key."""

    demands: dict[str, list[Demand]] = field(default_factory=dict)
    unknown: list[tuple[Step, str]] = field(default_factory=list)


def demands_of(ledger: Ledger) -> Iterator[Demand]:
    for demands in ledger.demands.values():
        yield from demands


def demands_by_region(case: Case) -> dict[RegionKey, Ledger]:
    found: dict[RegionKey, Ledger] = {}
    for step in case.plan.steps:
        if step.target.kind not in (Kind.ONLINE_DEPLOYMENT, Kind.ONLINE_ENDPOINT):
            continue
        key = (step.target.workspace.subscription, case.region(step.target.workspace))
        _enter(case, found.setdefault(key, Ledger()), key, step)
    return {key: ledger for key, ledger in found.items() if ledger.demands or ledger.unknown}


def _enter(case: Case, ledger: Ledger, key: RegionKey, step: Step) -> None:
    match step:
        case Create(resource=OnlineDeployment() as one):
            _take(case, ledger, key, step, one)
        case Update(resource=OnlineDeployment() as one) if "instance_count" in step.fields:
            live = case.live_deployment(step.target)
            if live is not None:
                _give(case, ledger, key, step, live.resource)
            _take(case, ledger, key, step, one)
        case Replace(resource=OnlineDeployment() as one):
            live = case.live_deployment(step.target)
            if live is not None:
                # Whether a deployment that failed holds cores is not documented.
                _give(case, ledger, key, step, live.resource, sure=not step.recovers)
            _take(case, ledger, key, step, one)
        case Delete() | Await(until=Until.ABSENT):
            for live in case.live_below(step.target):
                _give(case, ledger, key, step, live.resource)
        case _:
            pass


def _take(case: Case, ledger: Ledger, key: RegionKey, step: Step, one: OnlineDeployment) -> None:
    if case.shared_quota(one.id.endpoint):
        return
    size = size_of(case, key, one.instance_type)
    if size is None or not (size.family and size.vcpus):
        ledger.unknown.append((step, one.instance_type))
        return
    cores, text = arithmetic(size, one.instance_count)
    demand = Demand(step, size.family, cores, text)
    ledger.demands.setdefault(family_key(size.family), []).append(demand)


def _give(
    case: Case,
    ledger: Ledger,
    key: RegionKey,
    step: Step,
    one: OnlineDeployment,
    *,
    sure: bool = True,
) -> None:
    if case.drew_on_shared_quota(one.id.endpoint):
        return
    size = size_of(case, key, one.instance_type)
    if size is None or not (size.family and size.vcpus):
        return
    cores, text = arithmetic(size, one.instance_count)
    demand = Demand(step, size.family, -cores, text, sure)
    ledger.demands.setdefault(family_key(size.family), []).append(demand)


def arithmetic(size: VmSize, count: int) -> tuple[int, str]:
    """Cores that `count` instances take, and how: `2 × 24 cores + 20 % = 72`.

    Azure reserves another 20 % for upgrades, rounded up to whole instances, except on the sizes
    that its SKU list exempts (includes/quota-allocation-online-deployment.md of
    MicrosoftDocs/azure-ai-docs).
    """
    known = load().sku(size.name)
    if known is not None and known.reserve_exempt:
        return count * size.vcpus, f"{count} × {size.vcpus} cores = {count * size.vcpus}"
    cores = -(-count * 6 // 5) * size.vcpus
    return cores, f"{count} × {size.vcpus} cores + 20 % = {cores}"


@lru_cache(maxsize=1024)
def family_key(name: str) -> str:
    """What the spellings of one VM family have in common.

    `standardDSv2Family`, `Standard DSv2 Family` and `Standard DSv2 Family Cluster Dedicated vCPUs`
    are one; blanks, underscores and hyphens do not count (AZURE.md §8).
    """
    plain = re.sub(r"[\s_\-]+", "", name).lower()
    plain = re.sub(r"(?:cluster)?dedicatedv?cpus$|vcpus$", "", plain)
    return plain.removeprefix("standard").removesuffix("family")


def usage_of(family: str, usages: Iterable[Usage]) -> Usage | None:
    """The usage row of a family: by the last part of its id, else by its name. A limit below zero
    is none that could be exceeded."""
    wanted = family_key(family)
    rows = [one for one in usages if one.limit >= 0]
    fits = [one for one in rows if family_key(one.id) == wanted]
    fits = fits or [one for one in rows if family_key(one.name) == wanted]
    return min(fits, key=lambda one: one.limit - one.used, default=None)
