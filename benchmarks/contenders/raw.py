"""The least that a hand-written aiohttp client can do: no retries, no checks, no diffs.

`python -m benchmarks.contenders.raw apply|find URL CA WORKSPACES MODELS EACH`
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.fleet import GROUP, REGION, SUBSCRIPTION, Fleet

VERSION = "api-version=2024-10-01"
TICK = 0.1


@dataclass(slots=True)
class Raw:
    """A session with a token."""

    http: aiohttp.ClientSession
    url: str

    def path(self, workspace: str, rest: str = "") -> str:
        return (
            f"{self.url}/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers"
            f"/Microsoft.MachineLearningServices/workspaces/{workspace}{rest}?{VERSION}"
        )

    async def call(self, method: str, url: str, body: object = None) -> Any:
        while True:
            async with self.http.request(method, url, json=body) as answer:
                if answer.status == 429:
                    await answer.read()
                    await asyncio.sleep(float(answer.headers.get("Retry-After", "1")))
                    continue
                answer.raise_for_status()
                return json.loads(await answer.read() or b"null")

    async def until(self, workspace: str, kind: str, names: set[str]) -> None:
        waiting = set(names)
        while waiting:
            await asyncio.sleep(TICK)
            listed = await self.call("GET", self.path(workspace, f"/{kind}"))
            waiting -= {
                one["name"]
                for one in listed["value"]
                if one["properties"]["provisioningState"] == "Succeeded"
            }

    async def workspace(self, fleet: Fleet, name: str, out: Path) -> None:
        models = {f"model-{index}": fleet.model_id(index) for index in range(fleet.models)}
        await asyncio.gather(
            *(
                self.call(
                    "PUT",
                    self.path(name, f"/marketplaceSubscriptions/{key}"),
                    {"properties": {"modelId": model}},
                )
                for key, model in models.items()
            )
        )
        await self.until(name, "marketplaceSubscriptions", set(models))
        mine = [(endpoint, model) for ws, endpoint, model in fleet.wishes() if ws == name]
        await asyncio.gather(
            *(
                self.call(
                    "PUT",
                    self.path(name, f"/serverlessEndpoints/{endpoint}"),
                    {
                        "location": REGION,
                        "sku": {"name": "Consumption"},
                        "properties": {"authMode": "Key", "modelSettings": {"modelId": model}},
                    },
                )
                for endpoint, model in mine
            )
        )
        await self.until(name, "serverlessEndpoints", {endpoint for endpoint, _ in mine})
        await asyncio.gather(*(self.keys(name, endpoint, out) for endpoint, _ in mine))

    async def keys(self, workspace: str, endpoint: str, out: Path) -> None:
        path = self.path(workspace, f"/serverlessEndpoints/{endpoint}/listKeys")
        keys = await self.call("POST", path)
        (out / f"{endpoint}.json").write_text(json.dumps(keys), "utf-8")

    async def find(self, name: str) -> int:
        _, _, listed, _ = await asyncio.gather(
            self.call("GET", self.path(name)),
            self.call("GET", self.path(name, "/marketplaceSubscriptions")),
            self.call("GET", self.path(name, "/serverlessEndpoints")),
            self.call("GET", self.path(name, "/onlineEndpoints")),
        )
        return len(listed["value"])


async def main(job: str, url: str, ca: str, fleet: Fleet, out: Path) -> None:
    started = time.perf_counter()
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=ca), limit=64)
    async with aiohttp.ClientSession(connector=connector) as http:
        form = {
            "grant_type": "client_credentials",
            "client_id": "bbbbbbbb-0000-4000-8000-000000000001",
            "client_secret": "emulator-only-secret",
            "scope": f"{url}/.default",
        }
        tenant = "aaaaaaaa-0000-4000-8000-000000000001"
        async with http.post(f"{url}/{tenant}/oauth2/v2.0/token", data=form) as answer:
            token = (await answer.json())["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        raw = Raw(http, url)
        if job == "apply":
            await asyncio.gather(*(raw.workspace(fleet, name, out) for name in fleet.names))
        else:
            found = await asyncio.gather(*(raw.find(name) for name in fleet.names))
            if sum(found) != fleet.endpoints:
                raise SystemExit(f"found {sum(found)} of {fleet.endpoints}")
    print(json.dumps({"seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    job, url, ca, *sizes = sys.argv[1:]
    folder = Path("raw-out")
    folder.mkdir(exist_ok=True)
    asyncio.run(main(job, url, ca, Fleet(*map(int, sizes)), folder))
