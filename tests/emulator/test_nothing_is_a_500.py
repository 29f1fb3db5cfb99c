"""Whatever a client sends to whichever route, the answer is one that ARM could give."""

from __future__ import annotations

import logging
import random
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.emulator.azure_client import (
    PHI,
    WORKSPACE,
    Client,
    azure,
    deployment,
    endpoint,
    serverless,
)

SCENARIO = "behaviour: {throttling: false, staleRead: 1s, nameHold: 1s, indexLag: 1s}"
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
JUNK = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KNOWN = {
    "subscriptionId": "11111111-1111-1111-1111-111111111111",
    "resourceGroupName": "rg-ml-prod",
    "workspaceName": "mlw-prod",
    "location": "eastus2",
    "namespace": "Microsoft.MachineLearningServices",
    "scope": WORKSPACE.strip("/"),
    "tenant": "aaaaaaaa-0000-4000-8000-000000000001",
    "name": "managed",
    "endpointName": "managed",
    "deploymentName": "blue",
    "registryName": "azureml-meta",
    "modelName": "Phi-4",
}


def _paths(client: Client) -> list[tuple[str, str, str]]:
    """Method, path and api-version of every route, with names that exist where there are any."""
    found = []
    for route in client.emulator.app.router.routes:
        if route.operation in ("emulator.reset", "emulator.clock"):
            continue
        path = route.template
        for name, value in KNOWN.items():
            path = path.replace(f"{{{name}}}", value)
        version = route.versions[-1] if route.versions else ""
        found.append((route.method, path.replace("{", "").replace("}", ""), version))
    return found


def _mutations(good: dict[str, Any]) -> list[object]:
    """A good body with one value after the other replaced by something else."""
    changed: list[object] = []
    others: tuple[object, ...] = (None, 7, "x", [], {"a": [1]})

    def walk(node: dict[str, Any], rebuild: Any) -> None:
        for key, value in node.items():
            for other in others:
                changed.append(rebuild({**node, key: other}))
            if isinstance(value, dict):
                walk(value, lambda inner, key=key: rebuild({**node, key: inner}))

    walk(good, lambda body: body)
    return changed


async def _send(client: Client, method: str, path: str, version: str, body: object) -> None:
    answer = await client.send(method, path, body, version=version)
    assert answer.status_code < 500 or answer.status_code == 501, (
        f"{method} {path} {body!r}: {answer.status_code} {answer.text}"
    )


async def test_every_route_takes_junk(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    junk: tuple[object, ...] = (
        None,
        {},
        [],
        "x",
        3,
        {"properties": 1},
        {"properties": {}},
        {"properties": {"a": []}},
    )
    async with azure(tmp_path, SCENARIO) as client:
        await client.do("PUT", f"{WORKSPACE}/serverlessEndpoints/managed", serverless(PHI))
        await client.do("PUT", f"{WORKSPACE}/onlineEndpoints/managed", endpoint())
        deploy = f"{WORKSPACE}/onlineEndpoints/managed/deployments/blue"
        await client.do("PUT", deploy, deployment())
        for method, path, version in _paths(client):
            if method == "DELETE":
                continue
            for body in junk if method in ("PUT", "POST", "PATCH") else (None,):
                await _send(client, method, path, version, body)
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


@pytest.mark.parametrize(
    ("path", "good"),
    [
        ("serverlessEndpoints/phi", {**serverless(PHI), "tags": {"a": "b"}}),
        ("onlineEndpoints/managed", endpoint({"blue": 100}, properties={"a": "b"})),
        ("onlineEndpoints/managed/deployments/blue", deployment(1, requestSettings={"a": 1})),
        ("marketplaceSubscriptions/llama", {"properties": {"modelId": PHI}}),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, str) else "body",
)
async def test_every_value_of_a_good_body_may_be_wrong(
    tmp_path: Path, path: str, good: dict[str, Any]
) -> None:
    async with azure(tmp_path, SCENARIO) as client:
        await client.do("PUT", f"{WORKSPACE}/onlineEndpoints/managed", endpoint())
        deploy = f"{WORKSPACE}/onlineEndpoints/managed/deployments/blue"
        await client.do("PUT", deploy, deployment())
        bodies = _mutations(good)
        random.Random(1).shuffle(bodies)
        for body in bodies:
            for method in ("PUT", "PATCH"):
                await _send(client, method, f"{WORKSPACE}/{path}", "2024-10-01", body)
                await client.advance("10s")
            assert (await client.send("GET", f"{WORKSPACE}/{path}")).status_code in (200, 404)


async def test_any_json_and_any_query(tmp_path: Path) -> None:
    async with azure(tmp_path, SCENARIO) as client:
        cases: list[tuple[object, str]] = []

        @settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
        @given(JUNK, st.text(max_size=30))
        def collect(body: object, query: str) -> None:
            cases.append((body, query))

        collect()
        one = f"{WORKSPACE}/serverlessEndpoints/phi"
        for body, query in cases:
            params = {"api-version": "2024-10-01", "$skip": query, "$filter": query, query: query}
            try:
                for method in ("PUT", "PATCH"):
                    answer = await client.http.request(method, one, json=body, params=params)
                    assert answer.status_code < 500, (method, body, answer.text)
            except (ValueError, UnicodeEncodeError):
                continue  # what the client itself cannot send
            listed = await client.http.get(f"{WORKSPACE}/serverlessEndpoints", params=params)
            assert listed.status_code < 500, (query, listed.text)


ODD = ("²", "İ", "a" * 300, "..", "'", "\x00", "a/b", "subscriptions", "-1")


async def test_every_part_of_a_path_may_be_odd(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(1)
    async with azure(tmp_path, SCENARIO) as client:
        for route in client.emulator.app.router.routes:
            if route.operation == "emulator.reset":
                continue
            version = route.versions[-1] if route.versions else ""
            for part in re.findall(r"\{(\w+)\}", route.template):
                path = route.template.replace(f"{{{part}}}", quote(chance.choice(ODD), safe=""))
                for name, value in KNOWN.items():
                    path = path.replace(f"{{{name}}}", value)
                path = path.replace("{", "").replace("}", "")
                body: object = (
                    {"properties": {}} if route.method in ("PUT", "POST", "PATCH") else None
                )
                await _send(client, route.method, path, version, body)
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]
