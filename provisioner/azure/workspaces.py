"""Workspaces (AZURE.md §11)."""

from __future__ import annotations

from provisioner.azure.client import Arm
from provisioner.azure.values import Json, mapping, text
from provisioner.cloud import Workspace
from provisioner.resources import WorkspaceId, normal_region

_ID_PARTS = 9


async def get(arm: Arm, id: WorkspaceId) -> Workspace | None:
    """The workspace, or None when it, or its resource group, does not exist."""
    answer = await arm.get(id.arm_id)
    return None if answer is None else parse(answer.json, id)


async def all_of(arm: Arm, subscription: str) -> list[Workspace]:
    """All workspaces of an Azure subscription that the caller can see."""
    entries = await arm.entries(
        f"/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/workspaces"
    )
    found = [(mapping(entry), _id_of(mapping(entry))) for entry in entries]
    return [parse(raw, id) for raw, id in found if id is not None]


def parse(raw: Json, id: WorkspaceId) -> Workspace:
    properties = mapping(raw.get("properties"))
    network = mapping(properties.get("managedNetwork"))
    return Workspace(
        id=id,
        region=normal_region(text(raw.get("location")) or ""),
        kind=text(raw.get("kind")) or "Default",
        state=text(properties.get("provisioningState")) or "Succeeded",
        managed_network_status=text(mapping(network.get("status")).get("status")),
        isolation_mode=text(network.get("isolationMode")),
    )


def _id_of(raw: Json) -> WorkspaceId | None:
    """`/subscriptions/S/resourceGroups/G/providers/…/workspaces/W` taken apart."""
    parts = (text(raw.get("id")) or "").split("/")
    if len(parts) != _ID_PARTS or not all((parts[2], parts[4], parts[8])):
        return None
    return WorkspaceId(parts[2], parts[4], parts[8])
