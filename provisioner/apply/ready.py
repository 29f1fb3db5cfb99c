"""Seeing that a resource is what was written: by lists, and by asking for it itself in doubt.

A list lags behind (AZURE.md §16), so that what it shows is believed at once only where it is what
was hoped for. What cannot be (a resource that was there is not; a settled one has another
definition than was written) is given some time, and then asked of the resource itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from provisioner.apply.context import Context, StepFailed
from provisioner.apply.subscribe import settled
from provisioner.errors import Problem, Who, define
from provisioner.errors.cloud import CloudError, Verdict
from provisioner.plan import Step
from provisioner.plan.diff import diff
from provisioner.plan.draft import NOT_OURS, OTHER_STACK
from provisioner.resources import (
    TAG_STACK,
    AnyLive,
    Live,
    MarketplaceSubscription,
    OnlineEndpoint,
    Resource,
    ResourceId,
    State,
    describe,
    tag_of,
    tags_of,
)

VANISHED = define(
    "apply.vanished",
    "a resource disappeared while it was waited for",
    "Somebody or something else deleted the resource in the meantime.",
    Who.OPERATOR,
)
OTHER_VALUES = define(
    "apply.other-values",
    "the service shows other values than were written",
    "The resource is settled, but not as it was asked for: another run wrote it at the same time, "
    "or the service or a policy sets these values itself.",
    Who.OPERATOR,
)

DOUBT: Final = 120.0
"""Seconds for which a list may show what no longer is, or not yet what is."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What `id` is to become. `differences` says in words what is not so yet; `stack` is whose it
    is, None where that does not matter. `known`: it was there before, so that it must be listed.
    """

    id: ResourceId
    differences: Callable[[AnyLive], Sequence[str]]
    stack: str | None = None
    known: bool = False

    @classmethod
    def of(cls, resource: Resource, *, known: bool = False) -> Wish:
        stack = tag_of(tags_of(resource), TAG_STACK)
        return cls(resource.id, lambda live: _differences(resource, live), stack, known)

    def met(self, live: AnyLive) -> bool:
        return live.state is State.SUCCEEDED and settled(live) and not self.differences(live)


def _differences(resource: Resource, live: AnyLive) -> list[str]:
    found = diff(resource, live.resource)
    return [
        one.field if one.hidden else f"{one.field} is {one.old}, not {one.new}" for one in found
    ]


@dataclass(slots=True)
class _Doubt:
    """Judges what lists show; `since` is when something that cannot be was first seen."""

    context: Context
    wish: Wish
    appeared: bool
    since: dict[str, float] = field(default_factory=dict)

    def judge(self, live: AnyLive | None) -> bool:
        """Whether the wait is over, or there is something to be asked."""
        if live is None:
            return self.appeared or self._lasts("absent")
        self.appeared = True
        self.since.pop("absent", None)
        if live.state.broken or _foreign(self.wish, live):
            return True
        if live.state is not State.SUCCEEDED or not settled(live):
            self.since.clear()
            return False
        return self.wish.met(live) or self._lasts("different")

    def _lasts(self, what: str) -> bool:
        now = self.context.clock.monotonic()
        return now - self.since.setdefault(what, now) >= DOUBT


async def reached(
    context: Context, step: Step, wish: Wish, deadline: float, purpose: str
) -> AnyLive:
    """Wait until `wish` is met. Raises StepFailed where it never will be, CloudError, Stopped."""
    doubt = _Doubt(context, wish, appeared=wish.known)
    while True:
        live = await context.wait(step, wish.id, doubt.judge, deadline, purpose)
        if live is None or not wish.met(live):
            live = await _asked(context, wish, live, appeared=doubt.appeared)
        if live is not None:
            context.lives[wish.id] = live
            context.rested(step)
            return live
        doubt.since.clear()
        await context.pause(1.0)


async def _asked(
    context: Context, wish: Wish, listed: AnyLive | None, *, appeared: bool
) -> AnyLive | None:
    """The resource where it is as wished; None when only time can tell. Raises StepFailed."""
    try:
        live = await context.cloud.get(wish.id)
    except CloudError as error:
        if error.verdict is Verdict.RETRY:
            return None
        raise
    if live is None:
        raise StepFailed(vanished(wish.id, appeared=appeared))
    refuse_foreign(wish, live)
    if live.state.broken:
        raise await context.failure(wish.id, live.state)
    if wish.met(live):
        return live
    unlike = listed is not None and listed.state is State.SUCCEEDED
    if unlike and live.state is State.SUCCEEDED and settled(live):
        raise StepFailed(_other_values(wish, live))
    return None


def _foreign(wish: Wish, live: AnyLive) -> bool:
    if wish.stack is None or isinstance(live.resource, MarketplaceSubscription):
        return False
    return tag_of(tags_of(live.resource), TAG_STACK) != wish.stack


def refuse_foreign(wish: Wish, live: AnyLive) -> None:
    """Raises StepFailed when `live` is somebody else's: made after the plan looked."""
    if not _foreign(wish, live):
        return
    owner = tag_of(tags_of(live.resource), TAG_STACK)
    whose = f'belongs to stack "{owner}"' if owner else "was made by somebody else"
    raise StepFailed(
        Problem(
            OTHER_STACK if owner else NOT_OURS,
            f"the {describe(wish.id)} {whose}, since the plan was made",
            "agree on who has it, or choose another name; then plan again",
            resource=wish.id.arm_id,
        )
    )


def vanished(id: ResourceId, *, appeared: bool = True) -> Problem:
    what = "was there and is gone" if appeared else "was taken on and is not there"
    return Problem(
        VANISHED,
        f"the {describe(id)} {what}",
        "find out who deleted it (the activity log of its resource group), then apply again",
        resource=id.arm_id,
    )


def _other_values(wish: Wish, live: AnyLive) -> Problem:
    return Problem(
        OTHER_VALUES,
        f"the {describe(wish.id)} is ready, but not as it was written",
        "see who sets these values: another run, or a policy; then apply again, or leave to "
        "them what is theirs",
        resource=wish.id.arm_id,
        details=tuple(wish.differences(live)),
    )


def traffic_differences(live: AnyLive, wanted: dict[str, int]) -> list[str]:
    """How an endpoint's traffic differs from `wanted`: percent per lower-cased name, no zeros."""
    if not isinstance(live, Live) or not isinstance(live.resource, OnlineEndpoint):
        return []
    have = {name.lower(): share for name, share in live.resource.traffic.items() if share}
    return [
        f"traffic of {name} is {have.get(name, 0)}, not {wanted.get(name, 0)}"
        for name in sorted({*have, *wanted})
        if have.get(name, 0) != wanted.get(name, 0)
    ]
