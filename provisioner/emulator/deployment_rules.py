"""What keeps a managed deployment from being made or changed: network, model, counts, cores."""

from __future__ import annotations

import datetime as dt
from typing import Final

from provisioner.emulator import quota
from provisioner.emulator.errors import JsonObject, bad_argument
from provisioner.emulator.faults import FailDeployment, Logs
from provisioner.emulator.models import Model, parse_asset_id
from provisioner.emulator.online_endpoints import is_shared
from provisioner.emulator.store import Resource
from provisioner.emulator.tenant import Tenant, refuse
from provisioner.emulator.vm_sizes import load_vm_sizes
from provisioner.emulator.wire import Call

KIND: Final = "deployments"


def check_network(workspace: Resource) -> None:
    network = workspace.body["properties"]["managedNetwork"]
    active = network["status"]["status"] == "Active"
    if network["isolationMode"] != "Disabled" and not active:
        raise bad_argument(
            f"The managed network of workspace '{workspace.name}' is not provisioned. Provision "
            "it before creating managed online deployments.",
            "WorkspaceManagedNetworkNotReady",
        )


def model_of(tenant: Tenant, model_id: str) -> tuple[Model | None, str | None]:
    """The registry model that a deployment names, and its version."""
    parsed = parse_asset_id(model_id)
    if parsed is None:
        return None, None
    return tenant.model(parsed[0], parsed[1]), parsed[2]


def check_model(call: Call, endpoint: Resource, properties: JsonObject) -> None:
    for name in ("instanceType", "model"):
        if not properties.get(name):
            raise bad_argument(f"'properties.{name}' must not be empty.", "ArgumentNullOrEmpty")
    model_id = str(properties["model"])
    if "/workspaces/" in model_id.lower():
        return  # a workspace's own model: its contents are the user's business
    model, version = model_of(call.tenant, model_id)
    if model is None or version not in model.versions:
        raise bad_argument(
            f"The model '{model_id}' was not found. Managed compute takes a registry id with its "
            "version, azureml://registries/{registry}/models/{name}/versions/{version}.",
            "ModelNotFound",
        )
    if is_shared(endpoint) and (model.managed is None or not model.managed.shared):
        raise bad_argument(
            f"The model '{model.name}' cannot run on shared quota.", "SharedQuotaNotSupported"
        )
    if model.managed is None:
        raise bad_argument(
            f"The model '{model.name}' cannot be deployed to managed compute.",
            "ModelNotDeployable",
        )
    wanted = str(properties["instanceType"])
    allowed = {size.lower() for size in model.managed.instance_types}
    if wanted.lower() in load_vm_sizes() and allowed and wanted.lower() not in allowed:
        raise bad_argument(
            f"The instance type {wanted} is not supported by model {model.name}. It runs on: "
            f"{', '.join(model.managed.instance_types)}.",
            "InstanceTypeNotSupported",
        )


def check_open(call: Call, model_id: str) -> None:
    """Refuse a new deployment of a deprecated or retired model; those that are live stay.

    The words are those seen for serverless endpoints (AZURE.md §16).
    """
    model, _ = model_of(call.tenant, model_id)
    today = dt.datetime.fromtimestamp(call.now, dt.UTC).date()
    if model is not None and model.stage(today, serverless=False) in ("Deprecated", "Retired"):
        raise bad_argument(f"The requested model {model_id} is not available.", "ModelNotAvailable")


def too_small(call: Call, properties: JsonObject) -> FailDeployment | None:
    """How a deployment ends on a machine below the model's least, where the model lists no sizes.

    Nothing refuses it beforehand: its container comes up, and does not hold the model.
    """
    model, _ = model_of(call.tenant, str(properties.get("model")))
    size = load_vm_sizes().get(str(properties.get("instanceType")).lower())
    if model is None or model.managed is None or model.managed.instance_types or size is None:
        return None
    cores, gpus, memory, *_ = (int(part) for part in model.managed.min_sku.split("|"))
    if size.vcpus >= cores and size.gpus >= gpus and size.memory_gb >= memory:
        return None
    reason = f"{model.name} needs {cores} cores, {gpus} GPUs and {memory} GB of memory"
    return FailDeployment(
        "ResourceNotReady",
        "User container has crashed or terminated.",
        Logs("Model download finished.", f"Out of memory: {reason}."),
    )


def check_counts(call: Call, endpoint: Resource) -> None:
    store = call.tenant.store
    in_region = sum(
        d.location == endpoint.location and d.subscription == endpoint.subscription
        for d in store.of_kind(KIND)
    )
    in_endpoint = len(store.children(endpoint.key, KIND))
    subscription = call.tenant.subscription(endpoint.subscription)
    refuse(quota.check_deployment_count(subscription, in_region, in_endpoint))


def use_of(tenant: Tenant, resource: Resource) -> quota.Use:
    """The cores that a deployment holds."""
    endpoint = tenant.store.get(resource.parent)
    shared = endpoint is not None and is_shared(endpoint)
    body = resource.body
    return quota.Use(
        str(body["properties"].get("instanceType")), int(body["sku"]["capacity"]), shared
    )


def held(tenant: Tenant, subscription: str, location: str) -> list[tuple[Resource, quota.Use]]:
    """All deployments of a subscription in a region that hold cores."""
    return [
        (d, use_of(tenant, d))
        for d in tenant.store.of_kind(KIND)
        if d.location == location and d.subscription == subscription.lower()
    ]


def check_quota(call: Call, endpoint: Resource, wanted: quota.Use, before: Resource | None) -> None:
    tenant = call.tenant
    others = [
        use
        for d, use in held(tenant, endpoint.subscription, endpoint.location)
        if before is None or d.key != before.key
    ]
    subscription = tenant.subscription(endpoint.subscription)
    old = use_of(tenant, before) if before is not None else None
    refuse(quota.check_deployment(subscription, endpoint.location, wanted, others, old))
