"""Faults as a client meets them: errors, gateway pages, cut connections, failed deployments."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from tests.emulator.azure_client import (
    PHI,
    WORKSPACE,
    Client,
    azure,
    deployment,
    endpoint,
    error,
    serverless,
)

ONE = f"{WORKSPACE}/serverlessEndpoints/phi"


async def _add(client: Client, faults: str) -> None:
    answer = await client.http.post("/emulator/faults", content=faults.encode())
    assert answer.status_code == 200, answer.text


async def test_the_second_write_fails_as_asked_and_then_no_more(tmp_path: Path) -> None:
    scenario = """
faults:
  - {operation: serverlessEndpoints.put, call: 2, fail: {status: 500, code: Boom, message: Bang}}
  - {operation: "*.list", times: 1, fail: {status: 502, html: true}}
  - {operation: workspaces.get, call: 1, throttle: {}}
  - {operation: workspaces.get, call: 2, throttle: {retryAfter: 7s}}
"""
    async with azure(tmp_path, scenario) as client:
        await client.do("PUT", ONE, serverless(PHI))
        assert error(await client.send("PUT", ONE, serverless(PHI))) == (500, "Boom")
        assert (await client.send("PUT", ONE, serverless(PHI))).status_code == 200
        page = await client.send("GET", f"{WORKSPACE}/serverlessEndpoints")
        assert (page.status_code, page.headers["content-type"]) == (502, "text/html")
        assert (await client.send("GET", f"{WORKSPACE}/serverlessEndpoints")).status_code == 200
        silent = await client.send("GET", WORKSPACE)
        assert (silent.status_code, "retry-after" in silent.headers) == (429, False)
        told = await client.send("GET", WORKSPACE)
        assert (told.status_code, told.headers["retry-after"]) == (429, "7")


@pytest.mark.parametrize(("when", "there"), [("before", 404), ("after", 200)])
async def test_a_cut_connection_has_acted_or_not(tmp_path: Path, when: str, there: int) -> None:
    async with azure(tmp_path) as client:
        await _add(client, f"faults: [{{operation: '*.put', call: 1, drop: {when}}}]")
        with pytest.raises(httpx.TransportError):
            await client.send("PUT", ONE, serverless(PHI))
        assert (await client.send("GET", ONE)).status_code == there
        await client.advance("10s")
        assert (await client.send("PUT", ONE, serverless(PHI))).status_code in (200, 201)


async def test_a_failed_deployment_has_logs_and_can_be_replaced(tmp_path: Path) -> None:
    managed = f"{WORKSPACE}/onlineEndpoints/managed"
    blue = f"{managed}/deployments/blue"
    async with azure(tmp_path) as client:
        await _add(
            client,
            "faults: [{operation: onlineDeployments.put, call: 1, failDeployment: {code: "
            "ImageBuildFailure, message: No image., logs: {inferenceServer: 'one\ntwo'}}}]",
        )
        await client.do("PUT", managed, endpoint())
        done = await client.do("PUT", blue, deployment())
        assert done["status"] == "Failed"
        assert done["error"] == {"code": "ImageBuildFailure", "message": "No image."}
        shown = await client.get(blue)
        assert shown["properties"]["provisioningState"] == "Failed"
        logs = await client.send("POST", f"{blue}/getLogs", {"tail": 1})
        assert logs.json() == {"content": "one two"}
        await client.do("DELETE", blue)
        assert (await client.do("PUT", blue, deployment()))["status"] == "Succeeded"


async def test_a_failed_endpoint_is_shown_as_failed(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        await _add(client, "faults: [{operation: serverlessEndpoints.put, failDeployment: {}}]")
        assert (await client.do("PUT", ONE, serverless(PHI)))["status"] == "Failed"
        shown = (await client.get(ONE))["properties"]
        assert (shown["provisioningState"], shown["endpointState"], shown["inferenceEndpoint"]) == (
            "Failed",
            "CreationFailed",
            None,
        )


async def test_latency_and_delays_are_real_time(tmp_path: Path) -> None:
    async with azure(tmp_path, "behaviour: {latency: 30ms}") as client:
        await _add(client, "faults: [{operation: workspaces.get, times: 1, delay: 60ms}]")
        spans = []
        for _ in range(2):
            started = time.perf_counter()
            await client.get(WORKSPACE)
            spans.append(time.perf_counter() - started)
        assert spans[0] >= 0.09
        assert spans[1] >= 0.03


async def test_faults_are_counted_added_and_cleared(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        bad = await client.http.post("/emulator/faults", content=b"faults: [{fail: {status: 7}}]")
        assert error(bad) == (400, "InvalidFaults")
        await _add(client, "faults: [{operation: workspaces.get, fail: {status: 503}}]")
        assert (await client.send("GET", WORKSPACE)).status_code == 503
        shown = (await client.http.get("/emulator/faults")).json()["faults"]
        assert [(f["operation"], f["struck"]) for f in shown] == [("workspaces.get", 1)]
        assert (await client.http.delete("/emulator/faults")).status_code == 204
        assert (await client.send("GET", WORKSPACE)).status_code == 200
