"""`AzureCloud`: the port's `Cloud` over ARM. Routing only; each kind knows its own wire form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from provisioner.azure import (
    authorization,
    capacity,
    marketplace,
    online_deployments,
    online_endpoints,
    operations,
    serverless,
    workspaces,
)
from provisioner.azure.client import Answer, Arm, covers
from provisioner.azure.faults import fault_of
from provisioner.azure.kinds import Shape, live_state
from provisioner.azure.management import Management
from provisioner.azure.marketplace import Agreements
from provisioner.azure.mlclient import MlClients
from provisioner.azure.registry import Registries
from provisioner.azure.values import Json, mapping, text
from provisioner.azure.vault import Vaults
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
from provisioner.errors.cloud import CloudError, ServiceFault
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
    R,
    Resource,
    ResourceId,
    Secret,
    ServerlessEndpoint,
    State,
    WorkspaceId,
)

_SHAPES: Final[dict[Kind, Shape[Any]]] = {
    shape.kind: shape
    for shape in (
        marketplace.SHAPE,
        serverless.SHAPE,
        online_endpoints.SHAPE,
        online_deployments.SHAPE,
    )
}


class AzureCloud:
    """Implements `provisioner.cloud.Cloud`. Every method raises CloudError and nothing else."""

    def __init__(self, arm: Arm, listing: MlClients, who: str | None = None) -> None:
        self.who = who
        self._arm = arm
        self._registries = Registries(arm)
        self._listing = listing
        self._management = Management(arm)
        self._agreements = Agreements(arm)
        self._operations: dict[str, str] = {}  # latest operation URL by resource key
        self.vaults = Vaults(arm)

    # Reads of the workspace and what is in it.

    async def workspace(self, id: WorkspaceId) -> Workspace | None:
        return await workspaces.get(self._arm, id)

    async def workspaces(self, subscription: str) -> Sequence[Workspace]:
        return await workspaces.all_of(self._arm, subscription)

    async def marketplace_subscriptions(
        self, workspace: WorkspaceId
    ) -> Sequence[Live[MarketplaceSubscription]]:
        return await self._children(marketplace.SHAPE, workspace)

    async def serverless_endpoints(
        self, workspace: WorkspaceId
    ) -> Sequence[Live[ServerlessEndpoint]]:
        return await self._children(serverless.SHAPE, workspace)

    async def online_endpoints(self, workspace: WorkspaceId) -> Sequence[Live[OnlineEndpoint]]:
        return await self._children(online_endpoints.SHAPE, workspace)

    async def online_deployments(self, endpoint: ResourceId) -> Sequence[Live[OnlineDeployment]]:
        shape = online_deployments.SHAPE
        entries = await self._arm.entries(f"{endpoint.arm_id}/deployments", absent_ok=True)
        found = (shape.live(raw, endpoint.workspace, endpoint.name) for raw in entries)
        return [live for live in found if live is not None]

    async def get(self, id: ResourceId) -> AnyLive | None:
        answer = await self._arm.get(id.arm_id)
        if answer is None:
            return None
        live: AnyLive = _shape(id).parse(answer.json, id)
        return live

    async def explain(self, id: ResourceId) -> str | None:
        """The error of the last operation: ours of this process, else the one that the resource
        itself points to (AZURE.md §4). None where neither is known or neither says anything."""
        url = self._operations.get(id.key)
        if url is None:
            answer = await self._arm.get(id.arm_id)
            properties = mapping(answer.json.get("properties")) if answer is not None else {}
            url = text(mapping(properties.get("properties")).get("AzureAsyncOperationUri"))
        url = self._arm.own(url)
        if url is None:
            return None
        return await operations.reason(self._arm, url, f"GET {id.arm_id}")

    async def logs(self, deployment: ResourceId, container: str) -> str:
        answer = await self._arm.send(
            "POST",
            self._arm.url(f"{deployment.arm_id}/getLogs"),
            {"containerType": container, "tail": 200},
            repeatable=True,
        )
        return text(answer.json.get("content")) or ""

    # Reads above the workspace.

    async def subscription(self, id: str) -> SubscriptionFacts:
        return await self._management.subscription(id)

    async def subscriptions(self) -> Sequence[SubscriptionFacts]:
        return await self._management.subscriptions()

    async def provider(self, subscription: str, namespace: str) -> ProviderFacts:
        return await self._management.provider(subscription, namespace)

    async def agreement(self, id: AgreementId) -> Agreement | None:
        return await self._agreements.get(id)

    async def permissions(self, scope: str) -> Sequence[Permission] | None:
        return await authorization.permissions(self._arm, scope)

    async def usages(self, subscription: str, region: str) -> Sequence[Usage]:
        return await capacity.usages(self._arm, subscription, region)

    async def vm_sizes(self, subscription: str, region: str) -> Sequence[VmSize]:
        return await capacity.vm_sizes(self._arm, subscription, region)

    async def locks(self, scope: str) -> Sequence[Lock]:
        return await authorization.locks(self._arm, scope)

    async def model(self, ref: ModelRef) -> RegistryModel | None:
        return await self._registries.model(ref)

    async def models(self, registry: str) -> Sequence[str]:
        return await self._listing.models(registry, await self._registries.address(registry))

    async def tagged(self, subscription: str, tag: str) -> Sequence[str]:
        return await self._management.tagged(subscription, tag)

    async def placed(self, subscription: str, kinds: Sequence[Kind]) -> Sequence[Placed]:
        return await self._management.placed(subscription, kinds)

    # Keys.

    async def keys(self, endpoint: ResourceId) -> Keys:
        url = self._arm.url(f"{endpoint.arm_id}/listKeys")
        answer = await self._arm.send("POST", url, repeatable=True)
        primary, secondary = (
            text(answer.json.get(f"{name}Key")) for name in ("primary", "secondary")
        )
        return Keys(Secret(primary) if primary else None, Secret(secondary) if secondary else None)

    async def regenerate_key(self, endpoint: ResourceId, which: KeyName) -> None:
        """Sent once: a second one would make a second new key."""
        answer = await self._arm.send(
            "POST",
            self._arm.url(f"{endpoint.arm_id}/regenerateKeys"),
            {"keyType": which.value},
            repeatable=False,
        )
        if answer.status == 202:
            await operations.settle(self._arm, answer)

    # Writes.

    async def put(self, resource: Resource) -> None:
        shape = _shape(resource.id)
        try:
            body = shape.body(resource)
        except ValueError as error:
            raise _unfit(resource.id, str(error)) from error
        await self._put(resource.id, body)

    async def update(self, resource: Resource, fields: frozenset[str]) -> None:
        """By PATCH where one can carry the change, else by reading, overlaying, writing back."""
        if not fields:
            return
        shape, path = _shape(resource.id), resource.id.arm_id
        patch = shape.patch(resource, fields)
        if patch is not None:
            answer = await self._arm.send("PATCH", self._arm.url(path), patch, repeatable=True)
            self._remember(resource.id, answer)
            return
        found = await self._arm.get(path)
        if found is None:
            raise CloudError(fault_of(status=404, headers={}, body=b"", operation=f"GET {path}"))
        try:
            changed = shape.overlay(found.json, resource, fields)
        except ValueError as error:
            raise _unfit(resource.id, str(error)) from error
        await self._put(resource.id, shape.writable(changed))

    async def delete(self, id: ResourceId) -> None:
        try:
            answer = await self._arm.send("DELETE", self._arm.url(id.arm_id), absent_ok=True)
        except CloudError as error:
            # A delete whose answer was lost, sent again, is refused because of the first one.
            if error.fault.status == 409 and await self._leaving(id):
                return
            raise
        self._remember(id, answer)

    async def sign(self, id: AgreementId) -> None:
        await self._agreements.sign(id)

    # The common part.

    async def _children(self, shape: Shape[R], workspace: WorkspaceId) -> list[Live[R]]:
        entries = await self._arm.entries(f"{workspace.arm_id}/{shape.collection}")
        found = (shape.live(raw, workspace) for raw in entries)
        return [live for live in found if live is not None]

    async def _leaving(self, id: ResourceId) -> bool:
        live = await self.get(id)
        return live is None or live.state is State.DELETING

    async def _put(self, id: ResourceId, body: Json) -> None:
        def there(raw: Json) -> bool:
            """What was wished for is there, and neither failed nor on its way out."""
            state = live_state(mapping(raw.get("properties")))
            return not state.broken and state is not State.DELETING and covers(body, raw)

        answer = await self._arm.put(id.arm_id, body, there=there)
        if answer is not None:
            self._remember(id, answer)

    def _remember(self, id: ResourceId, answer: Answer) -> None:
        url = self._arm.own(answer.headers.get(operations.STATUS))
        if url is None:
            self._operations.pop(id.key, None)
        else:
            self._operations[id.key] = url


def _shape(id: ResourceId) -> Shape[Any]:
    shape = _SHAPES.get(id.kind)
    if shape is None:
        raise _unfit(id, f"{id.kind.noun} is not a child of a workspace")
    return shape


def _unfit(id: ResourceId, why: str) -> CloudError:
    """What was asked cannot be written as a request; nothing was sent."""
    return CloudError(
        ServiceFault(
            status=400,
            code="InvalidRequest",
            message=f"Nothing was sent: {why}.",
            operation=f"PUT {id.arm_id}",
            resource=id.arm_id,
        )
    )
