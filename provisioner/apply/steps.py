"""What each kind of step does to the cloud. Every one may be run again from anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final, assert_never

from provisioner.apply.context import ENDED_BADLY, Context, StepFailed
from provisioner.apply.ready import (
    VANISHED,
    Wish,
    reached,
    refuse_foreign,
    traffic_differences,
    vanished,
)
from provisioner.apply.subscribe import subscribe, subscribed
from provisioner.errors import Problem, Severity, Who, define
from provisioner.errors.cloud import CloudError
from provisioner.events import Noticed, TrafficMoved
from provisioner.plan.diff import diff
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
from provisioner.reap import deadline_of
from provisioner.resources import (
    AnyLive,
    Kind,
    Live,
    OnlineEndpoint,
    Resource,
    ResourceId,
    ServerlessEndpoint,
    State,
    describe,
)

CAME_BACK = define(
    "apply.came-back",
    "a deleted resource is there again",
    "The delete was carried out or given up, and the resource is there and ready: somebody made it "
    "again, or something keeps it.",
    Who.OPERATOR,
)


async def perform(context: Context, step: Step) -> None:
    """Do `step` and see that it is done. Raises CloudError, StepFailed or Stopped."""
    if await _renewed_meanwhile(context, step):
        return
    match step:
        case Subscribe():
            await subscribe(context, step)
        case Create():
            await _create(context, step, step.resource)
        case Update():
            await _update(context, step)
        case Replace():
            await _replace(context, step)
        case SetTraffic():
            await _traffic(context, step)
        case Rollout():
            await _roll_out(context, step)
        case Delete():
            await _delete(context, step)
        case Await():
            await _await(context, step)
        case _:
            assert_never(step)


async def _create(context: Context, step: Step, resource: Resource) -> None:
    deadline = context.deadline(resource.id.kind)

    async def coming() -> bool:
        return await _is_coming(context, resource)

    # A PUT over an online endpoint would take its traffic away: another run may have made it.
    if not (resource.id.kind is Kind.ONLINE_ENDPOINT and await context.sees(coming)):
        await context.persist(step, lambda: context.cloud.put(resource), deadline, already=coming)
    await reached(context, step, Wish.of(resource), deadline, "create")


async def _is_coming(context: Context, resource: Resource) -> bool:
    """Whether a resource of this definition exists or is being made.

    Raises StepFailed where somebody else's is there.
    """
    live = await context.cloud.get(resource.id)
    if live is None or live.state is State.DELETING:
        return False
    refuse_foreign(Wish.of(resource), live)
    return not live.state.broken and not diff(resource, live.resource)


async def _update(context: Context, step: Update) -> None:
    deadline = context.deadline(step.target.kind)
    await context.persist(step, lambda: context.cloud.update(step.resource, step.fields), deadline)
    await reached(context, step, Wish.of(step.resource, known=True), deadline, "update")


async def _replace(context: Context, step: Replace) -> None:
    """Delete and create, unless another run has done so already: its work is not undone."""
    deadline = context.deadline(step.target.kind)

    async def done() -> bool:
        return await _is_coming(context, step.resource)

    async def take_away() -> None:
        await context.cloud.delete(step.target)

    if step.recovers and step.target.kind is Kind.ONLINE_DEPLOYMENT:
        lines = await context.tail(step.target)
        if lines:
            context.emit(Noticed(_last_words(step, tuple(lines))))
    if await context.persist(step, take_away, deadline, unless=done):
        back = await _absent(context, step, step.target, deadline)
        if back is None:
            await _create(context, step, step.resource)
            return
        if diff(step.resource, back.resource):
            raise StepFailed(_came_back(step.target))
    await reached(context, step, Wish.of(step.resource), deadline, "create")


async def _delete(context: Context, step: Delete) -> None:
    """Delete and wait until it is neither listed nor found: only then is the name free."""
    id = step.resource_id
    deadline = context.deadline(id.kind)
    await context.persist(step, lambda: context.cloud.delete(id), deadline)
    if await _absent(context, step, id, deadline) is not None:
        raise StepFailed(_came_back(id))


async def _renewed_meanwhile(context: Context, step: Step) -> bool:
    """Whether somebody else has already replaced what was condemned by a newer one.

    Two reapers may run at once: the slower one must not take down what the other brought back.
    """
    if step.expires is None:
        return False
    live = await context.cloud.get(step.target.endpoint)
    if not isinstance(live, Live) or not isinstance(
        live.resource, ServerlessEndpoint | OnlineEndpoint
    ):
        return False
    now = deadline_of(live)
    return now is not None and now.instant > step.expires


_STALE: Final = 60.0
"""Seconds for which a list may still show what a resource was before its delete."""


async def _absent(context: Context, step: Step, id: ResourceId, deadline: float) -> AnyLive | None:
    """Wait until `id` is gone; what is there instead where somebody made it again meanwhile.

    A failed state means that the delete failed, but not before the delete is seen to have begun:
    what is deleted because it failed is listed as failed until then, and a list lags behind
    (AZURE.md §16).
    """
    leaving = False
    stale_until = context.clock.monotonic() + _STALE

    def judge(live: AnyLive | None) -> bool:
        nonlocal leaving, stale_until
        now = context.clock.monotonic()
        if live is None:
            return True
        if live.state is State.DELETING:
            leaving, stale_until = True, now + _STALE
            return False
        if live.state.broken:
            return leaving or now >= stale_until
        return live.state is State.SUCCEEDED and now >= stale_until

    while True:
        listed = await context.wait(step, id, judge, deadline, "delete")
        if listed is not None and listed.state.broken:
            raise await context.failure(id, listed.state)
        live = await context.cloud.get(id)
        if live is None:
            context.lives.pop(id, None)
            context.freed[id] = context.clock.monotonic()
            context.rested(step)
            return None
        if listed is not None and live.state is State.SUCCEEDED:
            context.rested(step)
            return live
        await context.pause(1.0)


async def _traffic(context: Context, step: SetTraffic) -> None:
    """An endpoint that another run has taken down meanwhile carries no traffic either."""
    try:
        await _set_traffic(context, step, step.endpoint, step.after)
    except (CloudError, StepFailed) as error:
        gone = (
            error.fault.status == 404
            if isinstance(error, CloudError)
            else error.problem.code is VANISHED
        )
        if not gone or any(step.after.values()) or await context.cloud.get(step.endpoint):
            raise


async def _set_traffic(
    context: Context,
    step: Step,
    endpoint: ResourceId,
    traffic: Mapping[str, int],
    ahead: str | None = None,
) -> None:
    """`ahead` may carry more than its share: another run that rolls it out is further on."""
    deadline = context.deadline(Kind.ONLINE_ENDPOINT)
    resource = OnlineEndpoint(id=endpoint, location="", traffic=dict(traffic))
    fields = frozenset({"traffic"})
    await context.persist(step, lambda: context.cloud.update(resource, fields), deadline)
    wish = Wish(endpoint, lambda live: traffic_differences(live, traffic, ahead), known=True)
    await reached(context, step, wish, deadline, "update")


async def _roll_out(context: Context, step: Rollout) -> None:
    """Move the traffic share by share; a new colour that falters gives all of it back."""
    moved = False
    try:
        await _sound(context, step)
        for share in step.shares:
            shares = _shares(step, share)
            if await context.sees(partial(_outrun, context, step, shares)):
                continue
            moved = True
            await _set_traffic(context, step, step.endpoint, shares, step.new)
            if share < 100:
                context.emit(TrafficMoved(step.id, step.new, shares[step.new], step.bake))
                await context.pause(step.bake)
            await _sound(context, step)
    except (StepFailed, CloudError) as error:
        trouble = await _give_back(context, step) if moved or step.begun else None
        causes = (*_told(error), *(_told(trouble) if trouble is not None else ()))
        outcome = f"{step.old} has all its traffic back"
        if trouble is not None:
            outcome = f"its traffic could not be given back to {step.old}"
        raise StepFailed(
            Problem(
                ENDED_BADLY,
                f"{step.new} did not hold up; {outcome}",
                "mend the new definition and apply again; the old one serves meanwhile"
                if trouble is None
                else "see what carries the traffic now: provision status; mend what hinders the "
                "change, then apply again",
                position=step.position,
                resource=step.endpoint.arm_id,
                details=causes,
            )
        ) from error


async def _outrun(context: Context, step: Rollout, shares: Mapping[str, int]) -> bool:
    """Whether another run has moved that much already: its progress is not taken back."""
    live = await context.cloud.get(step.endpoint)
    return live is not None and not traffic_differences(live, shares, step.new)


async def _give_back(context: Context, step: Rollout) -> StepFailed | CloudError | None:
    """All traffic to the old colour again; why that did not work, if it did not."""
    try:
        await _set_traffic(context, step, step.endpoint, _shares(step, 0))
    except (StepFailed, CloudError) as error:
        return error
    return None


def _told(error: StepFailed | CloudError) -> tuple[str, ...]:
    if isinstance(error, StepFailed):
        return (error.problem.what, *error.problem.details)
    return (str(error),)


def _shares(step: Rollout, share: int) -> dict[str, int]:
    """Percent of the endpoint's traffic when `share` percent of the pair's is on the new one."""
    new = round(step.weight * share / 100)
    return {**step.others, step.new: new, step.old: step.weight - new}


async def _sound(context: Context, step: Rollout) -> None:
    id = ResourceId(step.endpoint.workspace, Kind.ONLINE_DEPLOYMENT, step.new, step.endpoint.name)
    live = await context.cloud.get(id)
    if live is None:
        raise StepFailed(vanished(id))
    if live.state.broken:
        raise await context.failure(id, live.state)
    if not step.probe or context.settings.probe is None:
        return
    endpoint = await context.cloud.get(step.endpoint)
    wrong = await context.settings.probe(endpoint, step.new) if endpoint is not None else None
    if wrong is not None:
        raise StepFailed(
            Problem(
                ENDED_BADLY,
                f"the probe call of {step.new} failed: {wrong}",
                "look at the deployment's logs",
                resource=id.arm_id,
            )
        )


async def _await(context: Context, step: Await) -> None:
    id = step.resource_id
    deadline = context.deadline(id.kind)
    match step.until:
        case Until.READY if id.kind is Kind.MARKETPLACE_SUBSCRIPTION:
            await subscribed(context, step, id, deadline, known=True)
        case Until.READY if step.resource is not None:
            await reached(context, step, Wish.of(step.resource, known=True), deadline, "create")
        case Until.ABSENT:
            back = await _absent(context, step, id, deadline)
            if back is not None and step.resource is None:
                raise StepFailed(_came_back(id))
            if back is not None and step.resource is not None:  # another run may have been faster
                refuse_foreign(Wish.of(step.resource), back)
        case _:
            await context.wait(
                step,
                id,
                lambda live: live is None or not live.state.in_progress,
                deadline,
                "update",
            )


def _came_back(id: ResourceId) -> Problem:
    return Problem(
        CAME_BACK,
        f"the {describe(id)} was deleted and is there again",
        "find out who made it again (the activity log of its resource group), then repeat",
        resource=id.arm_id,
    )


def _last_words(step: Replace, lines: tuple[str, ...]) -> Problem:
    return Problem(
        ENDED_BADLY,
        f"the {describe(step.target)} had failed; its last log lines are below, and it is replaced",
        "nothing to do unless it fails again",
        severity=Severity.NOTE,
        position=step.position,
        resource=step.target.arm_id,
        details=lines,
    )
