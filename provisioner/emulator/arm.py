"""Azure Resource Manager itself: subscriptions, locations, resource groups."""

from __future__ import annotations

from collections.abc import Iterator

from provisioner.emulator.errors import ArmError, JsonObject
from provisioner.emulator.mlresource import TAGS
from provisioner.emulator.paging import arm_page
from provisioner.emulator.resources import parse_filter
from provisioner.emulator.rights import covers
from provisioner.emulator.scenario_types import Subscription
from provisioner.emulator.store import Resource
from provisioner.emulator.tenant import Tenant
from provisioner.emulator.validation import Obj, clean
from provisioner.emulator.versions import REGIONS
from provisioner.emulator.wire import Call, Reply


def _subscription(subscription: Subscription, tenant: Tenant) -> JsonObject:
    return {
        "id": f"/subscriptions/{subscription.id}",
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
        "subscriptionId": subscription.id,
        "tenantId": tenant.scenario.tenant_id,
        "displayName": subscription.name,
        "state": subscription.state,
        "subscriptionPolicies": {
            "locationPlacementId": "Public_2014-09-01",
            "quotaId": subscription.quota_id,
            "spendingLimit": subscription.spending_limit,
        },
        "tags": _subscription_tags(tenant, subscription),
    }


def _subscription_tags(tenant: Tenant, subscription: Subscription) -> JsonObject:
    stored = tenant.store.document("subscriptionTags").get(subscription.id.lower())
    return dict(subscription.tags) if stored is None else dict(stored)


def _visible(call: Call, scope: str) -> bool:
    """Whether the caller may see something: any role at, above or below its scope shows it."""
    rights, who = call.tenant.rights, call.caller.object_id.lower()
    return any(
        a.principal_id.lower() == who and (covers(a.scope, scope) or covers(scope, a.scope))
        for a in rights.assignments
    )


def list_subscriptions(call: Call) -> Reply:
    shown = [
        _subscription(s, call.tenant)
        for s in call.tenant.scenario.subscriptions
        if _visible(call, f"/subscriptions/{s.id}")
    ]
    # The specification requires nextLink; empty is what clients take for the end of the list.
    return Reply(200, {"value": shown, "nextLink": ""})


def get_subscription(call: Call) -> Reply:
    subscription = call.tenant.subscription(call.params["subscriptionId"])
    if not _visible(call, f"/subscriptions/{subscription.id}"):
        who = call.caller
        raise ArmError(
            403,
            "AuthorizationFailed",
            f"The client '{who.client_id}' with object id '{who.object_id}' does not have "
            "authorization to perform action 'Microsoft.Resources/subscriptions/read' over scope "
            f"'/subscriptions/{subscription.id}' or the scope is invalid. If access was recently "
            "granted, please refresh your credentials.",
        )
    return Reply(200, _subscription(subscription, call.tenant))


def list_tenants(call: Call) -> Reply:
    tenant = call.tenant.scenario.tenant_id
    return Reply(
        200,
        {
            "value": [
                {
                    "id": f"/tenants/{tenant}",
                    "tenantId": tenant,
                    "tenantCategory": "Home",
                    "countryCode": "US",
                    "displayName": "Emulated tenant",
                    "domains": ["emulator.example"],
                    "defaultDomain": "emulator.example",
                    "tenantType": "AAD",
                }
            ],
            "nextLink": "",
        },
    )


def list_locations(call: Call) -> Reply:
    subscription = call.tenant.subscription(call.params["subscriptionId"])
    root = f"/subscriptions/{subscription.id}/locations"
    return Reply(
        200,
        {
            "value": [
                {
                    "id": f"{root}/{name}",
                    "name": name,
                    "type": "Region",
                    "displayName": display,
                    "regionalDisplayName": f"({group}) {display}",
                    "metadata": {
                        "regionType": "Physical",
                        "regionCategory": "Recommended",
                        "geography": group,
                        "geographyGroup": group,
                    },
                }
                for name, (display, group) in REGIONS.items()
            ]
        },
    )


# -- resource groups -----------------------------------------------------------------------


def render_group(resource: Resource, call: Call) -> JsonObject:
    return {
        "id": resource.id,
        "name": resource.name,
        "type": "Microsoft.Resources/resourceGroups",
        "location": resource.location,
        "tags": resource.body.get("tags") or {},
        "properties": {"provisioningState": resource.state},
    }


def _group(call: Call) -> Resource:
    return call.tenant.group(call.params["subscriptionId"], call.params["resourceGroupName"])


def get_group(call: Call) -> Reply:
    return Reply(200, render_group(_group(call), call))


def head_group(call: Call) -> Reply:
    p = call.params
    place = f"/subscriptions/{p['subscriptionId']}/resourceGroups/{p['resourceGroupName']}"
    return Reply(204 if call.tenant.store.get(place) is not None else 404)


def list_groups(call: Call) -> Reply:
    root = f"/subscriptions/{call.params['subscriptionId']}"
    found: Iterator[Resource] = iter(call.tenant.store.children(root, "resourceGroups").values())
    condition = parse_filter(call)
    if condition is not None:
        found = (g for g in found if condition.holds(g))
    return arm_page(call, [g for g in found if _visible(call, g.id)], render_group)


_GROUP_PATCH = Obj({"name": "string", "tags": TAGS, "managedBy": "string", "properties": Obj({})})


def patch_group(call: Call) -> Reply:
    group = _group(call)
    body = clean(call.json_object(), _GROUP_PATCH)
    if body.get("tags") is not None:
        group.body["tags"] = body["tags"]
        group.changed = call.now
        call.tenant.store.put(group)
    return Reply(200, render_group(group, call))
