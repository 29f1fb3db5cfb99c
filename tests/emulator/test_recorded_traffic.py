"""The emulator beside real traffic: the same calls, and answers of the shape that was recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.emulator.azure_client import WORKSPACE, Client, azure
from tests.shared import shared_dir

VERSION = "2022-02-01-preview"
ENDPOINT = f"{WORKSPACE}/onlineEndpoints/recorded"
# Headers that belong to the machines behind the real service and carry nothing for a client.
INFRASTRUCTURE = {
    "content-encoding",
    "request-context",
    "server-timing",
    "transfer-encoding",
    "vary",
    "x-aml-cluster",
    "x-ms-response-type",
    "date",
    "content-length",
}


def recorded(name: str) -> dict[str, Any]:
    """One exchange of the recorded life of an online endpoint."""
    folder = shared_dir("recordings", "ml-online-endpoint-lro")
    found: dict[str, Any] = json.loads((folder / f"d9ed55_{name}.json").read_text())
    return found


def shape(value: object) -> object:
    """Names and types, without values; what is null or empty says nothing about its type."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in sorted(value.items())}
    return type(value).__name__


def headers_of(exchange: dict[str, Any]) -> set[str]:
    names = {name.lower() for name in exchange["liveResponse"]["headers"]}
    return {n for n in names if "ratelimit" not in n} - INFRASTRUCTURE


async def replay(client: Client, name: str, path: str) -> tuple[dict[str, Any], Any]:
    """Send a recorded request to another path; the recording and the emulator's answer."""
    exchange = recorded(name)
    request = exchange["liveRequest"]
    body = request["body"] or None
    answer = await client.send(request["method"], path, body, version=VERSION)
    assert answer.status_code == int(exchange["liveResponse"]["statusCode"]), answer.text
    lacking = headers_of(exchange) - {h.lower() for h in answer.headers}
    assert not lacking
    return exchange["liveResponse"], answer


def link_shape(url: str) -> list[str]:
    """The words of an operation's URL, without host and ids."""
    path = url.split("://", 1)[1].partition("/")[2].split("?")[0]
    parts = path.split("/")
    return [part.partition(":")[0] for part in parts if part in _WORDS or ":" in part]


_WORDS = {
    "subscriptions",
    "providers",
    "Microsoft.MachineLearningServices",
    "locations",
    "eastus2",
    "mfeOperationsStatus",
    "mfeOperationResults",
}


async def test_the_life_of_an_endpoint_has_the_recorded_shape(tmp_path: Path) -> None:
    async with azure(tmp_path, "clock: {speed: 0.001}") as client:
        real, made = await replay(client, "0001", ENDPOINT)
        assert made.json().keys() >= real["body"].keys()
        ours, theirs = made.json()["properties"], real["body"]["properties"]
        assert shape(ours) == shape(theirs)
        assert made.json()["kind"] == real["body"]["kind"]
        operation = made.headers["azure-asyncoperation"]
        assert link_shape(operation) == link_shape(real["headers"]["azure-asyncoperation"])
        real, polled = await replay(client, "0002", operation)
        assert shape(polled.json()) == shape(real["body"])
        await client.advance("2m")
        real, polled = await replay(client, "0005", operation)
        assert shape(polled.json()) == shape(real["body"])
        real, read = await replay(client, "0006", ENDPOINT)
        assert shape(read.json()["properties"]) == shape(real["body"]["properties"])
        real, deleted = await replay(client, "0119", ENDPOINT)
        for header in ("azure-asyncoperation", "location"):
            assert link_shape(deleted.headers[header]) == link_shape(real["headers"][header])


async def test_a_deployment_has_the_recorded_shape(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        await replay(client, "0001", ENDPOINT)
        await client.advance("2m")
        real, made = await replay(client, "0014", f"{ENDPOINT}/deployments/blue")
        assert made.json()["properties"].keys() == real["body"]["properties"].keys()
        assert made.json()["sku"] == real["body"]["sku"]
        assert link_shape(made.headers["azure-asyncoperation"]) == link_shape(
            real["headers"]["azure-asyncoperation"]
        )
        await client.advance("20m")
        real, read = await replay(client, "0118", f"{ENDPOINT}/deployments/blue")
        assert shape(read.json()["properties"]["livenessProbe"]) == shape(
            real["body"]["properties"]["livenessProbe"]
        )
