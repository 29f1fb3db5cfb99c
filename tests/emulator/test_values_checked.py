"""Values that a body holds: words, durations and numbers as the specification has them."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.azure_client import (
    GROUP,
    LOCATION,
    PHI,
    STABLE,
    SUB,
    WORKSPACE,
    Client,
    azure,
    deployment,
    endpoint,
    error,
    serverless,
)

ONE = f"{WORKSPACE}/onlineEndpoints/one"
BLUE = f"{ONE}/deployments/blue"
ROLE = f"{SUB}/providers/Microsoft.Authorization/roleDefinitions/{uuid.UUID(int=7)}"
READ = {"roleName": "R", "permissions": [{"actions": ["*/read"]}], "assignableScopes": [SUB]}
TERMS = (
    f"{SUB}/providers/Microsoft.MarketplaceOrdering/offerTypes/virtualmachine/publishers/metagenai"
    "/offers/meta-llama-3-3-70b-instruct-offer/plans/meta-llama-3-3-70b-instruct-plan"
    "/agreements/current"
)


async def _refused(client: Client, path: str, body: object, target: str) -> None:
    answer = await client.send("PUT", path, body)
    assert error(answer) == (400, "UserError"), answer.text
    assert [d["target"] for d in answer.json()["error"]["details"]] == [target]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("properties.contentSafety.contentSafetyStatus", "On"),
        ("properties.authMode", "AAD"),
        ("sku.tier", "Gold"),
        ("sku.capacity", 2**31),
        ("sku.capacity", 1e308),
        ("identity.type", "Someone"),
        ("identity.userAssignedIdentities.a", 5),
    ],
)
async def test_a_serverless_endpoint_with_a_value_that_there_is_not(
    tmp_path: Path, path: str, value: object
) -> None:
    async with azure(tmp_path) as client:
        body = serverless(PHI, contentSafety={"contentSafetyStatus": "Enabled"})
        body["identity"] = {"type": "UserAssigned", "userAssignedIdentities": {}}
        _set(body, path, value)
        await _refused(client, f"{WORKSPACE}/serverlessEndpoints/phi", body, path)


def _set(body: dict[str, Any], path: str, value: object) -> None:
    *parents, last = path.split(".")
    for name in parents:
        body = body.setdefault(name, {})
    body[last] = value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("properties.egressPublicNetworkAccess", "Off"),
        ("properties.scaleSettings", {"scaleType": "Manual"}),
        ("properties.requestSettings.requestTimeout", "5s"),
        ("properties.requestSettings.requestTimeout", "PT"),
        ("properties.requestSettings.maxConcurrentRequestsPerInstance", 10**40),
        ("properties.livenessProbe.period", "P1"),
        ("properties.readinessProbe.failureThreshold", 1.5),
        ("properties.dataCollector", {"collections": {}, "rollingRate": "Week"}),
        ("properties.dataCollector", {"collections": {"a": {"samplingRate": 1e400}}}),
    ],
)
async def test_a_deployment_with_a_value_that_there_is_not(
    tmp_path: Path, path: str, value: object
) -> None:
    async with azure(tmp_path) as client:
        await client.do("PUT", ONE, endpoint())
        body = deployment(1)
        _set(body, path, value)
        text = json.dumps(body).replace("Infinity", "1e400")
        answer = await client.http.put(
            f"{BLUE}?api-version={STABLE}",
            content=text,
            headers={"content-type": "application/json"},
        )
        assert error(answer) == (400, "UserError"), answer.text
        assert answer.json()["error"]["details"][0]["target"].startswith(path)


async def test_words_are_taken_in_any_case_and_shown_in_the_specifications(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        one = f"{WORKSPACE}/serverlessEndpoints/phi"
        body = serverless(PHI, authMode="key", contentSafety={"contentSafetyStatus": "enabled"})
        await client.do("PUT", one, body)
        shown = (await client.get(one))["properties"]
        assert shown["authMode"] == "Key"
        assert shown["contentSafety"] == {"contentSafetyStatus": "Enabled"}
        identity = "/subscriptions/s/resourceGroups/g/providers/M.I/userAssignedIdentities/i"
        both = {"type": "systemassigned, userassigned", "userAssignedIdentities": {identity: {}}}
        await client.do("PUT", ONE, {**endpoint(), "identity": both})
        found = (await client.get(ONE))["identity"]
        assert found["type"] == "SystemAssigned,UserAssigned"
        assert set(found["userAssignedIdentities"][identity]) == {"principalId", "clientId"}
        for span in ("PT0.5S", "PT1M30S", "P1DT2H", "P2W"):
            settings = {"requestTimeout": span}
            await client.do("PUT", BLUE, deployment(1, requestSettings=settings))


async def test_an_identity_can_be_changed_wherever_there_is_one(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        phi = f"{WORKSPACE}/serverlessEndpoints/phi"
        await client.do("PUT", phi, serverless(PHI))
        await client.do("PUT", ONE, endpoint())
        await client.do("PUT", BLUE, deployment(1))
        system = {"identity": {"type": "SystemAssigned"}}
        for path, body in ((phi, serverless(PHI)), (ONE, endpoint()), (BLUE, deployment(1))):
            await client.do("PUT", path, {**body, **system})
            assert "principalId" in (await client.get(path))["identity"]
            await client.do("PATCH", path, {"identity": {"type": "None"}})
            assert (await client.get(path))["identity"] == {"type": "None"}
        await client.do("PATCH", WORKSPACE, {"identity": {"type": "None"}, "sku": {"name": "X"}})
        changed = await client.get(WORKSPACE)
        assert (changed["identity"], changed["sku"]["name"]) == ({"type": "None"}, "X")


async def test_a_body_nested_without_end_is_refused_before_it_is_kept(tmp_path: Path) -> None:
    async with azure(tmp_path, "behaviour: {staleRead: 1s}") as client:
        for depth, status in ((30, 201), (65, 400), (500, 400), (955, 400), (2000, 400)):
            nested = b"[" * depth + b"]" * depth
            body = b'{"location": "eastus2", "properties": {"authMode": "Key"}, "x": ' + nested
            answer = await client.http.put(f"{ONE}?api-version={STABLE}", content=body + b"}")
            assert answer.status_code == status, depth


async def test_an_endpoint_on_a_cluster_is_not_pretended(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        answer = await client.send("PUT", ONE, endpoint(compute="azureml:aks"))
        assert error(answer) == (400, "UserError")
        assert "no Kubernetes" in answer.text


@pytest.mark.parametrize(
    ("method", "path", "version", "body"),
    [
        ("PUT", TERMS, "2021-01-01", {"properties": {"accepted": "yes"}}),
        ("PUT", TERMS, "2021-01-01", {"properties": {"signature": 5}}),
        ("PUT", TERMS, "2021-01-01", {"properties": None}),
        ("PATCH", GROUP, "2021-04-01", {"managedBy": 5}),
        ("POST", f"{LOCATION}/updateQuotas", STABLE, {"value": [None]}),
        ("PUT", ROLE, "2022-04-01", {"properties": {**READ, "permissions": [None]}}),
        ("PUT", ROLE, "2022-04-01", {"properties": {**READ, "assignableScopes": [None]}}),
        ("PUT", ROLE, "2022-04-01", {"properties": {**READ, "permissions": [{"actions": [None]}]}}),
        ("PATCH", ONE, "2022-02-01-preview", {"kind": 5}),
        ("PUT", WORKSPACE, STABLE, {"location": "eastus2", "identity": 5}),
        ("PUT", WORKSPACE, STABLE, {"location": "eastus2", "sku": {"name": 5}}),
        ("PUT", WORKSPACE, STABLE, {"location": "eastus2", "properties": {"hbiWorkspace": "no"}}),
    ],
)
async def test_the_other_bodies_are_checked_as_well(
    tmp_path: Path, method: str, path: str, version: str, body: object
) -> None:
    async with azure(tmp_path) as client:
        await client.do("PUT", ONE, endpoint())
        answer = await client.send(method, path, body, version=version)
        assert answer.status_code == 400, answer.text


async def test_there_is_one_type_of_offer(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        path = TERMS.replace("virtualmachine", "saas")
        answer = await client.send("GET", path, version="2021-01-01")
        assert error(answer) == (400, "BadRequest")
