"""What ARM would say to a request that is wrong: never a 500, and always something to act on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.emulator.azure_client import (
    GROUP,
    LOCATION,
    ML,
    PHI,
    STABLE,
    SUB,
    WORKSPACE,
    azure,
    deployment,
    endpoint,
    error,
    serverless,
)

ONE = f"{WORKSPACE}/serverlessEndpoints/one"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="cut"),
        pytest.param(b"[]", id="list"),
        pytest.param(b'"text"', id="text"),
        pytest.param(b"null", id="null"),
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param(b"{" * 100_000, id="braces"),
        pytest.param(b'{"a":' * 50_000, id="deep"),
        pytest.param(b'{"location": NaN}', id="NaN"),
        pytest.param(b'{"a": ' + b"9" * 5000 + b"}", id="big"),
    ],
)
async def test_a_body_that_is_no_json_object_is_a_400(tmp_path: Path, body: bytes) -> None:
    async with azure(tmp_path) as client:
        answer = await client.http.put(f"{ONE}?api-version={STABLE}", content=body)
        assert error(answer) == (400, "InvalidRequestContent")


async def test_an_oversized_body_is_a_413(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        body = b'{"a": "' + b"x" * (5 * 1024 * 1024) + b'"}'
        answer = await client.http.put(f"{ONE}?api-version={STABLE}", content=body)
        assert error(answer) == (413, "RequestContentTooLarge")
        assert (await client.get(WORKSPACE))["name"] == "mlw-prod"


async def test_a_wrong_method_is_a_405_that_lists_the_right_ones(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        answer = await client.send("POST", ONE)
        assert error(answer) == (405, "MethodNotAllowed")
        assert answer.headers["allow"] == "DELETE, GET, PATCH, PUT"


@pytest.mark.parametrize(
    ("path", "version", "code"),
    [
        (ONE, "2099-01-01", "InvalidResourceType"),
        (ONE, "2022-02-01-preview", "InvalidResourceType"),
        (f"{LOCATION}/usages", "2099-01-01", "NoRegisteredProviderFound"),
        (SUB, "2099-01-01", "InvalidApiVersionParameter"),
        (SUB, "", "MissingApiVersionParameter"),
    ],
)
async def test_an_unknown_api_version_is_a_400_that_lists_the_known_ones(
    tmp_path: Path, path: str, version: str, code: str
) -> None:
    async with azure(tmp_path) as client:
        answer = await client.send("GET", path, version=version)
        assert error(answer) == (400, code)
        if version:
            assert "2024-" in answer.json()["error"]["message"]


async def test_an_unknown_route_says_what_is_not_emulated(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        for path in (f"{WORKSPACE}/jobs/one", f"{SUB}/providers/Microsoft.Compute/virtualMachines"):
            answer = await client.send("GET", path)
            assert error(answer) == (404, "InvalidResourceType")
            assert "does not emulate" in answer.json()["error"]["message"]
        nowhere = await client.http.get("/nowhere")
        assert error(nowhere) == (404, "NotFound")
        unknown = await client.http.get(f"{WORKSPACE}/jobs/one", headers={"Authorization": ""})
        assert unknown.status_code == 401


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"{SUB[:-1]}2/resourceGroups/rg/{ML}/workspaces/w", "SubscriptionNotFound"),
        (f"{SUB}/resourceGroups/absent/{ML}/workspaces/w", "ResourceGroupNotFound"),
        (f"{GROUP}/{ML}/workspaces/absent", "ResourceNotFound"),
        (f"{GROUP}/{ML}/workspaces/absent/serverlessEndpoints/e", "ResourceNotFound"),
        (f"{WORKSPACE}/serverlessEndpoints/absent", "ResourceNotFound"),
        (f"{WORKSPACE}/marketplaceSubscriptions/absent", "UserError"),
        (f"{WORKSPACE}/onlineEndpoints/absent/deployments/d", "ResourceNotFound"),
        (f"{LOCATION}/mfeOperationsStatus/oe:1:2", "NotFound"),
    ],
)
async def test_what_is_not_there_is_a_404_of_its_owner(
    tmp_path: Path, path: str, code: str
) -> None:
    async with azure(tmp_path) as client:
        assert error(await client.send("GET", path)) == (404, code)


async def test_every_missing_or_mistyped_property_is_named(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        body = {"location": 1, "tags": [], "properties": {"modelSettings": {}}}
        answer = await client.send("PUT", ONE, body)
        found = {d["target"] for d in answer.json()["error"]["details"]}
        assert answer.status_code == 400
        assert found == {
            "location",
            "tags",
            "properties.authMode",
            "properties.modelSettings.modelId",
        }


async def test_auth_mode_is_required_and_content_safety_known_from_the_stable_version_on(
    tmp_path: Path,
) -> None:
    async with azure(tmp_path) as client:
        body = serverless(PHI)
        del body["properties"]["authMode"]
        assert error(await client.send("PUT", ONE, body)) == (400, "UserError")
        body["properties"]["contentSafety"] = {"contentSafetyStatus": "Disabled"}
        await client.do("PUT", ONE, body, "2024-01-01-preview")
        old = (await client.get(ONE, "2024-01-01-preview"))["properties"]
        new = (await client.get(ONE))["properties"]
        assert "contentSafety" not in old
        assert new["contentSafety"] == {"contentSafetyStatus": "Enabled"}
        assert old["authMode"] == new["authMode"] == "Key"


async def test_read_only_and_unknown_properties_are_ignored(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        body = serverless(PHI, provisioningState="Failed", endpointState="Odd", colour="red")
        await client.do("PUT", ONE, {**body, "id": "/x", "systemData": {}, "odd": 1})
        shown = await client.get(ONE)
        assert shown["properties"]["provisioningState"] == "Succeeded"
        assert "colour" not in shown["properties"]
        assert shown["id"] == ONE


@pytest.mark.parametrize(
    "change",
    [{"location": "westus3"}, {"location": None}, {"properties": None}],
    ids=["elsewhere", "nowhere", "nothing"],
)
async def test_a_child_lives_where_its_workspace_does(
    tmp_path: Path, change: dict[str, object]
) -> None:
    async with azure(tmp_path) as client:
        for kind, body in (
            ("serverlessEndpoints", serverless(PHI)),
            ("onlineEndpoints", endpoint()),
        ):
            answer = await client.send("PUT", f"{WORKSPACE}/{kind}/one", {**body, **change})
            assert answer.status_code == 400


@pytest.mark.parametrize("name", ["1st", "a_b", "-a", "a" * 60])
async def test_a_malformed_name_is_refused(tmp_path: Path, name: str) -> None:
    async with azure(tmp_path) as client:
        answer = await client.send(
            "PUT", f"{WORKSPACE}/serverlessEndpoints/{name}", serverless(PHI)
        )
        assert error(answer) == (400, "UserError")
        answer = await client.send("PUT", f"{WORKSPACE}/onlineEndpoints/{name}", endpoint())
        assert error(answer) == (400, "UserError")


@pytest.mark.parametrize(
    "properties",
    [
        {"model": None},
        {"model": "azureml://registries/azureml-meta/models/Nothing/versions/1"},
        {"model": "azureml://registries/azureml-meta/models/Llama-3.2-1B-Instruct"},
        {"instanceType": None},
        {"instanceType": "Standard_Nothing_v1"},
        {"endpointComputeType": "Kubernetes"},
        {"endpointComputeType": None},
        {"environmentVariables": {"A": 1}},
        {"appInsightsEnabled": "yes"},
    ],
    ids=lambda p: next(iter(p.items())).__repr__()[:50],
)
async def test_a_deployment_that_cannot_run_is_refused_at_once(
    tmp_path: Path, properties: dict[str, object]
) -> None:
    async with azure(tmp_path) as client:
        one = f"{WORKSPACE}/onlineEndpoints/managed"
        await client.do("PUT", one, endpoint())
        answer = await client.send("PUT", f"{one}/deployments/blue", deployment(1, **properties))
        assert answer.status_code == 400, answer.text
        assert (await client.get(f"{one}/deployments"))["value"] == []


async def test_odd_paths_and_queries_are_answered_too(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        for path in (
            f"{WORKSPACE}/serverlessEndpoints?$skip=zz",
            f"{WORKSPACE}/serverlessEndpoints?$top=-1",
            f"{LOCATION.replace('eastus2', 'nowhere')}/usages",
        ):
            assert (await client.send("GET", path)).status_code == 400
        doubled = WORKSPACE.replace("/workspaces", "//workspaces").upper()
        assert (await client.get(doubled))["name"] == "mlw-prod"
        assert (await client.http.get("/%00%ff/..//x")).status_code == 404
        odd = await client.send(
            "GET", f"{SUB}/resources?$filter=colour eq 'red'", version="2024-07-01"
        )
        assert error(odd) == (400, "InvalidFilterInQueryString")


@pytest.mark.parametrize("number", ["²", "9" * 5000, "-1", "0", "1e3", "+1", " 1"])
@pytest.mark.parametrize("name", ["$top", "count"])
async def test_a_page_size_that_is_no_number_is_a_400(
    tmp_path: Path, name: str, number: str
) -> None:
    async with azure(tmp_path) as client:
        for path in (f"{WORKSPACE}/onlineEndpoints", f"{SUB}/resources"):
            version = STABLE if "onlineEndpoints" in path else "2024-07-01"
            query = {"api-version": version, name: number}
            answer = await client.http.get(path, params=query)
            wanted = 200 if (path.endswith("/resources") and name == "count") else 400
            assert answer.status_code == wanted, answer.text
        logged = await client.http.get("/emulator/requests", params={"limit": number})
        assert logged.status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"advance": 10**29},
        {"advance": 10**400},
        {"advance": 1e308},
        {"advance": "9999999d"},
        {"advance": True},
        {"advance": -1},
        {"advance": None},
        {"now": "9999-12-31T23:59:59-14:00"},
        {"now": "0001-01-01T00:00:00+14:00"},
        {"now": 5},
        {},
    ],
    ids=lambda body: str(body)[:30],
)
async def test_no_move_of_the_clock_breaks_the_requests_after_it(
    tmp_path: Path, body: dict[str, object]
) -> None:
    async with azure(tmp_path) as client:
        answer = await client.http.post("/emulator/clock", json=body)
        assert error(answer) == (400, "InvalidClock")
        assert (await client.get(WORKSPACE))["name"] == "mlw-prod"


async def test_everything_works_at_the_end_of_the_clock_and_after_a_restart_there(
    tmp_path: Path,
) -> None:
    state = tmp_path / "state.db"
    async with azure(tmp_path, state=state) as client:
        moved = await client.http.post("/emulator/clock", json={"now": "8999-12-31T23:59:59Z"})
        assert moved.status_code == 200
        body = endpoint(properties={"SharedComputeCapacityEnabled": "true"})
        answer = await client.send("PUT", f"{WORKSPACE}/onlineEndpoints/last", body)
        assert answer.status_code == 201
    async with azure(tmp_path, state=state) as client:
        assert (await client.get(f"{WORKSPACE}/onlineEndpoints/last"))["name"] == "last"
