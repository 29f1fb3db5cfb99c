"""A small ARM client for tests: a real emulator over TLS, a real HTTP client, no waiting."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from provisioner.emulator.scenario import load, parse
from provisioner.emulator.server import Emulator, Settings, running

TENANT = "aaaaaaaa-0000-4000-8000-000000000001"
OWNER = ("bbbbbbbb-0000-4000-8000-000000000001", "emulator-only-secret")
READER = ("bbbbbbbb-0000-4000-8000-000000000002", "emulator-reader-secret")
SUB = "/subscriptions/11111111-1111-1111-1111-111111111111"
GROUP = f"{SUB}/resourceGroups/rg-ml-prod"
ML = "providers/Microsoft.MachineLearningServices"
WORKSPACE = f"{GROUP}/{ML}/workspaces/mlw-prod"
LOCATION = f"{SUB}/{ML}/locations/eastus2"
STABLE = "2024-10-01"
LLAMA = "azureml://registries/azureml-meta/models/Llama-3.3-70B-Instruct"
SMALL = "azureml://registries/azureml-meta/models/Llama-3.2-1B-Instruct/versions/1"
PHI = "azureml://registries/azureml/models/Phi-4"

Json = dict[str, Any]


@dataclass(slots=True)
class Client:
    """One signed-in principal."""

    http: httpx.AsyncClient
    emulator: Emulator

    async def send(
        self, method: str, path: str, body: object = None, *, version: str = STABLE
    ) -> httpx.Response:
        url = path if "api-version=" in path else f"{path}{_joint(path)}api-version={version}"
        return await self.http.request(method, url, json=body)

    async def get(self, path: str, version: str = STABLE) -> Json:
        """The body of a GET that must succeed."""
        answer = await self.send("GET", path, version=version)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        found: Json = answer.json()
        return found

    async def do(self, method: str, path: str, body: object = None, version: str = STABLE) -> Json:
        """A write that must begin; then the clock runs until it is over. The operation's status."""
        answer = await self.send(method, path, body, version=version)
        assert answer.status_code in (200, 201, 202), f"{answer.status_code} {answer.text}"
        await self.advance("1h")
        url = answer.headers.get("azure-asyncoperation")
        return await self.get(url) if url else {"status": "Succeeded"}

    async def advance(self, span: str) -> None:
        answer = await self.http.post("/emulator/clock", json={"advance": span})
        assert answer.status_code == 200, answer.text

    async def keys(self, path: str) -> Json:
        answer = await self.send("POST", f"{path}/listKeys")
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found


def _joint(path: str) -> str:
    return "&" if "?" in path else "?"


@contextlib.asynccontextmanager
async def azure(
    folder: Path, scenario: str = "", *, who: tuple[str, str] = OWNER, state: Path | None = None
) -> AsyncIterator[Client]:
    """An emulator of a scenario (YAML text on top of the default one) and a client of it."""
    settings = Settings(folder, parse(scenario) if scenario else load(None), state)
    async with running(settings) as emulator, connect(emulator, who) as client:
        yield client


@contextlib.asynccontextmanager
async def connect(emulator: Emulator, who: tuple[str, str] = OWNER) -> AsyncIterator[Client]:
    """Another principal of a running emulator."""
    trust = ssl.create_default_context(cafile=str(emulator.ca_bundle))
    async with httpx.AsyncClient(base_url=emulator.url, verify=trust, timeout=30) as http:
        answer = await http.post(
            f"/{TENANT}/oauth2/v2.0/token",
            data={
                "grant_type": "client_credentials",
                "client_id": who[0],
                "client_secret": who[1],
                "scope": "https://management.azure.com/.default",
            },
        )
        http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield Client(http, emulator)


def error(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of an error in ARM's envelope."""
    return answer.status_code, answer.json()["error"]["code"]


def subscription(model: str = LLAMA) -> Json:
    return {"properties": {"modelId": model}}


def serverless(model: str = LLAMA, **properties: object) -> Json:
    settings = {"modelSettings": {"modelId": model}, "authMode": "Key", **properties}
    return {"location": "eastus2", "sku": {"name": "Consumption"}, "properties": settings}


def endpoint(traffic: dict[str, int] | None = None, **properties: object) -> Json:
    return {
        "location": "eastus2",
        "identity": {"type": "SystemAssigned"},
        "properties": {"authMode": "Key", "traffic": traffic or {}, **properties},
    }


def deployment(instances: int = 1, **properties: object) -> Json:
    return {
        "location": "eastus2",
        "sku": {"name": "Default", "capacity": instances},
        "properties": {
            "endpointComputeType": "Managed",
            "model": SMALL,
            "instanceType": "Standard_NC24ads_A100_v4",
            **properties,
        },
    }
