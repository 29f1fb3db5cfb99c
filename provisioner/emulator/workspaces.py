"""Workspaces: those of the scenario, to read, update and tag. Creating one is not emulated."""

from __future__ import annotations

from provisioner.emulator.clock import iso
from provisioner.emulator.errors import ArmError, JsonObject
from provisioner.emulator.mlresource import (
    PARTIAL_IDENTITY,
    PARTIAL_SKU,
    SWITCH,
    TAGS,
    TYPES,
    as_read,
    check_location,
    identity_shown,
    merged,
    workspace_id,
    workspace_of,
)
from provisioner.emulator.operations import workspace_guid
from provisioner.emulator.paging import ml_page
from provisioner.emulator.scenario_types import ResourceGroup, Subscription, Workspace
from provisioner.emulator.store import Resource
from provisioner.emulator.tenant import Tenant
from provisioner.emulator.validation import Obj, clean
from provisioner.emulator.wire import Call, Reply

_SETTINGS = Obj(
    {
        "description": "string",
        "friendlyName": "string",
        "publicNetworkAccess": SWITCH,
        "imageBuildCompute": "string",
        "primaryUserAssignedIdentity": "string",
    }
)
_PATCH = Obj(
    {"tags": TAGS, "identity": PARTIAL_IDENTITY, "sku": PARTIAL_SKU, "properties": _SETTINGS}
)
_FIXED = dict.fromkeys(("keyVault", "storageAccount", "applicationInsights"), "string") | {
    "containerRegistry": "string",
    "hbiWorkspace": "boolean",
    "v1LegacyMode": "boolean",
    "enableDataIsolation": "boolean",
}
# Clients send a workspace back as they read it; types are checked, what cannot change is let be.
_WHOLE = Obj(
    {
        **_PATCH.properties,
        "location": "string",
        "kind": "string",
        "properties": Obj({**_SETTINGS.properties, **_FIXED}),
    }
)


def seed(tenant: Tenant) -> None:
    """Put the scenario's resource groups and workspaces into a store that lacks them."""
    now = tenant.clock.now()
    seeded = tenant.store.document("seeded")
    for subscription in tenant.scenario.subscriptions:
        for group in subscription.resource_groups:
            place = f"/subscriptions/{subscription.id}/resourceGroups/{group.name}"
            if place.lower() not in seeded:
                seeded[place.lower()] = True
                tenant.store.put(_group(subscription, group, place, now))
            for workspace in group.workspaces:
                made = _workspace(subscription, group, workspace, now)
                if made.key not in seeded:
                    seeded[made.key] = True
                    tenant.store.put(made)
    tenant.store.touch("seeded")
    tenant.store.flush()


def _group(subscription: Subscription, group: ResourceGroup, place: str, now: float) -> Resource:
    return Resource(
        id=place,
        kind="resourceGroups",
        name=group.name,
        parent=f"/subscriptions/{subscription.id}",
        subscription=subscription.id.lower(),
        group=group.name,
        workspace="",
        location=group.location,
        body={"tags": dict(group.tags)},
        state="Succeeded",
        created=now,
        created_by="scenario",
        changed=now,
    )


def _workspace(
    subscription: Subscription, group: ResourceGroup, workspace: Workspace, now: float
) -> Resource:
    place = f"/subscriptions/{subscription.id}/resourceGroups/{group.name}"
    network = workspace.managed_network
    return Resource(
        id=f"{place}/providers/{TYPES['workspaces']}/{workspace.name}",
        kind="workspaces",
        name=workspace.name,
        parent=place,
        subscription=subscription.id.lower(),
        group=group.name,
        workspace=workspace.name,
        location=workspace.location,
        body={
            "tags": dict(workspace.tags),
            "kind": workspace.kind,
            "identity": {"type": "SystemAssigned"},
            "sku": {"name": "Basic", "tier": "Basic"},
            "properties": {
                "description": "",
                "friendlyName": workspace.name,
                "publicNetworkAccess": workspace.public_network_access,
                "managedNetwork": {
                    "isolationMode": network.isolation_mode,
                    "status": {"status": network.status, "sparkReady": False},
                },
            },
        },
        state=workspace.provisioning_state,
        created=now,
        created_by="scenario",
        changed=now,
    )


# The first api-version of those saved (or, for etag and softDeleteEnabled, recorded) that shows it.
_SINCE = {
    "systemData": "2022-02-01-preview",
    "tenantId": "2022-02-01-preview",
    "mlFlowTrackingUri": "2022-02-01-preview",
    "publicNetworkAccess": "2022-02-01-preview",
    "storageHnsEnabled": "2022-02-01-preview",
    "etag": "2022-05-01",
    "softDeleteEnabled": "2022-05-01",
    "v1LegacyMode": "2022-05-01",
    "kind": "2023-04-01-preview",
    "managedNetwork": "2023-04-01-preview",
    "enableDataIsolation": "2023-04-01-preview",
}


def render(resource: Resource, call: Call) -> JsonObject:
    """A workspace with what the specification has and a little of what it lacks (AZURE.md §17)."""
    guid = workspace_guid(resource)
    host = call.base_url.removeprefix("https://")
    group = resource.id.split("/providers/", 1)[0]
    short = guid.replace("-", "")[:10]
    own: JsonObject = resource.body["properties"]
    properties: JsonObject = {
        **own,
        "workspaceId": guid,
        "provisioningState": resource.state,
        "creationTime": iso(resource.created),
        "storageAccount": f"{group}/providers/Microsoft.Storage/storageAccounts/st{short}",
        "keyVault": f"{group}/providers/Microsoft.Keyvault/vaults/kv{short}",
        "applicationInsights": f"{group}/providers/Microsoft.insights/components/ai{short}",
        "hbiWorkspace": False,
        "tenantId": call.tenant.scenario.tenant_id,
        "privateLinkCount": 0,
        "discoveryUrl": f"{call.base_url}/discovery",
        "mlFlowTrackingUri": f"azureml://{host}/mlflow/v1.0{resource.id}",
        "v1LegacyMode": False,
        "softDeleteEnabled": False,
        "storageHnsEnabled": False,
        "enableDataIsolation": resource.body["kind"] in ("Hub", "Project"),
    }
    if own["managedNetwork"]["isolationMode"] == "Disabled":
        del properties["managedNetwork"]
    shown: JsonObject = {
        "id": resource.id,
        "name": resource.name,
        "type": TYPES["workspaces"],
        "location": resource.location,
        "tags": resource.body["tags"],
        "etag": f'"{guid[:8]}-{int(resource.changed):x}"',
        "kind": resource.body["kind"],
        "properties": properties,
        "identity": identity_shown(resource.body["identity"], call, f"{resource.key}/identity"),
        "sku": resource.body["sku"],
        "systemData": {
            "createdAt": iso(resource.created),
            "createdByType": "User",
            "lastModifiedAt": iso(resource.changed),
            "lastModifiedByType": "User",
        },
    }
    for name, since in _SINCE.items():
        if call.api_version < since:
            shown.pop(name, None)
            properties.pop(name, None)
    if call.api_version >= "2022":
        del properties["creationTime"]
    return shown


def get(call: Call) -> Reply:
    return Reply(200, render(as_read(workspace_of(call), call.now), call))


def list_in_group(call: Call) -> Reply:
    p = call.params
    group = call.tenant.group(p["subscriptionId"], p["resourceGroupName"])
    return ml_page(call, call.tenant.store.children(group.key, "workspaces").values())


def list_in_subscription(call: Call) -> Reply:
    wanted = call.params["subscriptionId"].lower()
    found = (w for w in call.tenant.store.of_kind("workspaces") if w.subscription == wanted)
    return ml_page(call, found)


def patch(call: Call) -> Reply:
    """Tags and a few settings; answered at once, as the specification allows."""
    return _changed(call, workspace_of(call), clean(call.json_object(), _PATCH))


def put(call: Call) -> Reply:
    """The whole of a workspace that exists, as clients send back what they read. Of its settings
    those change that a PATCH could change; a new workspace is 501."""
    resource = call.tenant.store.get(workspace_id(call))
    if resource is None:
        raise ArmError(
            501,
            "NotImplemented",
            "The emulator does not create workspaces: name them in the scenario file. It emulates "
            "reading, updating and tagging them.",
        )
    whole = clean(call.json_object(), _WHOLE)
    check_location(whole, resource)
    given = whole.get("properties") or {}
    known = {name: given[name] for name in _SETTINGS.properties if given.get(name) is not None}
    body = clean({"tags": whole.get("tags") or {}, "properties": known}, _PATCH)
    return _changed(call, resource, {**whole, **body})


def _changed(call: Call, resource: Resource, body: JsonObject) -> Reply:
    if body.get("tags") is not None:
        resource.body["tags"] = body["tags"]
    for name in ("identity", "sku"):
        if body.get(name) is not None:
            resource.body[name] = merged(resource.body[name], body[name])
    for name, value in (body.get("properties") or {}).items():
        resource.body["properties"][name] = value
    resource.changed = call.now
    call.tenant.store.put(resource)
    return Reply(200, render(resource, call))
