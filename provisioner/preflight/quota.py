"""Whether the cores that a plan takes are free, and what to do where they are not. Pure.

What the plan frees counts: surely where it is freed before the cores are taken, possibly where
nothing says which comes first (`arrange` then says so); only what cannot fit in any order is
refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from provisioner.cloud import RegistryModel, Usage
from provisioner.errors import Problem, Severity, Who, define
from provisioner.plan import Step
from provisioner.plan.steps import Update
from provisioner.preflight.case import NOT_CHECKED, Case, listed, plural, unread
from provisioner.preflight.constraints import RegionKey, Unread
from provisioner.preflight.cores import (
    Demand,
    Ledger,
    arithmetic,
    demands_by_region,
    demands_of,
    family_key,
    usage_of,
)
from provisioner.preflight.room import Order, Room
from provisioner.preflight.sizes import allowed_sizes
from provisioner.preflight.workspace import hosts
from provisioner.resources import OnlineDeployment, normal_region

QUOTA_SHORT = define(
    "preflight.quota-short",
    "not enough cores in the quota",
    "The deployments of this run need more cores of a VM family than the Azure subscription has "
    "free in the region. 20 % more than the instances use is reserved for upgrades, except on "
    "some GPU families. GPU families start with a quota of 0.",
    Who.SUBSCRIPTION_OWNER,
)

INCREASE: Final = "https://ml.azure.com/quota"


@dataclass(frozen=True, slots=True)
class Shortage:
    """A family of which too little is free. `needed` is what must be free for the plan to go well
    in the order that it has or, where it cannot, in the best one; `least` counts also what a
    failed deployment may hold."""

    key: RegionKey
    family: str
    needed: int
    least: int
    usage: Usage
    demands: tuple[Demand, ...]
    room: Room
    late: frozenset[str]
    """The steps that give cores back only after some were taken."""

    @property
    def free(self) -> int:
        return self.room.free

    @property
    def replaceable(self) -> bool:
        """Whether it would fit if what gives cores back too late did so before."""
        gives = sum(self.room.givers.values())
        return bool(self.late) and sum(self.room.takers.values()) - gives <= self.free

    @property
    def blocks(self) -> bool:
        return self.least > self.free

    @property
    def takers(self) -> list[Demand]:
        return [one for one in self.demands if one.cores > 0 and one.step.id in self.room.takers]

    @property
    def mover(self) -> Demand | None:
        """The first demand without which the rest fits."""
        return next((one for one in self.takers if self.needed - one.cores <= self.free), None)


def check_quota(case: Case) -> Iterator[Problem]:
    """One finding per VM family and region that is short, with its arithmetic and the ways out."""
    ledgers = demands_by_region(case)
    for key, ledger in ledgers.items():
        answer = case.facts.usages.get(key)
        if isinstance(answer, Unread):
            position = next((case.at(one.step) for one in demands_of(ledger)), None)
            yield unread(answer, f"the core quota in {key[1]}", position)
        elif answer is not None:
            yield from _unknown(case, ledger, answer)
    for short in shortages(case):
        yield _finding(case, short, ledgers)


def _unknown(case: Case, ledger: Ledger, usages: Sequence[Usage]) -> Iterator[Problem]:
    """Sizes and families of a region that nothing is known of."""
    for step, size in ledger.unknown:
        yield _not_judged(case, step, f"the family or the cores of {size} are not known")
    for family, demands in ledger.demands.items():
        if usage_of(family, usages) is None:
            why = f"Azure lists no quota of the family {demands[0].family}"
            yield _not_judged(case, demands[0].step, why)


def shortages(case: Case) -> tuple[Shortage, ...]:
    """Every family that is short, as far as the facts tell: for these, other regions are asked."""
    found, order = [], Order.of(case.plan.steps)
    for key, ledger in demands_by_region(case).items():
        answer = case.facts.usages.get(key)
        if answer is None or isinstance(answer, Unread):
            continue
        for family, demands in ledger.demands.items():
            usage = usage_of(family, answer)
            short = _short(key, family, usage, demands, order) if usage is not None else None
            if short is not None:
                found.append(short)
    return tuple(found)


def _short(
    key: RegionKey, family: str, usage: Usage, demands: Sequence[Demand], order: Order
) -> Shortage | None:
    room = _room_for(usage, demands)
    if room.plenty:
        return None
    needed = room.needed(order)
    if needed <= room.free:
        return None
    at_best = room.least(order)
    least = at_best + sum(one.cores for one in demands if not one.sure)
    if least > room.free:  # with so many, the plan can be arranged
        needed = at_best
    late = frozenset(id for id in room.givers if order.follows(id, room.takers))
    return Shortage(key, family, needed, least, usage, tuple(demands), room, late)


def _room_for(usage: Usage, demands: Iterable[Demand]) -> Room:
    """What each step takes or gives back in the end: a replacement does both, one by one."""
    net: dict[str, int] = {}
    for one in demands:
        if one.sure:
            net[one.step.id] = net.get(one.step.id, 0) + one.cores
    return Room(
        free=max(0, usage.limit - usage.used),
        takers={id: cores for id, cores in net.items() if cores > 0},
        givers={id: -cores for id, cores in net.items() if cores < 0},
    )


def _not_judged(case: Case, step: Step, why: str) -> Problem:
    return Problem(
        NOT_CHECKED,
        f"the core quota for {', '.join(step.names) or step.target.name} could not be checked: "
        f"{why}",
        f"look at {INCREASE}",
        severity=Severity.NOTE,
        position=case.at(step, "spec", "target", "managedCompute", "instanceType"),
    )


def _finding(case: Case, short: Shortage, ledgers: Mapping[RegionKey, Ledger]) -> Problem:
    takers = short.takers
    first = takers[0]
    key = "instanceCount" if isinstance(first.step, Update) else "instanceType"
    free = f"{short.free} free ({short.usage.used} of {short.usage.limit} in use)"
    if len(takers) == 1 and first.cores == short.needed:
        arithmetic = f"{first.sum} needed, {free}"
    else:
        arithmetic = f"{short.needed} needed by {listed(_names(takers), 4)}, {free}"
    severity = Severity.ERROR if short.blocks else Severity.WARNING
    what = f"not enough cores of {first.family} in {short.key[1]}: {arithmetic}"
    if not short.blocks:
        what += "; it fits only if what this plan removes is gone first"
    elif short.replaceable:
        what += "; what makes room is removed only afterwards"
    return Problem(
        QUOTA_SHORT,
        what,
        _ways_out(case, short, ledgers),
        severity=severity,
        position=case.at(first.step, "spec", "target", "managedCompute", key),
        resource=f"/subscriptions/{short.key[0]}",
        details=_lines(short) if len(short.demands) > 1 else (),
    )


def _names(demands: Sequence[Demand]) -> list[str]:
    return list(dict.fromkeys(_name(one) for one in demands))


def _name(demand: Demand) -> str:
    return demand.step.names[0] if demand.step.names else demand.step.target.name


def _lines(short: Shortage) -> tuple[str, ...]:
    lines = [
        f"{_name(one)} {'takes' if one.cores > 0 else 'gives back'} {one.sum}"
        + (", but only afterwards" if one.cores < 0 and one.step.id in short.late else "")
        for one in short.demands
    ]
    how = "at a time" if short.late else "together"
    return (*lines, f"{how} {short.needed}, free {short.free}")


def _ways_out(case: Case, short: Shortage, ledgers: Mapping[RegionKey, Ledger]) -> str:
    """Shared quota, another size, another region, an increase: whatever applies, best first.

    Each is enough by itself: what this run takes elsewhere is not counted as free there, and one
    deployment is told to move only if the others fit without it.
    """
    mover = short.mover
    ways = list(_order_way(case, short)) if short.blocks and short.replaceable else []
    ways += _shared_way(case, short, [mover] if mover is not None else short.takers)
    if mover is not None:
        ways += _sizes_way(case, short, mover, ledgers)
    ways += _regions_way(case, short, ledgers)
    missing = plural(short.needed - short.free, "more core")
    ways.append(f"ask for {missing} of {short.takers[0].family} in {short.key[1]} at {INCREASE}")
    return "; or ".join(ways)


def _order_way(case: Case, short: Shortage) -> Iterator[str]:
    """To have what makes room go first: in place of a rollout, or by a run of its own."""
    names = _names(short.takers)
    rolled = [name for name in names if name in case.deployments and case.deployments[name].rollout]
    if rolled:
        yield (
            f"remove rollout from {listed(rolled, 4)}: what is replaced in place needs no room "
            "for both, and does not answer meanwhile"
        )
        return
    old = _names([one for one in short.demands if one.step.id in short.late])
    yield f"first apply --prune without {listed(names, 4)}, which takes {listed(old, 4)} down"


def _whose(short: Shortage, movers: Sequence[Demand]) -> str:
    return f" for {listed(_names(movers), 4)}" if len(short.takers) > 1 else ""


def _shared_way(case: Case, short: Shortage, movers: Sequence[Demand]) -> Iterator[str]:
    models = [_model(case, one) for one in movers]
    if all(model is not None and model.shared_capacity for model in models):
        yield (
            f"set sharedQuota: true{_whose(short, movers)}, for a test: Azure then deletes the "
            "endpoint after 168 h (Enterprise Agreement subscriptions)"
        )


def _model(case: Case, demand: Demand) -> RegistryModel | None:
    resource = getattr(demand.step, "resource", None)
    if not isinstance(resource, OnlineDeployment):
        return None
    return case.facts.registry_model(resource.model)


def _room(usage: Usage, family: str, key: RegionKey, ledgers: Mapping[RegionKey, Ledger]) -> int:
    """Cores of a family that are free, less those that this run takes there."""
    ledger = ledgers.get(key) or Ledger()
    demands = ledger.demands.get(family, ())
    return usage.limit - usage.used - max(0, sum(one.cores for one in demands if one.sure))


def _sizes_way(
    case: Case, short: Shortage, mover: Demand, ledgers: Mapping[RegionKey, Ledger]
) -> Iterator[str]:
    """Other sizes that the model allows and that fit into what is free here."""
    usages = case.facts.usages.get(short.key)
    resource = getattr(mover.step, "resource", None)
    if usages is None or isinstance(usages, Unread) or not isinstance(resource, OnlineDeployment):
        return
    fits = []
    for size in allowed_sizes(case, short.key, resource):
        usage = usage_of(size.family, usages)
        cores, text = arithmetic(size, resource.instance_count)
        if usage is None or size.name.lower() == resource.instance_type.lower():
            continue
        family = family_key(size.family)
        room = (
            short.free - short.needed + mover.cores
            if family == short.family
            else _room(usage, family, short.key, ledgers)
        )
        if cores <= room:
            fits.append((cores, f"{size.name} ({text}, {usage.limit - usage.used} free)"))
    if fits:
        fits.sort()
        named = " or ".join(text for _, text in fits[:3])
        yield f"use instanceType {named}{_whose(short, [mover])}"


def _regions_way(case: Case, short: Shortage, ledgers: Mapping[RegionKey, Ledger]) -> Iterator[str]:
    """Regions of the caller's own workspaces where the family has enough."""
    places: dict[str, list[str]] = {}
    for one in case.facts.elsewhere.get(short.key[0], ()):
        if hosts(one):
            places.setdefault(normal_region(one.region), []).append(one.id.name)
    wanted = sum(one.cores for one in short.takers)
    found = []
    for region, names in sorted(places.items()):
        key = (short.key[0], region)
        usages = case.facts.usages.get(key)
        if region == short.key[1] or usages is None or isinstance(usages, Unread):
            continue
        usage = usage_of(short.family, usages)
        if usage is not None and _room(usage, short.family, key, ledgers) >= wanted:
            free = usage.limit - usage.used
            found.append(f"{names[0]} in {region} ({free} free)")
    if found:
        yield f"deploy to the workspace {' or '.join(found[:3])}"
