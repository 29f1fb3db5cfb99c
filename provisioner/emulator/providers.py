"""Resource providers: what they offer, and their registration in a subscription."""

from __future__ import annotations

from provisioner.emulator.errors import ArmError, JsonObject
from provisioner.emulator.store import Resource
from provisioner.emulator.tenant import Tenant
from provisioner.emulator.versions import (
    AUTHORIZATION_VERSIONS,
    COMPUTE_VERSIONS,
    LOCK_VERSIONS,
    ML_VERSIONS,
    ORDERING_VERSIONS,
    REGIONS,
    RESOURCES_VERSIONS,
    SERVERLESS_VERSIONS,
    WORKSPACE_VERSIONS,
)
from provisioner.emulator.wire import Call, Reply

_PROVIDERS: dict[str, dict[str, tuple[str, ...]]] = {
    "Microsoft.MachineLearningServices": {
        "workspaces": WORKSPACE_VERSIONS,
        "workspaces/serverlessEndpoints": SERVERLESS_VERSIONS,
        "workspaces/marketplaceSubscriptions": SERVERLESS_VERSIONS,
        "workspaces/onlineEndpoints": ML_VERSIONS,
        "workspaces/onlineEndpoints/deployments": ML_VERSIONS,
        "registries": ML_VERSIONS,
        "locations": COMPUTE_VERSIONS,
        "locations/usages": COMPUTE_VERSIONS,
        "locations/quotas": COMPUTE_VERSIONS,
        "locations/vmsizes": COMPUTE_VERSIONS,
        "locations/mfeOperationsStatus": ML_VERSIONS,
        "locations/mfeOperationResults": ML_VERSIONS,
    },
    "Microsoft.MarketplaceOrdering": {
        "agreements": ORDERING_VERSIONS,
        "offertypes": ORDERING_VERSIONS,
        "operations": ORDERING_VERSIONS,
    },
    "Microsoft.SaaS": {"resources": ("2018-03-01-beta",)},
    "Microsoft.Authorization": {
        "roleAssignments": AUTHORIZATION_VERSIONS,
        "roleDefinitions": AUTHORIZATION_VERSIONS,
        "denyAssignments": AUTHORIZATION_VERSIONS,
        "permissions": AUTHORIZATION_VERSIONS,
        "locks": LOCK_VERSIONS,
    },
    "Microsoft.Resources": {
        "subscriptions": RESOURCES_VERSIONS,
        "resourceGroups": RESOURCES_VERSIONS,
        "tags": RESOURCES_VERSIONS,
    },
}
_ALWAYS = {"microsoft.authorization", "microsoft.resources"}
_REGIONAL = {"workspaces", "registries", "locations"}


def registration(tenant: Tenant, subscription_id: str, namespace: str, now: float) -> str:
    """Registered, Registering or NotRegistered."""
    if namespace.lower() in _ALWAYS:
        return "Registered"
    subscription = tenant.subscription(subscription_id)
    made = tenant.store.document("registrations").get(f"{subscription_id}/{namespace}".lower())
    if made is not None:
        if made["state"] == "NotRegistered":
            return "NotRegistered"
        return "Registered" if now >= made["due"] else "Registering"
    given = {name.lower() for name in subscription.registered_providers}
    return "Registered" if namespace.lower() in given else "NotRegistered"


def require_registration(call: Call, namespace: str) -> None:
    """Raise ARM's 409 when a subscription has not registered a provider."""
    subscription_id = call.params["subscriptionId"]
    if registration(call.tenant, subscription_id, namespace, call.now) != "Registered":
        raise ArmError(
            409,
            "MissingSubscriptionRegistration",
            f"The subscription is not registered to use namespace '{namespace}'. See "
            "https://aka.ms/rps-not-found for how to register subscriptions.",
            details=[
                {
                    "code": "MissingSubscriptionRegistration",
                    "target": namespace,
                    "message": f"The subscription is not registered to use namespace "
                    f"'{namespace}'. See https://aka.ms/rps-not-found for how to register "
                    "subscriptions.",
                }
            ],
        )


def require_location(call: Call, workspace: Resource, kind: str) -> None:
    """Raise ARM's 400 when the provider does not offer a resource type where the workspace is."""
    offered = _locations(call.tenant, workspace.subscription, kind)
    if workspace.location in offered:
        return
    raise ArmError(
        400,
        "LocationNotAvailableForResourceType",
        f"The provided location '{workspace.location}' is not available for resource type "
        f"'Microsoft.MachineLearningServices/{kind}'. List of available regions for the resource "
        f"type is '{','.join(offered)}'.",
    )


def _locations(tenant: Tenant, subscription_id: str, kind: str) -> tuple[str, ...]:
    """The regions that a provider reports for one of its types: all, or what the scenario says."""
    narrowed = tenant.subscription(subscription_id).resource_locations.get(kind)
    if narrowed is not None:
        return tuple(region for region in REGIONS if region in narrowed)
    return tuple(REGIONS) if kind.partition("/")[0] in _REGIONAL else ()


def mark_registered(call: Call, namespace: str) -> None:
    """Register a provider at once, if it is not."""
    subscription_id = call.params["subscriptionId"]
    if registration(call.tenant, subscription_id, namespace, call.now) != "Registered":
        key = f"{subscription_id}/{namespace}".lower()
        entry = {"state": "Registering", "due": call.now}
        call.tenant.store.document("registrations")[key] = entry
        call.tenant.store.touch("registrations")


def _namespace(call: Call) -> str:
    asked = call.params["namespace"]
    for name in _PROVIDERS:
        if name.lower() == asked.lower():
            return name
    raise ArmError(
        404,
        "InvalidResourceNamespace",
        f"The resource namespace '{asked}' is invalid. The emulator knows {', '.join(_PROVIDERS)}.",
    )


def _provider(call: Call, namespace: str) -> JsonObject:
    subscription_id = call.params["subscriptionId"]
    types = [
        {
            "resourceType": kind,
            "locations": [
                REGIONS[region][0] for region in _locations(call.tenant, subscription_id, kind)
            ],
            "apiVersions": list(reversed(versions)),
            "defaultApiVersion": versions[-1],
            "capabilities": "SupportsTags, SupportsLocation" if "/" not in kind else "None",
        }
        for kind, versions in _PROVIDERS[namespace].items()
    ]
    return {
        "id": f"/subscriptions/{subscription_id}/providers/{namespace}",
        "namespace": namespace,
        "registrationPolicy": "RegistrationFree"
        if namespace.lower() in _ALWAYS
        else "RegistrationRequired",
        "registrationState": registration(call.tenant, subscription_id, namespace, call.now),
        "resourceTypes": types,
    }


def get_provider(call: Call) -> Reply:
    return Reply(200, _provider(call, _namespace(call)))


def list_providers(call: Call) -> Reply:
    return Reply(200, {"value": [_provider(call, name) for name in _PROVIDERS]})


def register(call: Call) -> Reply:
    """Answers Registering at once; the GET shows Registered some time later."""
    namespace = _namespace(call)
    key = f"{call.params['subscriptionId']}/{namespace}".lower()
    state = registration(call.tenant, call.params["subscriptionId"], namespace, call.now)
    if state == "NotRegistered":
        seconds = call.tenant.scenario.durations.provider_registration.of(key)
        document = call.tenant.store.document("registrations")
        document[key] = {"state": "Registering", "due": call.now + seconds}
        call.tenant.store.touch("registrations")
    return Reply(200, _provider(call, namespace))


def unregister(call: Call) -> Reply:
    namespace = _namespace(call)
    key = f"{call.params['subscriptionId']}/{namespace}".lower()
    call.tenant.store.document("registrations")[key] = {"state": "NotRegistered", "due": 0.0}
    call.tenant.store.touch("registrations")
    return Reply(200, _provider(call, namespace))
