"""Parsing that survives anything, and reads what is there."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.azure import (
    authorization,
    capacity,
    marketplace,
    online_deployments,
    online_endpoints,
    serverless,
    workspaces,
)
from provisioner.azure.client import covers
from provisioner.azure.kinds import Shape
from provisioner.azure.values import duration, instant, integer, mapping, number, seconds, strings
from provisioner.resources import (
    ContentSafety,
    DataCollection,
    Identity,
    Kind,
    MarketplacePlan,
    ModelRef,
    OnlineDeployment,
    OnlineEndpoint,
    Probe,
    RequestSettings,
    ResourceId,
    ServerlessEndpoint,
    State,
    WorkspaceId,
)
from tests.shared import shared_dir

WORKSPACE = WorkspaceId("s", "rg", "ws")
SHAPES: tuple[Shape[Any], ...] = (
    marketplace.SHAPE,
    serverless.SHAPE,
    online_endpoints.SHAPE,
    online_deployments.SHAPE,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("PT5S", 5), ("PT0.5S", 0.5), ("PT1M30S", 90), ("PT0S", 0), ("P1DT1H", 90000),
     ("-PT1S", -1), ("5", None), ("", None), (None, None), (5, None), ("PT5S ", None),
     ("PT٣S", None)],
)  # fmt: skip
def test_durations_are_read(text: object, expected: float | None) -> None:
    assert seconds(text) == expected


@given(st.integers(0, 10**9).map(lambda milliseconds: milliseconds / 1000))
def test_a_duration_reads_back_as_it_was_written(value: float) -> None:
    assert seconds(duration(value)) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2022-10-03T23:59:45.3414944+00:00", datetime(2022, 10, 3, 23, 59, 45, 341494, UTC)),
        ("2026-01-01T01:00:00+02:00", datetime(2025, 12, 31, 23, 0, tzinfo=UTC)),
        ("2026-01-01T00:00:00Z", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01T00:00:00", datetime(2026, 1, 1, tzinfo=UTC)),
        ("0001-01-01T00:00:00+10:00", None),
        ("yesterday", None),
        (12, None),
    ],
)
def test_instants(text: object, expected: datetime | None) -> None:
    assert instant(text) == expected


def test_numbers() -> None:
    assert [number(value) for value in (3, 3.5, "3", "x", True, None, float("nan"), "inf")] == [
        3, 3.5, 3.0, None, None, None, None, None]  # fmt: skip
    assert integer("7") == 7
    assert integer(None, 4) == 4
    assert strings({"a": True, "b": None, "c": 1}) == {"a": "true", "c": "1"}


def recorded(name: str) -> dict[str, Any]:
    path = shared_dir("recordings") / name
    body: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["liveResponse"]["body"]
    return body


def test_a_recorded_endpoint() -> None:
    id = ResourceId(WORKSPACE, Kind.ONLINE_ENDPOINT, "online-endp4e07306aec3d482")
    live = online_endpoints.parse(recorded("ml-online-endpoint-lro/d9ed55_0001.json"), id)
    assert live.state is State.CREATING
    assert live.url is None
    assert live.created_at == datetime(2022, 10, 3, 23, 59, 45, 341494, UTC)
    endpoint = live.resource
    assert endpoint.location == "eastus2"
    assert endpoint.description == "this is a sample online endpoint"
    assert endpoint.tags == {"foo": "bar"}
    assert endpoint.identity == Identity("SystemAssigned")
    assert endpoint.traffic == {}


def test_a_recorded_deployment() -> None:
    id = ResourceId(WORKSPACE, Kind.ONLINE_DEPLOYMENT, "blue", "ep")
    live = online_deployments.parse(recorded("ml-online-endpoint-lro/d9ed55_0118.json"), id)
    assert live.state is State.SUCCEEDED
    deployment = live.resource
    assert deployment.instance_type == "Standard_F4s_v2"
    assert deployment.instance_count == 1
    assert deployment.request_settings == RequestSettings(5, 1, 0)
    assert deployment.liveness_probe == Probe(10, 10, 2, 1, 30)
    assert deployment.environment_variables == {}
    assert deployment.data_collection is None
    assert deployment.model.registry == ""
    assert deployment.model.name.endswith("/models/test-model/versions/4")


def test_a_recorded_workspace() -> None:
    raw = recorded("ml-workspace-lro/defcaf_0035.json")
    workspace = workspaces.parse(raw, WORKSPACE)
    assert workspace.region == "eastus2euap"
    assert workspace.state == "Succeeded"
    assert workspace.kind == "Default"


def test_a_serverless_endpoint_whole_and_bare() -> None:
    id = ResourceId(WORKSPACE, Kind.SERVERLESS_ENDPOINT, "llama")
    raw = {
        "location": "East US 2",
        "tags": None,
        "properties": {
            "authMode": "Key",
            "modelSettings": {"modelId": "azureml://registries/azureml-meta/models/L/versions/2"},
            "contentSafety": {"contentSafetyStatus": "disabled"},
            "provisioningState": "succeeded",
            "endpointState": "Online",
            "inferenceEndpoint": {"uri": "https://x"},
        },
    }
    live = serverless.parse(raw, id)
    assert live.resource == ServerlessEndpoint(
        id, "eastus2", ModelRef("azureml-meta", "L", "2"), ContentSafety.DISABLED
    )
    assert (live.state, live.condition, live.url) == (State.SUCCEEDED, "Online", "https://x")
    bare = serverless.parse({"properties": {"inferenceEndpoint": None}}, id)
    assert (bare.state, bare.url, bare.resource.content_safety) == (State.SUCCEEDED, None, None)


def test_a_subscription_without_its_plan_and_with_it() -> None:
    id = ResourceId(WORKSPACE, Kind.MARKETPLACE_SUBSCRIPTION, "sub")
    properties: dict[str, Any] = {"modelId": "azureml://registries/r/models/m",
                                  "marketplacePlan": None,
                                  "marketplaceSubscriptionStatus": "Subscribed"}  # fmt: skip
    assert marketplace.parse({"properties": properties}, id).plan is None
    properties["marketplacePlan"] = {"publisherId": "p", "offerId": "o", "planId": "l"}
    live = marketplace.parse({"properties": properties}, id)
    assert live.plan == MarketplacePlan("p", "o", "l")
    assert live.condition == "Subscribed"


@given(
    st.builds(
        OnlineDeployment,
        id=st.just(ResourceId(WORKSPACE, Kind.ONLINE_DEPLOYMENT, "d", "e")),
        location=st.just("eastus2"),
        model=st.just(ModelRef("r", "m", "1")),
        instance_type=st.text(min_size=1),
        instance_count=st.integers(1, 50),
        environment_variables=st.none() | st.dictionaries(st.text(), st.text()),
        request_settings=st.none()
        | st.builds(RequestSettings, st.none() | st.integers(0, 180), st.none() | st.integers(1)),
        liveness_probe=st.none() | st.builds(Probe, st.none() | st.integers(0, 999)),
        data_collection=st.none()
        | st.builds(DataCollection, st.just(True), st.booleans(), st.floats(0, 1)),
        tags=st.dictionaries(st.text(), st.text()),
    )
)
def test_a_deployment_reads_back_as_it_was_written(wish: OnlineDeployment) -> None:
    assert online_deployments.parse(online_deployments.body(wish), wish.id).resource == wish


@given(
    st.builds(
        OnlineEndpoint,
        id=st.just(ResourceId(WORKSPACE, Kind.ONLINE_ENDPOINT, "e")),
        location=st.just("eastus2"),
        description=st.none() | st.text(min_size=1),
        traffic=st.dictionaries(st.text(), st.integers(0, 100)),
        properties=st.dictionaries(st.text(), st.text()),
        identity=st.just(Identity("SystemAssigned")),
        tags=st.dictionaries(st.text(), st.text()),
    )
)
def test_an_endpoint_reads_back_as_it_was_written(wish: OnlineEndpoint) -> None:
    assert online_endpoints.parse(online_endpoints.body(wish), wish.id).resource == wish


NAMES = ["id", "name", "location", "tags", "properties", "sku", "capacity", "identity", "type",
         "systemData", "createdAt", "provisioningState", "modelSettings", "modelId",
         "contentSafety", "contentSafetyStatus", "traffic", "properties", "dataCollector",
         "collections", "model_inputs", "samplingRate", "requestSettings", "livenessProbe",
         "initialDelay", "inferenceEndpoint", "marketplacePlan", "managedNetwork", "status",
         "userAssignedIdentities", "actions", "value", "level", "currentValue"]  # fmt: skip
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["Succeeded", "PT5S", "Enabled", "2026-01-01T00:00:00Z", "/a/b/c"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=30,
)  # fmt: skip
objects = st.dictionaries(st.sampled_from(NAMES), anything, max_size=8)


@given(objects, st.sampled_from(SHAPES))
def test_no_resource_breaks_the_parser(raw: dict[str, Any], shape: Shape[Any]) -> None:
    live = shape.live(raw, WORKSPACE)
    assert live is None or (live.id.name and live.state in State)
    writable = shape.writable(raw)
    assert writable.keys() <= {"location", "tags", "kind", "sku", "identity", "properties"}
    assert writable["properties"].keys() <= shape.settings.keys()


_ML = "specification/machinelearningservices/resource-manager/Microsoft.MachineLearningServices"


@pytest.mark.parametrize(
    ("shape", "definition", "unsent"),
    [
        (marketplace.SHAPE, "MarketplaceSubscription", set()),
        (serverless.SHAPE, "ServerlessEndpoint", set()),
        (online_endpoints.SHAPE, "OnlineEndpoint", {"keys"}),  # of the creation, never answered
        (online_deployments.SHAPE, "OnlineDeployment", set()),
    ],
)
def test_the_settings_are_those_of_the_specification(
    shape: Shape[Any], definition: str, unsent: set[str]
) -> None:
    file = shared_dir("azure-specs", *_ML.split("/"), "stable", "2024-10-01", "mfe.json")
    definitions = json.loads(file.read_text())["definitions"]
    properties = _properties(definitions, definition)
    wanted = {name for name, schema in properties.items() if not schema.get("readOnly")} - unsent
    assert shape.settings.keys() == wanted
    for name, below in shape.settings.items():
        if below is not None:
            assert below == _properties(definitions, _target(properties[name])).keys()


def _properties(definitions: dict[str, Any], name: str) -> dict[str, Any]:
    own = definitions[name]
    inherited = [_properties(definitions, _target(parent)) for parent in own.get("allOf", ())]
    return {key: value for part in [*inherited, own["properties"]] for key, value in part.items()}


def _target(reference: dict[str, Any]) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def test_what_the_specification_does_not_know_is_not_sent_back() -> None:
    raw: dict[str, Any] = {
        "id": "/x", "name": "d", "type": "t", "systemData": {}, "etag": None, "newer": 1,
        "location": "eastus2", "tags": {"a": "b"}, "kind": "Managed",
        "sku": {"name": "Default", "tier": None, "capacity": 1, "newer": 1},
        "properties": {
            "provisioningState": "Succeeded", "model": "azureml://m", "scaleSettings": None,
            "privateNetworkConnection": False, "environmentVariables": {"A": None},
            "livenessProbe": {"period": "PT10S", "initialDelay": None, "httpGet": {}},
        },
    }  # fmt: skip
    assert online_deployments.SHAPE.writable(raw) == {
        "location": "eastus2", "tags": {"a": "b"}, "kind": "Managed",
        "sku": {"name": "Default", "capacity": 1},
        "properties": {
            "model": "azureml://m", "environmentVariables": {"A": None},
            "livenessProbe": {"period": "PT10S"},
        },
    }  # fmt: skip


@given(objects)
def test_no_fact_breaks_the_parser(raw: dict[str, Any]) -> None:
    workspaces.parse(raw, WORKSPACE)
    capacity.parse_usage(raw)
    capacity.parse_size(raw)
    authorization.parse_permission(raw)
    authorization.parse_lock(raw)
    assert mapping(raw) is raw


def test_usages_and_sizes() -> None:
    usage = capacity.parse_usage(
        {
            "id": "/subscriptions/s/providers/Microsoft.MachineLearningServices/locations/eastus/"
            "usages/standardNCADSA100v4Family",
            "name": {"value": "Standard NCADSA100v4 Family Cluster Dedicated vCPUs"},
            "currentValue": 24,
            "limit": 96,
        }
    )
    assert usage is not None
    assert (usage.id, usage.used, usage.limit) == ("standardNCADSA100v4Family", 24, 96)
    size = capacity.parse_size({"name": "Standard_X", "family": "f", "vCPUs": 24, "gpus": 1,
                                "memoryGB": 220.0})  # fmt: skip
    assert size is not None
    assert (size.vcpus, size.gpus, size.memory_gb) == (24, 1, 220.0)


def test_a_locks_scope_is_its_ids() -> None:
    lock = authorization.parse_lock(
        {
            "id": "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Authorization/locks/keep",
            "name": "keep",
            "properties": {"level": "CanNotDelete"},
        }
    )
    assert lock is not None
    assert (lock.scope, lock.level) == ("/subscriptions/s/resourceGroups/rg", "CanNotDelete")


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": {"b": "X"}}, {"a": {"b": "x"}}, True),
        ({"a": {}}, {}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": {"b": 1}}, {"a": None}, False),
        ({"modelId": "m"}, {"modelId": "M/versions/3"}, True),
        ({"modelId": "m"}, {"modelId": "mm"}, False),
        ({"location": "East US"}, {"location": "eastus"}, True),
        ([1], [2, 1], True),
        ([1], None, False),
    ],
)
def test_covers(wanted: object, found: object, expected: bool) -> None:
    assert covers(wanted, found) is expected
