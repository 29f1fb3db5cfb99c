"""What each kind of step does to the cloud. Every one may be run again from anywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, assert_never

from provisioner.apply.context import (
    ENDED_BADLY,
    NOT_TAKEN,
    STEP_TIMED_OUT,
    VANISHED,
    Context,
    StepFailed,
)
from provisioner.apply.subscribe import settled, subscribe, subscribed
from provisioner.errors import Problem, Severity
from provisioner.errors.cloud import CloudError
from provisioner.events import Noticed
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
from provisioner.plan.words import camel
from provisioner.resources import (
    TAG_EXPIRES,
    AnyLive,
    Kind,
    Live,
    OnlineEndpoint,
    Resource,
    ResourceId,
    State,
    describe,
    parse_instant,
    tags_of,
)


async def perform(context: Context, step: Step) -> None:
    """Do `step` and see that it is done. Raises CloudError, StepFailed or Stopped."""
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
            await _set_traffic(context, step, step.endpoint, step.after)
        case Rollout():
            await _roll_out(context, step)
        case Delete():
            if not await _renewed_meanwhile(context, step):
                await _delete(context, step, step.resource_id)
        case Await():
            await _await(context, step)
        case _:
            assert_never(step)


async def _create(context: Context, step: Step, resource: Resource) -> None:
    deadline = context.deadline(resource.id.kind)
    await context.persist(
        step,
        lambda: context.cloud.put(resource),
        deadline,
        already=lambda: _is_coming(context, resource),
    )
    await _ready(context, step, resource, deadline, "create")


async def _is_coming(context: Context, resource: Resource) -> bool:
    """Whether a resource of this definition exists or is being made."""
    live = await context.cloud.get(resource.id)
    if live is None or live.state is State.DELETING or live.state.broken:
        return False
    return not diff(resource, live.resource)


async def _ready(
    context: Context, step: Step, resource: Resource, deadline: float, purpose: str
) -> None:
    """Wait until the resource has the wanted definition and state.

    The definition is compared too: right after a write a list may show the old one as Succeeded
    (AZURE.md §16).
    """
    latest: AnyLive | None = None

    def judge(live: AnyLive | None) -> bool:
        nonlocal latest
        if live is None:
            if latest is not None:
                raise StepFailed(_vanished(resource.id))
            return False
        latest = live
        if live.state.broken:
            return True
        done = live.state is State.SUCCEEDED and settled(live)
        return done and not diff(resource, live.resource)

    try:
        live = await context.wait(step, resource.id, judge, deadline, purpose)
    except StepFailed as failed:
        kept = _kept(resource, latest)
        if failed.problem.code is STEP_TIMED_OUT and kept:
            raise StepFailed(_not_taken(step, kept)) from failed
        raise
    if live is not None and live.state.broken:
        raise await context.failure(resource.id, live.state)


def _kept(resource: Resource, live: AnyLive | None) -> tuple[str, ...]:
    """The fields in which a resource that is ready differs from what was wished for."""
    if live is None or live.state is not State.SUCCEEDED:
        return ()
    return tuple(camel(change.field) for change in diff(resource, live.resource))


async def _update(context: Context, step: Update) -> None:
    deadline = context.deadline(step.target.kind)
    await context.persist(step, lambda: context.cloud.update(step.resource, step.fields), deadline)
    await _ready(context, step, step.resource, deadline, "update")


async def _replace(context: Context, step: Replace) -> None:
    if step.recovers and step.target.kind is Kind.ONLINE_DEPLOYMENT:
        lines = await context.tail(step.target)
        if lines:
            context.emit(Noticed(_last_words(step, tuple(lines))))
    await _delete(context, step, step.target)
    await _create(context, step, step.resource)


async def _delete(context: Context, step: Step, id: ResourceId) -> None:
    """Delete and wait until it is neither listed nor found: only then is the name free."""
    deadline = context.deadline(id.kind)
    await context.persist(step, lambda: context.cloud.delete(id), deadline)
    await _absent(context, step, id, deadline)


async def _renewed_meanwhile(context: Context, step: Delete) -> bool:
    """Whether somebody else has already replaced what was condemned by a newer one.

    Two reapers may run at once: the slower one must not take down what the other brought back.
    """
    if step.expires is None:
        return False
    live = await context.cloud.get(step.resource_id)
    if live is None:
        return False
    now = parse_instant(tags_of(live.resource).get(TAG_EXPIRES))
    return now is not None and now > step.expires


_STALE: Final = 60.0
"""Seconds for which a list may still show what a resource was before its delete."""


async def _absent(context: Context, step: Step, id: ResourceId, deadline: float) -> None:
    """Wait until `id` is gone. A failed state means that the delete failed, but not before the
    delete is seen to have begun: what is deleted because it failed is listed as failed until then,
    and a list lags behind (AZURE.md §16)."""
    leaving = False
    stale_until = context.clock.monotonic() + _STALE

    def judge(live: AnyLive | None) -> bool:
        nonlocal leaving
        if live is None:
            return True
        leaving = leaving or live.state is State.DELETING
        return live.state.broken and (leaving or context.clock.monotonic() >= stale_until)

    while True:
        live = await context.wait(step, id, judge, deadline, "delete")
        if live is not None:
            raise await context.failure(id, live.state)
        context.lives.pop(id, None)
        if await context.cloud.get(id) is None:
            context.freed[id] = context.clock.monotonic()
            return
        await context.pause(1.0)


async def _set_traffic(
    context: Context, step: Step, endpoint: ResourceId, traffic: Mapping[str, int]
) -> None:
    deadline = context.deadline(Kind.ONLINE_ENDPOINT)
    wish = OnlineEndpoint(id=endpoint, location="", traffic=dict(traffic))
    fields = frozenset({"traffic"})
    await context.persist(step, lambda: context.cloud.update(wish, fields), deadline)
    live = await context.wait(step, endpoint, _carries(traffic), deadline, "update")
    if live is not None and live.state.broken:
        raise await context.failure(endpoint, live.state)


def _carries(traffic: Mapping[str, int]) -> Callable[[AnyLive | None], bool]:
    wanted = {name.lower(): share for name, share in traffic.items() if share}

    def judge(live: AnyLive | None) -> bool:
        if not isinstance(live, Live) or not isinstance(live.resource, OnlineEndpoint):
            return False
        if live.state.broken:
            return True
        have = {name.lower(): share for name, share in live.resource.traffic.items() if share}
        return live.state is State.SUCCEEDED and have == wanted

    return judge


async def _roll_out(context: Context, step: Rollout) -> None:
    """Move the traffic share by share; a new colour that falters gives all of it back."""
    before = _shares(step, 0)
    try:
        await _sound(context, step)
        for share in step.shares:
            await _set_traffic(context, step, step.endpoint, _shares(step, share))
            if share < 100:
                await context.pause(step.bake)
            await _sound(context, step)
    except (StepFailed, CloudError) as error:
        await _set_traffic(context, step, step.endpoint, before)
        cause = error.problem if isinstance(error, StepFailed) else None
        raise StepFailed(
            Problem(
                ENDED_BADLY,
                f"{step.new} did not hold up; {step.old} has all its traffic back",
                "mend the new definition and apply again; the old one serves meanwhile",
                position=step.position,
                resource=step.endpoint.arm_id,
                details=(cause.what, *cause.details) if cause is not None else (str(error),),
            )
        ) from error


def _shares(step: Rollout, share: int) -> dict[str, int]:
    """Percent of the endpoint's traffic when `share` percent of the pair's is on the new one."""
    new = round(step.weight * share / 100)
    return {**step.others, step.new: new, step.old: step.weight - new}


async def _sound(context: Context, step: Rollout) -> None:
    id = ResourceId(step.endpoint.workspace, Kind.ONLINE_DEPLOYMENT, step.new, step.endpoint.name)
    live = await context.cloud.get(id)
    if live is None:
        raise StepFailed(_vanished(id))
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
            await subscribed(context, step, id, deadline)
        case Until.READY if step.resource is not None:
            await _ready(context, step, step.resource, deadline, "create")
        case Until.ABSENT:
            await _absent(context, step, id, deadline)
        case _:
            await context.wait(
                step,
                id,
                lambda live: live is None or not live.state.in_progress,
                deadline,
                "update",
            )


def _vanished(id: ResourceId) -> Problem:
    return Problem(
        VANISHED,
        f"the {describe(id)} was there and is gone",
        "find out who deleted it (the activity log of its resource group), then apply again",
        resource=id.arm_id,
    )


def _not_taken(step: Step, fields: tuple[str, ...]) -> Problem:
    return Problem(
        NOT_TAKEN,
        f"{step.title}: the service took it and keeps another value of {', '.join(fields)}",
        "write the value that it keeps into the manifest (`provision import` shows it), or leave "
        "the setting out; if the value is only old, apply again",
        position=step.position,
        resource=step.target.arm_id,
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
