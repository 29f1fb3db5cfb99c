"""What the emulator itself costs, as its process: CPU for one GET, a page of 1,000 endpoints,
1,000 operations in flight, memory with 10,000 endpoints.

`python -m benchmarks.emulator_figures [ENDPOINTS]` prints the table on its own.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from benchmarks.results import Line, Value
from provisioner.emulator import control

WORKERS = 32
GETS = 2_000
IN_FLIGHT = 1_000
SCENARIO = """
behaviour: {throttling: false, onePerModel: false, pageSize: 1000}
durations: {serverlessEndpoint: 1h}
"""
WORKSPACE = (
    "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-ml-prod"
    "/providers/Microsoft.MachineLearningServices/workspaces/mlw-prod"
)
BODY = {
    "location": "eastus2",
    "sku": {"name": "Consumption"},
    "tags": {"provisioner-stack": "bench", "provisioner-name": "an-endpoint"},
    "properties": {
        "authMode": "Key",
        "modelSettings": {"modelId": "azureml://registries/azureml/models/Phi-4"},
    },
}


@dataclass(slots=True)
class _Bench:
    http: aiohttp.ClientSession
    record: control.Record
    operations: list[str]

    async def create(self, names: list[str]) -> None:
        async def work(mine: list[str]) -> None:
            for name in mine:
                url = f"{WORKSPACE}/serverlessEndpoints/{name}?api-version=2024-10-01"
                async with self.http.put(url, json=BODY) as answer:
                    assert answer.status == 201, await answer.text()
                    self.operations.append(answer.headers["Azure-AsyncOperation"])
                    await answer.read()

        await asyncio.gather(*(work(names[n::WORKERS]) for n in range(WORKERS)))

    async def get(self, url: str, times: int) -> None:
        async def work() -> None:
            for _ in range(times // WORKERS):
                async with self.http.get(url) as answer:
                    assert answer.status == 200, await answer.text()
                    await answer.read()

        await asyncio.gather(*(work() for _ in range(WORKERS)))

    async def cost(self, url: str) -> float:
        """Milliseconds of the emulator's CPU for one GET."""
        await self.get(url, GETS // 4)
        before = _cpu(self.record.pid)
        await self.get(url, GETS)
        return (_cpu(self.record.pid) - before) * 1000 / (GETS // WORKERS * WORKERS)

    async def in_flight(self) -> int:
        """Operations that run at once; the status of each is asked for."""
        for url in self.operations:
            async with self.http.get(url) as answer:
                assert (await answer.json())["status"] == "Creating"
        async with self.http.get("/emulator/health") as answer:
            return int((await answer.json())["operationsInFlight"])

    async def page(self) -> tuple[float, int]:
        """Milliseconds of a page, best of nine, and how many endpoints it held."""
        spans = []
        url = f"{WORKSPACE}/serverlessEndpoints?api-version=2024-10-01"
        for _ in range(9):
            started = time.perf_counter()
            async with self.http.get(url) as answer:
                raw = await answer.read()
            spans.append((time.perf_counter() - started) * 1000)
        return min(spans), raw.count(b'"provisioningState"')


def _cpu(pid: int) -> float:
    """Seconds of CPU that a process has used, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> float:
    """Resident memory in MiB, the highest that it ever was."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmHWM in /proc")


async def _measure(endpoints: int, folder: Path) -> list[Value]:
    scenario = folder / "scenario.yaml"
    await asyncio.to_thread(scenario.write_text, SCENARIO)
    record = await control.start(folder / "emulator", scenario=scenario)
    try:
        async with _session(record) as http:
            http.headers["Authorization"] = f"Bearer {await _token(http, record)}"
            bench = _Bench(http, record, [])
            await bench.create([f"e{n}" for n in range(IN_FLIGHT)])
            flying = await bench.in_flight()
            one = f"{WORKSPACE}/serverlessEndpoints/e7?api-version=2024-10-01"
            workspace = f"{WORKSPACE}?api-version=2024-10-01"
            costs = [await bench.cost(one), await bench.cost(workspace)]
            page, held = await bench.page()
            assert held == IN_FLIGHT
            started = time.perf_counter()
            await bench.create([f"e{n}" for n in range(IN_FLIGHT, endpoints)])
            spent = time.perf_counter() - started
            rate = (endpoints - IN_FLIGHT) / spent if endpoints > IN_FLIGHT else 0.0
            full, _ = await bench.page()
            memory = _memory(record.pid)
    finally:
        await control.stop(folder / "emulator")
    return [
        Value("CPU of one GET of an endpoint", costs[0], 1.0, "ms"),
        Value("CPU of one GET of a workspace", costs[1], 1.0, "ms"),
        Value("a page of 1,000 endpoints", page, 60.0, "ms"),
        Value(f"the same page of {endpoints:,}", full, 60.0, "ms"),
        Value("operations in flight", flying, IN_FLIGHT, "", more_is_better=True),
        Value("endpoints created in a second", rate, 100.0, "/s", more_is_better=True),
        Value(f"peak memory with {endpoints:,} endpoints", memory, 200.0, "MiB"),
    ]


def _session(record: control.Record) -> aiohttp.ClientSession:
    trust = ssl.create_default_context(cafile=record.ca_bundle)
    connector = aiohttp.TCPConnector(ssl=trust, limit=WORKERS)
    return aiohttp.ClientSession(record.url, connector=connector)


async def _token(http: aiohttp.ClientSession, record: control.Record) -> str:
    form = {
        "grant_type": "client_credentials",
        "client_id": record.client_id,
        "client_secret": record.client_secret,
        "scope": "https://management.azure.com/.default",
    }
    async with http.post(f"/{record.tenant_id}/oauth2/v2.0/token", data=form) as answer:
        return str((await answer.json())["access_token"])


def run(endpoints: int = 10_000) -> Iterator[Line]:
    """All figures, measured on an emulator of their own."""
    yield "\n### The emulator itself\n"
    with tempfile.TemporaryDirectory() as folder:
        yield from asyncio.run(_measure(endpoints, Path(folder)))


if __name__ == "__main__":
    for figure in run(*(int(argument) for argument in sys.argv[1:2])):
        print(figure)
