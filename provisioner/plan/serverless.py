"""Planning for serverless endpoints and the marketplace subscriptions that they need. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from provisioner import catalog
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
_PENDING = frozenset({"pendingfulfillmentstart"})
_IDLE = frozenset({"suspending", "suspended"})
_ONLINE = "online"


ENDPOINT_SUSPENDED = define(
    "plan.endpoint-suspended",
    "a serverless endpoint is suspended",
    "The endpoint exists as described but does not answer: its subscription to the offer, or the "
    "Azure subscription, was suspended.",
    Who.BILLING_ADMIN,
)


@dataclass(frozen=True, slots=True)
class _Need:
    """All wishes for one offer in one workspace: they share one subscription.

    Models whose offers are not known to be the same one count as offers of their own.
    """

    workspace: WorkspaceId
    wishes: tuple[WantedServerless, ...]

    @property
    def model(self) -> ModelRef:
        return self.wishes[0].resource.model

    @property
    def plan(self) -> MarketplacePlan | None:
        return next((wish.plan for wish in self.wishes if wish.plan is not None), None)

    @property
    def consent(self) -> Consent | None:
        return next((wish.consent for wish in self.wishes if wish.consent is not None), None)


@dataclass(slots=True)
class _Held:
    """The subscriptions of a workspace, by model and by offer; `taken` are lower-cased names."""

    models: dict[str, list[Live[MarketplaceSubscription]]]
    offers: dict[tuple[str, str, str], list[Live[MarketplaceSubscription]]]
    taken: set[str]
    planned: dict[ResourceId, str | None] = field(default_factory=dict)
    """The step after which a subscription serves, of those that were planned for already: two
    offers that nobody knew to be the same one may lead to the same subscription."""

    @classmethod
    def of(cls, subscriptions: Sequence[Live[MarketplaceSubscription]]) -> _Held:
        held = cls({}, {}, {one.id.name.lower() for one in subscriptions})
        for one in subscriptions:
            held.models.setdefault(one.resource.model.id.lower(), []).append(one)
            if one.plan is not None:
                held.offers.setdefault(_key(one.plan), []).append(one)
        return held

    def best(self, need: _Need) -> Live[MarketplaceSubscription] | None:
        """The subscription to an offer, whatever its name; the healthiest of several.

        The service may keep remains of a failed or ended one beside it.
        """
        found = [
            one
            for model in {wish.resource.model.id.lower() for wish in need.wishes}
            for one in self.models.get(model, ())
        ]
        if need.plan is not None:
            found += self.offers.get(_key(need.plan), ())
        return min(found, key=lambda one: (_illness(one), one.id.key), default=None)


def plan_serverless(
    draft: Draft, wishes: Sequence[WantedServerless], seen: Callable[[WorkspaceId], WorkspaceSeen]
) -> None:
    """Plan every serverless wish: one subscription per workspace and offer, then the endpoints."""
    places: dict[WorkspaceId, list[WantedServerless]] = {}
    for wish in wishes:
        places.setdefault(wish.resource.id.workspace, []).append(wish)
    for workspace, group in places.items():
        view = seen(workspace)
        live = {one.id: one for one in view.serverless}
        held = _Held.of(view.subscriptions)
        for need in _needs(workspace, group):
            subscribed = _subscription(draft, need, view, held)
            for wish in need.wishes:
                _endpoint(draft, wish, live.get(wish.resource.id), subscribed)


def _needs(workspace: WorkspaceId, wishes: Sequence[WantedServerless]) -> list[_Need]:
    """The wishes by offer: by model, and models with one known plan together."""
    models: dict[str, list[WantedServerless]] = {}
    for wish in wishes:
        models.setdefault(wish.resource.model.id.lower(), []).append(wish)
    offers: dict[object, list[WantedServerless]] = {}
    for model, group in models.items():
        plan = next((wish.plan for wish in group if wish.plan is not None), None)
        offers.setdefault(_key(plan) if plan is not None else model, []).extend(group)
    return [_Need(workspace, tuple(group)) for group in offers.values()]


def _key(plan: MarketplacePlan) -> tuple[str, str, str]:
    return plan.publisher.lower(), plan.offer.lower(), plan.plan.lower()


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
        accepted = f"{instant_text(draft.now)} by {wish.consent.signature}"[:256]
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
    if not claim(draft, item):
        return
    converge(draft, item)
    if live is not None and (live.condition or "").lower() in _IDLE:
        draft.notices.append(
            Problem(
                ENDPOINT_SUSPENDED,
                f"the {describe(live.id)} is {live.condition}; it does not answer",
                "see the subscription's payment and the offer's state in the Azure portal under "
                "Cost Management + Billing",
                severity=Severity.WARNING,
                position=item.position,
                resource=live.id.arm_id,
            )
        )


def _subscription(draft: Draft, need: _Need, view: WorkspaceSeen, held: _Held) -> str | None:
    """The id of the step that subscribes or waits, None when nothing is needed."""
    demands = next((one.subscribes for one in need.wishes if one.subscribes is not None), None)
    if demands is False:
        return None
    live = held.best(need)
    if live is None:
        if _serves_already(need, view, sure=demands is True):
            return None
        name = _free_name(need, held.taken)
        held.taken.add(name.name.lower())
        return _subscribe(draft, need, name, "the workspace is not subscribed to the offer")
    if live.id not in held.planned:
        held.planned[live.id] = _resubscription(draft, need, live)
    return held.planned[live.id]


def _resubscription(draft: Draft, need: _Need, live: Live[MarketplaceSubscription]) -> str | None:
    """The step that makes a live subscription serve; None when it does, as far as can be."""
    names = tuple(wish.origin.name for wish in need.wishes)
    condition = (live.condition or "").lower()
    if live.state is State.DELETING:
        gone = _wait(draft, live, Until.ABSENT, names)
        return _subscribe(draft, need, live.id, "the subscription is being deleted", needs=(gone,))
    if live.state.broken or condition in _ENDED:
        state = live.condition if condition in _ENDED else live.state
        return _subscribe(draft, need, live.id, f"the subscription is {state}", recovers=True)
    if live.state.in_progress or condition in _PENDING:
        return _wait(draft, live, Until.READY, names)
    if condition == "suspended":
        draft.notices.append(_suspended(need, live))
    draft.unchanged.append(Unchanged(live.id, "already subscribed", names))
    return None


def _serves_already(need: _Need, view: WorkspaceSeen, *, sure: bool) -> bool:
    """Whether all endpoints of an offer run without a subscription.

    Then they need none: whatever they needed, they have. Where the catalogue is `sure` that the
    model has an offer, only endpoints that are online and know of no subscription can prove that
    it has none any more. A new one asks again: the service says so when a model has no offer.
    """
    running = {
        one.id: one.resource.model
        for one in view.serverless
        if one.state in (State.SUCCEEDED, State.UPDATING)
        and (not sure or (one.subscription is None and (one.condition or "").lower() == _ONLINE))
    }
    return all(
        wish.resource.id in running and wish.resource.model.same_model(running[wish.resource.id])
        for wish in need.wishes
    )


def _suspended(need: _Need, live: Live[MarketplaceSubscription]) -> Problem:
    return Problem(
        SUSPENDED,
        f"the {describe(live.id)} is Suspended; its endpoints do not answer",
        "see the subscription's payment and the offer's state in the Azure portal under "
        "Cost Management + Billing",
        severity=Severity.WARNING,
        position=need.wishes[0].origin.position,
        resource=live.id.arm_id,
    )


def _illness(live: Live[MarketplaceSubscription]) -> int:
    """How far a subscription is from serving: one that will before one that may not."""
    condition = (live.condition or "").lower()
    if live.state is State.DELETING:
        return 4
    if live.state.broken or condition in _ENDED:
        return 3
    if condition == "suspended":
        return 2
    return 1 if live.state.in_progress or condition in _PENDING else 0


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
            reason=reason,
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
            reason=f"is {live.state if live.state.in_progress else live.condition}",
            names=names,
            resource_id=live.id,
            until=until,
            state=live.state,
            resource=live.resource if until is not Until.SETTLED else None,
        )
    )


def _free_name(need: _Need, taken: set[str]) -> ResourceId:
    """A name that derives from the model alone, so that every run arrives at the same one.

    Pattern of the service: AZURE.md §3. Another model may hold the plain name already; then a
    digest of the model's id tells them apart.
    """
    plain = re.sub(r"[^a-zA-Z0-9_-]+", "-", need.model.name).strip("-_")[:240] or "model"
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
            gone[live.id] = draft.wait_gone(live)
        else:
            gone[live.id] = draft.delete(live.id, because, reason)
    if draft.options.prune_subscriptions:
        _prune_subscriptions(draft, view, because, gone)


def _prune_subscriptions(
    draft: Draft, view: WorkspaceSeen, because: Because, gone: dict[ResourceId, str]
) -> None:
    """Remove the subscriptions whose last endpoint goes, unless a manifest still needs them."""
    needed = {one.id for one in draft.unchanged} | {step.target for step in draft.steps}
    for subscription in view.subscriptions:
        users = [one.id for one in view.serverless if _uses(one, subscription)]
        mine = [id for id in users if id in gone]
        if not mine or len(mine) != len(users) or subscription.id in needed:
            continue
        if subscription.state is not State.DELETING:
            draft.delete(
                subscription.id,
                because,
                "its last endpoint goes",
                needs=[gone[id] for id in mine],
            )


def remove_idle_subscriptions(
    draft: Draft, models: Sequence[ModelRef], view: WorkspaceSeen, because: Because
) -> None:
    """Remove the subscriptions to `models` on which no endpoint lives, if that is asked for: those
    that a run left which ended after their last endpoint went, or which spared them."""
    if not draft.options.prune_subscriptions:
        return
    for subscription in view.subscriptions:
        wanted = any(subscription.resource.model.same_model(model) for model in models)
        used = any(_uses(one, subscription) for one in view.serverless)
        if wanted and not used and subscription.state is not State.DELETING:
            draft.delete(subscription.id, because, "no endpoint lives on it")


def _uses(endpoint: Live[ServerlessEndpoint], subscription: Live[MarketplaceSubscription]) -> bool:
    """Whether an endpoint may live on a subscription: as the service says, by its model, or by
    the offer that the catalogue knows of its model. Several models can share one offer."""
    model = endpoint.resource.model
    if model.same_model(subscription.resource.model):
        return True
    if endpoint.subscription is not None:
        named = endpoint.subscription.rpartition("/")[2]
        return named.lower() == subscription.id.name.lower()
    known = catalog.load().find(model.id)
    facts = known.serverless if known is not None else None
    plan = facts.plan if facts is not None else None
    if subscription.plan is None or plan is None:
        return False
    offered = (plan.publisher, plan.offer, plan.plan)
    return tuple((part or "").lower() for part in offered) == _key(subscription.plan)
