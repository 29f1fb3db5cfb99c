"""Making and removing resource groups. A group that holds workspaces stays: those come from the
scenario and are not emulated as things that end."""

from __future__ import annotations

import re

from provisioner.emulator.arm import render_group
from provisioner.emulator.errors import ArmError
from provisioner.emulator.mlresource import TAGS
from provisioner.emulator.store import Resource
from provisioner.emulator.validation import Obj, clean
from provisioner.emulator.versions import REGIONS
from provisioner.emulator.wire import Call, Reply

_NAME = re.compile(r"[-\w._()]{0,89}[-\w_()]")
_BODY = Obj(
    {"location": "string", "tags": TAGS, "managedBy": "string", "properties": Obj({})},
    required=("location",),
)


def put_group(call: Call) -> Reply:
    """201 for a new group, 200 for a known one, whose location cannot change."""
    name = call.params["resourceGroupName"]
    body = clean(call.json_object(), _BODY)
    location = str(body["location"]).lower().replace(" ", "")
    subscription = call.params["subscriptionId"]
    place = f"/subscriptions/{subscription}/resourceGroups/{name}"
    known = call.tenant.store.get(place)
    status = 201 if known is None else 200
    if known is None:
        _check(name, location)
        known = _new(call, place, location)
    elif known.location != location:
        raise ArmError(
            409,
            "InvalidResourceGroupLocation",
            f"Invalid resource group location '{location}'. The Resource group already exists in "
            f"location '{known.location}'.",
        )
    known.body["tags"] = body.get("tags") or {}
    known.changed = call.now
    call.tenant.store.put(known)
    return Reply(status, render_group(known, call))


def delete_group(call: Call) -> Reply:
    """200 when it is gone at once. Raises 404, and 409 while it holds workspaces."""
    group = call.tenant.group(call.params["subscriptionId"], call.params["resourceGroupName"])
    if call.tenant.store.children(group.key, "workspaces"):
        raise ArmError(
            409,
            "ResourceGroupNotEmpty",
            f"The resource group '{group.name}' holds workspaces, and the emulator deletes none: "
            "they come from the scenario file.",
        )
    call.tenant.store.remove(group)
    return Reply(200)


def _check(name: str, location: str) -> None:
    if not _NAME.fullmatch(name):
        raise ArmError(
            400,
            "InvalidResourceGroup",
            f"The provided resource group name '{name}' has these invalid characters, or ends in a "
            "period. The name can only be letters, digits, '-', '.', '(', ')' or '_'.",
        )
    if location not in REGIONS:
        raise ArmError(
            400,
            "LocationNotAvailableForResourceGroup",
            f"The provided location '{location}' is not available for resource group. List of "
            f"available regions is '{','.join(REGIONS)}'.",
        )


def _new(call: Call, place: str, location: str) -> Resource:
    subscription = call.params["subscriptionId"]
    return Resource(
        id=place,
        kind="resourceGroups",
        name=call.params["resourceGroupName"],
        parent=f"/subscriptions/{subscription}",
        subscription=subscription.lower(),
        group=call.params["resourceGroupName"],
        workspace="",
        location=location,
        body={},
        state="Succeeded",
        created=call.now,
        created_by=call.caller.object_id,
        changed=call.now,
    )
