"""An in-memory cloud for properties: `provisioner.cloud.Cloud` with the service's own rules.

It is stricter than Azure where the design is: it counts as a `violation` every write to what is
not ours, every deletion in the wrong order, and every traffic that goes nowhere. Operations take
time on the clock that it is given; nothing here waits. It normalises what the service normalises:
latest versions are pinned, policies add tags, the bag of an online endpoint gains properties.

Longer than other modules because its rules share one state and are read together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from provisioner.cloud import (
    Agreement,
    Lock,
    Observed,
    Permission,
    Placed,
    ProviderFacts,
    RegistryModel,
    SubscriptionFacts,
    Usage,
    VmSize,
    Workspace,
    WorkspaceSeen,
)
from provisioner.errors.cloud import CloudError, ServiceFault
from provisioner.resources import (
    TAG_STACK,
    AgreementId,
    AnyLive,
    KeyName,
    Keys,
    Kind,
    Live,
    MarketplacePlan,
    MarketplaceSubscription,
    ModelRef,
    OnlineDeployment,
    OnlineEndpoint,
    Resource,
    ResourceId,
    Secret,
    ServerlessEndpoint,
    State,
    WorkspaceId,
    tags_of,
)
from tests.fake_clock import FakeClock

LATEST = "7"
"""The version that every registry model has as its latest."""

POLICY_TAGS = {"costCenter": "added-by-policy"}


class Crash(BaseException):
    """The process dies: nothing in the code under test may catch it."""


@dataclass(slots=True)
class Record:
    """A resource in the cloud; `ends` is when its operation is over, on the clock's seconds."""

    resource: Resource
    state: State
    ends: float = 0.0
    then: State | None = None
    """The state after the operation; None when it is gone then or nothing runs."""
    condition: str | None = None
    plan: MarketplacePlan | None = None
    subscription: str | None = None


Fault = Callable[[str, ResourceId], CloudError | None]


@dataclass(slots=True)
class FakeCloud:
    """`needs_offer` says of a model whether it has a Marketplace offer, and which.

    `fault` may refuse a write before it acts; `lost` tells that the answer of a write gets lost
    after it acted. `crash_at` kills the process at the write of that number, before or after it
    acted (`crash_after`). `fails` says which creations end as Failed. `frozen` forbids writes.
    """

    clock: FakeClock
    stack: str = "default"
    needs_offer: Callable[[ModelRef], MarketplacePlan | None] = lambda model: None
    seconds: Callable[[str, ResourceId], float] = lambda what, id: 10.0
    fault: Fault = lambda what, id: None
    lost: Callable[[str, ResourceId], bool] = lambda what, id: False
    fails: Callable[[ResourceId], bool] = lambda id: False
    crash_at: int | None = None
    crash_after: bool = False
    frozen: bool = False
    records: dict[ResourceId, Record] = field(default_factory=dict)
    signed: set[AgreementId] = field(default_factory=set)
    missing: set[WorkspaceId] = field(default_factory=set)
    writes: list[tuple[str, ResourceId]] = field(default_factory=list)
    taken: list[tuple[str, ResourceId]] = field(default_factory=list)
    """The writes that the service took, whether or not its answer got lost."""
    violations: list[str] = field(default_factory=list)
    shifts: list[tuple[ResourceId, Mapping[str, int], Mapping[str, int]]] = field(
        default_factory=list
    )
    """Every change of a live endpoint's traffic: before and after, without zeros."""
    states: Counter[tuple[str, str]] = field(default_factory=Counter)
    reads: int = 0
    region: str = "eastus2"

    # --- the state, without awaiting -------------------------------------------------------

    def seed(self, resource: Resource, state: State = State.SUCCEEDED, **more: Any) -> None:
        """Put a resource there as if it had been made long ago; it stays in `state`.

        An operation that is under way ends `seconds` from now.
        """
        ends, then = 0.0, more.pop("then", None)
        if state.in_progress:
            ends = self.clock.monotonic() + more.pop("seconds", 30.0)
            if state is not State.DELETING and then is None:
                then = State.SUCCEEDED
        self.records[resource.id] = Record(self._stored(resource), state, ends, then, **more)

    def settle(self) -> None:
        """End the operations whose time is up."""
        now = self.clock.monotonic()
        for id, record in list(self.records.items()):
            if record.state.in_progress and record.ends <= now:
                self._end(id, record)

    def finish(self) -> None:
        """End all operations at once."""
        for id, record in list(self.records.items()):
            if record.state.in_progress:
                self._end(id, record)

    def observed(self) -> Observed:
        """Everything, as `observe` would find it in all workspaces that hold something."""
        self.settle()
        places = {id.workspace for id in self.records}
        return {place: self.view(place) for place in places}

    def view(self, place: WorkspaceId) -> WorkspaceSeen:
        self.settle()
        endpoints = self._of(place, Kind.ONLINE_ENDPOINT)
        return WorkspaceSeen(
            place,
            Workspace(place, self.region),
            self._of(place, Kind.MARKETPLACE_SUBSCRIPTION),
            self._of(place, Kind.SERVERLESS_ENDPOINT),
            endpoints,
            {one.id: self._parts(one.id) for one in endpoints},
        )

    def do_put(self, resource: Resource) -> None:
        self._begin("put", resource.id)
        self._check_ours("put", resource.id)
        self._check_needs(resource)
        record = self.records.get(resource.id)
        if record is None:
            then = State.FAILED if self.fails(resource.id) else State.SUCCEEDED
            self._start(resource, State.CREATING, then)
            return
        if record.state.in_progress:
            self._busy(resource.id)
        self._note_shift(record.resource, resource)
        if record.state.broken and not isinstance(resource, MarketplaceSubscription):
            self.violations.append(f"put over failed {resource.id.name} without deleting it")
        self._start(self._kept(resource, record), State.UPDATING, State.SUCCEEDED)

    def do_update(self, resource: Resource, fields: frozenset[str]) -> None:
        self._begin("update", resource.id)
        self._check_ours("update", resource.id)
        record = self.records.get(resource.id)
        if record is None:
            _refuse(404, "ResourceNotFound", f"{resource.id.name} was not found")
        if record.state.in_progress:
            self._busy(resource.id)
        if record.state.broken and resource.id.kind is not Kind.ONLINE_ENDPOINT:
            _refuse(400, "BadArgument", f"{resource.id.name} is in a failed state")
        changed: dict[str, Any] = {name: getattr(resource, name) for name in fields}
        if "traffic" in changed:
            changed["traffic"] = self._checked_traffic(resource.id, changed["traffic"])
            self._note_shift(record.resource, replace(record.resource, **changed))
        if forbidden := fields & {"model", "instance_type", "auth_mode", "shared_quota"}:
            self.violations.append(f"update of {resource.id.name} writes {sorted(forbidden)}")
        self._start(replace(record.resource, **changed), State.UPDATING, State.SUCCEEDED)

    def do_delete(self, id: ResourceId) -> None:
        self._begin("delete", id)
        self._check_ours("delete", id)
        record = self.records.get(id)
        if record is None or record.state is State.DELETING:
            return
        if record.state.in_progress:
            self._busy(id)
        self._check_deletable(id)
        record.state, record.then = State.DELETING, None
        record.ends = self.clock.monotonic() + self.seconds("delete", id)

    # --- CloudReader -----------------------------------------------------------------------

    async def workspace(self, id: WorkspaceId) -> Workspace | None:
        self.reads += 1
        return None if id in self.missing else Workspace(id, self.region)

    async def workspaces(self, subscription: str) -> Sequence[Workspace]:
        self.reads += 1
        places = {id.workspace for id in self.records}
        return [Workspace(one, self.region) for one in places if one.subscription == subscription]

    async def marketplace_subscriptions(
        self, workspace: WorkspaceId
    ) -> Sequence[Live[MarketplaceSubscription]]:
        return self._read(workspace, Kind.MARKETPLACE_SUBSCRIPTION)

    async def serverless_endpoints(
        self, workspace: WorkspaceId
    ) -> Sequence[Live[ServerlessEndpoint]]:
        return self._read(workspace, Kind.SERVERLESS_ENDPOINT)

    async def online_endpoints(self, workspace: WorkspaceId) -> Sequence[Live[OnlineEndpoint]]:
        return self._read(workspace, Kind.ONLINE_ENDPOINT)

    async def online_deployments(self, endpoint: ResourceId) -> Sequence[Live[OnlineDeployment]]:
        self.reads += 1
        self.settle()
        return self._parts(endpoint)

    async def get(self, id: ResourceId) -> AnyLive | None:
        self.reads += 1
        self.settle()
        return self._live(id) if id in self.records else None

    async def explain(self, id: ResourceId) -> str | None:
        return f"{id.name} was told to fail"

    async def logs(self, deployment: ResourceId, container: str) -> str:
        return f"{container} of {deployment.name}"

    async def subscription(self, id: str) -> SubscriptionFacts:
        return SubscriptionFacts(id, "test", "Enabled")

    async def subscriptions(self) -> Sequence[SubscriptionFacts]:
        return [
            await self.subscription(one)
            for one in {id.workspace.subscription for id in self.records}
        ]

    async def provider(self, subscription: str, namespace: str) -> ProviderFacts:
        return ProviderFacts(namespace, "Registered", {})

    async def agreement(self, id: AgreementId) -> Agreement | None:
        self.reads += 1
        return Agreement(id, id in self.signed, {})

    async def permissions(self, scope: str) -> Sequence[Permission] | None:
        return [Permission(("*",))]

    async def usages(self, subscription: str, region: str) -> Sequence[Usage]:
        return []

    async def vm_sizes(self, subscription: str, region: str) -> Sequence[VmSize]:
        return []

    async def locks(self, scope: str) -> Sequence[Lock]:
        return []

    async def model(self, ref: ModelRef) -> RegistryModel | None:
        return RegistryModel(replace(ref, version=ref.version or LATEST))

    async def models(self, registry: str) -> Sequence[str]:
        return []

    async def tagged(self, subscription: str, tag: str) -> Sequence[str]:
        return [one.arm_id for one, rec in self.records.items() if tag in tags_of(rec.resource)]

    async def placed(self, subscription: str, kinds: Sequence[Kind]) -> Sequence[Placed]:
        return []

    # --- Keyring and Cloud -----------------------------------------------------------------

    async def keys(self, endpoint: ResourceId) -> Keys:
        return Keys(Secret(f"primary of {endpoint.name}"), Secret(f"secondary of {endpoint.name}"))

    async def regenerate_key(self, endpoint: ResourceId, which: KeyName) -> None:
        raise NotImplementedError("the properties rotate no keys")

    async def put(self, resource: Resource) -> None:
        self._act("put", resource.id, lambda: self.do_put(resource))

    async def update(self, resource: Resource, fields: frozenset[str]) -> None:
        self._act("update", resource.id, lambda: self.do_update(resource, fields))

    async def delete(self, id: ResourceId) -> None:
        self._act("delete", id, lambda: self.do_delete(id))

    async def sign(self, id: AgreementId) -> None:
        if self.frozen:
            raise AssertionError(f"sign of {id} while only reading is allowed")
        self.signed.add(id)

    # --- inside ----------------------------------------------------------------------------

    def _act(self, what: str, id: ResourceId, write: Callable[[], None]) -> None:
        """A write as it comes over the wire: it may be refused, get lost, or be the last."""
        number = len(self.writes)
        self.writes.append((what, id))
        if self.crash_at == number and not self.crash_after:
            raise Crash
        error = self.fault(what, id)
        if error is not None:
            raise error
        write()
        self.taken.append((what, id))
        if self.crash_at == number:
            raise Crash
        if self.lost(what, id):
            raise CloudError(ServiceFault(0, "", "the connection was reset"))

    def _begin(self, what: str, id: ResourceId) -> None:
        if self.frozen:
            raise AssertionError(f"{what} of {id.name} while only reading is allowed")
        self.settle()

    def _note_shift(self, before: Resource, after: Resource) -> None:
        if not isinstance(before, OnlineEndpoint) or not isinstance(after, OnlineEndpoint):
            return
        old, new = ({n: s for n, s in one.traffic.items() if s} for one in (before, after))
        if old != new:
            self.shifts.append((before.id, old, new))

    def _read(self, workspace: WorkspaceId, kind: Kind) -> list[Any]:
        self.reads += 1
        self.settle()
        if workspace in self.missing:
            _refuse(404, "ResourceNotFound", "the workspace was not found")
        return self._of(workspace, kind)

    def _of(self, workspace: WorkspaceId, kind: Kind) -> list[Any]:
        ids = [id for id in self.records if id.workspace == workspace and id.kind is kind]
        return [self._live(id) for id in ids]

    def _parts(self, endpoint: ResourceId) -> list[Any]:
        ids = [
            id
            for id in self.records
            if id.kind is Kind.ONLINE_DEPLOYMENT and id.endpoint == endpoint
        ]
        return [self._live(id) for id in ids]

    def _live(self, id: ResourceId) -> Any:
        record = self.records[id]
        self.states[(id.kind.noun, str(record.state))] += 1
        ready = record.state in (State.SUCCEEDED, State.UPDATING, State.SCALING)
        return Live(
            record.resource,
            record.state,
            condition=record.condition,
            url=f"https://{id.name}.example.invalid" if ready else None,
            plan=record.plan,
            subscription=record.subscription,
        )

    def _end(self, id: ResourceId, record: Record) -> None:
        if record.state is State.DELETING:
            del self.records[id]
            return
        record.state, record.then = record.then or State.SUCCEEDED, None
        if isinstance(record.resource, MarketplaceSubscription):
            record.condition = "Subscribed" if record.state is State.SUCCEEDED else None

    def _start(self, resource: Resource, state: State, then: State) -> None:
        plan = None
        if isinstance(resource, MarketplaceSubscription):
            plan = self.needs_offer(resource.model)
        ends = self.clock.monotonic() + self.seconds("put", resource.id)
        self.records[resource.id] = Record(self._stored(resource), state, ends, then, plan=plan)

    def _stored(self, resource: Resource) -> Resource:
        """What the service makes of a resource."""
        match resource:
            case OnlineDeployment():
                model = replace(resource.model, version=resource.model.version or LATEST)
                tags = {**POLICY_TAGS, **resource.tags}
                return replace(resource, model=model, tags=tags)
            case OnlineEndpoint():
                bag = {"azureml.onlineendpointid": resource.id.arm_id, **resource.properties}
                tags = {**POLICY_TAGS, **resource.tags}
                return replace(resource, properties=bag, tags=tags)
            case ServerlessEndpoint():
                return replace(resource, tags={**POLICY_TAGS, **resource.tags})
            case _:
                return resource

    def _kept(self, resource: Resource, record: Record) -> Resource:
        if isinstance(resource, OnlineEndpoint) and isinstance(record.resource, OnlineEndpoint):
            return replace(resource, properties=record.resource.properties)
        return resource

    def _check_ours(self, what: str, id: ResourceId) -> None:
        record = self.records.get(id)
        if record is None or isinstance(record.resource, MarketplaceSubscription):
            return
        owner = tags_of(record.resource).get(TAG_STACK)
        if owner != self.stack and not (what == "update" and owner is None):
            self.violations.append(f"{what} of {id.name}, which belongs to {owner}")

    def _check_needs(self, resource: Resource) -> None:
        match resource:
            case MarketplaceSubscription() if self.needs_offer(resource.model) is None:
                _refuse(400, "MarketplacePlanNotRequiredForModel", "no plan is required")
            case ServerlessEndpoint() if not self._subscribed(resource):
                _refuse(400, "ServerlessOfferNotFound", "the workspace is not subscribed")
            case OnlineDeployment():
                parent = self.records.get(resource.id.endpoint)
                if parent is None:
                    _refuse(404, "ResourceNotFound", "the endpoint was not found")
                if parent.state is not State.SUCCEEDED:
                    self._busy(resource.id.endpoint)
            case OnlineEndpoint() if resource.id not in self.records:
                self._checked_traffic(resource.id, resource.traffic)
            case _:
                pass

    def _subscribed(self, resource: ServerlessEndpoint) -> bool:
        offer = self.needs_offer(resource.model)
        return offer is None or any(
            record.condition == "Subscribed"
            and record.state is State.SUCCEEDED
            and isinstance(record.resource, MarketplaceSubscription)
            and (record.resource.model.same_model(resource.model) or record.plan == offer)
            for id, record in self.records.items()
            if id.workspace == resource.id.workspace
        )

    def _checked_traffic(self, endpoint: ResourceId, traffic: Mapping[str, int]) -> dict[str, int]:
        shares = {name: share for name, share in traffic.items() if share}
        if sum(shares.values()) not in (0, 100):
            _refuse(400, "BadArgument", f"traffic adds up to {sum(shares.values())}")
        for name, share in shares.items():
            id = ResourceId(endpoint.workspace, Kind.ONLINE_DEPLOYMENT, name, endpoint.name)
            record = self.records.get(id)
            if record is None or record.state is State.DELETING:
                self.violations.append(f"traffic to {name}, which is not there")
                _refuse(400, "BadArgument", f"traffic to {name}, which is not there")
            if share > self._share(endpoint, name) and (
                record.state.broken or record.state is State.CREATING
            ):
                self.violations.append(f"more traffic to {name}, which is {record.state}")
        return shares

    def _share(self, endpoint: ResourceId, name: str) -> int:
        parent = self.records.get(endpoint)
        if parent is None or not isinstance(parent.resource, OnlineEndpoint):
            return 0
        shares = {one.lower(): share for one, share in parent.resource.traffic.items()}
        return shares.get(name.lower(), 0)

    def _check_deletable(self, id: ResourceId) -> None:
        if id.kind is Kind.ONLINE_ENDPOINT and self._parts(id):
            self.violations.append(f"delete of endpoint {id.name} before its deployments")
        if id.kind is Kind.ONLINE_DEPLOYMENT and self._share(id.endpoint, id.name):
            self.violations.append(f"delete of {id.name} while it carries traffic")
            _refuse(400, "BadArgument", f"{id.name} carries traffic")
        if id.kind is Kind.MARKETPLACE_SUBSCRIPTION:
            self._check_unused(id)

    def _check_unused(self, id: ResourceId) -> None:
        record = self.records[id]
        useless = record.state.broken or record.condition != "Subscribed"
        if useless or not isinstance(record.resource, MarketplaceSubscription):
            return
        model = record.resource.model
        for other, one in self.records.items():
            if (
                other.workspace == id.workspace
                and isinstance(one.resource, ServerlessEndpoint)
                and one.resource.model.same_model(model)
            ):
                self.violations.append(f"subscription {id.name} deleted before {other.name}")

    def _busy(self, id: ResourceId) -> NoReturn:
        _refuse(409, "AnotherOperationInProgress", f"Another operation is running on {id.name}")


def _refuse(status: int, code: str, message: str) -> NoReturn:
    raise CloudError(ServiceFault(status, code, message))
