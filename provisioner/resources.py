"""The nouns: Azure's things as frozen values, in Azure's words.

A *resource* is what a person can wish for (its settable fields only); a `Live` is one that was
observed, with the service's own account of it. Ids compare without regard to case, as ARM does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Generic, TypeVar

TAG_STACK: Final = "provisioner-stack"
TAG_NAME: Final = "provisioner-name"
TAG_EXPIRES: Final = "provisioner-expires-at"
TAG_TERMS: Final = "provisioner-terms-accepted"
TAG_ON_EXPIRY: Final = "provisioner-on-expiry"
OWN_TAGS: Final = frozenset({TAG_STACK, TAG_NAME, TAG_EXPIRES, TAG_TERMS, TAG_ON_EXPIRY})

SHARED_CAPACITY: Final = "SharedComputeCapacityEnabled"
TARGET_DELETION: Final = "TargetAutoDeletionTime"
"""Keys of `properties.properties` of an online endpoint on shared quota (AZURE.md §16)."""

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class Secret:
    """A value that shows itself only when asked: its repr, str and format are masked."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled")


@dataclass(frozen=True, slots=True)
class Keys:
    """An endpoint's two keys; the service may answer null for either (AZURE.md §17)."""

    primary: Secret | None
    secondary: Secret | None


class KeyName(StrEnum):
    PRIMARY = "Primary"
    SECONDARY = "Secondary"


class Kind(StrEnum):
    """The kinds that are managed; values are Azure's own type names."""

    AGREEMENT = "Microsoft.MarketplaceOrdering/agreements"
    MARKETPLACE_SUBSCRIPTION = (
        "Microsoft.MachineLearningServices/workspaces/marketplaceSubscriptions"
    )
    SERVERLESS_ENDPOINT = "Microsoft.MachineLearningServices/workspaces/serverlessEndpoints"
    ONLINE_ENDPOINT = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"
    ONLINE_DEPLOYMENT = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments"

    @property
    def noun(self) -> str:
        """How the kind reads in a sentence."""
        return _NOUNS[self]


_NOUNS: Final = {
    Kind.AGREEMENT: "marketplace agreement",
    Kind.MARKETPLACE_SUBSCRIPTION: "marketplace subscription",
    Kind.SERVERLESS_ENDPOINT: "serverless endpoint",
    Kind.ONLINE_ENDPOINT: "online endpoint",
    Kind.ONLINE_DEPLOYMENT: "online deployment",
}


@dataclass(frozen=True, slots=True, eq=False)
class _Caseless:
    """Equality and hash by the lower-cased ARM id."""

    @property
    def arm_id(self) -> str:
        raise NotImplementedError

    @property
    def key(self) -> str:
        """The id in the form that compares."""
        return self.arm_id.lower()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Caseless) and other.key == self.key

    def __lt__(self, other: _Caseless) -> bool:
        return self.key < other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        return self.arm_id


@dataclass(frozen=True, slots=True, eq=False)
class WorkspaceId(_Caseless):
    """A workspace; `subscription` is the subscription's id (a GUID)."""

    subscription: str
    resource_group: str
    name: str

    @property
    def subscription_scope(self) -> str:
        return f"/subscriptions/{self.subscription}"

    @property
    def group_scope(self) -> str:
        return f"{self.subscription_scope}/resourceGroups/{self.resource_group}"

    @property
    def arm_id(self) -> str:
        return (
            f"{self.group_scope}/providers/Microsoft.MachineLearningServices/workspaces/{self.name}"
        )


@dataclass(frozen=True, slots=True, eq=False)
class ResourceId(_Caseless):
    """A child of a workspace. `parent` is the online endpoint's name, for a deployment only."""

    workspace: WorkspaceId
    kind: Kind
    name: str
    parent: str | None = None

    @property
    def arm_id(self) -> str:
        collection = self.kind.value.split("/")[2]
        if self.parent is not None:
            return f"{self.workspace.arm_id}/{collection}/{self.parent}/deployments/{self.name}"
        return f"{self.workspace.arm_id}/{collection}/{self.name}"

    @property
    def endpoint(self) -> ResourceId:
        """The online endpoint that a deployment belongs to; any other id is its own."""
        if self.parent is None:
            return self
        return ResourceId(self.workspace, Kind.ONLINE_ENDPOINT, self.parent)


@dataclass(frozen=True, slots=True)
class MarketplacePlan:
    """An offer's plan. `offer` is what MarketplaceOrdering calls product in its other shape."""

    publisher: str
    offer: str
    plan: str

    def __str__(self) -> str:
        return f"{self.publisher}/{self.offer}/{self.plan}"


@dataclass(frozen=True, slots=True, eq=False)
class AgreementId(_Caseless):
    """The agreement of one plan, of one Azure subscription (AZURE.md §9)."""

    subscription: str
    plan: MarketplacePlan

    @property
    def kind(self) -> Kind:
        return Kind.AGREEMENT

    @property
    def arm_id(self) -> str:
        return (
            f"/subscriptions/{self.subscription}/providers/Microsoft.MarketplaceOrdering/agreements"
            f"/{self.plan.publisher}/offers/{self.plan.offer}/plans/{self.plan.plan}"
        )


_MODEL = re.compile(
    r"""(?:azureml://registries/(?P<r1>[^/]+)/models/(?P<n1>[^/]+)
         (?:/versions/(?P<v1>[^/]+)|/labels/(?P<l1>[^/]+))?
        |(?P<r2>[^/:]+)/(?P<n2>[^/:]+)(?:/versions/(?P<v2>[^/]+)|/labels/(?P<l2>[^/]+))?)/?$""",
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model of a registry. `version` None means the latest (`labels/latest`).

    A model that is not in a registry (a workspace asset, a path) has an empty `registry` and its
    whole text as `name`: it is carried and compared, never interpreted.
    """

    registry: str
    name: str
    version: str | None = None

    @classmethod
    def parse(cls, text: str) -> ModelRef:
        """Read `registry/name`, `azureml://registries/…[/versions/N|/labels/latest]`, or opaque."""
        match = _MODEL.match(text)
        if match is None or text.startswith("/"):
            return cls("", text)
        group = match.groupdict()
        label = group["l1"] or group["l2"]
        if label is not None and label.lower() != "latest":
            return cls("", text)
        return cls(
            group["r1"] or group["r2"], group["n1"] or group["n2"], group["v1"] or group["v2"]
        )

    @property
    def id(self) -> str:
        """The registry id without a version: what serverless and subscriptions take."""
        if not self.registry:
            return self.name
        return f"azureml://registries/{self.registry}/models/{self.name}"

    @property
    def versioned_id(self) -> str:
        """The registry id with its version: what managed compute takes.

        Raises ValueError when the version is not known yet.
        """
        if not self.registry:
            return self.name
        if self.version is None:
            raise ValueError(f"the version of {self.id} is not resolved")
        return f"{self.id}/versions/{self.version}"

    @property
    def short(self) -> str:
        text = f"{self.registry}/{self.name}" if self.registry else self.name
        return f"{text}/versions/{self.version}" if self.version else text

    def same_model(self, other: ModelRef) -> bool:
        """Whether both name one model, whatever the version and the case of the id."""
        return (self.registry.lower(), self.name.lower()) == (
            other.registry.lower(),
            other.name.lower(),
        )

    def satisfied_by(self, live: ModelRef) -> bool:
        """Whether `live` is this model; an unpinned wish accepts any version."""
        if not self.same_model(live):
            return False
        return self.version is None or live.version is None or self.version == live.version


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
    `plan` is a subscription's offer. `created_at` is from systemData, aware, UTC.
    """

    resource: R
    state: State
    condition: str | None = None
    url: str | None = None
    created_at: datetime | None = None
    plan: MarketplacePlan | None = None

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


def describe(id: ResourceId | AgreementId) -> str:
    """`serverless endpoint llama-33 in mlw-prod`, for titles and sentences."""
    if isinstance(id, AgreementId):
        return f"{id.kind.noun} {id.plan.offer}"
    if id.parent is not None:
        return f"{id.kind.noun} {id.parent}/{id.name} in {id.workspace.name}"
    return f"{id.kind.noun} {id.name} in {id.workspace.name}"


def instant_text(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_instant(text: str | None) -> datetime | None:
    """The instant that a tag holds, or None when it holds none that can be read."""
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


_WORKSPACE = re.compile(
    r"/subscriptions/([^/]+)/resourceGroups/([^/]+)"
    r"/providers/Microsoft\.MachineLearningServices/+workspaces/([^/]+)",
    re.IGNORECASE,
)


def workspace_of(arm_id: str) -> WorkspaceId | None:
    """The workspace that an ARM id lies in, or None when it lies in none."""
    match = _WORKSPACE.match(arm_id)
    return WorkspaceId(match[1], match[2], match[3]) if match else None
