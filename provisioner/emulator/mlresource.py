"""What the children of a workspace share: lookup, listing, envelopes, stale reads."""

from __future__ import annotations

import copy
import re
import uuid
from collections.abc import Mapping

from provisioner.emulator import names
from provisioner.emulator.clock import iso
from provisioner.emulator.errors import ArmError, JsonObject, bad_argument, not_found
from provisioner.emulator.store import Resource
from provisioner.emulator.tenant import Tenant, refuse
from provisioner.emulator.validation import Map, Obj, enum
from provisioner.emulator.wire import Call

NAMESPACE = "Microsoft.MachineLearningServices"
TYPES = {
    "workspaces": f"{NAMESPACE}/workspaces",
    "serverlessEndpoints": f"{NAMESPACE}/workspaces/serverlessEndpoints",
    "marketplaceSubscriptions": f"{NAMESPACE}/workspaces/marketplaceSubscriptions",
    "onlineEndpoints": f"{NAMESPACE}/workspaces/onlineEndpoints",
    "deployments": f"{NAMESPACE}/workspaces/onlineEndpoints/deployments",
}
MOST_TAGS = 50  # that a resource may carry
_LONGEST_TAG_NAME, _LONGEST_TAG_VALUE = 512, 256
_NOT_IN_TAG_NAMES = re.compile(r"[<>%&\\?/\x00-\x1f\x7f]")


def check_tags(tags: JsonObject) -> None:
    """ARM's limits of tags, which hold for every resource; a value of null becomes empty."""
    if len(tags) > MOST_TAGS:
        raise ArmError(
            400,
            "InvalidTags",
            f"A resource can have {MOST_TAGS} tags at most; the request would give it {len(tags)}.",
        )
    if len({name.lower() for name in tags}) < len(tags):
        raise ArmError(
            400,
            "InvalidRequestContent",
            "The request content was invalid: names of tags do not differ by case alone.",
        )
    for name, value in tags.items():
        tags[name] = value or ""
        _check_tag(name, tags[name])


def _check_tag(name: str, value: str) -> None:
    if _NOT_IN_TAG_NAMES.search(name):
        raise ArmError(
            400,
            "InvalidTagNameCharacters",
            f"The tag name '{name[:600]}' has reserved characters, of '<,>,%,&,\\,?,/', or control "
            "characters.",
        )
    if not name or len(name) > _LONGEST_TAG_NAME:
        raise ArmError(
            400,
            "InvalidTagName",
            f"The tag name '{name[:600]}' must have 1 to {_LONGEST_TAG_NAME} characters.",
        )
    if len(value) > _LONGEST_TAG_VALUE:
        raise ArmError(
            400,
            "InvalidTagValueLength",
            f"The value of tag '{name}' must have at most {_LONGEST_TAG_VALUE} characters; it has "
            f"{len(value)}.",
        )


TAGS = Map("string", check_tags)
SKU = Obj(
    {
        "name": "string",
        "tier": enum("Free", "Basic", "Standard", "Premium"),
        "size": "string",
        "family": "string",
        "capacity": "integer",
    },
    required=("name",),
)
PARTIAL_SKU = Obj(SKU.properties)
_IDENTITIES = enum("None", "SystemAssigned", "UserAssigned", "SystemAssigned,UserAssigned")
IDENTITY = Obj({"type": _IDENTITIES, "userAssignedIdentities": Map(Obj({}))}, required=("type",))
SWITCH = enum("Enabled", "Disabled")
PARTIAL_IDENTITY = Obj(IDENTITY.properties)


def workspace_of(call: Call) -> Resource:
    """The workspace that a path names; raises ARM's 404."""
    p = call.params
    found = call.tenant.store.get(workspace_id(call))
    if found is None:
        raise not_found(TYPES["workspaces"], p["workspaceName"], p["resourceGroupName"])
    return found


def check_host(workspace: Resource) -> None:
    """Refuse a new endpoint or subscription where the workspace can host none.

    A feature store hosts none, and nothing is made in what is being deleted. No public text has
    the provider's words for either.
    """
    if workspace.body["kind"] == "FeatureStore":
        raise bad_argument(
            f"Workspace '{workspace.name}' is of kind 'FeatureStore', which does not support "
            "endpoints.",
            "NotSupported",
        )
    if workspace.state == "Deleting":
        raise bad_argument(
            f"Workspace '{workspace.name}' is in provisioning state 'Deleting'.",
            "WorkspaceNotReady",
        )


def workspace_id(call: Call) -> str:
    p = call.params
    return (
        f"/subscriptions/{p['subscriptionId']}/resourceGroups/{p['resourceGroupName']}"
        f"/providers/{NAMESPACE}/workspaces/{p['workspaceName']}"
    )


def new_child(call: Call, parent: Resource, kind: str, name: str, body: JsonObject) -> Resource:
    """A resource that is about to be created under a parent, in the parent's region."""
    return Resource(
        id=f"{parent.id}/{kind}/{name}",
        kind=kind,
        name=name,
        parent=parent.key,
        subscription=parent.subscription,
        group=parent.group,
        workspace=parent.workspace,
        location=parent.location,
        body=body,
        state="Creating",
        created=call.now,
        created_by=call.caller.object_id,
        changed=call.now,
    )


def child(call: Call, parent: Resource, kind: str, name: str) -> Resource:
    """An existing child; raises ARM's 404."""
    found = call.tenant.store.get(f"{parent.id}/{kind}/{name}")
    if found is None:
        where = TYPES[kind].removesuffix(f"/{kind}")
        label = f"{where}/{parent.name}/{kind}"
        if kind == "deployments":
            label = f"{TYPES['workspaces']}/{parent.workspace}/onlineEndpoints/{parent.name}/{kind}"
        raise not_found(label, name, parent.group)
    return found


def check_free(call: Call, parent: Resource, kind: names.Kind, name: str) -> None:
    """Raise the provider's 400 for a name that is malformed, taken in the region or still held."""
    refuse(names.pattern_refusal(kind, name))
    region = parent.location
    tenant = call.tenant
    claims = [names.Claim(kind, region, name, r.id) for r in tenant.store.named(kind, region, name)]
    held = tenant.store.document("held").get(f"{kind}/{region}/{name}".lower())
    if held is not None:
        claims.append(names.Claim(kind, region, name, held["id"], held["released"]))
    wanted = names.Claim(kind, region, name, f"{parent.id}/{kind}/{name}")
    refuse(names.taken_refusal(wanted, claims, call.now, tenant.scenario.behaviour.name_hold))


def hold_name(tenant: Tenant, resource: Resource, when: float) -> None:
    """Remember when a name was released, for as long as the scenario holds names."""
    hold = tenant.scenario.behaviour.name_hold
    if hold <= 0:
        return
    held = tenant.store.document("held")
    for name in [name for name, claim in held.items() if claim["released"] + hold < when]:
        del held[name]
    key = f"{resource.kind}/{resource.location}/{resource.name}".lower()
    held[key] = {"id": resource.id, "released": when}
    tenant.store.touch("held")


def check_location(body: Mapping[str, object], parent: Resource) -> None:
    """A tracked child lives in its workspace's region; ARM refuses anything else."""
    asked = str(body.get("location", "")).lower().replace(" ", "")
    if asked != parent.location:
        raise ArmError(
            400,
            "LocationNotMatched" if asked else "LocationRequired",
            f"The location '{body.get('location')}' differs from the workspace's location "
            f"'{parent.location}'."
            if asked
            else "The location property is required for this definition.",
        )


def system_data(resource: Resource) -> JsonObject:
    return {
        "createdAt": iso(resource.created),
        "createdBy": resource.created_by,
        "createdByType": "Application",
        "lastModifiedAt": iso(resource.changed),
        "lastModifiedBy": resource.created_by,
        "lastModifiedByType": "Application",
    }


def envelope(resource: Resource, properties: JsonObject, *, tracked: bool = True) -> JsonObject:
    """The parts that every resource shows around its properties, in the recorded order."""
    shown: JsonObject = {
        "id": resource.id,
        "name": resource.name,
        "type": TYPES[resource.kind],
        "properties": properties,
        "systemData": system_data(resource),
    }
    if tracked:
        body = resource.body
        shown["tags"] = body.get("tags") or {}
        shown["location"] = resource.location
        for name in ("kind", "identity", "sku"):
            if body.get(name) is not None:
                shown[name] = body[name]
    return shown


def merged(old: JsonObject, new: JsonObject | None) -> JsonObject:
    """What a partial object leaves of an old one: values that are given replace, nulls do not."""
    return {**old, **{name: value for name, value in (new or {}).items() if value is not None}}


def identity_shown(identity: JsonObject | None, call: Call, seed: str) -> JsonObject | None:
    """A managed identity with the ids that the service fills in."""
    if identity is None:
        return None
    shown: JsonObject = {"type": identity.get("type")}
    if "SystemAssigned" in str(identity.get("type")):
        shown["principalId"] = str(uuid.uuid5(uuid.NAMESPACE_URL, seed.lower()))
        shown["tenantId"] = call.tenant.scenario.tenant_id
    assigned = identity.get("userAssignedIdentities")
    if assigned and "UserAssigned" in str(identity.get("type")):
        # In a PATCH, null takes an identity away.
        shown["userAssignedIdentities"] = {
            name: _user_identity(name) for name, wanted in assigned.items() if wanted is not None
        }
    return shown


def _user_identity(resource_id: str) -> JsonObject:
    """The ids of a user-assigned identity; such identities live outside of the emulator."""
    return {
        name: str(uuid.uuid5(uuid.NAMESPACE_URL, f"{resource_id.lower()}/{name}"))
        for name in ("principalId", "clientId")
    }


def remember_stale(call: Call, resource: Resource) -> None:
    """Keep the definition before a change, to be shown for a while (AZURE.md §16)."""
    seconds = call.tenant.scenario.behaviour.stale_read
    if seconds > 0:
        resource.stale = {
            "until": call.now + seconds,
            "body": copy.deepcopy(resource.body),
            "state": resource.state,
            "facts": copy.deepcopy(resource.facts),
        }


def as_read(resource: Resource, now: float) -> Resource:
    """The resource as a GET sees it: the old definition while a stale read lasts."""
    stale = resource.stale
    if stale is None or now >= stale["until"]:
        return resource
    shown = copy.copy(resource)
    shown.body, shown.state = stale["body"], stale["state"]
    shown.facts = stale.get("facts", resource.facts)
    return shown
