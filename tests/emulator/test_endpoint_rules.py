"""The rules between operations: busy trees, stale reads, held names, traffic, lifetimes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path

import pytest

from tests.emulator.azure_client import (
    LLAMA,
    PHI,
    STABLE,
    WORKSPACE,
    Client,
    azure,
    deployment,
    endpoint,
    error,
    serverless,
    subscription,
)

ONE = f"{WORKSPACE}/onlineEndpoints/managed"
PHI_ENDPOINT = f"{WORKSPACE}/serverlessEndpoints/phi"
SLOW = "clock: {speed: 0.001}"


async def test_states_follow_the_operation_and_its_status_says_so(tmp_path: Path) -> None:
    async with azure(tmp_path, SLOW) as client:
        began = await client.send("PUT", PHI_ENDPOINT, serverless(PHI))
        assert began.headers["x-ms-async-operation-timeout"] == "PT30M"
        assert began.headers["retry-after"] == "1"
        status = began.headers["azure-asyncoperation"]
        running = await client.get(status)
        assert (running["status"], running["percentComplete"]) == ("Creating", 0.0)
        assert "endTime" not in running
        assert running["id"].endswith(running["name"])
        listed = (await client.get(f"{WORKSPACE}/serverlessEndpoints"))["value"]
        assert listed[0]["properties"]["provisioningState"] == "Creating"
        await client.advance("1s")
        done = await client.get(status)
        assert (done["status"], done["percentComplete"]) == ("Succeeded", 100.0)
        deleted = await client.send("DELETE", PHI_ENDPOINT)
        assert (deleted.status_code, deleted.text) == (202, "null")
        shown = await client.get(PHI_ENDPOINT)
        assert shown["properties"]["provisioningState"] == "Deleting"
        waiting = await client.http.get(deleted.headers["location"])
        assert waiting.status_code == 202
        await client.advance("1s")
        assert (await client.http.get(deleted.headers["location"])).status_code == 204


async def test_the_provider_can_be_as_silent_about_waiting_as_it_was_recorded(
    tmp_path: Path,
) -> None:
    async with azure(tmp_path, "behaviour: {retryAfter: false}") as client:
        began = await client.send("PUT", PHI_ENDPOINT, serverless(PHI))
        assert "retry-after" not in began.headers


async def test_an_endpoint_and_its_deployments_take_one_operation_at_a_time(
    tmp_path: Path,
) -> None:
    async with azure(tmp_path) as client:
        await client.do("PUT", ONE, endpoint())
        began = await client.send("PUT", f"{ONE}/deployments/blue", deployment())
        operation = began.headers["azure-asyncoperation"].split("/")[-1].split("?")[0]
        for method, path, body in (
            ("PUT", ONE, endpoint()),
            ("DELETE", ONE, None),
            ("PUT", f"{ONE}/deployments/blue", deployment()),
            ("PUT", f"{ONE}/deployments/green", deployment()),
        ):
            answer = await client.send(method, path, body)
            assert error(answer) == (409, "Conflict")
            message = answer.json()["error"]["message"]
            assert f"Another operation with ID [{operation}] is already running on" in message
        other = await client.send("PUT", f"{WORKSPACE}/onlineEndpoints/other", endpoint())
        assert other.status_code == 201


async def test_right_after_a_put_a_get_shows_the_old_definition_as_succeeded(
    tmp_path: Path,
) -> None:
    async with azure(tmp_path, f"behaviour: {{staleRead: 5s}}\n{SLOW}") as client:
        await client.do("PUT", PHI_ENDPOINT, {**serverless(PHI), "tags": {"v": "1"}})
        await client.send("PUT", PHI_ENDPOINT, {**serverless(PHI), "tags": {"v": "2"}})
        for path in (PHI_ENDPOINT, f"{WORKSPACE}/serverlessEndpoints"):
            shown = await client.get(path)
            shown = shown["value"][0] if "value" in shown else shown
            assert shown["tags"] == {"v": "1"}
            assert shown["properties"]["provisioningState"] == "Succeeded"
        await client.advance("6s")
        assert (await client.get(PHI_ENDPOINT))["tags"] == {"v": "2"}


async def test_a_name_stays_taken_for_a_while_after_a_delete(tmp_path: Path) -> None:
    async with azure(tmp_path, f"behaviour: {{nameHold: 10m}}\n{SLOW}") as client:
        for one, body in ((PHI_ENDPOINT, serverless(PHI)), (ONE, endpoint())):
            assert (await client.send("PUT", one, body)).status_code == 201
            await client.advance("5s")
            assert (await client.send("DELETE", one)).status_code == 202
            await client.advance("5s")
            refused = await client.send("PUT", one, body)
            assert error(refused) == (400, "UserError")
            assert "not available" in refused.json()["error"]["message"]
            await client.advance("10m")
            assert (await client.send("PUT", one, body)).status_code == 201
            await client.advance("5s")


async def test_endpoint_names_are_unique_in_a_region(tmp_path: Path) -> None:
    scenario = """
subscriptions:
  - id: 11111111-1111-1111-1111-111111111111
    name: Two workspaces
    resourceGroups:
      - name: rg-ml-prod
        location: eastus2
        workspaces:
          - {name: mlw-prod, location: eastus2}
          - {name: second, location: eastus2}
          - {name: far, location: westus3}
"""
    async with azure(tmp_path, scenario) as client:
        await client.do("PUT", ONE, endpoint())
        same = await client.send("PUT", ONE.replace("mlw-prod", "second"), endpoint())
        assert same.status_code == 400
        body = {**endpoint(), "location": "westus3"}
        far = await client.send("PUT", ONE.replace("mlw-prod", "far"), body)
        assert far.status_code == 201


@pytest.mark.parametrize(
    ("traffic", "mirror"),
    [
        ({"blue": 50}, {}),
        ({"blue": 60, "green": 60}, {}),
        ({"red": 100}, {}),
        ({"blue": -1, "green": 101}, {}),
        ({"blue": 100}, {"green": 60}),
        ({"blue": 100}, {"blue": 10}),
    ],
)
async def test_traffic_that_does_not_add_up_is_refused(
    tmp_path: Path, traffic: dict[str, int], mirror: dict[str, int]
) -> None:
    async with azure(tmp_path) as client:
        await client.do("PUT", ONE, endpoint())
        for name in ("blue", "green"):
            await client.do("PUT", f"{ONE}/deployments/{name}", deployment())
        answer = await client.send("PUT", ONE, endpoint(traffic, mirrorTraffic=mirror))
        assert error(answer) == (400, "UserError")
        assert (await client.get(ONE))["properties"]["traffic"] == {}


async def test_a_deployment_with_traffic_stays(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        await client.do("PUT", ONE, endpoint())
        for name in ("blue", "green"):
            await client.do("PUT", f"{ONE}/deployments/{name}", deployment())
        await client.do("PUT", ONE, endpoint({"blue": 90, "green": 10}))
        refused = await client.send("DELETE", f"{ONE}/deployments/green")
        assert error(refused) == (400, "UserError")
        await client.do("PUT", ONE, endpoint({"blue": 100, "green": 0}))
        await client.do("DELETE", f"{ONE}/deployments/green")
        assert (await client.get(ONE))["properties"]["traffic"] == {"blue": 100}
        await client.do("DELETE", ONE)
        answer = await client.send("GET", f"{ONE}/deployments/blue")
        assert error(answer) == (404, "ResourceNotFound")


async def test_what_cannot_change_in_place_is_refused(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        await client.do("PUT", ONE, endpoint(properties={"made": "so"}))
        await client.do("PUT", f"{ONE}/deployments/blue", deployment())
        await client.do("PUT", PHI_ENDPOINT, serverless(PHI))
        token = {**endpoint(), "properties": {"authMode": "AMLToken"}}
        for path, body in (
            (ONE, token),
            (f"{ONE}/deployments/blue", deployment(1, instanceType="Standard_NC48ads_A100_v4")),
            (PHI_ENDPOINT, serverless(LLAMA)),
        ):
            assert error(await client.send("PUT", path, body)) == (400, "UserError")
        await client.do("PUT", ONE, endpoint(properties={"made": "otherwise"}))
        assert (await client.get(ONE))["properties"]["properties"]["made"] == "so"


async def test_endpoints_are_suspended_without_their_subscription_and_come_back(
    tmp_path: Path,
) -> None:
    async with azure(tmp_path) as client:
        bought = f"{WORKSPACE}/marketplaceSubscriptions/llama"
        one = f"{WORKSPACE}/serverlessEndpoints/llama"
        await client.do("PUT", bought, subscription())
        await client.do("PUT", one, serverless())
        again = await client.send("PUT", bought, subscription())
        assert (again.status_code, again.json()["properties"]["marketplaceSubscriptionStatus"]) == (
            200,
            "Subscribed",
        )
        await client.do("DELETE", bought)
        shown = (await client.get(one))["properties"]
        assert (shown["endpointState"], shown["marketplaceSubscriptionId"]) == ("Suspended", None)
        key = (await client.keys(one))["primaryKey"]
        answer = await client.http.post(
            f"{shown['inferenceEndpoint']['uri']}/chat/completions",
            headers={"Authorization": f"Bearer {key}"},
            json={"messages": [{"role": "user", "content": "Hello"}]},
        )
        assert answer.status_code == 424
        await client.do("PUT", f"{bought}-again", subscription())
        assert (await client.get(one))["properties"]["endpointState"] == "Online"


async def test_a_workspace_has_one_serverless_endpoint_per_model(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        await client.do("PUT", PHI_ENDPOINT, serverless(PHI))
        second = await client.send("PUT", f"{PHI_ENDPOINT}-2", serverless(PHI))
        assert error(second) == (400, "UserError")


async def _shared(client: Client, **bag: str) -> None:
    body = endpoint(properties={"SharedComputeCapacityEnabled": "true", **bag})
    answer = await client.send("PUT", ONE, body)
    assert answer.status_code == 201, answer.text
    await client.advance("5s")


async def test_shared_quota_ends_after_168_hours(tmp_path: Path) -> None:
    scenario = f'clock: {{start: "2026-07-01T00:00:00Z", speed: 0.001}}\n{SHARED_MODEL}'
    async with azure(tmp_path, scenario) as client:
        await _shared(client)
        bag = (await client.get(ONE))["properties"]["properties"]
        assert bag["TargetAutoDeletionTime"] == "Wed, 08 Jul 2026 00:00:00 GMT"
        # 20 instances of 24 cores are more than the quota: shared capacity does not count.
        await client.do("PUT", f"{ONE}/deployments/blue", deployment(20))
        await client.advance("166h")
        assert (await client.get(ONE))["properties"]["provisioningState"] == "Succeeded"
        await client.advance("1h")
        assert error(await client.send("GET", ONE)) == (404, "ResourceNotFound")
        assert (await client.send("GET", f"{ONE}/deployments/blue")).status_code == 404


SHARED_MODEL = """
models:
  - {registry: azureml-meta, name: Llama-3.2-1B-Instruct, managed: {shared: true}}
"""


async def test_an_earlier_deadline_holds_and_a_later_one_does_not(tmp_path: Path) -> None:
    start = datetime(2026, 7, 1, tzinfo=UTC)
    for hours, alive in ((24, 23), (400, 167)):
        scenario = f'clock: {{start: "{start.isoformat()}", speed: 0.001}}'
        async with azure(tmp_path, scenario) as client:
            asked = format_datetime(start + timedelta(hours=hours), usegmt=True)
            assert parsedate_to_datetime(asked) == start + timedelta(hours=hours)
            await _shared(client, TargetAutoDeletionTime=asked)
            await client.advance(f"{alive}h")
            assert (await client.send("GET", ONE)).status_code == 200
            await client.advance("1h")
            assert (await client.send("GET", ONE)).status_code == 404


async def test_endpoint_tokens_open_an_endpoint_of_that_mode(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        body = endpoint()
        body["properties"]["authMode"] = "amltoken"
        await client.do("PUT", ONE, body)
        await client.do("PUT", f"{ONE}/deployments/blue", deployment())
        await client.do(
            "PUT", ONE, {**body, "properties": {**body["properties"], "traffic": {"blue": 100}}}
        )
        assert await client.keys(ONE) == {"primaryKey": None, "secondaryKey": None}
        token = (await client.send("POST", f"{ONE}/token")).json()
        score = (await client.get(ONE))["properties"]["scoringUri"]
        hello = {"messages": [{"role": "user", "content": "Hello"}]}
        bearer = {"Authorization": f"Bearer {token['accessToken']}"}
        assert (await client.http.post(score, headers=bearer, json=hello)).status_code == 200
        await client.advance("13h")
        assert (await client.http.post(score, headers=bearer, json=hello)).status_code == 401


async def test_the_clock_only_moves_forward(tmp_path: Path) -> None:
    async with azure(tmp_path, 'clock: {start: "2026-07-01T00:00:00Z"}') as client:
        for body in ({"advance": -1}, {"advance": "soon"}, {"now": "2020-01-01T00:00:00Z"}, {}):
            answer = await client.http.post("/emulator/clock", json=body)
            assert error(answer) == (400, "InvalidClock")
        answer = await client.http.post("/emulator/clock", json={"now": "2026-08-01T00:00:00Z"})
        assert answer.json()["now"].startswith("2026-08-01T00:00:00")


async def test_a_reset_gives_the_scenario_back(tmp_path: Path) -> None:
    async with azure(tmp_path, state=tmp_path / "state.db") as client:
        await client.send("PUT", PHI_ENDPOINT, serverless(PHI))
        assert (await client.http.post("/emulator/reset")).status_code == 204
        assert (await client.get(f"{WORKSPACE}/serverlessEndpoints"))["value"] == []
        health = (await client.http.get("/emulator/health")).json()
        assert health["operationsInFlight"] == 0
        log = (await client.http.get("/emulator/requests")).json()
        assert log["requests"][0]["operation"] == "serverlessEndpoints.list"
        assert log["requests"][0]["apiVersion"] == STABLE
