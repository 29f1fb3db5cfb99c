"""A tiny reference interpreter of a plan, against which the planner and the executor are judged.

It does each step at once, in any order that the steps' needs allow, and knows nothing of retries,
pace or patience: an operation that is in the way is simply ended.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import assert_never

from provisioner.errors.cloud import CloudError, ServiceFault
from provisioner.plan import Plan, resolve, unresolved
from provisioner.plan.steps import (
    Await,
    Create,
    Delete,
    Replace,
    Rollout,
    SetTraffic,
    Step,
    Subscribe,
    Until,
    Update,
)
from provisioner.resources import AgreementId, OnlineEndpoint, ResourceId, State
from tests.fakes import LATEST, FakeCloud


class Stop(Exception):
    """The interpreter was told to stop in the middle of a step."""


@dataclass(slots=True)
class Cut:
    """Where a run is cut short: after `steps` whole steps and `writes` writes of the next one.

    `state` is what is left of the resource that was written last.
    """

    steps: int
    writes: int = 0
    state: State | None = None


@dataclass(slots=True)
class Outcome:
    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def carry_out(
    plan: Plan, cloud: FakeCloud, *, order: random.Random | None = None, cut: Cut | None = None
) -> Outcome:
    """Carry out `plan`; a step that fails takes those that need it with it."""
    settled = resolve(plan, {model.id.lower(): LATEST for model in unresolved(plan)})
    outcome = Outcome()
    for number, step in enumerate(linear(settled, order)):
        if any(need not in outcome.done for need in step.needs):
            continue
        here = cut is not None and number == cut.steps
        try:
            _perform(step, cloud, cut.writes if here and cut is not None else None)
        except CloudError as error:
            outcome.failed[step.id] = str(error)
            continue
        except Stop:
            _leave(cloud, step.target, cut.state if cut is not None else None)
            return outcome
        outcome.done.append(step.id)
    return outcome


def linear(plan: Plan, order: random.Random | None) -> Iterator[Step]:
    """The steps in the plan's own order, or in a random one that their needs allow."""
    if order is None:
        yield from plan.steps
        return
    left, done = list(plan.steps), set[str]()
    while left:
        free = [step for step in left if all(need in done for need in step.needs)]
        step = order.choice(free)
        left.remove(step)
        done.add(step.id)
        yield step


def _perform(step: Step, cloud: FakeCloud, writes: int | None) -> None:
    for number, write in enumerate(_writes(step, cloud)):
        if writes is not None and number >= writes:
            raise Stop
        _patiently(write, cloud)
        if writes is not None and number == writes - 1:
            raise Stop
        cloud.finish()
        _check(step, cloud)
    if writes is not None:
        raise Stop


def _check(step: Step, cloud: FakeCloud) -> None:
    record = cloud.records.get(step.target)
    whatever = isinstance(step, Await) and step.until is not Until.READY
    if record is not None and record.state.broken and not whatever:
        raise CloudError(ServiceFault(400, "Failed", f"{step.title} ended as Failed"))


def _patiently(write: Callable[[], None], cloud: FakeCloud) -> None:
    try:
        write()
    except CloudError as error:
        if error.fault.status != 409:
            raise
        cloud.finish()
        write()


def _writes(  # noqa: C901  # one case per kind of step
    step: Step, cloud: FakeCloud
) -> Iterator[Callable[[], None]]:
    match step:
        case Subscribe():
            if step.recovers:
                yield lambda: cloud.do_delete(step.target)
            yield lambda: _subscribe(step, cloud)
        case Create():
            yield lambda: cloud.do_put(step.resource)
        case Update():
            yield lambda: cloud.do_update(step.resource, step.fields)
        case Replace():
            yield lambda: cloud.do_delete(step.target)
            yield lambda: cloud.do_put(step.resource)
        case SetTraffic():
            yield lambda: _traffic(step.endpoint, dict(step.after), cloud)
        case Rollout():
            for share in step.shares:
                new = round(step.weight * share / 100)
                after = {**step.others, step.old: step.weight - new, step.new: new}
                yield lambda after=after: _traffic(step.endpoint, after, cloud)  # type: ignore[misc]
        case Delete():
            yield lambda: cloud.do_delete(step.resource_id)
        case Await():
            yield cloud.finish
        case _:
            assert_never(step)


def _subscribe(step: Subscribe, cloud: FakeCloud) -> None:
    if step.plan is not None:
        cloud.signed.add(AgreementId(step.target.workspace.subscription, step.plan))
    try:
        cloud.do_put(step.resource)
    except CloudError as error:
        if error.fault.code != "MarketplacePlanNotRequiredForModel":
            raise


def _traffic(endpoint: ResourceId, shares: dict[str, int], cloud: FakeCloud) -> None:
    cloud.do_update(OnlineEndpoint(endpoint, "", traffic=shares), frozenset({"traffic"}))


def _leave(cloud: FakeCloud, id: ResourceId, state: State | None) -> None:
    """Leave what was written last in `state`, its operation still running or ended badly."""
    record = cloud.records.get(id)
    if record is None or not record.state.in_progress or state is None:
        return
    if state.broken and record.state is not State.DELETING:
        record.state, record.then = state, None
