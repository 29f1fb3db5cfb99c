"""Checks of Azure's counts: endpoints, deployments, one endpoint per model. Pure.

The limits are the documented defaults (the catalogue's LIMITS, with their source). Support raises
some of them, and then `--ignore-limits` turns these findings into warnings. Counts are of what the
caller can see in the Azure subscription, so that they can only be too low. The instances of a
deployment are limited by the manifest's schema already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from provisioner.catalog import LIMITS
from provisioner.cloud import Placed
from provisioner.errors import Position, Problem, Severity, Who, define
from provisioner.plan import Step
from provisioner.plan.steps import Await, Create, Delete, Replace, Until, Update
from provisioner.preflight.case import Case, listed
from provisioner.preflight.constraints import Unread
from provisioner.preflight.room import Order, Room
from provisioner.resources import (
    OWN_TAGS,
    AnyLive,
    Kind,
    ResourceId,
    ServerlessEndpoint,
    State,
    WorkspaceId,
    describe,
    tags_of,
)

ONE_PER_MODEL = define(
    "preflight.one-per-model",
    "a second serverless endpoint of one model",
    "A workspace can have one serverless deployment per model.",
    Who.AUTHOR,
)
TOO_MANY = define(
    "preflight.too-many",
    "a limit of Azure is exceeded",
    "Azure limits the online endpoints and deployments of a subscription in a region, and the "
    "deployments of an endpoint.",
    Who.SUBSCRIPTION_OWNER,
)

TOO_MANY_TAGS = define(
    "preflight.too-many-tags",
    "a resource would have too many tags",
    "Azure allows a resource 50 tags. The labels of a manifest become tags beside those that are "
    "live already: a change in place takes away nobody's tags, so labels that were renamed or "
    "removed stay until somebody deletes them.",
    Who.AUTHOR,
)

_MOST_TAGS = 50
_SPREAD = "remove some that are not needed, or spread them over regions"
_PARTED = "give some another endpointName, or remove some that are not needed"
_REQUEST = (
    "open a support request of type Service and subscription limits (quotas), Machine Learning "
    "endpoint limits; where the limit is raised already: --ignore-limits"
)


def check_limits(case: Case) -> Iterator[Problem]:
    """Every count that would be exceeded."""
    yield from _one_per_model(case)
    yield from _per_endpoint(case)
    yield from _per_region(case)
    yield from _tags(case)


def _severity(case: Case) -> Severity:
    return Severity.WARNING if case.options.ignore_limits else Severity.ERROR


def _gone(case: Case) -> set[ResourceId]:
    return {step.target for step in case.plan.steps if isinstance(step, Delete)}


def _one_per_model(case: Case) -> Iterator[Problem]:
    """One finding per workspace and model, however many endpoints want it.

    One whose creation failed serves nobody; that it stands in the way is not known.
    """
    gone = _gone(case)
    holders: dict[_Place, dict[ResourceId, Step | None]] = {}
    for view in case.observed.values():
        for live in view.serverless:
            if live.id not in gone and live.state is not State.FAILED:
                holders.setdefault(_place_of(live.resource), {})[live.id] = None
    for step in case.new():
        if isinstance(step.resource, ServerlessEndpoint):
            # A live endpoint that is replaced by one of the same model adds none.
            holders.setdefault(_place_of(step.resource), {}).setdefault(step.target, step)
    for (workspace, _, _), members in holders.items():
        new = [step for step in members.values() if step is not None]
        if len(members) < 2 or not new:
            continue
        keeper = next(iter(members))
        intruder = next((step for step in new if step.target != keeper), new[0])
        names = [id.name for id in members]
        yield Problem(
            ONE_PER_MODEL,
            f"the workspace {workspace.name} would have {len(names)} serverless endpoints of "
            f"{_model(intruder)}: {listed(names, 4)}",
            f"let all callers use {keeper.name}, or deploy to another workspace; where Azure "
            "allows you more: --ignore-limits",
            severity=_severity(case),
            position=case.at(intruder, "spec", "model"),
            resource=keeper.arm_id,
        )


_Place = tuple[WorkspaceId, str, str]


def _place_of(endpoint: ServerlessEndpoint) -> _Place:
    model = endpoint.model
    return endpoint.id.workspace, model.registry.lower(), model.name.lower()


def _model(step: Step) -> str:
    resource = getattr(step, "resource", None)
    return resource.model.name if isinstance(resource, ServerlessEndpoint) else ""


@dataclass(slots=True)
class _Tally:
    """A count: what is live, the steps that take of it, and those that add to it."""

    limit: int
    live: int = 0
    gone: list[str] = field(default_factory=list)
    new: list[Step] = field(default_factory=list)

    @property
    def room(self) -> Room:
        takers = {step.id: 1 for step in self.new}
        return Room(self.limit - self.live, takers, Counter(self.gone))

    def short(self, order: Order) -> bool:
        """Whether the limit may be exceeded. More live than it allows is proof that it was
        raised."""
        room = self.room
        return self.live <= self.limit and not room.plenty and room.needed(order) > room.free

    def surely(self, order: Order) -> bool:
        """Whether it is exceeded whatever the order."""
        return self.room.least(order) > self.room.free


def crowded(case: Case, order: Order) -> Iterator[Room]:
    """Every count that may be exceeded and that another order would keep within its limit."""
    every = [*_by_endpoint(case).values()]
    every += [tally for _, tallies in _by_region(case) for tally in tallies.values()]
    for tally in every:
        if tally.short(order) and not tally.surely(order):
            yield tally.room


def _going(case: Case) -> Mapping[ResourceId, str]:
    """What is deleted, or awaited to be gone, by which step."""
    return {
        step.target: step.id
        for step in case.plan.steps
        if isinstance(step, Delete) or (isinstance(step, Await) and step.until is Until.ABSENT)
    }


def _leavers(going: Mapping[ResourceId, str], lives: Sequence[AnyLive]) -> list[str]:
    """The step by which each of the live ones goes that does; a deployment without a step of its
    own goes with its endpoint."""
    steps = (going.get(one.id) or going.get(one.id.endpoint) for one in lives)
    return [step for step in steps if step is not None]


def _by_endpoint(case: Case) -> Mapping[ResourceId, _Tally]:
    going, limit = _going(case), LIMITS.deployments_per_endpoint
    tallies: dict[ResourceId, _Tally] = {}
    for view in case.observed.values():
        for endpoint, parts in view.deployments.items():
            tallies[endpoint] = _Tally(limit, len(parts), _leavers(going, parts))
    for step in _created(case, Kind.ONLINE_DEPLOYMENT):
        tallies.setdefault(step.target.endpoint, _Tally(limit)).new.append(step)
    return tallies


def _per_endpoint(case: Case) -> Iterator[Problem]:
    order = Order.of(case.plan.steps)
    for endpoint, tally in _by_endpoint(case).items():
        if tally.short(order):
            over = tally.new[tally.room.free]
            position = case.at(over, "spec", "target", "managedCompute", "endpointName")
            what = (
                f"the online endpoint {endpoint.name} would have more than {tally.limit} "
                "deployments"
            )
            yield _too_many(case, position, (what, _PARTED), sure=tally.surely(order))


_Region = tuple[str, str]


def _by_region(case: Case) -> Iterator[tuple[Kind, Mapping[_Region, _Tally]]]:
    going = _going(case)
    for kind, limit in (
        (Kind.ONLINE_ENDPOINT, LIMITS.endpoints),
        (Kind.ONLINE_DEPLOYMENT, LIMITS.deployments),
    ):
        tallies: dict[_Region, _Tally] = {}
        for view in case.observed.values():
            live: Sequence[AnyLive] = (
                view.endpoints
                if kind is Kind.ONLINE_ENDPOINT
                else [one for parts in view.deployments.values() for one in parts]
            )
            tally = tallies.setdefault(_place(case, view.id), _Tally(limit))
            tally.live += len(live)
            tally.gone += _leavers(going, live)
        for one in _unseen(case, kind):
            place = (one.id.workspace.subscription.lower(), one.region)
            tallies.setdefault(place, _Tally(limit)).live += 1
        for step in _created(case, kind):
            place = _place(case, step.target.workspace)
            tallies.setdefault(place, _Tally(limit)).new.append(step)
        yield kind, tallies


def _unseen(case: Case, kind: Kind) -> Iterator[Placed]:
    """What the Azure subscription has of a kind beside what this run lists."""
    managed = {wanted.resource.id.workspace for wanted in case.desired.endpoints}
    listed_parts = {endpoint for view in case.observed.values() for endpoint in view.deployments}
    counted = {live.id for view in case.observed.values() for live in view.endpoints}
    for answer in case.facts.placed.values():
        for one in () if isinstance(answer, Unread) else answer:
            if one.id.kind is not kind:
                continue
            if kind is Kind.ONLINE_DEPLOYMENT:
                seen = one.id.endpoint in listed_parts
            else:
                seen = one.id in counted or one.id.workspace in managed
            if not seen:
                yield one


def _per_region(case: Case) -> Iterator[Problem]:
    order = Order.of(case.plan.steps)
    for kind, tallies in _by_region(case):
        for place, tally in tallies.items():
            if tally.short(order):
                what = (
                    f"the Azure subscription would have more than {tally.limit} {kind.noun}s in "
                    f"{place[1]}"
                )
                over = case.at(tally.new[tally.room.free])
                yield _too_many(case, over, (what, _SPREAD), sure=tally.surely(order))


def _tags(case: Case) -> Iterator[Problem]:
    """Every resource that would have more tags than one may have."""
    for step in case.plan.steps:
        if not isinstance(step, Create | Replace | Update):
            continue
        tags = tags_of(step.resource)
        if len(tags) <= _MOST_TAGS:
            continue
        origin = case.origin(step)
        labels = {name.lower() for name in origin.labels} if origin is not None else set()
        others = [name for name in tags if name.lower() not in labels | OWN_TAGS]
        remove = f"az tag update --resource-id {step.target.arm_id} --operation delete --tags N=V"
        yield Problem(
            TOO_MANY_TAGS,
            f"the {describe(step.target)} would have {len(tags)} tags, Azure allows {_MOST_TAGS}; "
            f"{len(others)} of them are live and not of the manifest",
            f"delete some that nobody needs: {remove}; or write fewer labels",
            position=case.at(step, "metadata", "labels"),
            resource=step.target.arm_id,
            details=(f"live, not of the manifest: {listed(others, 12)}",) if others else (),
        )


def _created(case: Case, kind: Kind) -> Iterator[Step]:
    for step in case.plan.steps:
        if isinstance(step, Create) and step.target.kind is kind:
            yield step


def _place(case: Case, workspace: WorkspaceId) -> tuple[str, str]:
    return workspace.subscription.lower(), case.region(workspace)


def _too_many(
    case: Case, position: Position | None, told: tuple[str, str], *, sure: bool
) -> Problem:
    """`told`: what is too many, and how to have fewer."""
    what, fewer = told
    return Problem(
        TOO_MANY,
        what if sure else f"{what}; it fits only if what this plan removes is gone first",
        f"{fewer}; or {_REQUEST}",
        severity=_severity(case) if sure else Severity.WARNING,
        position=position,
    )
