"""Serverless endpoints (AZURE.md §2): PUT 201/200, PATCH 200, DELETE 202/204, keys.

`contentSafety` exists from 2024-10-01 on, and `authMode` is required there; 2024-01-01-preview
knows `offer` instead. Content Safety is on unless the client turns it off.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from provisioner.emulator import offers
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
from provisioner.emulator.models import Model, parse_asset_id
from provisioner.emulator.operations import Work, accepted, created
from provisioner.emulator.paging import ml_page
from provisioner.emulator.providers import require_location, require_registration
from provisioner.emulator.store import Operation, Resource
from provisioner.emulator.tenant import Tenant, new_key, refuse
from provisioner.emulator.validation import Obj, Shape, clean, enum
from provisioner.emulator.wire import Call, Reply

KIND: Final = "serverlessEndpoints"
NAMESPACE = "Microsoft.MachineLearningServices"
STABLE = "2024-10-01"
_MODEL_SETTINGS = Obj({"modelId": "string"}, required=("modelId",))
_OFFER = Obj({"publisher": "string", "offerName": "string"}, required=("publisher", "offerName"))
_PATCH = Obj({"tags": TAGS, "sku": PARTIAL_SKU, "identity": PARTIAL_IDENTITY})
KEY_REQUEST = Obj({"keyType": "string", "keyValue": "string"}, required=("keyType",))


def _shape(stable: bool) -> Obj:
    modes = enum("Key") if stable else enum("Key", "AAD")
    properties: dict[str, Shape] = {"authMode": modes, "modelSettings": _MODEL_SETTINGS}
    if stable:
        properties["contentSafety"] = Obj(
            {"contentSafetyStatus": SWITCH}, required=("contentSafetyStatus",)
        )
    else:
        properties["offer"] = _OFFER
    return Obj(
        {
            "properties": Obj(properties, required=("authMode",) if stable else ()),
            "location": "string",
            "tags": TAGS,
            "sku": SKU,
            "identity": IDENTITY,
            "kind": "string",
        },
        required=("location", "properties"),
    )


_BODY = {True: _shape(True), False: _shape(False)}


def endpoint_state(tenant: Tenant, resource: Resource) -> str:
    """ServerlessEndpointState of AZURE.md §12; Suspended also when nobody pays any more."""
    if resource.state in ("Creating", "Deleting"):
        return resource.state
    if resource.state == "Failed" and not resource.facts.get("served"):
        return "CreationFailed"
    owner = tenant.scenario.subscription(resource.subscription)
    unpaid = owner is not None and owner.read_only
    return "Suspended" if unpaid or resource.facts.get("suspended") else "Online"


def render(resource: Resource, call: Call) -> JsonObject:
    own: JsonObject = resource.body["properties"]
    state = endpoint_state(call.tenant, resource)
    properties: JsonObject = {
        "authMode": own["authMode"],
        "modelSettings": own.get("modelSettings"),
        "inferenceEndpoint": None,
        "marketplaceSubscriptionId": resource.facts.get("subscription"),
        "provisioningState": resource.state,
        "endpointState": state,
    }
    if call.api_version >= STABLE:
        properties["contentSafety"] = own["contentSafety"]
    else:
        properties["offer"] = own.get("offer")
        properties["capacityReservation"] = None
    if resource.facts.get("served"):
        properties["inferenceEndpoint"] = {
            "uri": f"{call.tenant.base_url}/serverless/{resource.location}/{resource.name}",
            "headers": {},
        }
    return envelope(resource, properties)


def model_of(tenant: Tenant, model_id: str) -> Model | None:
    """The model that an id names, or None; a version that is named must be one of its own."""
    parsed = parse_asset_id(model_id)
    if parsed is None:
        return None
    model = tenant.model(parsed[0], parsed[1])
    known = model is not None and parsed[2] in (None, *model.versions)
    return model if known else None


def buyer_of(call: Call, workspace: Resource) -> offers.Buyer:
    return offers.Buyer(
        subscription=call.tenant.subscription(workspace.subscription),
        region=workspace.location,
        today=dt.datetime.fromtimestamp(call.now, dt.UTC).date(),
        availability=call.tenant.scenario.offer_availability,
        correlation=call.request_id,
    )


def subscription_for(tenant: Tenant, workspace: Resource, model: Model) -> Resource | None:
    """The workspace's subscription to a model, whatever its name."""
    for candidate in tenant.store.children(workspace.key, "marketplaceSubscriptions").values():
        if model_of(tenant, str(candidate.body["properties"]["modelId"])) is model:
            return candidate
    return None


def list_(call: Call) -> Reply:
    workspace = workspace_of(call)
    return ml_page(call, call.tenant.store.children(workspace.key, KIND).values())


def _existing(call: Call) -> Resource:
    return child(call, workspace_of(call), KIND, call.params["name"])


def get(call: Call) -> Reply:
    return Reply(200, render(as_read(_existing(call), call.now), call))


def put(call: Call) -> Reply:
    require_registration(call, NAMESPACE)
    workspace = workspace_of(call)
    body = clean(call.json_object(), _BODY[call.api_version >= STABLE])
    check_location(body, workspace)
    name = call.params["name"]
    existing = call.tenant.store.get(f"{workspace.id}/{KIND}/{name}")
    if existing is not None:
        return _update(call, existing, body)
    check_host(workspace)
    require_location(call, workspace, f"workspaces/{KIND}")
    check_free(call, workspace, KIND, name)
    properties = body["properties"]
    model_id = _model_id(call.tenant, properties)
    model = model_of(call.tenant, model_id)
    subscription = subscription_for(call.tenant, workspace, model) if model is not None else None
    subscribed = subscription is not None and subscription.state == "Succeeded"
    buyer = buyer_of(call, workspace)
    refuse(offers.deploy_refusal(model, model_id, buyer, subscribed=subscribed))
    _refuse_duplicate(call, workspace, model_id)
    resource = new_child(call, workspace, KIND, name, _defaults(call, body, workspace, name))
    resource.keys = [new_key(), new_key()]
    resource.facts["subscription"] = subscription.id if subscription is not None else None
    seconds = call.tenant.scenario.durations.serverless_endpoint.of(resource.key)
    operation = call.tenant.engine.begin(call, resource, _work(call, "create", seconds))
    return created(call, operation, render(resource, call))


def _model_id(tenant: Tenant, properties: JsonObject) -> str:
    settings = properties.get("modelSettings")
    if settings is not None:
        return str(settings["modelId"])
    offer = properties.get("offer")
    if offer is None:
        raise bad_argument("'properties.modelSettings.modelId' must not be empty.")
    for model in tenant.models.values():
        sold = model.serverless.offer if model.serverless is not None else None
        if sold is not None and (sold.publisher, sold.offer) == (
            offer["publisher"],
            offer["offerName"],
        ):
            properties["modelSettings"] = {"modelId": model.asset_id}
            return model.asset_id
    raise bad_argument(f"The offer '{offer['offerName']}' is not available.", "OfferNotFound")


def _refuse_duplicate(call: Call, workspace: Resource, model_id: str) -> None:
    if not call.tenant.scenario.behaviour.one_per_model:
        return
    wanted = model_of(call.tenant, model_id)
    for other in call.tenant.store.children(workspace.key, KIND).values():
        theirs = (other.body["properties"].get("modelSettings") or {}).get("modelId", "")
        if model_of(call.tenant, theirs) is wanted and other.state != "Failed":
            refuse(offers.duplicate_refusal(model_id, other.name))


def _defaults(call: Call, body: JsonObject, workspace: Resource, name: str) -> JsonObject:
    properties = body["properties"]
    properties["authMode"] = properties.get("authMode") or "Key"
    if properties.get("contentSafety") is None:
        properties["contentSafety"] = {"contentSafetyStatus": "Enabled"}
    sku = body.get("sku") or {"name": "Consumption"}
    return {
        "properties": properties,
        "tags": body.get("tags") or {},
        "sku": sku,
        "kind": body.get("kind") or "ServerlessEndpoint",
        "identity": identity_shown(body.get("identity"), call, f"{workspace.key}/{KIND}/{name}"),
    }


def _work(call: Call, verb: str, seconds: float) -> Work:
    fate = call.fate
    failure = {"code": fate.code, "message": fate.message} if fate is not None else None
    return Work(verb, seconds, failure)


def _update(call: Call, resource: Resource, body: JsonObject) -> Reply:
    """A PUT over what exists: the model cannot change, and what is not sent stays as it was."""
    engine = call.tenant.engine
    engine.refuse_if_busy(resource.id, KIND)
    properties = body["properties"]
    old = resource.body["properties"]
    asked = (properties.get("modelSettings") or {}).get("modelId")
    current = (old.get("modelSettings") or {}).get("modelId", "")
    if asked and model_of(call.tenant, asked) is not model_of(call.tenant, current):
        raise bad_argument(
            f"The model of serverless endpoint '{resource.name}' cannot be changed from "
            f"'{current}' to '{asked}'. Delete the endpoint and create it again.",
            "ImmutableProperty",
        )
    remember_stale(call, resource)
    changed = {k: v for k, v in properties.items() if v is not None and k != "modelSettings"}
    resource.body = {**resource.body, "properties": {**old, **changed}}
    for name in ("tags", "sku"):
        if body.get(name) is not None:
            resource.body[name] = body[name]
    if body.get("identity") is not None:
        resource.body["identity"] = identity_shown(body["identity"], call, resource.key)
    resource.changed = call.now
    seconds = call.tenant.scenario.durations.update.of(resource.key)
    operation = engine.begin(call, resource, _work(call, "update", seconds))
    return created(call, operation, render(resource, call), status=200)


def patch(call: Call) -> Reply:
    """Tags, sku and identity only; done at once."""
    resource = _existing(call)
    body = clean(call.json_object(), _PATCH)
    call.tenant.engine.refuse_if_busy(resource.id, KIND)
    remember_stale(call, resource)
    resource.body = dict(resource.body)
    if body.get("tags") is not None:
        resource.body["tags"] = body["tags"]
    if body.get("sku") is not None:
        resource.body["sku"] = merged(resource.body["sku"], body["sku"])
    if body.get("identity") is not None:
        resource.body["identity"] = identity_shown(
            merged(resource.body.get("identity") or {"type": "None"}, body["identity"]),
            call,
            resource.key,
        )
    resource.changed = call.now
    call.tenant.store.put(resource)
    return Reply(200, render(resource, call))


def delete(call: Call) -> Reply:
    workspace = workspace_of(call)
    resource = call.tenant.store.get(f"{workspace.id}/{KIND}/{call.params['name']}")
    if resource is None:
        return Reply(204)
    call.tenant.engine.refuse_if_busy(resource.id, KIND)
    seconds = call.tenant.scenario.durations.delete.of(resource.key)
    return accepted(call, call.tenant.engine.begin(call, resource, _work(call, "delete", seconds)))


def list_keys(call: Call) -> Reply:
    resource = _existing(call)
    return Reply(200, shown_keys(resource.keys))


def shown_keys(keys: list[str]) -> JsonObject:
    if not keys:
        return {"primaryKey": None, "secondaryKey": None}
    return {"primaryKey": keys[0], "secondaryKey": keys[1]}


def new_keys(call: Call, resource: Resource) -> list[str]:
    """The keys as a regenerateKeys request wants them; raises 400 for an unknown keyType."""
    body = clean(call.json_object(), KEY_REQUEST)
    which = {"primary": 0, "secondary": 1}.get(str(body["keyType"]).lower())
    if which is None or not resource.keys:
        raise bad_argument(
            f"The key type '{body['keyType']}' is not one of Primary, Secondary."
            if which is None
            else "This endpoint does not authenticate with keys."
        )
    keys = list(resource.keys)
    keys[which] = body.get("keyValue") or new_key()
    return keys


def regenerate_keys(call: Call) -> Reply:
    """202; the result behind Location is the pair of keys."""
    resource = _existing(call)
    call.tenant.engine.refuse_if_busy(resource.id, KIND)
    keys = new_keys(call, resource)
    seconds = call.tenant.scenario.durations.regenerate_keys.of(resource.key)
    work = Work("regenerate", seconds, result=shown_keys(keys))
    return accepted(call, call.tenant.engine.begin(call, resource, work))


def ended(tenant: Tenant, resource: Resource, operation: Operation, when: float) -> None:
    """What else happens when an operation on an endpoint is over."""
    if resource.kind != KIND:
        return
    if operation.verb == "delete" and operation.failure is None:
        hold_name(tenant, resource, when)
    elif operation.verb == "regenerate":
        keys: dict[str, Any] = operation.result
        resource.keys = [keys["primaryKey"], keys["secondaryKey"]]
        tenant.store.put(resource)
    elif resource.state == "Succeeded":
        resource.facts["served"] = True
        tenant.store.put(resource)
