"""Managed online endpoints (AZURE.md §4): definition, traffic, keys, tokens, shared quota."""

from __future__ import annotations

import datetime as dt
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, Final

from provisioner.emulator import quota
from provisioner.emulator.errors import JsonObject, bad_argument
from provisioner.emulator.mlresource import (
    IDENTITY,
    PARTIAL_IDENTITY,
    PARTIAL_SKU,
    SKU,
    SWITCH,
    TAGS,
    as_read,
    check_free,
    check_host,
    check_location,
    child,
    envelope,
    hold_name,
    identity_shown,
    merged,
    new_child,
    remember_stale,
    workspace_of,
)
from provisioner.emulator.operations import Work, accepted, created, status_path
from provisioner.emulator.paging import Order, ml_page
from provisioner.emulator.providers import require_location, require_registration
from provisioner.emulator.serverless import NAMESPACE, new_keys, shown_keys
from provisioner.emulator.store import Operation, Resource
from provisioner.emulator.tenant import Tenant, new_key, refuse
from provisioner.emulator.validation import Map, Obj, Shape, clean
from provisioner.emulator.wire import Call, Reply

KIND: Final = "onlineEndpoints"
SHARED = "SharedComputeCapacityEnabled"
DEADLINE = "TargetAutoDeletionTime"
SHARED_LIFETIME = 168 * 3600.0  # seconds that an endpoint on shared quota lives
TOKEN_LIFETIME = 12 * 3600  # seconds of an endpoint token (AMLToken)
_MODES = {"key": "Key", "amltoken": "AMLToken", "aadtoken": "AADToken"}
_TRAFFIC = Map("integer")
_CHANGEABLE: dict[str, Shape] = {
    "traffic": _TRAFFIC,
    "mirrorTraffic": _TRAFFIC,
    "publicNetworkAccess": SWITCH,
}
_PROPERTIES = Obj(
    {
        **_CHANGEABLE,
        "authMode": "string",
        "description": "string",
        "keys": Obj({"primaryKey": "string", "secondaryKey": "string"}),
        "properties": Map("string"),
        "compute": "string",
    },
    required=("authMode",),
)
_BODY = Obj(
    {
        "properties": _PROPERTIES,
        "location": "string",
        "tags": TAGS,
        "identity": IDENTITY,
        "sku": SKU,
        "kind": "string",
    },
    required=("location", "properties"),
)
_PATCH = Obj({"tags": TAGS, "identity": PARTIAL_IDENTITY})
# Only 2022-02-01-preview can change the traffic with a PATCH.
_OLD_PATCH = Obj(
    {
        **_PATCH.properties,
        "sku": PARTIAL_SKU,
        "kind": "string",
        "location": "string",
        "properties": Obj(_CHANGEABLE),
    }
)


def render(resource: Resource, call: Call) -> JsonObject:
    own: JsonObject = resource.body["properties"]
    base = f"{call.tenant.base_url}/online/{resource.location}/{resource.name}"
    ready = bool(resource.facts.get("served"))
    bag = {**(own.get("properties") or {}), "azureml.onlineendpointid": resource.key}
    last = resource.facts.get("operation")
    if last:
        bag["AzureAsyncOperationUri"] = last
    properties = {
        "description": own.get("description"),
        "properties": bag,
        "scoringUri": f"{base}/score" if ready else None,
        "swaggerUri": f"{base}/swagger.json" if ready else None,
        "authMode": own["authMode"],
        "provisioningState": resource.state,
        "compute": own.get("compute"),
        "traffic": own.get("traffic") or {},
        "mirrorTraffic": own.get("mirrorTraffic") or {},
        "publicNetworkAccess": own.get("publicNetworkAccess") or "Enabled",
    }
    return envelope(resource, properties)


def list_(call: Call) -> Reply:
    """Endpoints, by the specification's filters: name, tags (`a=b,c`), properties, computeType."""
    workspace = workspace_of(call)
    found = list(call.tenant.store.children(workspace.key, KIND).values())
    name = call.query.get("name")
    if name:
        found = [e for e in found if e.name.lower() == name.lower()]
    for wish, bag in (("tags", "tags"), ("properties", "properties")):
        if call.query.get(wish):
            pairs = [part.partition("=") for part in call.query[wish].split(",")]
            found = [e for e in found if _has(_bag(e, bag), pairs)]
    if _asked(call, "computeType", _COMPUTE_TYPES) not in ("", "managed"):
        found = []
    return ml_page(call, found, Order.named(_asked(call, "orderBy", _ORDERS)))


_COMPUTE_TYPES = ("Managed", "Kubernetes", "AzureMLCompute")
_ORDERS = ("CreatedAtDesc", "CreatedAtAsc", "UpdatedAtDesc", "UpdatedAtAsc")


def _asked(call: Call, name: str, words: tuple[str, ...]) -> str:
    """A query parameter in lower case, "" when it is absent; raises 400 for none of the words."""
    given = call.query.get(name.lower(), "")
    if given and given.lower() not in {word.lower() for word in words}:
        raise bad_argument(f"'{name}' must be one of {', '.join(words)}, not '{given[:40]}'.")
    return given.lower()


def _bag(resource: Resource, name: str) -> dict[str, str]:
    owner = resource.body if name == "tags" else resource.body["properties"]
    return dict(owner.get(name) or {})


def _has(bag: dict[str, str], pairs: list[tuple[str, str, str]]) -> bool:
    return all(k in bag and (not sep or bag[k] == v) for k, sep, v in pairs)


def existing(call: Call) -> Resource:
    """The endpoint that a path names; raises 404."""
    return child(call, workspace_of(call), KIND, call.params["endpointName"])


def get(call: Call) -> Reply:
    return Reply(200, render(as_read(existing(call), call.now), call))


def put(call: Call) -> Reply:
    require_registration(call, NAMESPACE)
    workspace = workspace_of(call)
    body = clean(call.json_object(), _BODY)
    check_location(body, workspace)
    name = call.params["endpointName"]
    mode = _MODES.get(str(body["properties"]["authMode"]).lower())
    if mode is None:
        raise bad_argument(f"The auth mode '{body['properties']['authMode']}' is not supported.")
    body["properties"]["authMode"] = mode
    if body["properties"].get("compute"):
        raise bad_argument(
            "The emulator has managed compute only: it runs no Kubernetes endpoint on "
            f"'{body['properties']['compute']}'.",
            "ComputeNotFound",
        )
    found = call.tenant.store.get(f"{workspace.id}/{KIND}/{name}")
    if found is not None:
        return _update(call, found, body)
    check_host(workspace)
    require_location(call, workspace, f"workspaces/{KIND}")
    check_free(call, workspace, KIND, name)
    check_traffic(call.tenant, None, body["properties"])
    store = call.tenant.store
    count = sum(
        e.location == workspace.location and e.subscription == workspace.subscription
        for e in store.of_kind(KIND)
    )
    subscription = call.tenant.subscription(workspace.subscription)
    refuse(quota.check_endpoint_count(subscription, count))
    resource = new_child(call, workspace, KIND, name, _defaults(call, body, workspace, name))
    given = body["properties"].pop("keys", None) or {}
    if mode == "Key":
        resource.keys = [given.get(k) or new_key() for k in ("primaryKey", "secondaryKey")]
    deadline = _deadline(call, resource)
    if deadline is not None:
        resource.facts["deadline"] = deadline
        call.tenant.engine.watch_deadline(resource.key, deadline)
    seconds = call.tenant.scenario.durations.online_endpoint.of(resource.key)
    return _begin(call, resource, work(call, "create", seconds), 201)


def work(call: Call, verb: str, seconds: float) -> Work:
    """Work that fails when a fault says so."""
    fate = call.fate
    failure = {"code": fate.code, "message": fate.message} if fate is not None else None
    return Work(verb, seconds, failure)


def _begin(call: Call, resource: Resource, what: Work, status: int) -> Reply:
    operation = call.tenant.engine.begin(call, resource, what)
    resource.facts["operation"] = call.link(status_path(operation))
    return created(call, operation, render(resource, call), status=status)


def _defaults(call: Call, body: JsonObject, workspace: Resource, name: str) -> JsonObject:
    properties = body["properties"]
    identity = body.get("identity") or {"type": "SystemAssigned"}
    return {
        "properties": {**properties, "properties": dict(properties.get("properties") or {})},
        "tags": body.get("tags") or {},
        "kind": body.get("kind") or "Managed",
        "sku": body.get("sku"),
        "identity": identity_shown(identity, call, f"{workspace.key}/{KIND}/{name}"),
    }


def is_shared(resource: Resource) -> bool:
    """Whether an endpoint runs on shared quota."""
    bag = resource.body["properties"].get("properties") or {}
    return str(bag.get(SHARED, "")).lower() == "true"


def _deadline(call: Call, resource: Resource) -> float | None:
    """When a shared-quota endpoint goes; never later than 168 h after its creation."""
    if not is_shared(resource):
        return None
    latest = call.now + SHARED_LIFETIME
    bag = resource.body["properties"]["properties"]
    text = bag.get(DEADLINE)
    if not text:
        bag[DEADLINE] = format_datetime(
            dt.datetime.fromtimestamp(latest, dt.UTC).replace(microsecond=0), usegmt=True
        )
        return latest
    try:
        asked = parsedate_to_datetime(str(text)).timestamp()
    except (ValueError, TypeError) as error:
        raise bad_argument(
            f"'{DEADLINE}' must be an RFC 1123 date in UTC, not '{text}'."
        ) from error
    return min(asked, latest)


def check_traffic(tenant: Tenant, endpoint: Resource | None, properties: JsonObject) -> None:
    """Raise 400 unless the traffic adds up to 0 or 100 and names deployments that exist."""
    traffic: dict[str, Any] = properties.get("traffic") or {}
    mirror: dict[str, Any] = properties.get("mirrorTraffic") or {}
    present: set[str] = set()
    if endpoint is not None:
        present = {
            d.name.lower() for d in tenant.store.children(endpoint.key, "deployments").values()
        }
    for what, share in (("traffic", traffic), ("mirrorTraffic", mirror)):
        for name, percent in share.items():
            if percent is None or not 0 <= percent <= 100:
                raise bad_argument(f"The {what} of '{name}' must be between 0 and 100.")
            if name.lower() not in present and percent:
                raise bad_argument(
                    f"The {what} rule names deployment '{name}', which does not exist in this "
                    "endpoint.",
                    "DeploymentNotFound",
                )
    total = sum(traffic.values())
    if total not in (0, 100):
        raise bad_argument(
            f"Traffic rules must add up to 0 or 100 percent, not {total}.", "InvalidTraffic"
        )
    if sum(mirror.values()) > 50 or len([p for p in mirror.values() if p]) > 1:
        raise bad_argument("Mirror traffic goes to one deployment, with 50 percent at most.")
    if any(percent and traffic.get(name) for name, percent in mirror.items()):
        raise bad_argument("A deployment that gets live traffic cannot get mirror traffic too.")


def _update(call: Call, resource: Resource, body: JsonObject) -> Reply:
    engine = call.tenant.engine
    engine.refuse_if_busy(resource.id, KIND)
    old = resource.body["properties"]
    properties = body["properties"]
    if properties["authMode"] != old["authMode"]:
        raise bad_argument(
            f"The auth mode of endpoint '{resource.name}' cannot be changed from "
            f"'{old['authMode']}' to '{properties['authMode']}'.",
            "ImmutableProperty",
        )
    check_traffic(call.tenant, resource, properties)
    remember_stale(call, resource)
    # The inner bag of properties can only be set at creation (AZURE.md §16); so can keys.
    kept = {"properties": old["properties"], "compute": old.get("compute")}
    properties.pop("keys", None)
    resource.body = {**resource.body, "properties": {**properties, **kept}}
    resource.body["tags"] = body.get("tags") or {}
    if body.get("identity") is not None:
        resource.body["identity"] = identity_shown(body["identity"], call, resource.key)
    if body.get("sku") is not None:
        resource.body["sku"] = body["sku"]
    resource.changed = call.now
    seconds = call.tenant.scenario.durations.update.of(resource.key)
    return _begin(call, resource, work(call, "update", seconds), 200)


def patch(call: Call) -> Reply:
    """Tags and identity; in the oldest version traffic as well. 202, as recorded for others."""
    resource = existing(call)
    old_version = call.api_version == "2022-02-01-preview"
    body = clean(call.json_object(), _OLD_PATCH if old_version else _PATCH)
    call.tenant.engine.refuse_if_busy(resource.id, KIND)
    own = resource.body["properties"]
    changes = {k: v for k, v in (body.get("properties") or {}).items() if v is not None}
    check_traffic(call.tenant, resource, {**own, **changes})
    remember_stale(call, resource)
    resource.body = {**resource.body, "properties": {**own, **changes}}
    if body.get("tags") is not None:
        resource.body["tags"] = body["tags"]
    if body.get("identity") is not None:
        identity = merged(resource.body["identity"], body["identity"])
        resource.body["identity"] = identity_shown(identity, call, resource.key)
    if body.get("sku") is not None:
        resource.body["sku"] = merged(resource.body.get("sku") or {}, body["sku"])
    resource.changed = call.now
    seconds = call.tenant.scenario.durations.update.of(resource.key)
    return accepted(call, call.tenant.engine.begin(call, resource, work(call, "update", seconds)))


def delete(call: Call) -> Reply:
    """The endpoint and, with it, its deployments."""
    workspace = workspace_of(call)
    name = call.params["endpointName"]
    resource = call.tenant.store.get(f"{workspace.id}/{KIND}/{name}")
    if resource is None:
        return Reply(204)
    call.tenant.engine.refuse_if_busy(resource.id, KIND)
    seconds = call.tenant.scenario.durations.delete.of(resource.key)
    return accepted(call, call.tenant.engine.begin(call, resource, work(call, "delete", seconds)))


def list_keys(call: Call) -> Reply:
    return Reply(200, shown_keys(existing(call).keys))


def regenerate_keys(call: Call) -> Reply:
    """202; the result behind Location has no body here, unlike the serverless one's."""
    resource = existing(call)
    call.tenant.engine.refuse_if_busy(resource.id, KIND)
    keys = new_keys(call, resource)
    seconds = call.tenant.scenario.durations.regenerate_keys.of(resource.key)
    resource.facts["next keys"] = keys
    what = Work("regenerate", seconds)
    return accepted(call, call.tenant.engine.begin(call, resource, what))


def get_token(call: Call) -> Reply:
    """A token of the endpoint's own, where its auth mode is AMLToken."""
    resource = existing(call)
    if resource.body["properties"]["authMode"] != "AMLToken":
        raise bad_argument(f"Endpoint '{resource.name}' does not authenticate with AML tokens.")
    token = new_key()
    issued: dict[str, float] = resource.facts.setdefault("tokens", {})
    for old in [t for t, until in issued.items() if until < call.now]:
        del issued[old]
    issued[token] = call.now + TOKEN_LIFETIME
    call.tenant.store.put(resource)
    return Reply(
        200,
        {
            "accessToken": token,
            "tokenType": "Bearer",
            "expiryTimeUtc": int(call.now + TOKEN_LIFETIME),
            "refreshAfterTimeUtc": int(call.now + TOKEN_LIFETIME / 2),
        },
    )


def remove(tenant: Tenant, resource: Resource, when: float) -> None:
    """Take an endpoint and its deployments away at once; what ran on them is over."""
    for deployment in list(tenant.store.children(resource.key, "deployments").values()):
        tenant.store.remove(deployment)
    tenant.store.remove(resource)
    hold_name(tenant, resource, when)


def ended(tenant: Tenant, resource: Resource, operation: Operation, when: float) -> None:
    """What else happens when an operation on an endpoint is over."""
    if resource.kind != KIND:
        return
    if operation.verb == "delete":
        if operation.failure is None:
            remove(tenant, resource, when)
        return
    if operation.verb == "regenerate":
        resource.keys = resource.facts.pop("next keys", resource.keys)
    elif resource.state == "Succeeded":
        resource.facts["served"] = True
    tenant.store.put(resource)
