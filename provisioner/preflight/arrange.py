"""An order in which a plan fits, where only the order keeps it from fitting. Pure.

What a plan deletes, shrinks or awaits to be gone frees cores and counts that others of its steps
take. Whether it does so in time is left to chance where there is enough for both; where there is
not, the others wait.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from provisioner.cloud import Observed
from provisioner.desired import Desired
from provisioner.errors import Problem, Severity, Who, define
from provisioner.plan import Plan, Step, ordered
from provisioner.plan.steps import Delete, Replace, SetTraffic
from provisioner.preflight.case import Case, listed
from provisioner.preflight.constraints import Constraints
from provisioner.preflight.limits import crowded
from provisioner.preflight.quota import INCREASE, shortages
from provisioner.preflight.room import Order, Room

FREED_FIRST: Final = define(
    "preflight.freed-first",
    "something goes before what takes its room",
    "The quota or a limit of Azure has no room for the old and the new at a time, so the plan "
    "removes the old first. In between, neither answers.",
    Who.OPERATOR,
)


def arranged(plan: Plan, desired: Desired, observed: Observed, facts: Constraints) -> Plan:
    """The plan, its steps in an order in which cores and counts suffice if there is one, with a
    warning of each removal that others wait for."""
    case = Case.build(plan, desired, observed, facts)
    first = order = Order.of(plan.steps)
    rooms = [short.room for short in shortages(case) if not short.blocks]
    rooms += crowded(case, order)
    told: list[Problem] = []
    for room in rooms:
        tried = order.copy()
        room.arrange(tried)
        if _spoils(tried, order, rooms):
            continue
        order = tried
        told += _told(case, room, first)
    if not order.changed:
        return plan
    tried = order.copy()
    _hold_back(plan, tried)
    steps = ordered((order if _spoils(tried, order, rooms) else tried).applied(plan.steps))
    return replace(plan, steps=steps, notices=(*plan.notices, *dict.fromkeys(told)))


def _hold_back(plan: Plan, order: Order) -> None:
    """What takes the traffic off a deployment that is replaced waits with the replacement: until
    there is room for that, the old one serves."""
    diversions = {step.id: step.target for step in plan.steps if isinstance(step, SetTraffic)}
    waiting: dict[tuple[str, ...], list[str]] = {}
    for step in plan.steps:
        gained = tuple(id for id in order.needs[step.id] if id not in step.needs)
        own = [id for id in step.needs if diversions.get(id) == step.target.endpoint]
        if gained and own:
            waiting.setdefault(gained, []).extend(own)
    for gained, own in waiting.items():
        order.put_before(gained, own)


def _spoils(tried: Order, order: Order, rooms: Sequence[Room]) -> bool:
    """Whether something that might fit in `order` surely does not as tried: two deployments that
    change places delete at a time, or never."""
    return any(room.least(tried) > max(room.free, room.least(order)) for room in rooms)


def _told(case: Case, room: Room, order: Order) -> Iterator[Problem]:
    """Shrinking and waiting interrupt nobody, nor does a removal whose successor came first."""
    steps = {step.id: step for step in case.plan.steps}
    early = [id for id in room.givers if not order.follows(id, room.takers)]
    old = [steps[id] for id in early if isinstance(steps[id], Delete | Replace)]
    new = [steps[id] for id in room.takers]
    if old:
        yield Problem(
            FREED_FIRST,
            f"there is no room for both: the plan first takes {_listed(old)} away, then makes "
            f"{_listed(new)}",
            f"nothing to do, if that is meant; else ask for more cores at {INCREASE}, or for more "
            "endpoints and deployments by a support request",
            severity=Severity.WARNING,
            position=case.at(new[0]),
            details=tuple(step.title for step in (*old, *new))[:20],
        )


def _listed(steps: Sequence[Step]) -> str:
    return listed([step.target.name for step in steps], 4)
