"""What a tenant is made of: the frozen values that a scenario file is decoded into.

Each dataclass is one mapping of the file, its fields the keys in camelCase, its docstring the
meaning; scenario.py reads the file. docs/emulator-scenarios.md is the reference.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from provisioner.emulator.faults import Fault
from provisioner.emulator.rights import (
    DenyAssignment,
    Lock,
    LockLevel,
    RoleAssignment,
    RoleDefinition,
)
from provisioner.emulator.scenario_models import ModelOverride
from provisioner.emulator.scenario_yaml import Instant, Seconds, duration
from provisioner.emulator.throttle import Limits

SubscriptionState = Literal["Enabled", "Warned", "PastDue", "Disabled", "Deleted"]
SpendingLimit = Literal["On", "Off", "CurrentPeriodOff"]
ProvisioningState = Literal["Succeeded", "Creating", "Updating", "Deleting", "Failed"]
IsolationMode = Literal["Disabled", "AllowInternetOutbound", "AllowOnlyApprovedOutbound"]
Cause = Literal[
    "EnterprisePurchasesDisabled",
    "EnterpriseFreeOnly",
    "OfferWithdrawn",
    "BillingRegion",
    "NoPaymentMethod",
    "CspOptedOut",
    "PrivateMarketplace",
    "PrivateOffer",
    "SpendingLimit",
    "ServerlessOfferNotFound",
]
GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_REGION = re.compile(r"[a-z][a-z0-9]{2,}")
_FREE = (
    "freetrial",
    "lightweighttrial",
    "azurepass",
    "awstudent",
    "azureforstudents",
    "dreamspark",
    "aad_",
)
PLACED = (
    "workspaces/serverlessEndpoints",
    "workspaces/onlineEndpoints",
    "workspaces/onlineEndpoints/deployments",
)
"""The resource types of Microsoft.MachineLearningServices whose regions a scenario can narrow."""
OWN_IDS = uuid.UUID("6f0f4a4e-5c0c-4f0e-9a55-6b7c8f2d1e3a")


def _check_guid(what: str, text: str) -> None:
    if not GUID.fullmatch(text):
        raise ValueError(f"{what} '{text}' is not a GUID")


def _check_region(text: str) -> None:
    if not _REGION.fullmatch(text):
        raise ValueError(f"location '{text}' is not a region's short name such as eastus2")


@dataclass(frozen=True, slots=True)
class LockSpec:
    """A management lock on what it is written under."""

    name: str
    level: LockLevel = "CanNotDelete"
    notes: str = ""


@dataclass(frozen=True, slots=True)
class ManagedNetwork:
    """The workspace's managed network; Inactive with an isolation mode is not provisioned yet."""

    isolation_mode: IsolationMode = "Disabled"
    status: Literal["Active", "Inactive"] = "Inactive"


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace that is there when the emulator starts."""

    name: str
    location: str
    kind: Literal["Default", "Hub", "Project", "FeatureStore"] = "Default"
    tags: Mapping[str, str] = field(default_factory=dict)
    provisioning_state: ProvisioningState = "Succeeded"
    public_network_access: Literal["Enabled", "Disabled"] = "Enabled"
    managed_network: ManagedNetwork = ManagedNetwork()
    locks: tuple[LockSpec, ...] = ()

    def __post_init__(self) -> None:
        _check_region(self.location)


@dataclass(frozen=True, slots=True)
class ResourceGroup:
    """A resource group with its workspaces."""

    name: str
    location: str
    tags: Mapping[str, str] = field(default_factory=dict)
    workspaces: tuple[Workspace, ...] = ()
    locks: tuple[LockSpec, ...] = ()

    def __post_init__(self) -> None:
        _check_region(self.location)


@dataclass(frozen=True, slots=True)
class FamilyQuota:
    """Cores of one VM family in one region; written `used/limit` or just the limit."""

    used: int
    limit: int

    def __post_init__(self) -> None:
        if self.used < 0 or self.limit < 0:
            raise ValueError("cores cannot be negative")

    @classmethod
    def from_text(cls, text: str) -> FamilyQuota:
        """`24/192` is 24 of 192 cores used, `192` is none of them."""
        found = re.fullmatch(r"(?:(\d{1,9})/)?(\d{1,9})", text)
        if not found:
            raise ValueError(f"'{text}' is not a number of cores; write used/limit, as in 0/192")
        return cls(int(found[1] or 0), int(found[2]))


@dataclass(frozen=True, slots=True)
class OfferRestriction:
    """Why this subscription may not buy the models that the glob `model` names."""

    cause: Cause
    model: str = "*"


@dataclass(frozen=True, slots=True)
class Subscription:
    """An Azure subscription; `quotas` is {region or "*": {VM family: cores}}, `resource_locations`
    {resource type: regions in which the provider offers it}."""

    id: str
    name: str
    state: SubscriptionState = "Enabled"
    quota_id: str = "PayAsYouGo_2014-09-01"
    spending_limit: SpendingLimit = "Off"
    billing_country: str = "US"
    payment_method: bool = True
    tags: Mapping[str, str] = field(default_factory=dict)
    registered_providers: tuple[str, ...] = (
        "Microsoft.MachineLearningServices",
        "Microsoft.MarketplaceOrdering",
        "Microsoft.SaaS",
    )
    resource_groups: tuple[ResourceGroup, ...] = ()
    locks: tuple[LockSpec, ...] = ()
    quotas: Mapping[str, Mapping[str, FamilyQuota]] = field(default_factory=dict)
    resource_locations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    offer_restrictions: tuple[OfferRestriction, ...] = ()
    endpoint_limit: int = 100
    deployment_limit: int = 500

    def __post_init__(self) -> None:
        _check_guid("subscription id", self.id)
        if not re.fullmatch(r"[A-Z]{2}", self.billing_country):
            raise ValueError("billingCountry is an ISO 3166 code of two capitals, such as US")
        for kind, regions in self.resource_locations.items():
            if kind not in PLACED:
                raise ValueError(f"resourceLocations has no '{kind}'; it takes {', '.join(PLACED)}")
            for region in regions:
                _check_region(region)

    @property
    def free(self) -> bool:
        """Free and trial subscriptions cannot buy models (MISSION.md, prerequisites)."""
        plan = self.quota_id.lower()
        return any(word in plan for word in _FREE)

    @property
    def read_only(self) -> bool:
        """Whether PUT, PATCH and POST are refused, while GET and DELETE still work; what was bought
        is suspended then.

        Microsoft's "Azure subscription states": so in Warned and Disabled; PastDue is active.
        """
        return self.state in ("Warned", "Disabled", "Deleted")

    def _locks(self) -> Iterator[Lock]:
        root = f"/subscriptions/{self.id}"
        yield from (Lock(each.name, each.level, root, each.notes) for each in self.locks)
        for group in self.resource_groups:
            scope = f"{root}/resourceGroups/{group.name}"
            yield from (Lock(each.name, each.level, scope, each.notes) for each in group.locks)
            for workspace in group.workspaces:
                place = (
                    f"{scope}/providers/Microsoft.MachineLearningServices/"
                    f"workspaces/{workspace.name}"
                )
                for each in workspace.locks:
                    yield Lock(each.name, each.level, place, each.notes)


@dataclass(frozen=True, slots=True)
class FederatedCredential:
    """A foreign token that is accepted in place of a secret (workload identity)."""

    issuer: str
    subject: str
    audience: str = "api://AzureADTokenExchange"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who can sign in. Without `object_id` the client id stands for it."""

    name: str
    client_id: str
    object_id: str = ""
    secret: str | None = field(default=None, repr=False)
    federated: tuple[FederatedCredential, ...] = ()
    is_user: bool = False

    def __post_init__(self) -> None:
        _check_guid("client id", self.client_id)
        if not self.object_id:
            object.__setattr__(self, "object_id", str(uuid.uuid5(OWN_IDS, self.client_id)))
        _check_guid("object id", self.object_id)


@dataclass(frozen=True, slots=True)
class OfferAvailability:
    """In which billing countries the models that the glob names are sold (AZURE.md §16)."""

    countries: tuple[str, ...]
    model: str = "*"


@dataclass(frozen=True, slots=True)
class Span:
    """How long something takes; written `2s`, or `{base: 10m, jitter: 5m}`."""

    base: Seconds
    jitter: Seconds = 0.0

    @classmethod
    def from_text(cls, text: str) -> Span:
        """A span without jitter."""
        return cls(duration(text))

    def of(self, key: str) -> float:
        """Seconds for one operation, between base and base + jitter, fixed by its key."""
        if not self.jitter:
            return self.base
        digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
        return self.base + self.jitter * (int.from_bytes(digest, "big") / 2**64)


@dataclass(frozen=True, slots=True)
class Durations:
    """How long each kind of operation takes, on the emulated clock."""

    subscription: Span = Span(0.5)
    serverless_endpoint: Span = Span(1.0)
    online_endpoint: Span = Span(1.0)
    deployment: Span = Span(2.0)
    scale: Span = Span(0.5)
    update: Span = Span(0.5)
    delete: Span = Span(0.5)
    regenerate_keys: Span = Span(0.2)
    provider_registration: Span = Span(0.5)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the service answers.

    `latency` is real time a request; `stale_read` for how long a GET shows what was before a PUT;
    `index_lag` how far the resource list lags behind; `name_hold` for how long a deleted
    endpoint's name stays taken; `rbac_delay` until a new role works.
    """

    latency: Seconds = 0.0
    retry_after: bool = True
    stale_read: Seconds = 0.0
    index_lag: Seconds = 0.0
    name_hold: Seconds = 0.0
    rbac_delay: Seconds = 0.0
    token_lifetime: Seconds = 3600.0
    throttling: bool = True
    buckets: Limits = field(default_factory=Limits)
    one_per_model: bool = True
    page_size: int = 100

    def __post_init__(self) -> None:
        if not 1 <= self.page_size <= 10_000:
            raise ValueError("pageSize is between 1 and 10000")


@dataclass(frozen=True, slots=True)
class ClockSettings:
    """The emulated clock: its speed, and the moment it starts at (None: now)."""

    speed: float = 1.0
    start: Instant | None = None

    def __post_init__(self) -> None:
        if not 0 < self.speed <= 1_000_000:
            raise ValueError("speed is above 0 and at most 1000000")


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything the emulator starts from; the values are those of the file, resolved."""

    tenant_id: str
    subscriptions: tuple[Subscription, ...]
    principals: tuple[Principal, ...]
    role_definitions: tuple[RoleDefinition, ...] = ()
    role_assignments: tuple[RoleAssignment, ...] = ()
    deny_assignments: tuple[DenyAssignment, ...] = ()
    models: tuple[ModelOverride, ...] = ()
    offer_availability: tuple[OfferAvailability, ...] = ()
    durations: Durations = field(default_factory=Durations)
    behaviour: Behaviour = field(default_factory=Behaviour)
    clock: ClockSettings = field(default_factory=ClockSettings)
    faults: tuple[Fault, ...] = ()

    def subscription(self, subscription_id: str) -> Subscription | None:
        """A subscription by id, whatever the case."""
        key = subscription_id.lower()
        return next((each for each in self.subscriptions if each.id.lower() == key), None)

    def principal(self, client_id: str) -> Principal | None:
        """A principal by client id, whatever the case."""
        key = client_id.lower()
        return next((each for each in self.principals if each.client_id.lower() == key), None)

    @property
    def locks(self) -> tuple[Lock, ...]:
        """All locks of the file with their scopes."""
        return tuple(lock for each in self.subscriptions for lock in each._locks())
