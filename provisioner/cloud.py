"""The port: what the stages may ask of a cloud.

`CloudReader` reads and is all that observe, plan and doctor get; `Keyring` hands out keys;
`Cloud` writes too. Every method is asynchronous and raises `CloudError` when the service refuses
or does not answer; transport-level retries (429, 5xx, dropped connections on idempotent calls)
are the adapter's business and have already happened by then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

from provisioner.resources import (
    AgreementId,
    AnyLive,
    KeyName,
    Keys,
    Kind,
    Live,
    MarketplaceSubscription,
    ModelRef,
    OnlineDeployment,
    OnlineEndpoint,
    Resource,
    ResourceId,
    ServerlessEndpoint,
    WorkspaceId,
)


@dataclass(frozen=True, slots=True)
class Workspace:
    """`kind` is Azure's: Default, Hub, Project, FeatureStore. `region` is normalised."""

    id: WorkspaceId
    region: str
    kind: str = "Default"
    state: str = "Succeeded"
    managed_network_status: str | None = None
    isolation_mode: str | None = None


@dataclass(frozen=True, slots=True)
class SubscriptionFacts:
    """`state`: Enabled, Warned, PastDue, Disabled, Deleted. `quota_id` names the offer type
    (FreeTrial_2014-09-01 …). `spending_limit`: On, Off, CurrentPeriodOff."""

    id: str
    name: str
    state: str
    quota_id: str | None = None
    spending_limit: str | None = None
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class ProviderFacts:
    """`registration`: Registered, Registering, NotRegistered … `locations`: normalised regions
    per lower-cased resource type, e.g. `workspaces/serverlessendpoints`."""

    namespace: str
    registration: str
    locations: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Marketplace terms of one plan; `links` maps licence, privacy and terms to URLs."""

    id: AgreementId
    accepted: bool
    links: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Permission:
    """One entry of the caller's effective rights (AZURE.md §10)."""

    actions: tuple[str, ...]
    not_actions: tuple[str, ...] = ()
    data_actions: tuple[str, ...] = ()
    not_data_actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """vCPU cores of one VM family (or another counted thing) in a region: `used` of `limit`.

    `type` is the last part of the usage's id, `name` its `name.value` (AZURE.md §8)."""

    id: str
    name: str
    used: int
    limit: int
    unit: str = "Count"


@dataclass(frozen=True, slots=True)
class VmSize:
    """A size as the region offers it: `vcpus` cores, `gpus`, `memory_gb` GB."""

    name: str
    family: str
    vcpus: int
    gpus: int
    memory_gb: float


@dataclass(frozen=True, slots=True)
class Lock:
    """A management lock: `level` CanNotDelete or ReadOnly, over `scope` and all below it."""

    name: str
    level: str
    scope: str


@dataclass(frozen=True, slots=True)
class RegistryModel:
    """What a registry says of one model version. `retirement` and `deprecation` are UTC dates.

    `skus` is the inference allow-list (empty: none published). `min_sku` is
    cores|GPUs|GB of memory|GB of disk, where published. `shared_capacity` says whether the
    model may run on shared quota; None: not said."""

    ref: ModelRef
    description: str = ""
    skus: tuple[str, ...] = ()
    recommended_sku: str | None = None
    min_sku: tuple[int, int, int, int] | None = None
    shared_capacity: bool | None = None
    legacy: date | None = None
    deprecation: date | None = None
    retirement: date | None = None
    task: str | None = None
    license: str | None = None
    properties: Mapping[str, str] | None = None
    tags: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """An endpoint or a deployment and its region (normalised)."""

    id: ResourceId
    region: str


class CloudReader(Protocol):
    """Reads. None of these changes anything; a list is whole (all pages)."""

    async def workspace(self, id: WorkspaceId) -> Workspace | None:
        """The workspace, or None when it does not exist."""
        ...

    async def workspaces(self, subscription: str) -> Sequence[Workspace]:
        """All workspaces of an Azure subscription that the caller can see."""
        ...

    async def marketplace_subscriptions(
        self, workspace: WorkspaceId
    ) -> Sequence[Live[MarketplaceSubscription]]: ...

    async def serverless_endpoints(
        self, workspace: WorkspaceId
    ) -> Sequence[Live[ServerlessEndpoint]]: ...

    async def online_endpoints(self, workspace: WorkspaceId) -> Sequence[Live[OnlineEndpoint]]: ...

    async def online_deployments(self, endpoint: ResourceId) -> Sequence[Live[OnlineDeployment]]:
        """The deployments of one online endpoint; empty when the endpoint does not exist."""
        ...

    async def get(self, id: ResourceId) -> AnyLive | None:
        """One resource, or None when it does not exist."""
        ...

    async def explain(self, id: ResourceId) -> str | None:
        """Why the last operation on `id` failed, from its operation URL where that is known."""
        ...

    async def logs(self, deployment: ResourceId, container: str) -> str:
        """The last lines of a deployment's container: StorageInitializer or InferenceServer."""
        ...

    async def subscription(self, id: str) -> SubscriptionFacts: ...

    async def subscriptions(self) -> Sequence[SubscriptionFacts]:
        """All Azure subscriptions that the caller can see."""
        ...

    async def provider(self, subscription: str, namespace: str) -> ProviderFacts: ...

    async def agreement(self, id: AgreementId) -> Agreement | None:
        """The terms of a plan, or None when the plan is unknown to MarketplaceOrdering."""
        ...

    async def permissions(self, scope: str) -> Sequence[Permission] | None:
        """The caller's effective rights at `scope` (an ARM id), or None when the service has no
        such operation there (AZURE.md §15: the subscription scope)."""
        ...

    async def usages(self, subscription: str, region: str) -> Sequence[Usage]: ...

    async def vm_sizes(self, subscription: str, region: str) -> Sequence[VmSize]: ...

    async def locks(self, scope: str) -> Sequence[Lock]:
        """Locks at, above and below `scope`."""
        ...

    async def model(self, ref: ModelRef) -> RegistryModel | None:
        """A model version of a registry; the latest where `ref.version` is None. None: absent."""
        ...

    async def models(self, registry: str) -> Sequence[str]:
        """Names of the models of a registry."""
        ...

    async def tagged(self, subscription: str, tag: str) -> Sequence[str]:
        """ARM ids of the endpoints and deployments that carry `tag`, whatever its value.

        The index behind it lags some seconds (AZURE.md §19)."""
        ...

    async def placed(self, subscription: str, kinds: Sequence[Kind]) -> Sequence[Placed]:
        """The endpoints or deployments of an Azure subscription that the caller can see, in
        whatever workspace. From the same index."""
        ...


class Keyring(Protocol):
    """Hands out keys; needs the listKeys and regenerateKeys actions."""

    async def keys(self, endpoint: ResourceId) -> Keys: ...

    async def regenerate_key(self, endpoint: ResourceId, which: KeyName) -> None:
        """Start the regeneration of one key; returns when the service has done it."""
        ...


class Cloud(CloudReader, Keyring, Protocol):
    """Writes. None of these waits for the result: success is observed, not returned."""

    async def put(self, resource: Resource) -> None:
        """Create `resource`, or make it so; doing it twice leaves one."""
        ...

    async def update(self, resource: Resource, fields: frozenset[str]) -> None:
        """Change the named fields of a live resource to those of `resource`; leave the rest.

        Field names are those of the resource's dataclass."""
        ...

    async def delete(self, id: ResourceId) -> None:
        """Start the removal of `id`; one that is absent is a success."""
        ...

    async def sign(self, id: AgreementId) -> None:
        """Accept the plan's terms for the Azure subscription; signing twice is one signature."""
        ...


@dataclass(frozen=True, slots=True)
class WorkspaceSeen:
    """What one observation found in a workspace. `workspace` None: it does not exist.

    `deployments` is per online endpoint; an endpoint that was not asked for is not in it.
    """

    id: WorkspaceId
    workspace: Workspace | None
    subscriptions: Sequence[Live[MarketplaceSubscription]] = ()
    serverless: Sequence[Live[ServerlessEndpoint]] = ()
    endpoints: Sequence[Live[OnlineEndpoint]] = ()
    deployments: Mapping[ResourceId, Sequence[Live[OnlineDeployment]]] = field(default_factory=dict)


Observed = Mapping[WorkspaceId, WorkspaceSeen]
"""The live resources of every workspace that was looked at."""
