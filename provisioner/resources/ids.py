"""Ids: what names Azure's things. They compare without regard to case, as ARM does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


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

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, WorkspaceId) and other.key == self.key)

    def __hash__(self) -> int:
        return hash(self.name.lower())

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

    # Every entry of every list is looked up by its id: part by part, no text is put together.

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, ResourceId)
            and self.kind is other.kind
            and self.name.lower() == other.name.lower()
            and (self.parent or "").lower() == (other.parent or "").lower()
            and self.workspace == other.workspace
        )

    def __hash__(self) -> int:
        return hash((self.workspace.name.lower(), self.name.lower()))

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


def describe(id: ResourceId | AgreementId) -> str:
    """`serverless endpoint llama-33 in mlw-prod`, for titles and sentences."""
    if isinstance(id, AgreementId):
        return f"{id.kind.noun} {id.plan.offer}"
    if id.parent is not None:
        return f"{id.kind.noun} {id.parent}/{id.name} in {id.workspace.name}"
    return f"{id.kind.noun} {id.name} in {id.workspace.name}"


_WORKSPACE = re.compile(
    r"/subscriptions/([^/]+)/resourceGroups/([^/]+)"
    r"/providers/Microsoft\.MachineLearningServices/+workspaces/([^/]+)",
    re.IGNORECASE,
)


def workspace_of(arm_id: str) -> WorkspaceId | None:
    """The workspace that an ARM id lies in, or None when it lies in none."""
    match = _WORKSPACE.match(arm_id)
    return WorkspaceId(match[1], match[2], match[3]) if match else None
