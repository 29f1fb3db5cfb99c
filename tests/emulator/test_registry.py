"""Registries: what the operations answer, checked against the published descriptions."""

from __future__ import annotations

import ast
import asyncio
import json
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import jsonschema
import pytest
import referencing
import referencing.jsonschema
from referencing import Resource

from provisioner.emulator.errors import ArmError
from provisioner.emulator.models import load_models
from provisioner.emulator.registry import (
    ARM_MODELS,
    ARM_REGISTRIES,
    DATA_PLANE,
    REGISTRY_SUBSCRIPTION,
    routes,
)
from provisioner.emulator.routing import Router, choose
from provisioner.emulator.tenant import Tenant
from provisioner.emulator.wire import Call
from tests.shared import shared_dir

ONE = (
    f"/subscriptions/{REGISTRY_SUBSCRIPTION}/resourceGroups/rg-azureml-meta/providers"
    "/Microsoft.MachineLearningServices/registries/azureml-meta"
)
MFE = f"/mferp/managementfrontend{ONE}"
LLAMA = "Llama-3.3-70B-Instruct"
SPECIFICATION = (
    "azure-specs/specification/machinelearningservices/resource-manager"
    "/Microsoft.MachineLearningServices"
)


def get(url: str, version: str = DATA_PLANE[0]) -> Any:
    """The body of a GET, through the routes as the application has them."""
    router = Router()
    for route in routes():
        router.add(route)
    models = load_models()
    tenant = SimpleNamespace(
        models=models,
        model=lambda registry, name: models.get((registry.lower(), name.lower())),
        scenario=SimpleNamespace(tenant_id="aaaaaaaa-0000-4000-8000-000000000001"),
    )
    parts = urlsplit(url)
    query = {"api-version": version} | {k.lower(): v for k, v in parse_qsl(parts.query)}
    route, params = choose(router, "GET", parts.path)
    call = Call(
        "GET", parts.path, query, {}, b"", "https://localhost:1", cast(Tenant, tenant), 0.0, "id"
    )
    call.params = params
    reply = route.handler(call)
    assert not asyncio.iscoroutine(reply)
    assert reply.status == 200  # type: ignore[union-attr]
    return json.loads(reply.content())  # type: ignore[union-attr]


def refused(url: str) -> ArmError:
    with pytest.raises(ArmError) as caught:
        get(url)
    return caught.value


def test_discovery_leads_to_the_data_plane() -> None:
    found = get("/registrymanagement/v1.0/registries/AzureML-Meta/discovery")
    assert found["primaryRegionResourceProviderUri"].endswith("/")
    assert found["registryName"] == "azureml-meta"
    group = found["resourceGroup"]
    base = f"/mferp/managementfrontend/subscriptions/{found['subscriptionId']}"
    path = f"{base}/resourceGroups/{group}/providers/Microsoft.MachineLearningServices"
    assert get(f"{path}/registries/azureml-meta/models/{LLAMA}")["name"] == LLAMA
    assert (
        "azureml-mistral" in refused("/registrymanagement/v1.0/registries/nobody/discovery").message
    )


def test_the_latest_version_is_the_first_of_the_list() -> None:
    latest = get(f"{MFE}/models/{LLAMA}/versions?$orderBy=createdtime desc&$top=1")
    assert [item["name"] for item in latest["value"]] == ["9"]
    assert "nextLink" not in latest
    oldest = get(f"{MFE}/models/{LLAMA}/versions?$orderBy=createdtime asc&$top=2")
    assert [item["name"] for item in oldest["value"]] == ["1", "2"]
    assert get(f"{MFE}/models/{LLAMA}")["properties"]["latestVersion"] == "9"


def test_a_version_has_what_clients_read() -> None:
    body = get(f"{MFE}/models/{LLAMA}/versions/9")
    assert body["id"] == f"azureml://registries/azureml-meta/models/{LLAMA}/versions/9"
    properties = body["properties"]
    assert isinstance(properties["flavors"], dict)
    assert properties["properties"]["SharedComputeCapacityEnabled"] == "true"
    allowed = ast.literal_eval(properties["tags"]["inference_compute_allow_list"])
    assert "Standard_NC96ads_A100_v4" in allowed
    assert all(isinstance(value, str) for value in properties["properties"].values())
    old = get(f"{MFE}/models/Llama-2-7b-chat/versions/25")["properties"]["tags"]
    assert old["InferenceRetirementDate"] == "2025-06-30"


@pytest.mark.parametrize("view", ["ActiveOnly", "ListViewType.ACTIVE_ONLY", "All", ""])
def test_lists_by_view(view: str) -> None:
    suffix = f"?listViewType={view}" if view else ""
    assert len(get(f"{MFE}/models{suffix}")["value"]) > 20


def test_nothing_is_archived_and_other_views_are_refused() -> None:
    assert get(f"{MFE}/models?listViewType=ArchivedOnly")["value"] == []
    assert refused(f"{MFE}/models?listViewType=Sideways").status == 400
    assert refused(f"{MFE}/models?$top=many").status == 400
    assert refused(f"{MFE}/models/{LLAMA}/versions?$orderBy=mood").status == 400


def test_pages_hold_everything_once() -> None:
    whole = [item["name"] for item in get(f"{MFE}/models")["value"]]
    rest = get(f"{MFE}/models?$skip=3")["value"]
    assert [item["name"] for item in rest] == whole[3:]
    assert sorted(whole, key=str.lower) == whole


@pytest.mark.parametrize(
    "path",
    [
        f"{MFE}/models/nothing",
        f"{MFE}/models/{LLAMA}/versions/99",
        f"{ONE}x/models",
        ONE.replace("rg-azureml-meta", "rg-other"),
    ],
)
def test_what_is_not_there_is_404(path: str) -> None:
    assert refused(path).status == 404


def published(version: str, name: str) -> Path:
    kind = "preview" if "preview" in version else "stable"
    return shared_dir(SPECIFICATION, kind, version, name)


@cache
def document(path: Path) -> Any:
    """A Swagger file as JSON Schema: `x-nullable` becomes a choice, and a definition that builds
    on others does not forbid what those define."""
    return _plain(json.loads(path.read_text("utf-8")))


def _plain(node: Any) -> Any:
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {key: _plain(value) for key, value in node.items()}
    if "allOf" in made or made.get("additionalProperties") is False:
        made.pop("additionalProperties", None)
    return {"anyOf": [{"type": "null"}, made]} if made.get("x-nullable") else made


def retrieve(uri: str) -> Resource[Any]:
    return Resource(  # type: ignore[call-arg]
        contents=document(Path(urlsplit(uri).path)), specification=referencing.jsonschema.DRAFT4
    )


def check(version: str, file: str, definition: str, body: Any) -> None:
    path = published(version, file).resolve()
    schema = {"$ref": f"{path.as_uri()}#/definitions/{definition}"}
    registry: referencing.Registry[Any] = referencing.Registry(retrieve=retrieve)  # type: ignore[call-arg]
    validator = jsonschema.Draft4Validator(schema, registry=registry)
    problems = [error.message for error in validator.iter_errors(body)]
    assert not problems


@pytest.mark.parametrize("version", [*DATA_PLANE, *ARM_MODELS])
def test_models_fit_the_published_description(version: str) -> None:
    base = MFE if version in DATA_PLANE else ONE
    for path, definition in (
        ("", "ModelContainerResourceArmPaginatedResult"),
        (f"/{LLAMA}", "ModelContainerResource"),
        (f"/{LLAMA}/versions", "ModelVersionResourceArmPaginatedResult"),
        (f"/{LLAMA}/versions/9", "ModelVersionResource"),
    ):
        body = get(f"{base}/models{path}", version)
        check(version, "mfe.json", definition, body)
        first = body["value"][0] if "value" in body else body
        known = definition.removesuffix("ArmPaginatedResult").removesuffix("Resource")
        allowed = _properties(document(published(version, "mfe.json").resolve()), known)
        assert set(first["properties"]) <= allowed, (version, path)


def _properties(specification: dict[str, Any], name: str) -> set[str]:
    definition = specification["definitions"][name]
    found = set(definition.get("properties", {}))
    for parent in definition.get("allOf", []):
        found |= _properties(specification, parent["$ref"].rpartition("/")[2])
    return found


@pytest.mark.parametrize("version", ARM_REGISTRIES)
def test_registries_fit_the_published_description(version: str) -> None:
    body = get(ONE, version)
    check(version, "registries.json", "RegistryTrackedResource", body)
    listed = get(ONE.rpartition("/")[0], version)
    check(version, "registries.json", "RegistryTrackedResourceArmPaginatedResult", listed)
    assert listed["value"] == [body]
    everything = get(
        f"/subscriptions/{REGISTRY_SUBSCRIPTION}/providers"
        "/Microsoft.MachineLearningServices/registries",
        version,
    )
    assert len(everything["value"]) == 7
