"""Usages, quotas and VM sizes of a region (AZURE.md §8)."""

from __future__ import annotations

from provisioner.emulator import quota
from provisioner.emulator.deployment_rules import held
from provisioner.emulator.errors import ArmError, JsonObject
from provisioner.emulator.validation import Arr, Obj, clean
from provisioner.emulator.versions import REGIONS
from provisioner.emulator.vm_sizes import as_arm, load_vm_sizes
from provisioner.emulator.wire import Call, Reply

_TYPE = "Microsoft.MachineLearningServices"
_UPDATE = Obj(
    {
        "value": Arr(Obj({"id": "string", "type": "string", "limit": "long", "unit": "string"})),
        "location": "string",
    }
)


def _location(call: Call) -> str:
    location = call.params["location"].lower().replace(" ", "")
    if location not in REGIONS:
        raise ArmError(
            400,
            "LocationNotAvailableForResourceType",
            f"The provided location '{call.params['location']}' is not available for resource "
            "type 'Microsoft.MachineLearningServices/locations'. List of available regions for "
            f"the resource type is '{','.join(REGIONS)}'.",
        )
    return location


def _rows(call: Call, location: str) -> tuple[quota.Usage, ...]:
    subscription = call.tenant.subscription(call.params["subscriptionId"])
    uses = [use for _, use in held(call.tenant, subscription.id, location)]
    return quota.usages(subscription, location, uses)


def _entry(call: Call, location: str, kind: str, name: str, label: str) -> JsonObject:
    root = f"/subscriptions/{call.params['subscriptionId']}/providers/{_TYPE}/locations/{location}"
    since_2022 = {} if call.api_version < "2022" else {"amlWorkspaceLocation": location}
    return {
        "id": f"{root}/{kind}/{name}",
        "type": f"{_TYPE}/{kind}",
        **since_2022,
        "unit": "Count",
        "name": {"value": name, "localizedValue": label},
    }


def usages(call: Call) -> Reply:
    location = _location(call)
    value = [
        {
            **_entry(call, location, "usages", row.family.name, row.family.label),
            "currentValue": row.used,
            "limit": row.limit,
        }
        for row in _rows(call, location)
    ]
    return Reply(200, {"value": value})


def quotas(call: Call) -> Reply:
    location = _location(call)
    value = [
        {
            **_entry(call, location, "quotas", row.family.name, row.family.label),
            "limit": row.limit,
        }
        for row in _rows(call, location)
    ]
    return Reply(200, {"value": value})


def update_quotas(call: Call) -> Reply:
    """Accepted in form, refused in substance: the subscription's limits come from the scenario."""
    _location(call)
    body = clean(call.json_object(), _UPDATE)
    value = [
        {
            **{name: wish[name] for name in ("id", "limit") if name in wish},
            "type": wish.get("type") or f"{_TYPE}/quotas",
            "unit": "Count",
            "status": "InvalidQuotaExceedsSubscriptionLimit",
        }
        for wish in body.get("value") or []
    ]
    return Reply(200, {"value": value})


def vm_sizes(call: Call) -> Reply:
    _location(call)
    sizes = [as_arm(size) for size in load_vm_sizes().values()]
    return Reply(200, {"amlCompute" if call.api_version < "2022" else "value": sizes})
