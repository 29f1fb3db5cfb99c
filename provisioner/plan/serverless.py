"""Planning for serverless endpoints and the marketplace subscriptions that they need. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from provisioner.cloud import WorkspaceSeen
from provisioner.desired import Consent, WantedServerless
from provisioner.errors import Problem, Severity, Who, define
from provisioner.plan.draft import Draft, Item, claim, converge
from provisioner.plan.steps import Await, Because, Subscribe, Unchanged, Until
from provisioner.resources import (
    TAG_TERMS,
    Kind,
    Live,
    MarketplacePlan,
    MarketplaceSubscription,
    ModelRef,
    ResourceId,
    ServerlessEndpoint,
    State,
    WorkspaceId,
    describe,
    instant_text,
)

SUSPENDED = define(
    "plan.subscription-suspended",
    "a marketplace subscription is suspended",
    "The workspace's subscription to the offer exists but does not serve: it was suspended, as a "
    "rule for a payment reason, and its endpoints answer nobody.",
    Who.BILLING_ADMIN,
)

_ENDED = frozenset({"unsubscribed"})


@dataclass(frozen=True, slots=True)
class _Need:
    """All wishes for one model in one workspace: they share one subscription."""

    workspace: WorkspaceId
    model: ModelRef
    wishes: tuple[WantedServerless, ...]

    @property
    def plan(self) -> MarketplacePlan | None:
        return next((wish.plan for wish in self.wishes if wish.plan is not None), None)

    @property
    def consent(self) -> Consent | None:
        return next((wish.consent for wish in self.wishes if wish.consent is not None), None)


def plan_serverless(
    draft: Draft, wishes: Sequence[WantedServerless], seen: Callable[[WorkspaceId], WorkspaceSeen]
) -> None:
    """Plan every serverless wish: one subscription per workspace and model, then the endpoints."""
    needs: dict[tuple[WorkspaceId, str], list[WantedServerless]] = {}
    for wish in wishes:
        workspace = wish.resource.id.workspace
        needs.setdefault((workspace, wish.resource.model.id.lower()), []).append(wish)
    for (workspace, _), group in needs.items():
        view = seen(workspace)
        model = group[0].resource.model
        live = {one.id: one for one in view.serverless}
        subscribed = _subscription(draft, _Need(workspace, model, tuple(group)), view, live)
        for wish in group:
            _endpoint(draft, wish, live.get(wish.resource.id), subscribed)


def _endpoint(
    draft: Draft,
    wish: WantedServerless,
    live: Live[ServerlessEndpoint] | None,
    subscribed: str | None,
) -> None:
    signs = subscribed is not None and subscribed.startswith("subscribe:")

    def created(resource: ServerlessEndpoint) -> ServerlessEndpoint:
        if not signs or wish.consent is None:
            return resource
        # A tag value holds 256 characters; what matters most comes first.
        accepted = f"{instant_text(draft.now)} by {wish.consent.by}"[:256]
        return replace(resource, tags={**resource.tags, TAG_TERMS: accepted})

    item = Item(
        wanted=wish.resource,
        live=live,
        position=wish.origin.position,
        names=(wish.origin.name,),
        needs=(subscribed,) if subscribed is not None else (),
        lifetime=wish.lifetime,
        created=created,
    )
    if claim(draft, item):
        converge(draft, item)


def _subscription(
    draft: Draft,
    need: _Need,
    view: WorkspaceSeen,
    endpoints: dict[ResourceId, Live[ServerlessEndpoint]],
) -> str | None:
    """The id of the step that subscribes or waits, None when nothing is needed."""
    demands = next((one.subscribes for one in need.wishes if one.subscribes is not None), None)
    if demands is False:
        return None
    live = _existing(need, view.subscriptions)
    names = tuple(wish.origin.name for wish in need.wishes)
    position = need.wishes[0].origin.position
    if (
        live is None
        and demands is None
        and all(one.resource.id in endpoints for one in need.wishes)
    ):
        # Not in the catalogue, and it runs: whatever it needed, it has.
        return None
    if live is None:
        return _subscribe(draft, need, _free_name(need, view), "is not subscribed to the offer")
    if live.state is State.DELETING:
        gone = _wait(draft, live, Until.ABSENT, names)
        return _subscribe(draft, need, live.id, "is being deleted", needs=(gone,))
    if live.state.broken or (live.condition or "").lower() in _ENDED:
        condition = live.condition or live.state
        return _subscribe(draft, need, live.id, f"is {condition}", recovers=True)
    if live.state.in_progress:
        return _wait(draft, live, Until.READY, names)
    if (live.condition or "").lower() == "suspended":
        draft.notices.append(
            Problem(
                SUSPENDED,
                f"the {describe(live.id)} is Suspended; its endpoints do not answer",
                "see the subscription's payment and the offer's state in the Azure portal under "
                "Cost Management + Billing",
                severity=Severity.WARNING,
                position=position,
                resource=live.id.arm_id,
            )
        )
    draft.unchanged.append(Unchanged(live.id, "already subscribed", names))
    return None


def _existing(
    need: _Need, subscriptions: Sequence[Live[MarketplaceSubscription]]
) -> Live[MarketplaceSubscription] | None:
    """The workspace's subscription to this model or this offer, whatever its name.

    A healthy one is preferred: the service may keep remains of a failed one beside it.
    """
    found = [
        one
        for one in subscriptions
        if one.resource.model.same_model(need.model)
        or (one.plan is not None and one.plan == need.plan)
    ]
    found.sort(key=lambda one: (one.state.broken, one.state.in_progress, one.id.key))
    return found[0] if found else None


def _subscribe(
    draft: Draft,
    need: _Need,
    id: ResourceId,
    reason: str,
    *,
    needs: tuple[str, ...] = (),
    recovers: bool = False,
) -> str:
    return draft.add(
        Subscribe(
            id=f"subscribe:{id.key}",
            reason=f"the workspace {reason}" if not recovers else f"the subscription {reason}",
            needs=needs,
            position=need.wishes[0].origin.position,
            names=tuple(wish.origin.name for wish in need.wishes),
            resource=MarketplaceSubscription(id, need.model),
            plan=need.plan,
            consent=need.consent,
            recovers=recovers,
        )
    )


def _wait(
    draft: Draft, live: Live[MarketplaceSubscription], until: Until, names: tuple[str, ...]
) -> str:
    return draft.add(
        Await(
            id=f"await:{live.id.key}",
            reason=f"is {live.state}",
            names=names,
            resource_id=live.id,
            until=until,
            state=live.state,
            resource=live.resource if until is Until.READY else None,
        )
    )


def _free_name(need: _Need, view: WorkspaceSeen) -> ResourceId:
    """A name that derives from the model alone, so that every run arrives at the same one.

    Pattern of the service: AZURE.md §3. Another model may hold the plain name already; then a
    digest of the model's id tells them apart.
    """
    plain = re.sub(r"[^a-zA-Z0-9_-]+", "-", need.model.name).strip("-")[:240] or "model"
    taken = {one.id.name.lower() for one in view.subscriptions}
    if plain.lower() in taken:
        plain = f"{plain}-{hashlib.sha256(need.model.id.lower().encode()).hexdigest()[:8]}"
    return ResourceId(need.workspace, Kind.MARKETPLACE_SUBSCRIPTION, plain)


def remove_serverless(
    draft: Draft,
    endpoints: Sequence[Live[ServerlessEndpoint]],
    view: WorkspaceSeen,
    because: Because,
    reason: str,
) -> None:
    """Plan the removal of endpoints, and of subscriptions that nothing uses any more if asked."""
    gone: dict[ResourceId, str] = {}
    for live in endpoints:
        if live.state is State.DELETING:
            gone[live.id] = draft.add(
                Await(
                    id=f"await:{live.id.key}",
                    reason="is being deleted already",
                    resource_id=live.id,
                    until=Until.ABSENT,
                    state=live.state,
                )
            )
        else:
            gone[live.id] = draft.delete(live.id, because, reason)
    if not draft.options.prune_subscriptions:
        return
    for subscription in view.subscriptions:
        users = [
            one
            for one in view.serverless
            if one.resource.model.same_model(subscription.resource.model)
        ]
        mine = [one for one in users if one.id in gone]
        if mine and len(mine) == len(users):
            draft.delete(
                subscription.id,
                because,
                "its last endpoint goes",
                needs=[gone[one.id] for one in mine],
            )
