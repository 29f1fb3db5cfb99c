"""What the adapter sends, judged by Microsoft's published specification of 2024-10-01.

Each request is captured on the wire; its path and method must exist there, its body must satisfy
the definition, and nothing that the definition marks readOnly may be in it. Longer than other
modules because every kind and every change has its body.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from provisioner.resources import (
    ContentSafety,
    DataCollection,
    Identity,
    KeyName,
    Kind,
    MarketplaceSubscription,
    ModelRef,
    OnlineDeployment,
    OnlineEndpoint,
    Probe,
    RequestSettings,
    Resource,
    ResourceId,
    ServerlessEndpoint,
    WorkspaceId,
)
from tests.contract.adapter_server import Answer, Asked, Wire, refusal, wired
from tests.shared import shared_dir

Json = dict[str, Any]

WORKSPACE = WorkspaceId("11111111-1111-1111-1111-111111111111", "rg-ml", "mlw")
LLAMA = ModelRef("azureml-meta", "Meta-Llama-3.1-8B-Instruct", "4")
SUBSCRIPTION = MarketplaceSubscription(
    ResourceId(WORKSPACE, Kind.MARKETPLACE_SUBSCRIPTION, "llama-sub"), LLAMA
)
SERVERLESS = ServerlessEndpoint(
    ResourceId(WORKSPACE, Kind.SERVERLESS_ENDPOINT, "llama"),
    "eastus2",
    LLAMA,
    content_safety=ContentSafety.DISABLED,
    tags={"provisioner-stack": "default"},
)
USER_IDENTITY = (
    "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity"
    "/userAssignedIdentities/puller"
)
ENDPOINT = OnlineEndpoint(
    ResourceId(WORKSPACE, Kind.ONLINE_ENDPOINT, "llama-8b"),
    "eastus2",
    description="chat",
    traffic={"blue": 100},
    properties={"SharedComputeCapacityEnabled": "true"},
    identity=Identity("UserAssigned", (USER_IDENTITY,)),
    public_network_access="Enabled",
    tags={"a": "b"},
)
DEPLOYMENT = OnlineDeployment(
    ResourceId(WORKSPACE, Kind.ONLINE_DEPLOYMENT, "blue", "llama-8b"),
    "eastus2",
    LLAMA,
    "Standard_NC24ads_A100_v4",
    2,
    environment_variables={"MAX_LEN": "4096"},
    request_settings=RequestSettings(90, 4, 0.5),
    liveness_probe=Probe(600, 10, 2.5, 1, 30),
    readiness_probe=Probe(initial_delay=10),
    data_collection=DataCollection(inputs=True, outputs=False, sampling_rate=0.1),
    tags={"a": "b"},
)

# As a GET answers: everything that only the service sets is there, and nulls besides.
LIVE: dict[Kind, Json] = {
    Kind.SERVERLESS_ENDPOINT: {
        "identity": None,
        "sku": {"name": "Consumption", "tier": "Free"},
        "properties": {
            "authMode": "Key",
            "modelSettings": {"modelId": LLAMA.id},
            "contentSafety": {"contentSafetyStatus": "Enabled"},
            "endpointState": "Online",
            "inferenceEndpoint": {"uri": "https://llama.eastus2.example", "headers": None},
            "marketplaceSubscriptionId": "llama-sub",
            "provisioningState": "Succeeded",
        },
    },
    Kind.ONLINE_ENDPOINT: {
        "kind": "Managed",
        "identity": {
            "type": "UserAssigned",
            "principalId": "p",
            "tenantId": "t",
            "userAssignedIdentities": {USER_IDENTITY: {"principalId": "p", "clientId": "c"}},
        },
        "properties": {
            "authMode": "Key",
            "description": None,
            "compute": None,
            "keys": None,
            "properties": {"azureml.onlineendpointid": "x", "SharedComputeCapacityEnabled": "true"},
            "provisioningState": "Succeeded",
            "scoringUri": "https://llama-8b.example/score",
            "swaggerUri": "https://llama-8b.example/swagger.json",
            "traffic": {"blue": 100},
            "mirrorTraffic": {"green": 10},
            "publicNetworkAccess": "Enabled",
        },
    },
    Kind.ONLINE_DEPLOYMENT: {
        "kind": "Managed",
        "sku": {"name": "Default", "tier": "Standard", "capacity": 1},
        "properties": {
            "endpointComputeType": "Managed",
            "model": LLAMA.versioned_id,
            "instanceType": "Standard_NC24ads_A100_v4",
            "environmentVariables": {"OLD": "1"},
            "codeConfiguration": None,
            "scaleSettings": {"scaleType": "Default"},
            "livenessProbe": {"period": "PT7S", "initialDelay": "PT1S"},
            "provisioningState": "Succeeded",
            "privateNetworkConnection": False,
        },
    },
}


@cache
def document(path: Path) -> Json:
    loaded: Json = json.loads(path.read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="module")
def spec() -> Path:
    return shared_dir(
        "azure-specs/specification/machinelearningservices/resource-manager"
        "/Microsoft.MachineLearningServices/stable/2024-10-01/mfe.json"
    )


def resolve(ref: str, base: Path) -> tuple[Json, Path]:
    file, _, pointer = ref.partition("#/")
    target = (base.parent / file).resolve() if file else base
    node: Any = document(target)
    for part in pointer.split("/"):
        node = node[part]
    return node, target


def operation(asked: Asked, spec: Path) -> tuple[Json, Path]:
    """The specification's operation for a captured request; fails when there is none."""
    for template, methods in document(spec)["paths"].items():
        pattern = re.sub(r"\{[^}]+\}", "[^/]+", template)
        if re.fullmatch(pattern, asked.path) and asked.method.lower() in methods:
            return methods[asked.method.lower()], spec
    raise AssertionError(f"not in the specification: {asked.method} {asked.path}")


def flat(schema: Json, base: Path) -> tuple[Json, list[tuple[str, Json, Path]], set[str]]:
    """The definition with allOf and $ref followed: itself, its properties, its required names."""
    while "$ref" in schema:
        schema, base = resolve(schema["$ref"], base)
    properties = [(name, item, base) for name, item in schema.get("properties", {}).items()]
    required = set(schema.get("required", ()))
    for parent in schema.get("allOf", ()):
        _, inherited, needed = flat(parent, base)
        properties += inherited
        required |= needed
    return schema, properties, required


def faults(value: Any, schema: Json, base: Path, at: str = "body") -> Iterator[str]:
    """Everything in `value` that the definition does not allow in a request."""
    # A discriminated definition is judged as the managed one: the only kind that is deployed.
    if schema.get("$ref", "").endswith("/OnlineDeployment"):
        schema = {"$ref": "#/definitions/ManagedOnlineDeployment"}
    whole, properties, required = flat(schema, base)
    names = {name for name, _, _ in properties}
    if isinstance(value, dict):
        yield from (f"{at}.{name} is missing" for name in required - value.keys())
        extra = whole.get("additionalProperties")
        for name, item in value.items():
            if isinstance(extra, dict):
                yield from faults(item, extra, base, f"{at}.{name}")
            elif properties and name not in names:
                yield f"{at}.{name} is unknown"
        for name, item, where in properties:
            if name not in value:
                continue
            resolved, _, _ = flat(item, where)
            if item.get("readOnly") or resolved.get("readOnly"):
                yield f"{at}.{name} is readOnly"
            else:
                yield from faults(value[name], item, where, f"{at}.{name}")
        return
    plain = {key: whole[key] for key in ("type", "enum", "minimum", "pattern") if key in whole}
    yield from (f"{at}: {error.message}" for error in
                jsonschema.Draft4Validator(plain).iter_errors(value))  # fmt: skip


def judge(asked: Asked, spec: Path) -> list[str]:
    found, base = operation(asked, spec)
    for parameter in found["parameters"]:
        resolved = resolve(parameter["$ref"], base)[0] if "$ref" in parameter else parameter
        if resolved.get("in") == "body":
            return list(faults(asked.body, resolved["schema"], base))
    return [] if asked.body in ("", None) else ["the operation takes no body"]


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    async with wired(tmp_path) as wire:
        yield wire


@pytest.mark.parametrize(
    "wish",
    [SUBSCRIPTION, SERVERLESS, ENDPOINT, DEPLOYMENT],
    ids=lambda wish: type(wish).__name__,
)
async def test_what_is_created_is_what_the_specification_takes(
    wire: Wire, spec: Path, wish: Resource
) -> None:
    wire.script.will(Answer(201, {}))
    await wire.cloud.put(wish)
    (asked,) = wire.script.asked
    assert judge(asked, spec) == []


@pytest.mark.parametrize(
    ("wish", "fields", "method"),
    [
        (SERVERLESS, {"tags"}, "PATCH"),
        (SERVERLESS, {"content_safety"}, "PUT"),
        (SERVERLESS, {"content_safety", "tags"}, "PUT"),
        (ENDPOINT, {"tags"}, "PATCH"),
        (ENDPOINT, {"traffic"}, "PUT"),
        (ENDPOINT, {"description", "traffic", "identity", "tags"}, "PUT"),
        (DEPLOYMENT, {"instance_count"}, "PATCH"),
        (DEPLOYMENT, {"instance_count", "tags"}, "PATCH"),
        (DEPLOYMENT, {"environment_variables", "liveness_probe", "data_collection"}, "PUT"),
        (DEPLOYMENT, {"request_settings", "readiness_probe", "instance_count"}, "PUT"),
    ],
)
async def test_what_is_changed_is_what_the_specification_takes(
    wire: Wire, spec: Path, wish: Resource, fields: set[str], method: str
) -> None:
    id = wish.id
    created = {"createdAt": "2026-01-01T00:00:00Z"}
    common = {"id": id.arm_id, "name": id.name, "location": "eastus2", "systemData": created}
    wire.script.will(Answer(body={**common, **LIVE[id.kind]}))
    await wire.cloud.update(wish, frozenset(fields))
    asked = wire.script.asked[-1]
    assert asked.method == method
    # The service adds names of its own that the specification lacks (AZURE.md §17): echoed.
    own = ["body.properties.privateNetworkConnection is unknown"]
    assert [fault for fault in judge(asked, spec) if fault not in own] == []
    assert len(wire.script.asked) == (1 if method == "PATCH" else 2)


async def _keys(wire: Wire) -> None:
    await wire.cloud.keys(ENDPOINT.id)


async def _regenerate(wire: Wire) -> None:
    await wire.cloud.regenerate_key(SERVERLESS.id, KeyName.SECONDARY)


async def _logs(wire: Wire) -> None:
    await wire.cloud.logs(DEPLOYMENT.id, "StorageInitializer")


async def _delete(wire: Wire) -> None:
    await wire.cloud.delete(DEPLOYMENT.id)


@pytest.mark.parametrize("call", [_keys, _regenerate, _logs, _delete])
async def test_actions_are_the_specifications(
    wire: Wire, spec: Path, call: Callable[[Wire], Any]
) -> None:
    wire.script.will(Answer(body={"primaryKey": "a", "secondaryKey": "b", "content": "log"}))
    await call(wire)
    (asked,) = wire.script.asked
    assert judge(asked, spec) == []


def test_the_judge_notices(spec: Path) -> None:
    """Else an empty list of faults would prove nothing."""
    path = SERVERLESS.id.arm_id
    bad = {"sku": {"name": "x"}, "systemData": {}, "nonsense": 1,
           "properties": {"provisioningState": "Succeeded", "contentSafety": {}}}  # fmt: skip
    found = set(judge(Asked("PUT", path, {}, {}, bad), spec))
    assert found == {
        "body.location is missing",
        "body.systemData is readOnly",
        "body.nonsense is unknown",
        "body.properties.authMode is missing",
        "body.properties.provisioningState is readOnly",
        "body.properties.contentSafety.contentSafetyStatus is missing",
    }


async def test_the_exact_bodies(wire: Wire) -> None:
    """Spelled out, because every one of these words was chosen (AZURE.md §2 to §5)."""
    wire.script.will(Answer(201, {}))
    for wish in (SUBSCRIPTION, SERVERLESS, ENDPOINT, DEPLOYMENT):
        await wire.cloud.put(wish)
    subscription, serverless, endpoint, deployment = (asked.body for asked in wire.script.asked)
    assert subscription == {"properties": {"modelId": LLAMA.id}}
    assert serverless == {
        "location": "eastus2",
        "tags": {"provisioner-stack": "default"},
        "sku": {"name": "Consumption"},
        "properties": {
            "authMode": "Key",
            "modelSettings": {"modelId": LLAMA.id},
            "contentSafety": {"contentSafetyStatus": "Disabled"},
        },
    }
    assert endpoint == {
        "location": "eastus2",
        "tags": {"a": "b"},
        "identity": {"type": "UserAssigned", "userAssignedIdentities": {USER_IDENTITY: {}}},
        "properties": {
            "authMode": "Key",
            "description": "chat",
            "properties": {"SharedComputeCapacityEnabled": "true"},
            "publicNetworkAccess": "Enabled",
            "traffic": {"blue": 100},
        },
    }
    assert deployment == {
        "location": "eastus2",
        "tags": {"a": "b"},
        "sku": {"name": "Default", "capacity": 2},
        "properties": {
            "endpointComputeType": "Managed",
            "model": LLAMA.versioned_id,
            "instanceType": "Standard_NC24ads_A100_v4",
            "environmentVariables": {"MAX_LEN": "4096"},
            "requestSettings": {
                "requestTimeout": "PT90S",
                "maxConcurrentRequestsPerInstance": 4,
                "maxQueueWait": "PT0.5S",
            },
            "livenessProbe": {
                "initialDelay": "PT600S",
                "period": "PT10S",
                "timeout": "PT2.5S",
                "successThreshold": 1,
                "failureThreshold": 30,
            },
            "readinessProbe": {"initialDelay": "PT10S"},
            "dataCollector": {
                "collections": {
                    "model_inputs": {"dataCollectionMode": "Enabled", "samplingRate": 0.1},
                    "model_outputs": {"dataCollectionMode": "Disabled", "samplingRate": 1.0},
                }
            },
        },
    }


async def test_a_change_keeps_what_it_does_not_name(wire: Wire) -> None:
    wire.script.will(Answer(body={"location": "eastus2", **LIVE[Kind.ONLINE_DEPLOYMENT]}))
    wish = OnlineDeployment(
        DEPLOYMENT.id, "eastus2", LLAMA, "other", 5, liveness_probe=Probe(initial_delay=30)
    )
    await wire.cloud.update(wish, frozenset({"liveness_probe", "request_settings"}))
    put = wire.script.asked[-1].body
    assert put["properties"]["livenessProbe"] == {"period": "PT7S", "initialDelay": "PT30S"}
    assert put["properties"]["instanceType"] == "Standard_NC24ads_A100_v4"
    assert put["properties"]["environmentVariables"] == {"OLD": "1"}
    assert put["properties"]["scaleSettings"] == {"scaleType": "Default"}
    assert put["sku"]["capacity"] == 1


async def test_mirror_traffic_survives_a_change_of_traffic(wire: Wire) -> None:
    wire.script.will(Answer(body={"location": "eastus2", **LIVE[Kind.ONLINE_ENDPOINT]}))
    await wire.cloud.update(ENDPOINT, frozenset({"traffic"}))
    put = wire.script.asked[-1].body
    assert put["properties"]["mirrorTraffic"] == {"green": 10}
    assert put["properties"]["traffic"] == {"blue": 100}
    assert put["identity"] == {
        "type": "UserAssigned",
        "userAssignedIdentities": {USER_IDENTITY: {}},
    }


async def test_a_change_to_what_is_gone_is_an_error(wire: Wire) -> None:
    wire.script.will(refusal(404, "ResourceNotFound"))
    with pytest.raises(Exception, match="ResourceNotFound"):
        await wire.cloud.update(ENDPOINT, frozenset({"traffic"}))


async def test_a_model_without_a_version_cannot_be_deployed(wire: Wire) -> None:
    wish = OnlineDeployment(DEPLOYMENT.id, "eastus2", ModelRef("r", "m"), "Standard_X", 1)
    with pytest.raises(Exception, match="not resolved"):
        await wire.cloud.put(wish)
    assert wire.script.asked == []
