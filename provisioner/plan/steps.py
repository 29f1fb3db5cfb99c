"""The plan as data: frozen steps in one union.

Printing, JSON, Markdown and execution `match` on `Step` and end with `assert_never`, so that a
step kind that one of them forgets fails type-checking.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from provisioner.desired import Consent
from provisioner.errors import Position, Problem
from provisioner.resources import (
    MarketplacePlan,
    MarketplaceSubscription,
    Resource,
    ResourceId,
    describe,
)


class Effect(StrEnum):
    """What a change of one field costs."""

    IN_PLACE = "in place"
    REPLACES = "forces replacement"


@dataclass(frozen=True, slots=True)
class Change:
    """A difference of one field. `old` and `new` are printable; `hidden` values are not shown."""

    field: str
    old: str | None
    new: str | None
    effect: Effect = Effect.IN_PLACE
    hidden: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """What every step has.

    `id` is stable for one intent, such as `create:/subscriptions/…`. `needs` are the ids of the
    steps that must be done before. `names` are the manifests that asked for it. `expires` is the
    deadline (UTC) that condemned the step's endpoint: where it meanwhile carries a later one,
    somebody else has renewed it, and nothing is left to do.
    """

    id: str
    reason: str
    needs: tuple[str, ...] = ()
    position: Position | None = None
    names: tuple[str, ...] = ()
    expires: datetime | None = None

    @property
    def target(self) -> ResourceId:
        raise NotImplementedError

    @property
    def title(self) -> str:
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribe(_Step):
    """Accept an offer's terms for a workspace: agreement and marketplace subscription.

    `plan` is None where the offer's ids are known only after the subscription. `consent` is None
    where nobody accepted the terms: such a plan is refused. `recovers`: an earlier subscription
    of that name failed and is removed first.
    """

    resource: MarketplaceSubscription
    plan: MarketplacePlan | None = None
    consent: Consent | None = None
    recovers: bool = False

    @property
    def target(self) -> ResourceId:
        return self.resource.id

    @property
    def title(self) -> str:
        return f"subscribe {self.target.workspace.name} to {self.resource.model.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Create(_Step):
    """Create a resource that does not exist."""

    resource: Resource

    @property
    def target(self) -> ResourceId:
        return self.resource.id

    @property
    def title(self) -> str:
        return f"create {describe(self.target)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Update(_Step):
    """Change a live resource in place. `fields` are attribute names of `resource`."""

    resource: Resource
    changes: tuple[Change, ...]
    fields: frozenset[str]
    adopts: bool = False

    @property
    def target(self) -> ResourceId:
        return self.resource.id

    @property
    def title(self) -> str:
        return f"{'adopt' if self.adopts else 'update'} {describe(self.target)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replace(_Step):
    """Delete a live resource, wait until it is gone, create it again.

    `recovers`: the live one has failed, so nothing that works is lost.
    """

    resource: Resource
    changes: tuple[Change, ...]
    recovers: bool = False

    @property
    def target(self) -> ResourceId:
        return self.resource.id

    @property
    def title(self) -> str:
        return f"{'recover' if self.recovers else 'replace'} {describe(self.target)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTraffic(_Step):
    """Set an online endpoint's traffic: percent per deployment name, `before` → `after`."""

    endpoint: ResourceId
    before: Mapping[str, int]
    after: Mapping[str, int]

    @property
    def target(self) -> ResourceId:
        return self.endpoint

    @property
    def title(self) -> str:
        return f"set traffic of {describe(self.endpoint)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout(_Step):
    """Move traffic from `old` to `new` (deployment names) share by share, resting after each.

    `shares` are percent of what the two carry together (`weight`, percent of the endpoint's
    traffic), `begun` the percent of it that `new` carries already, after a run that was cut short;
    `others` is the traffic of further deployments, left as it is. `bake` in seconds.
    """

    endpoint: ResourceId
    old: str
    new: str
    shares: tuple[int, ...]
    weight: int
    others: Mapping[str, int]
    bake: float
    probe: bool
    begun: int = 0

    @property
    def target(self) -> ResourceId:
        return self.endpoint

    @property
    def title(self) -> str:
        return f"roll out {self.new} on {describe(self.endpoint)}"


class Because(StrEnum):
    """Why something is deleted."""

    DESTROYED = "destroyed"
    PRUNED = "pruned"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete(_Step):
    """Delete a live resource and see that it is gone."""

    resource_id: ResourceId
    because: Because

    @property
    def target(self) -> ResourceId:
        return self.resource_id

    @property
    def title(self) -> str:
        return f"delete {describe(self.resource_id)}"


class Until(StrEnum):
    """What a wait ends with."""

    READY = "ready"
    ABSENT = "absent"
    SETTLED = "settled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Await(_Step):
    """Wait for an operation that somebody already started.

    READY: the resource works, as `resource` describes it. ABSENT: it is gone; `resource`
    is then what this plan makes in its place. SETTLED: no operation runs any more, whatever came of
    it.
    """

    resource_id: ResourceId
    until: Until
    state: str
    resource: Resource | None = None

    @property
    def target(self) -> ResourceId:
        return self.resource_id

    @property
    def title(self) -> str:
        return f"wait for {describe(self.resource_id)}"


Step = Subscribe | Create | Update | Replace | SetTraffic | Rollout | Delete | Await


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A resource that needs nothing, and why."""

    id: ResourceId
    reason: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Expiry:
    """An endpoint of this plan with a deadline (UTC); `by_azure`: shared quota, 168 h.

    `counted`: the instant was counted from the plan's `now`, not read from Azure or a manifest.
    """

    id: ResourceId
    instant: datetime
    by_azure: bool = False
    counted: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """An output of a manifest (`name`): the apply writes there what differs, steps or none.

    Nothing is read of it for a plan, so whether it differs is not known.
    """

    name: str
    sink: str
    target: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done, in an order in which it can be done.

    `refusals` are errors that forbid the whole plan, such as a resource of somebody else;
    `notices` are warnings and notes. `now` is the instant that deadlines were counted from.
    """

    stack: str
    now: datetime
    steps: tuple[Step, ...] = ()
    unchanged: tuple[Unchanged, ...] = ()
    refusals: tuple[Problem, ...] = ()
    notices: tuple[Problem, ...] = ()
    expiries: tuple[Expiry, ...] = ()
    outputs: tuple[Delivery, ...] = ()
    owned: int = field(default=0)
    """Live resources that this stack owns: what a prune is measured against."""

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    @property
    def empty(self) -> bool:
        return not self.steps

    def counts(self) -> Mapping[str, int]:
        """How many resources each action concerns, in the order of the summary line.

        Traffic on an endpoint that is made or removed in the same plan is part of that; one that
        changes twice, such as its traffic away and back, is one.
        """
        totals = dict.fromkeys(
            ("create", "change", "adopt", "replace", "recover", "delete", "wait"), 0
        )
        whole = {step.target for step in self.steps if isinstance(step, Create | Replace | Delete)}
        concerned = {
            (action(step), step.target)
            for step in self.steps
            if not (isinstance(step, SetTraffic) and step.target in whole)
        }
        for name, _ in concerned:
            totals[name] += 1
        return totals


def action(step: Step) -> str:
    """The step's action as people and JSON name it."""
    match step:
        case Subscribe(recovers=True) | Replace(recovers=True):
            return "recover"
        case Subscribe() | Create():
            return "create"
        case Update(adopts=True):
            return "adopt"
        case Update() | SetTraffic() | Rollout():
            return "change"
        case Replace():
            return "replace"
        case Delete():
            return "delete"
        case Await():
            return "wait"
