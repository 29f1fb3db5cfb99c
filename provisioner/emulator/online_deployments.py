"""Managed online deployments (AZURE.md §5): model, VM size, instances, logs, SKUs."""

from __future__ import annotations

from provisioner.emulator import online_endpoints, quota
from provisioner.emulator.clock import iso_z
from provisioner.emulator.deployment_rules import (
    KIND,
    check_counts,
    check_model,
    check_network,
    check_open,
    check_quota,
    too_small,
)
from provisioner.emulator.errors import JsonObject, bad_argument
from provisioner.emulator.mlresource import (
    IDENTITY,
    PARTIAL_IDENTITY,
    PARTIAL_SKU,
    SKU,
    SWITCH,
    TAGS,
    as_read,
    check_location,
    child,
    envelope,
    identity_shown,
    merged,
    new_child,
    remember_stale,
    workspace_of,
)
from provisioner.emulator.names import pattern_refusal
from provisioner.emulator.online_endpoints import is_shared, work
from provisioner.emulator.operations import Work, accepted, created, status_path
from provisioner.emulator.paging import Order, ml_page
from provisioner.emulator.providers import require_location, require_registration
from provisioner.emulator.serverless import NAMESPACE
from provisioner.emulator.store import Operation, Resource
from provisioner.emulator.tenant import Tenant, refuse
from provisioner.emulator.validation import Arr, Map, Obj, Shape, clean, enum
from provisioner.emulator.wire import Call, Reply

_PROBE = Obj(
    {
        "failureThreshold": "integer",
        "successThreshold": "integer",
        "timeout": "duration",
        "period": "duration",
        "initialDelay": "duration",
    }
)
_DEFAULT_PROBE = {
    "failureThreshold": 30,
    "successThreshold": 1,
    "timeout": "PT2S",
    "period": "PT10S",
    "initialDelay": "PT10S",
}
_DEFAULT_REQUEST = {
    "maxQueueWait": "PT0.5S",
    "requestTimeout": "PT5S",
    "maxConcurrentRequestsPerInstance": 1,
}
_COLLECTION = Obj(
    {
        "clientId": "string",
        "dataCollectionMode": SWITCH,
        "dataId": "string",
        "samplingRate": "number",
    }
)
_PROPERTIES: dict[str, Shape] = {
    "description": "string",
    "properties": Map("string"),
    "codeConfiguration": Obj(
        {"codeId": "string", "scoringScript": "string"}, required=("scoringScript",)
    ),
    "environmentId": "string",
    "environmentVariables": Map("string"),
    "scaleSettings": Obj(
        {
            "scaleType": enum("Default", "TargetUtilization"),
            "minInstances": "integer",
            "maxInstances": "integer",
            "pollingInterval": "duration",
            "targetUtilizationPercentage": "integer",
        },
        required=("scaleType",),
    ),
    "requestSettings": Obj(
        {
            "maxQueueWait": "duration",
            "requestTimeout": "duration",
            "maxConcurrentRequestsPerInstance": "integer",
        }
    ),
    "modelMountPath": "string",
    "appInsightsEnabled": "boolean",
    "livenessProbe": _PROBE,
    "readinessProbe": _PROBE,
    "instanceType": "string",
    "model": "string",
    "egressPublicNetworkAccess": SWITCH,
    "endpointComputeType": "string",
}
_NEW = {
    "dataCollector": Obj(
        {
            "collections": Map(_COLLECTION),
            "requestLogging": Obj({"captureHeaders": Arr("string")}),
            "rollingRate": enum("Year", "Month", "Day", "Hour", "Minute"),
        },
        required=("collections",),
    )
}
_OLD = {"privateNetworkConnection": "boolean"}


def _body(extra: dict[str, Shape]) -> Obj:
    return Obj(
        {
            "properties": Obj({**_PROPERTIES, **extra}, required=("endpointComputeType",)),
            "location": "string",
            "tags": TAGS,
            "identity": IDENTITY,
            "sku": SKU,
            "kind": "string",
        },
        required=("location", "properties"),
    )


_OLDEST = "2022-02-01-preview"
_COLLECTING = "2023-04-01-preview"  # the first saved version that knows dataCollector
_BODIES = {True: _body(dict(_OLD)), False: _body(dict(_NEW))}
_PATCH = Obj({"tags": TAGS, "sku": PARTIAL_SKU, "identity": PARTIAL_IDENTITY})
_LOGS = Obj({"containerType": "string", "tail": "integer"})


def render(resource: Resource, call: Call) -> JsonObject:
    own: JsonObject = resource.body["properties"]
    bag = dict(own.get("properties") or {})
    if resource.facts.get("operation"):
        bag["AzureAsyncOperationUri"] = resource.facts["operation"]
    properties: JsonObject = {
        "description": own.get("description"),
        "properties": bag,
        "codeConfiguration": own.get("codeConfiguration"),
        "environmentId": own.get("environmentId"),
        "environmentVariables": own.get("environmentVariables") or {},
        "scaleSettings": own.get("scaleSettings") or {"scaleType": "Default"},
        "requestSettings": {**_DEFAULT_REQUEST, **(own.get("requestSettings") or {})},
        "modelMountPath": own.get("modelMountPath"),
        "appInsightsEnabled": own.get("appInsightsEnabled") or False,
        "livenessProbe": {**_DEFAULT_PROBE, **(own.get("livenessProbe") or {})},
        "readinessProbe": {**_DEFAULT_PROBE, **(own.get("readinessProbe") or {})},
        "provisioningState": resource.state,
        "instanceType": own.get("instanceType"),
        "model": own.get("model"),
        "egressPublicNetworkAccess": own.get("egressPublicNetworkAccess") or "Enabled",
        "endpointComputeType": "Managed",
    }
    if call.api_version == _OLDEST:
        properties["privateNetworkConnection"] = own.get("privateNetworkConnection") or False
    if call.api_version >= _COLLECTING:
        properties["dataCollector"] = own.get("dataCollector")
    return envelope(resource, properties)


def list_(call: Call) -> Reply:
    endpoint = online_endpoints.existing(call)
    found = call.tenant.store.children(endpoint.key, KIND).values()
    return ml_page(call, found, Order.named(call.query.get("$orderby", "")))


def _existing(call: Call) -> Resource:
    return child(call, online_endpoints.existing(call), KIND, call.params["deploymentName"])


def get(call: Call) -> Reply:
    return Reply(200, render(as_read(_existing(call), call.now), call))


def put(call: Call) -> Reply:
    require_registration(call, NAMESPACE)
    workspace = workspace_of(call)
    endpoint = online_endpoints.existing(call)
    body = clean(call.json_object(), _BODIES[call.api_version == _OLDEST])
    check_location(body, workspace)
    name = call.params["deploymentName"]
    properties = body["properties"]
    compute = str(properties["endpointComputeType"])
    if compute.lower() != "managed":
        raise bad_argument(f"The emulator has managed compute only, not '{compute}'.")
    found = call.tenant.store.get(f"{endpoint.id}/{KIND}/{name}")
    call.tenant.engine.refuse_if_busy(f"{endpoint.id}/{KIND}/{name}", KIND)
    if found is not None:
        return _update(call, found, body)
    refuse(pattern_refusal(KIND, name))
    if endpoint.state != "Succeeded":
        raise bad_argument(
            f"Endpoint '{endpoint.name}' is in state '{endpoint.state}'; deployments need it "
            "Succeeded.",
            "EndpointNotReady",
        )
    require_location(call, workspace, f"workspaces/onlineEndpoints/{KIND}")
    check_network(workspace)
    check_open(call, str(properties.get("model")))
    check_model(call, endpoint, properties)
    check_counts(call, endpoint)
    sku = merged({"name": "Default", "tier": "Standard", "capacity": 1}, body.get("sku"))
    wanted = quota.Use(str(properties["instanceType"]), sku["capacity"], is_shared(endpoint))
    check_quota(call, endpoint, wanted, None)
    stored = {
        "properties": properties,
        "tags": body.get("tags") or {},
        "kind": body.get("kind") or "Managed",
        "sku": sku,
        "identity": identity_shown(body.get("identity"), call, f"{endpoint.key}/{KIND}/{name}"),
    }
    resource = new_child(call, endpoint, KIND, name, stored)
    call.fate = call.fate or too_small(call, properties)
    seconds = call.tenant.scenario.durations.deployment.of(resource.key)
    return _begin(call, resource, work(call, "create", seconds), 201)


def _begin(call: Call, resource: Resource, what: Work, status: int) -> Reply:
    if call.fate is not None:
        logs = call.fate.logs
        resource.facts["logs"] = {
            "storageinitializer": logs.storage_initializer,
            "inferenceserver": logs.inference_server,
        }
    else:
        resource.facts.pop("logs", None)
    operation = call.tenant.engine.begin(call, resource, what)
    resource.facts["operation"] = call.link(status_path(operation))
    return created(call, operation, render(resource, call), status=status)


def _update(call: Call, resource: Resource, body: JsonObject) -> Reply:
    """A PUT over what exists: everything but the VM size may change."""
    endpoint = online_endpoints.existing(call)
    old = resource.body["properties"]
    properties = body["properties"]
    asked = properties.get("instanceType")
    if asked and asked.lower() != str(old["instanceType"]).lower():
        raise bad_argument(
            f"The instance type of deployment '{resource.name}' cannot be changed from "
            f"'{old['instanceType']}' to '{asked}'.",
            "ImmutableProperty",
        )
    properties["instanceType"] = old["instanceType"]
    properties.setdefault("model", old["model"])
    if properties["model"] != old["model"]:
        check_open(call, str(properties["model"]))
    check_model(call, endpoint, properties)
    sku = merged(resource.body["sku"], body.get("sku"))
    wanted = quota.Use(str(properties["instanceType"]), sku["capacity"], is_shared(endpoint))
    check_quota(call, endpoint, wanted, resource)
    durations = call.tenant.scenario.durations
    scaling = sku["capacity"] != resource.body["sku"]["capacity"]
    remember_stale(call, resource)
    resource.body = {**resource.body, "properties": properties, "sku": sku}
    resource.body["tags"] = body.get("tags") or {}
    if body.get("identity") is not None:
        resource.body["identity"] = identity_shown(body["identity"], call, resource.key)
    resource.changed = call.now
    seconds = (durations.scale if scaling else durations.update).of(resource.key)
    return _begin(call, resource, work(call, "update", seconds), 200)


def patch(call: Call) -> Reply:
    """Tags and the number of instances."""
    resource = _existing(call)
    body = clean(call.json_object(), _PATCH)
    call.tenant.engine.refuse_if_busy(resource.id, KIND)
    sku = merged(resource.body["sku"], body.get("sku"))
    scaling = sku["capacity"] != resource.body["sku"]["capacity"]
    if scaling:
        endpoint = online_endpoints.existing(call)
        kind = str(resource.body["properties"]["instanceType"])
        wanted = quota.Use(kind, sku["capacity"], is_shared(endpoint))
        check_quota(call, endpoint, wanted, resource)
    remember_stale(call, resource)
    resource.body = {**resource.body, "sku": sku}
    if body.get("tags") is not None:
        resource.body["tags"] = body["tags"]
    if body.get("identity") is not None:
        identity = merged(resource.body.get("identity") or {"type": "None"}, body["identity"])
        resource.body["identity"] = identity_shown(identity, call, resource.key)
    resource.changed = call.now
    durations = call.tenant.scenario.durations
    seconds = (durations.scale if scaling else durations.update).of(resource.key)
    operation = call.tenant.engine.begin(call, resource, work(call, "update", seconds))
    if scaling:
        resource.state = "Scaling"
    return accepted(call, operation)


def delete(call: Call) -> Reply:
    """Refused while the deployment gets traffic."""
    endpoint = online_endpoints.existing(call)
    name = call.params["deploymentName"]
    resource = call.tenant.store.get(f"{endpoint.id}/{KIND}/{name}")
    if resource is None:
        return Reply(204)
    call.tenant.engine.refuse_if_busy(resource.id, KIND)
    for what in ("traffic", "mirrorTraffic"):
        share = endpoint.body["properties"].get(what) or {}
        percent = {k.lower(): v for k, v in share.items()}.get(name.lower(), 0)
        if percent:
            raise bad_argument(
                f"Deployment '{name}' gets {percent} percent of the {what} of endpoint "
                f"'{endpoint.name}'. Set it to 0 before you delete the deployment.",
                "DeploymentHasTraffic",
            )
    seconds = call.tenant.scenario.durations.delete.of(resource.key)
    return accepted(call, call.tenant.engine.begin(call, resource, work(call, "delete", seconds)))


def get_logs(call: Call) -> Reply:
    """Logs of a container; `tail` is a number of lines."""
    resource = _existing(call)
    body = clean(call.json_object() if call.body.strip() else {}, _LOGS)
    container = str(body.get("containerType") or "InferenceServer").lower()
    if container not in ("storageinitializer", "inferenceserver", "modeldatacollector"):
        raise bad_argument(f"The container type '{body['containerType']}' does not exist.")
    stored = resource.facts.get("logs")
    text = _usual_logs(resource, container) if stored is None else stored.get(container, "")
    lines = text.splitlines()
    tail = body.get("tail")
    if tail is not None:
        lines = lines[-int(tail) :] if int(tail) > 0 else []
    return Reply(200, {"content": "\n".join(lines)})


def _usual_logs(resource: Resource, container: str) -> str:
    when = iso_z(resource.changed)
    model = resource.body["properties"]["model"]
    match container:
        case "storageinitializer":
            return f"{when} Downloading {model}\n{when} Download finished"
        case "modeldatacollector":
            return ""
        case _:
            return f"{when} Loading {model} (emulated: no weights)\n{when} Ready on port 5001"


def list_skus(call: Call) -> Reply:
    """How far the deployment can be scaled."""
    resource = _existing(call)
    entry = {
        "resourceType": "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments",
        "sku": {"name": "Default", "tier": "Standard"},
        "capacity": {
            "minimum": 1,
            "maximum": quota.MAX_INSTANCES,
            "default": int(resource.body["sku"]["capacity"]),
            "scaleType": "Manual",
        },
    }
    return Reply(200, {"value": [entry]})


def ended(tenant: Tenant, resource: Resource, operation: Operation, when: float) -> None:
    """What else happens when an operation on a deployment is over."""
    if resource.kind != KIND:
        return
    if operation.verb == "delete" and operation.failure is None:
        endpoint = tenant.store.get(resource.parent)
        if endpoint is not None:
            properties = endpoint.body["properties"]
            for what in ("traffic", "mirrorTraffic"):
                share = properties.get(what) or {}
                properties[what] = {
                    k: v for k, v in share.items() if k.lower() != resource.name.lower()
                }
            tenant.store.put(endpoint)
    elif resource.state == "Succeeded":
        resource.facts["served"] = True
        tenant.store.put(resource)
