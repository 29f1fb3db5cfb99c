"""Resources as they are wished for, and as they were observed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, Generic, TypeVar

from provisioner.resources.ids import MarketplacePlan, ResourceId
from provisioner.resources.model import ModelRef
from provisioner.resources.tags import NOTHING, SHARED_CAPACITY


class ContentSafety(StrEnum):
    ENABLED = "Enabled"
    DISABLED = "Disabled"


@dataclass(frozen=True, slots=True)
class MarketplaceSubscription:
    """A workspace's subscription to the offer of a model."""

    id: ResourceId
    model: ModelRef


@dataclass(frozen=True, slots=True)
class ServerlessEndpoint:
    id: ResourceId
    location: str
    model: ModelRef
    content_safety: ContentSafety | None = ContentSafety.ENABLED
    auth_mode: str = "Key"
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OnlineEndpoint:
    """`traffic`: percent per deployment name. `properties`: the bag that only creation can set."""

    id: ResourceId
    location: str
    auth_mode: str = "Key"
    description: str | None = None
    traffic: Mapping[str, int] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    identity: Identity | None = None
    public_network_access: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def shared_quota(self) -> bool:
        return any(
            name.lower() == SHARED_CAPACITY.lower() and value.lower() == "true"
            for name, value in self.properties.items()
        )


@dataclass(frozen=True, slots=True)
class Identity:
    """`type` is Azure's ManagedServiceIdentityType; `user_assigned` holds ARM ids."""

    type: str
    user_assigned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RequestSettings:
    """Durations in seconds."""

    request_timeout: float | None = None
    max_concurrent_requests_per_instance: int | None = None
    max_queue_wait: float | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """Durations in seconds; thresholds are counts."""

    initial_delay: float | None = None
    period: float | None = None
    timeout: float | None = None
    success_threshold: int | None = None
    failure_threshold: int | None = None


@dataclass(frozen=True, slots=True)
class DataCollection:
    """Which of model inputs and outputs are collected, and what share of them (0 to 1)."""

    inputs: bool
    outputs: bool
    sampling_rate: float = 1.0


@dataclass(frozen=True, slots=True)
class OnlineDeployment:
    """A managed online deployment; `id.parent` is its endpoint.

    A field that is None is not the manifest's business: the service's value stands.
    """

    id: ResourceId
    location: str
    model: ModelRef
    instance_type: str
    instance_count: int
    environment_variables: Mapping[str, str] | None = None
    request_settings: RequestSettings | None = None
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    data_collection: DataCollection | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


Resource = MarketplaceSubscription | ServerlessEndpoint | OnlineEndpoint | OnlineDeployment
R = TypeVar("R", MarketplaceSubscription, ServerlessEndpoint, OnlineEndpoint, OnlineDeployment)


class State(StrEnum):
    """Provisioning states (AZURE.md §12). The enumerations are open: others read UNKNOWN."""

    CREATING = "Creating"
    UPDATING = "Updating"
    SCALING = "Scaling"
    DELETING = "Deleting"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELED = "Canceled"
    UNKNOWN = "Unknown"

    @property
    def in_progress(self) -> bool:
        return self in _IN_PROGRESS

    @property
    def broken(self) -> bool:
        """Ended without success; only a replacement helps."""
        return self in (State.FAILED, State.CANCELED)


_IN_PROGRESS: Final = frozenset(
    {State.CREATING, State.UPDATING, State.SCALING, State.DELETING, State.UNKNOWN}
)


@dataclass(frozen=True, slots=True)
class Live(Generic[R]):
    """A resource as it was observed.

    `condition` is the service's second opinion: endpointState of a serverless endpoint,
    marketplaceSubscriptionStatus of a subscription. `url` is where the model answers.
    `plan` is a subscription's offer. `subscription` is the id of the marketplace subscription that
    a serverless endpoint lives on, where the service tells. `created_at` is from systemData,
    aware, UTC.
    """

    resource: R
    state: State
    condition: str | None = None
    url: str | None = None
    created_at: datetime | None = None
    plan: MarketplacePlan | None = None
    subscription: str | None = None

    @property
    def id(self) -> ResourceId:
        return self.resource.id


AnyLive = (
    Live[MarketplaceSubscription]
    | Live[ServerlessEndpoint]
    | Live[OnlineEndpoint]
    | Live[OnlineDeployment]
)


def tags_of(resource: Resource) -> Mapping[str, str]:
    """A resource's tags; a marketplace subscription, being a proxy resource, has none."""
    return NOTHING if isinstance(resource, MarketplaceSubscription) else resource.tags


def normal_region(text: str) -> str:
    """`East US 2` and `eastus2` are one region (AZURE.md §11)."""
    return "".join(text.split()).lower()
