"""Marketplace: a workspace's subscriptions to model offers, and a subscription's agreements.

Creating a marketplaceSubscription accepts the offer's terms for the workspace (AZURE.md §3);
MarketplaceOrdering's agreements are per Azure subscription and plan (AZURE.md §9). Both are
emulated independently, because the service's own coupling of them is not documented.
"""

from __future__ import annotations

import base64
import hashlib
import secrets

from provisioner.emulator import names, offers, rights
from provisioner.emulator.clock import iso, iso_z
from provisioner.emulator.errors import ArmError, JsonObject, provider_not_found
from provisioner.emulator.mlresource import (
    as_read,
    check_host,
    envelope,
    new_child,
    workspace_of,
)
from provisioner.emulator.operations import Work, accepted, created
from provisioner.emulator.paging import ml_page
from provisioner.emulator.providers import mark_registered, require_registration
from provisioner.emulator.serverless import (
    NAMESPACE,
    buyer_of,
    model_of,
)
from provisioner.emulator.store import Operation, Resource
from provisioner.emulator.tenant import Tenant, refuse
from provisioner.emulator.validation import Obj, clean
from provisioner.emulator.wire import Call, Reply

KIND = "marketplaceSubscriptions"
_BODY = Obj(
    {"properties": Obj({"modelId": "string"}, required=("modelId",))}, required=("properties",)
)
_TERMS = Obj(
    {
        "id": "string",
        "name": "string",
        "type": "string",
        "properties": Obj(
            {
                "publisher": "string",
                "product": "string",
                "plan": "string",
                "licenseTextLink": "string",
                "privacyPolicyLink": "string",
                "marketplaceTermsLink": "string",
                "retrieveDatetime": "string",
                "signature": "string",
                "accepted": "boolean",
            }
        ),
    },
    required=("properties",),
)
_ON_SUBSCRIPTION = (
    "Microsoft.MarketplaceOrdering/agreements/offers/plans/sign/action",
    "Microsoft.SaaS/register/action",
)
_ON_GROUP = ("Microsoft.SaaS/resources/write",)


def render(resource: Resource, call: Call) -> JsonObject:
    offer = resource.facts.get("plan")
    status = {"Creating": "PendingFulfillmentStart", "Failed": "Unsubscribed"}.get(
        resource.state, "Subscribed"
    )
    if status == "PendingFulfillmentStart" and call.api_version >= "2024-10-01":
        status = "Unsubscribed"  # the stable version has no word for it
    if call.tenant.subscription(resource.subscription).read_only:
        status = "Suspended"
    properties: JsonObject = {
        "modelId": resource.body["properties"]["modelId"],
        "marketplacePlan": offer,
        "marketplaceSubscriptionStatus": status,
        "provisioningState": resource.state,
    }
    return envelope(resource, properties, tracked=False)


def list_(call: Call) -> Reply:
    workspace = workspace_of(call)
    return ml_page(call, call.tenant.store.children(workspace.key, KIND).values())


def get(call: Call) -> Reply:
    workspace = workspace_of(call)
    name = call.params["name"]
    resource = call.tenant.store.get(f"{workspace.id}/{KIND}/{name}")
    if resource is None:
        raise provider_not_found(f"Marketplace subscription {name}")
    return Reply(200, render(as_read(resource, call.now), call))


def put(call: Call) -> Reply:
    """Subscribe. The first time takes rights on the subscription and the group (AZURE.md §10)."""
    require_registration(call, NAMESPACE)
    workspace = workspace_of(call)
    name = call.params["name"]
    refuse(names.pattern_refusal("marketplaceSubscriptions", name))
    body = clean(call.json_object(), _BODY)
    model_id = str(body["properties"]["modelId"])
    model = model_of(call.tenant, model_id)
    existing = call.tenant.store.get(f"{workspace.id}/{KIND}/{name}")
    if existing is not None:
        return _again(call, existing, model_id)
    check_host(workspace)
    refuse(offers.subscribe_refusal(model, model_id, buyer_of(call, workspace)))
    offer = model.serverless.offer if model is not None and model.serverless is not None else None
    assert offer is not None  # or it would have been refused
    _require_purchase_rights(call, workspace)
    # The service registers SaaS for the buyer; that is why buying takes Microsoft.SaaS/register.
    mark_registered(call, "Microsoft.SaaS")
    resource = new_child(call, workspace, KIND, name, {"properties": {"modelId": model_id}})
    resource.facts["plan"] = {
        "publisherId": offer.publisher,
        "offerId": offer.offer,
        "planId": offer.plan,
    }
    seconds = call.tenant.scenario.durations.subscription.of(resource.key)
    fate = call.fate
    failure = {"code": fate.code, "message": fate.message} if fate is not None else None
    operation = call.tenant.engine.begin(call, resource, Work("create", seconds, failure))
    return created(call, operation, render(resource, call))


def _again(call: Call, resource: Resource, model_id: str) -> Reply:
    call.tenant.engine.refuse_if_busy(resource.id, KIND)
    same = model_of(call.tenant, str(resource.body["properties"]["modelId"]))
    if same is not model_of(call.tenant, model_id):
        raise ArmError(
            400,
            "UserError",
            f"The model of marketplace subscription '{resource.name}' cannot be changed.",
            inner=("BadArgument", "ImmutableProperty"),
        )
    if resource.state != "Failed":
        return Reply(200, render(resource, call))
    seconds = call.tenant.scenario.durations.subscription.of(resource.key)
    operation = call.tenant.engine.begin(call, resource, Work("update", seconds))
    return created(call, operation, render(resource, call), status=200)


def _require_purchase_rights(call: Call, workspace: Resource) -> None:
    who = call.caller
    root = f"/subscriptions/{call.params['subscriptionId']}"
    group = f"{root}/resourceGroups/{workspace.group}"
    needed = [(a, root) for a in _ON_SUBSCRIPTION] + [(a, group) for a in _ON_GROUP]
    for action, scope in needed:
        if not call.tenant.rights.allowed(who.object_id, action, scope, call.now):
            refuse(rights.refusal(who.client_id, who.object_id, action, scope))


def delete(call: Call) -> Reply:
    workspace = workspace_of(call)
    resource = call.tenant.store.get(f"{workspace.id}/{KIND}/{call.params['name']}")
    if resource is None:
        return Reply(204)
    call.tenant.engine.refuse_if_busy(resource.id, KIND)
    seconds = call.tenant.scenario.durations.delete.of(resource.key)
    return accepted(call, call.tenant.engine.begin(call, resource, Work("delete", seconds)))


def ended(tenant: Tenant, resource: Resource, operation: Operation, when: float) -> None:
    """Endpoints live and die with their subscription: Suspended after its delete, back after."""
    if resource.kind != KIND or operation.failure is not None:
        return
    gone = operation.verb == "delete"
    model = model_of(tenant, str(resource.body["properties"]["modelId"]))
    for endpoint in tenant.store.children(resource.parent, "serverlessEndpoints").values():
        settings = endpoint.body["properties"].get("modelSettings") or {}
        if model_of(tenant, str(settings.get("modelId", ""))) is not model:
            continue
        endpoint.facts["suspended"] = gone
        endpoint.facts["subscription"] = None if gone else resource.id
        tenant.store.put(endpoint)


# -- MarketplaceOrdering -------------------------------------------------------------------


def _place(call: Call) -> tuple[str, str, str, str]:
    p = call.params
    return p["subscriptionId"], p["publisherId"], p["offerId"], p["planId"]


def _document(call: Call) -> tuple[JsonObject, str]:
    subscription, publisher, offer, plan = _place(call)
    document = call.tenant.store.document("agreements")
    return document, f"{subscription}/{publisher}/{offer}/{plan}".lower()


def _known_plan(call: Call) -> None:
    """MarketplaceOrdering refuses a plan that the Marketplace does not have."""
    _, publisher, offer, plan = _place(call)
    kind = call.params.get("offerType", "virtualmachine")
    if kind.lower() != "virtualmachine":
        raise ArmError(
            400, "BadRequest", f"The offer type '{kind}' is not one of 'virtualmachine'."
        )
    for model in call.tenant.models.values():
        sold = model.serverless.offer if model.serverless is not None else None
        if sold is not None and (publisher, offer, plan) == (
            sold.publisher,
            sold.offer,
            sold.plan,
        ):
            return
    raise ArmError(
        400,
        "BadRequest",
        f"Offer with PublisherId: {publisher}, OfferId: {offer}, PlanId: {plan} was not found in "
        "the Marketplace. The emulator sells the plans of its models only.",
    )


def _terms(call: Call, signature: str, retrieved: str, accepted_: bool) -> JsonObject:
    subscription, publisher, offer, plan = _place(call)
    legal = f"{call.tenant.base_url}/emulator/terms/{publisher}/{offer}/{plan}"
    return {
        "id": f"/subscriptions/{subscription}/providers/Microsoft.MarketplaceOrdering/offerTypes/"
        f"VirtualMachine/publishers/{publisher}/offers/{offer}/plans/{plan}/agreements/current",
        "name": plan,
        "type": "Microsoft.MarketplaceOrdering/offertypes",
        "properties": {
            "publisher": publisher,
            "product": offer,
            "plan": plan,
            "licenseTextLink": f"{legal}/license.txt",
            "privacyPolicyLink": f"{legal}/privacy.txt",
            "marketplaceTermsLink": f"{legal}/terms.txt",
            "retrieveDatetime": retrieved,
            "signature": signature,
            "accepted": accepted_,
        },
        "systemData": {
            "createdBy": call.caller.object_id,
            "createdByType": "ManagedIdentity",
            "createdAt": iso(call.now),
            "lastModifiedBy": call.caller.object_id,
            "lastModifiedByType": "ManagedIdentity",
            "lastModifiedAt": iso(call.now),
        },
    }


def get_terms(call: Call) -> Reply:
    """Terms with a new signature each time: a PUT must echo the one it was last given (§17)."""
    _known_plan(call)
    document, key = _document(call)
    agreement = document.setdefault(key, {})
    raw = hashlib.sha256(f"{key}{secrets.token_hex(8)}".encode()).digest()
    agreement["signature"] = base64.b32encode(raw).decode().rstrip("=")
    agreement["retrieved"] = iso_z(call.now)
    call.tenant.store.touch("agreements")
    signed = agreement.get("state") == "Active"
    return Reply(200, _terms(call, agreement["signature"], agreement["retrieved"], signed))


def put_terms(call: Call) -> Reply:
    _known_plan(call)
    properties = clean(call.json_object(), _TERMS)["properties"]
    document, key = _document(call)
    agreement = document.get(key, {})
    echoed = (properties.get("signature"), properties.get("retrieveDatetime"))
    if not echoed[0] or echoed != (agreement.get("signature"), agreement.get("retrieved")):
        raise ArmError(
            400,
            "BadRequest",
            "The signature and retrieveDatetime of the request do not match those of the terms as "
            "they were last read. Get the terms again and send them back with accepted set.",
        )
    if properties.get("accepted"):
        _sign(call, agreement)
    else:
        agreement["state"] = "Canceled"
        agreement["canceled"] = iso_z(call.now)
    call.tenant.store.touch("agreements")
    signed = agreement.get("state") == "Active"
    return Reply(200, _terms(call, agreement["signature"], agreement["retrieved"], signed))


def _sign(call: Call, agreement: JsonObject) -> None:
    if agreement.get("state") != "Active":
        agreement["state"] = "Active"
        agreement["signed"] = iso_z(call.now)


def _old_terms(subscription: str, key: str, agreement: JsonObject) -> JsonObject:
    """The other shape of an agreement: state instead of accepted, and no plan (§17)."""
    _, publisher, offer, plan = key.split("/")
    path = (
        f"/subscriptions/{subscription}/providers/Microsoft.MarketplaceOrdering/agreements/"
        f"{publisher}/offers/{offer}/plans/{plan}"
    )
    properties: JsonObject = {"publisher": publisher, "offer": offer}
    if "signed" in agreement:
        properties["signDate"] = agreement["signed"]
    if agreement["state"] == "Canceled":
        properties["cancelDate"] = agreement.get("canceled")
    properties["state"] = agreement["state"]
    return {
        "id": path,
        "name": plan,
        "type": "Microsoft.MarketplaceOrdering/agreements",
        "properties": properties,
    }


def get_agreement(call: Call) -> Reply:
    document, key = _document(call)
    agreement = document.get(key, {})
    if "state" not in agreement:
        raise ArmError(
            404,
            "NotFound",
            f"No agreement was found for plan '{call.params['planId']}' of offer "
            f"'{call.params['offerId']}' by '{call.params['publisherId']}'.",
        )
    return Reply(200, _old_terms(call.params["subscriptionId"], key, agreement))


def sign(call: Call) -> Reply:
    _known_plan(call)
    document, key = _document(call)
    agreement = document.setdefault(key, {})
    _sign(call, agreement)
    call.tenant.store.touch("agreements")
    return Reply(200, _old_terms(call.params["subscriptionId"], key, agreement))


def cancel(call: Call) -> Reply:
    document, key = _document(call)
    agreement = document.get(key)
    if agreement is None or "state" not in agreement:
        return get_agreement(call)
    agreement["state"] = "Canceled"
    agreement["canceled"] = iso_z(call.now)
    call.tenant.store.touch("agreements")
    return Reply(200, _old_terms(call.params["subscriptionId"], key, agreement))


def list_agreements(call: Call) -> Reply:
    subscription = call.params["subscriptionId"]
    found = [
        _old_terms(subscription, key, agreement)
        for key, agreement in call.tenant.store.document("agreements").items()
        if key.startswith(f"{subscription.lower()}/") and "state" in agreement
    ]
    return Reply(200, {"value": found})
