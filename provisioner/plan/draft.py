"""Where a plan grows: what all kinds share when wish meets observation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Generic

from provisioner.desired import Lifetime
from provisioner.errors import Position, Problem, Severity, Who, define
from provisioner.plan.diff import changed_fields, diff, merged_tags, replaces
from provisioner.plan.steps import (
    Await,
    Because,
    Change,
    Create,
    Delete,
    Effect,
    Expiry,
    Replace,
    Step,
    Unchanged,
    Until,
    Update,
)
from provisioner.resources import (
    TAG_EXPIRES,
    TAG_ON_EXPIRY,
    TAG_STACK,
    AnyLive,
    Live,
    MarketplaceSubscription,
    R,
    Resource,
    ResourceId,
    State,
    describe,
    instant_text,
    parse_instant,
    renewal_text,
    tag_of,
    tags_of,
)

NOT_OURS = define(
    "plan.not-ours",
    "a resource of this name exists and is not ours",
    "Something in Azure has the name that a manifest asks for, but carries no provisioner tags: "
    "somebody made it by other means. It is never touched unless it is adopted.",
    Who.OPERATOR,
)
OTHER_STACK = define(
    "plan.other-stack",
    "a resource belongs to another stack",
    "The resource's provisioner-stack tag names another stack. Two stacks that claim one resource "
    "would undo each other's work forever.",
    Who.OPERATOR,
)
DEADLINE_KEPT = define(
    "plan.deadline-kept",
    "the deadline of a live endpoint stays",
    "A deadline is fixed when the endpoint is created; a manifest that asks for another one does "
    "not move it.",
    Who.AUTHOR,
)


@dataclass(frozen=True, slots=True)
class Options:
    """What the person allowed or asked for, as far as planning cares."""

    adopt: bool = False
    prune: bool = False
    prune_subscriptions: bool = False


def owner_of(live: Live[R]) -> str | None:
    """The stack that a live resource belongs to; None: it is not ours at all."""
    return tag_of(tags_of(live.resource), TAG_STACK)


@dataclass(slots=True)
class Draft:
    """A plan in the making."""

    stack: str
    now: datetime
    options: Options = field(default_factory=Options)
    steps: list[Step] = field(default_factory=list)
    unchanged: list[Unchanged] = field(default_factory=list)
    refusals: list[Problem] = field(default_factory=list)
    notices: list[Problem] = field(default_factory=list)
    expiries: list[Expiry] = field(default_factory=list)

    def add(self, step: Step) -> str:
        self.steps.append(step)
        return step.id

    def owns(self, live: Live[R]) -> bool:
        return owner_of(live) == self.stack

    def delete(
        self, id: ResourceId, because: Because, reason: str, needs: Iterable[str] = ()
    ) -> str:
        step = f"delete:{id.key}"
        return self.add(
            Delete(id=step, reason=reason, needs=tuple(needs), resource_id=id, because=because)
        )

    def wait_gone(self, live: AnyLive) -> str:
        """Wait for a deletion that somebody already started, once; the id of that step."""
        step = f"await:{live.id.key}"
        if any(other.id == step for other in self.steps):
            return step
        return self.add(
            Await(
                id=step,
                reason="is being deleted already",
                resource_id=live.id,
                until=Until.ABSENT,
                state=live.state,
            )
        )


@dataclass(frozen=True, slots=True)
class Item(Generic[R]):
    """One wish and what is live under its name.

    `created` gives the resource as it is to be created, with what only creation can set. `limit`
    is how long Azure itself lets it live; `why`, the reason of a creation.
    """

    wanted: R
    live: Live[R] | None
    position: Position
    names: tuple[str, ...]
    needs: tuple[str, ...] = ()
    lifetime: Lifetime | None = None
    created: Callable[[R], R] | None = None
    limit: timedelta | None = None
    why: str = "does not exist"

    def for_creation(self) -> R:
        return self.created(self.wanted) if self.created is not None else self.wanted


def claim(draft: Draft, item: Item[R]) -> bool:
    """Whether the plan may touch what is live; a refusal is noted when not.

    Adopting adds tags and changes in place; what it would have to replace stays untouched.
    """
    live = item.live
    if live is None or isinstance(live.resource, MarketplaceSubscription):
        return True
    owner = owner_of(live)
    if owner == draft.stack:
        return True
    what = describe(live.id)
    if owner is not None:
        problem = Problem(
            OTHER_STACK,
            f'the {what} belongs to stack "{owner}", not to "{draft.stack}"',
            f"choose another endpointName, or work on that stack with --stack {owner}",
        )
    elif not draft.options.adopt:
        problem = Problem(
            NOT_OURS,
            f"the {what} exists and was not made by this tool",
            "choose another endpointName, or take it over with --adopt, which adds our tags",
        )
    elif obstacle := _obstacle(item, live):
        problem = Problem(
            NOT_OURS,
            f"the {what} was not made by this tool, and adopting it would replace it: {obstacle}",
            "choose another endpointName, let the manifest describe what is live, or delete it "
            "yourself",
        )
    else:
        return True
    draft.refusals.append(replace(problem, position=item.position, resource=live.id.arm_id))
    return False


def _obstacle(item: Item[R], live: Live[R]) -> str | None:
    """Why a foreign resource cannot be adopted in place, or None when it can."""
    if live.state.broken or live.state is State.DELETING:
        return f"it is {live.state}"
    forced = _forced(diff(item.wanted, live.resource))
    return f"{forced} cannot change in place" if forced else None


def converge(draft: Draft, item: Item[R]) -> str | None:
    """Plan what makes `item` true; the id of the step after which it is, None if it is already.

    A failed resource is replaced, one in progress waited for, one being deleted waited out
    (design, "How each kind behaves").
    """
    live = item.live
    item = _dated(draft, item)
    if live is None:
        return _create(draft, item, item.why)
    if live.state is State.DELETING:
        gone = _await(draft, item, live, Until.ABSENT)
        return _create(draft, replace(item, needs=(*item.needs, gone)), "is being deleted")
    changes = diff(item.wanted, live.resource)
    if live.state.broken:
        return _replace(draft, item, changes, recovers=True)
    if live.state.in_progress:
        if not changes:
            _remember_expiry(draft, item, live)
            return _await(draft, item, live, Until.READY)
        settled = _await(draft, item, live, Until.SETTLED)
        item = replace(item, needs=(*item.needs, settled))
    if replaces(changes):
        return _replace(draft, item, changes, recovers=False)
    _remember_expiry(draft, item, live)
    if changes:
        return _update(draft, item, live, changes)
    draft.unchanged.append(Unchanged(live.id, "matches its manifest", item.names))
    return None


def _create(draft: Draft, item: Item[R], why: str) -> str:
    _announce_expiry(draft, item)
    return draft.add(
        Create(
            id=f"create:{item.wanted.id.key}",
            reason=why,
            needs=item.needs,
            position=item.position,
            names=item.names,
            resource=item.for_creation(),
        )
    )


def _replace(draft: Draft, item: Item[R], changes: tuple[Change, ...], *, recovers: bool) -> str:
    state = item.live.state if item.live is not None else State.UNKNOWN
    _announce_expiry(draft, item)
    return draft.add(
        Replace(
            id=f"replace:{item.wanted.id.key}",
            reason=f"is {state}" if recovers else f"{_forced(changes)} cannot change in place",
            needs=item.needs,
            position=item.position,
            names=item.names,
            resource=item.for_creation(),
            changes=changes,
            recovers=recovers,
        )
    )


def _forced(changes: tuple[Change, ...]) -> str:
    """The fields that force a replacement, as a manifest spells them."""
    return ", ".join(
        "".join(part.title() if number else part for number, part in enumerate(field.split("_")))
        for field in (change.field for change in changes if change.effect is Effect.REPLACES)
    )


def _update(draft: Draft, item: Item[R], live: Live[R], changes: tuple[Change, ...]) -> str:
    adopts = not draft.owns(live)
    what = "exists without our tags" if adopts else "differs from its manifest"
    return draft.add(
        Update(
            id=f"update:{item.wanted.id.key}",
            reason=what,
            needs=item.needs,
            position=item.position,
            names=item.names,
            resource=_with_merged_tags(item.wanted, live.resource),
            changes=changes,
            fields=changed_fields(changes),
            adopts=adopts,
        )
    )


def _await(draft: Draft, item: Item[R], live: Live[R], until: Until) -> str:
    return draft.add(
        Await(
            id=f"await:{live.id.key}",
            reason=f"is {live.state}",
            position=item.position,
            names=item.names,
            resource_id=live.id,
            until=until,
            state=live.state,
            resource=item.wanted if until is not Until.SETTLED else None,
        )
    )


def _deadline(draft: Draft, item: Item[R]) -> Expiry | None:
    """When a resource that is created now ends: its lifetime, or Azure's own limit before that."""
    asked = item.lifetime.instant(draft.now) if item.lifetime is not None else None
    counted = item.lifetime is None or item.lifetime.expires_at is None
    if item.limit is not None:
        last = draft.now + item.limit
        if asked is None or asked >= last:
            return Expiry(item.wanted.id, last, by_azure=True, counted=True)
    return Expiry(item.wanted.id, asked, counted=counted) if asked is not None else None


def _dated(draft: Draft, item: Item[R]) -> Item[R]:
    """The item with its deadline as a tag, counted from now; a live one's own deadline wins."""
    expiry = _deadline(draft, item)
    if expiry is None or isinstance(item.wanted, MarketplaceSubscription):
        return item
    tags = {**item.wanted.tags, TAG_EXPIRES: instant_text(expiry.instant)}
    if item.live is not None and item.lifetime is not None and item.lifetime.renew:
        first = tag_of(tags_of(item.live.resource), TAG_EXPIRES) is None
        if first and item.lifetime.ttl is not None:
            # The endpoint is older than its lifetime: its creation does not tell how long that is.
            tags[TAG_ON_EXPIRY] = renewal_text(item.lifetime.ttl)
    return replace(item, wanted=replace(item.wanted, tags=tags))


def _announce_expiry(draft: Draft, item: Item[R]) -> None:
    """Record the deadline that a creation, or a first deadline, fixes."""
    expiry = _deadline(draft, item)
    if expiry is not None:
        draft.expiries.append(expiry)


def _with_merged_tags(wanted: R, live: Resource) -> R:
    if isinstance(wanted, MarketplaceSubscription):
        return wanted
    return replace(wanted, tags=merged_tags(wanted.tags, tags_of(live)))


def _remember_expiry(draft: Draft, item: Item[R], live: Live[R]) -> None:
    """Record the deadline of what stays, and say so when the manifest asks for another one."""
    have = parse_instant(tag_of(tags_of(live.resource), TAG_EXPIRES))
    if have is None:
        _announce_expiry(draft, item)
        return
    fixed = item.lifetime.expires_at if item.lifetime is not None else None
    span = item.lifetime.ttl if item.lifetime is not None else None
    by_azure = item.limit is not None and fixed is None and (span is None or span >= item.limit)
    draft.expiries.append(Expiry(live.id, have, by_azure=by_azure))
    if fixed is not None and abs((fixed - have).total_seconds()) >= 1:
        wish = f"the manifest asks for {instant_text(fixed)}"
    elif item.lifetime is None:
        wish = "the manifest names none any more"
    else:
        return
    draft.notices.append(
        Problem(
            DEADLINE_KEPT,
            f"the {describe(live.id)} keeps its deadline {instant_text(have)}; {wish}",
            "destroy and apply again to give it a new deadline",
            severity=Severity.WARNING,
            position=item.position,
            resource=live.id.arm_id,
        )
    )
