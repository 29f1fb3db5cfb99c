"""(what is live, now) → what must go before Azure or its deadline takes it. Pure.

A deadline is the earliest of three: our tag, the instant at which Azure deletes an endpoint on
shared quota, and, where that instant cannot be read, 168 h after its creation (AZURE.md §16).
Only endpoints with our tags are judged: those of others are not ours to take down.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from provisioner.cloud import Observed
from provisioner.resources import (
    TAG_EXPIRES,
    TAG_NAME,
    TAG_STACK,
    TARGET_DELETION,
    Live,
    OnlineEndpoint,
    ResourceId,
    ServerlessEndpoint,
    State,
    parse_instant,
    renewal_span,
    renews,
    tag_of,
)

SHARED_QUOTA_HOURS = timedelta(hours=168)
USUAL_WINDOW = timedelta(hours=24)
"""How far ahead `provision reap` looks unless --within says otherwise."""

Endpoint = Live[ServerlessEndpoint] | Live[OnlineEndpoint]


@dataclass(frozen=True, slots=True)
class Deadline:
    """When an endpoint ends. `by_azure`: Azure deletes it itself then, whatever we do."""

    instant: datetime
    by_azure: bool


@dataclass(frozen=True, slots=True)
class Doomed:
    """An endpoint that must go: its deadline and how long that is away (negative: past)."""

    id: ResourceId
    stack: str
    name: str
    deadline: Deadline
    left: timedelta
    state: State
    renew_for: timedelta | None = None
    """How long it lives again under the same name, when its manifest asked for renewal."""


_STEPS: Final = tuple(timedelta(minutes=minutes) for minutes in (60, 15, 5, 1))


def deadline_of(live: Endpoint) -> Deadline | None:
    """The earliest instant at which `live` ends, or None when nothing limits it."""
    found: list[Deadline] = []
    tagged = parse_instant(tag_of(live.resource.tags, TAG_EXPIRES))
    if tagged is not None:
        found.append(Deadline(tagged, by_azure=False))
    if isinstance(live.resource, OnlineEndpoint) and live.resource.shared_quota:
        target = _target(live.resource)
        if target is None and live.created_at is not None:
            target = live.created_at + SHARED_QUOTA_HOURS
        if target is not None:
            found.append(Deadline(target, by_azure=True))
    return min(found, key=lambda one: (one.instant, not one.by_azure), default=None)


def expiring(
    observed: Observed, now: datetime, within: timedelta, stack: str | None = None
) -> tuple[Doomed, ...]:
    """Our endpoints whose deadline is at most `within` away, the most urgent first.

    `stack` None means every stack. One whose deadline is past and that is still there goes too.
    """
    found = [
        doomed
        for live in _ours(observed, stack)
        if (doomed := _judge(live, now)) is not None and doomed.left <= within
    ]
    return tuple(sorted(found, key=lambda one: (one.deadline.instant, one.id.key)))


def _judge(live: Endpoint, now: datetime) -> Doomed | None:
    deadline = deadline_of(live)
    if deadline is None:
        return None
    tags = live.resource.tags
    return Doomed(
        id=live.id,
        stack=tag_of(tags, TAG_STACK) or "",
        name=tag_of(tags, TAG_NAME) or live.id.name,
        deadline=deadline,
        left=deadline.instant - now,
        state=live.state,
        renew_for=_renewal(live, deadline, now),
    )


def _renewal(live: Endpoint, deadline: Deadline, now: datetime) -> timedelta | None:
    """The span that it was first given: by its tag, or from its creation to its deadline.

    One that is being deleted before its time is somebody's wish, and is not brought back.
    """
    if not renews(live.resource.tags):
        return None
    if live.state is State.DELETING and now < deadline.instant:
        return None
    told = renewal_span(live.resource.tags)
    if told is not None:
        return told
    if live.created_at is None or live.created_at >= deadline.instant:
        return SHARED_QUOTA_HOURS
    found = _as_given(deadline.instant - live.created_at)
    return min(found, SHARED_QUOTA_HOURS) if deadline.by_azure else found


def _as_given(span: timedelta) -> timedelta:
    """The span that a person wrote, of which a little was gone when the endpoint was created.

    The deadline counts from the plan: a question, a queue and a retry lie in between. Rounded up
    to a round figure for its length, so that no renewal is shorter than the one before.
    """
    step = next((one for one in _STEPS if one * 24 <= span), timedelta(seconds=1))
    return -(-span // step) * step


def _ours(observed: Observed, stack: str | None) -> Iterable[Endpoint]:
    for view in observed.values():
        endpoints: tuple[Endpoint, ...] = (*view.serverless, *view.endpoints)
        for live in endpoints:
            owner = tag_of(live.resource.tags, TAG_STACK)
            if owner is not None and (stack is None or owner == stack):
                yield live


def _target(endpoint: OnlineEndpoint) -> datetime | None:
    """The service's own deadline, an RFC 1123 date in the endpoint's bag (AZURE.md §16)."""
    text = next(
        (
            value
            for name, value in endpoint.properties.items()
            if name.lower() == TARGET_DELETION.lower()
        ),
        None,
    )
    if not text:
        return None
    try:
        instant = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return parse_instant(text)
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)
