"""What a set of manifests wishes for, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from provisioner.errors import Position
from provisioner.manifest import schema
from provisioner.manifest.loaded import Place
from provisioner.resources import (
    MarketplacePlan,
    OnlineDeployment,
    OnlineEndpoint,
    ServerlessEndpoint,
    WorkspaceId,
)

SHARED_QUOTA_LIFETIME = timedelta(hours=168)
"""Azure deletes an endpoint on shared quota after this time (MISSION, "Deploying to managed
compute"; AZURE.md §16)."""


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long an endpoint lives: `ttl` from its creation, or until `expires_at` (UTC)."""

    ttl: timedelta | None = None
    expires_at: datetime | None = None
    renew: bool = False

    def instant(self, now: datetime) -> datetime | None:
        """When an endpoint that is created at `now` expires."""
        if self.expires_at is not None:
            return self.expires_at
        return now + self.ttl if self.ttl is not None else None


@dataclass(frozen=True, slots=True)
class Consent:
    """The acceptance of Marketplace terms; `by` says where it was given, `who` who acts on it."""

    by: str
    who: str | None = None

    @property
    def signature(self) -> str:
        """Whose word it is, as the record has it."""
        return f"{self.who} ({self.by})" if self.who else self.by


@dataclass(frozen=True, slots=True)
class Rollout:
    """Blue/green: shares of traffic in percent, seconds of rest after each, a probe call or not."""

    steps: tuple[int, ...]
    bake: float
    probe: bool


@dataclass(frozen=True, slots=True)
class Origin:
    """The manifest that something comes from."""

    name: str
    position: Position
    labels: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[schema.Output, ...] = ()
    place: Place | None = field(default=None, compare=False, repr=False)

    def at(self, *path: str) -> Position:
        """Where the value of a key stands, found when it is asked for: few findings need it.

        A key that the manifest leaves out answers with its nearest ancestor.
        """
        return self.place.value(*path) if self.place is not None else self.position


@dataclass(frozen=True, slots=True)
class WantedWorkspace:
    """`region` is normalised; `position` is where it was declared."""

    id: WorkspaceId
    region: str
    position: Position


@dataclass(frozen=True, slots=True)
class WantedServerless:
    """`subscribes`: whether the model's offer needs a marketplace subscription; None: not known.
    `plan`: the offer's ids from the manifest or the catalogue, when all three are known."""

    resource: ServerlessEndpoint
    origin: Origin
    subscribes: bool | None
    plan: MarketplacePlan | None
    consent: Consent | None
    lifetime: Lifetime | None


@dataclass(frozen=True, slots=True)
class WantedDeployment:
    """A managed online deployment; `traffic` in percent."""

    resource: OnlineDeployment
    origin: Origin
    traffic: int
    rollout: Rollout | None


@dataclass(frozen=True, slots=True)
class WantedEndpoint:
    """An online endpoint with all its wanted deployments, in manifest order."""

    resource: OnlineEndpoint
    deployments: tuple[WantedDeployment, ...]
    shared_quota: bool
    lifetime: Lifetime | None

    @property
    def position(self) -> Position:
        return self.deployments[0].origin.position


@dataclass(frozen=True, slots=True)
class Desired:
    """Everything that a set of manifests wishes for, for one stack.

    `idle` are workspaces that are declared and that no deployment names: pruning looks there too.
    """

    stack: str
    workspaces: Mapping[WorkspaceId, WantedWorkspace]
    serverless: tuple[WantedServerless, ...]
    endpoints: tuple[WantedEndpoint, ...]
    idle: tuple[WorkspaceId, ...] = ()

    @property
    def deployed(self) -> tuple[WantedServerless | WantedDeployment, ...]:
        """One for each deployment of the manifests, on either target; each has a model."""
        managed = (one for wanted in self.endpoints for one in wanted.deployments)
        return (*self.serverless, *managed)

    @property
    def origins(self) -> tuple[Origin, ...]:
        return tuple(one.origin for one in self.deployed)
