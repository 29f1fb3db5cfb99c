"""What the second observation found: the facts that preflight judges a plan by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from provisioner.cloud import (
    Agreement,
    Lock,
    Permission,
    Placed,
    ProviderFacts,
    RegistryModel,
    SubscriptionFacts,
    Usage,
    VmSize,
    Workspace,
)
from provisioner.errors.cloud import ServiceFault
from provisioner.resources import AgreementId, ModelRef, ResourceId, WorkspaceId


@dataclass(frozen=True, slots=True)
class Unread:
    """A question that the service did not answer; what depends on it is not judged."""

    question: str
    fault: ServiceFault


RegionKey = tuple[str, str]
"""Azure subscription id and normalised region."""


@dataclass(frozen=True, slots=True)
class Constraints:
    """Facts by subject; a subject that nobody asked about is absent.

    `permissions` is by ARM scope; None: the service has no such operation there. `models` is by
    lower-cased reference (`key_of`); None: the registry has no such model. `locks` is by ARM id of
    a workspace. `elsewhere` holds, per Azure subscription, all workspaces that the caller can see:
    asked only where the quota is short, to name other regions. `placed` holds, per Azure
    subscription, its endpoints and deployments in whatever workspace, as a lagging index has them;
    `holders` those of them that have a name which the plan wants and were seen to be there.
    """

    workspaces: Mapping[WorkspaceId, Workspace | None] = field(default_factory=dict)
    models: Mapping[str, RegistryModel | Unread | None] = field(default_factory=dict)
    agreements: Mapping[AgreementId, Agreement | Unread | None] = field(default_factory=dict)
    permissions: Mapping[str, Sequence[Permission] | Unread | None] = field(default_factory=dict)
    subscriptions: Mapping[str, SubscriptionFacts | Unread] = field(default_factory=dict)
    providers: Mapping[tuple[str, str], ProviderFacts | Unread] = field(default_factory=dict)
    usages: Mapping[RegionKey, Sequence[Usage] | Unread] = field(default_factory=dict)
    sizes: Mapping[RegionKey, Sequence[VmSize] | Unread] = field(default_factory=dict)
    locks: Mapping[str, Sequence[Lock] | Unread] = field(default_factory=dict)
    elsewhere: Mapping[str, Sequence[Workspace]] = field(default_factory=dict)
    placed: Mapping[str, Sequence[Placed] | Unread] = field(default_factory=dict)
    holders: frozenset[ResourceId] = frozenset()

    def registry_model(self, model: ModelRef) -> RegistryModel | None:
        """What the registry says of a model: of the version asked for, else of the latest."""
        for key in (key_of(model), model.id.lower()):
            found = self.models.get(key)
            if isinstance(found, RegistryModel):
                return found
        return None

    def versions(self) -> dict[str, str]:
        """Latest versions per lower-cased model id, for `plan.resolve`."""
        return {
            fact.ref.id.lower(): fact.ref.version
            for key, fact in self.models.items()
            if isinstance(fact, RegistryModel) and fact.ref.version and "/versions/" not in key
        }


def key_of(model: ModelRef) -> str:
    """The form of a model reference that `Constraints.models` is keyed by."""
    text = model.id if model.version is None else model.versioned_id
    return text.lower()
