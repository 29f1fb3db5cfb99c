"""Five hundred endpoints live their lives under a moving clock; `reap` runs every six hours.

Each endpoint is a history of its own: born at a random hour, on shared quota or with a lifetime,
with both, with neither, or somebody else's. Azure (the emulator) deletes what is on shared quota
at its 168th hour. None of ours may ever be deleted that way, and none with time left be touched.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from provisioner import apply, pipeline
from provisioner.azure import Settings, connect
from provisioner.cloud import Cloud
from provisioner.emulator import scenario, server
from provisioner.events import Outcome, ignore
from provisioner.pipeline import Errand
from provisioner.plan.managed import shared_bag
from provisioner.plan.steps import Delete
from provisioner.resources import (
    TAG_EXPIRES,
    TAG_NAME,
    TAG_STACK,
    Kind,
    ModelRef,
    OnlineEndpoint,
    ResourceId,
    Secret,
    ServerlessEndpoint,
    WorkspaceId,
    instant_text,
)

HISTORIES = 500
DAYS = 30
WITHIN = timedelta(hours=24)
EVERY = timedelta(hours=6)
SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
WORKSPACES = (
    (WorkspaceId(SUBSCRIPTION, "rg-ml-prod", "mlw-prod"), "eastus2"),
    (WorkspaceId(SUBSCRIPTION, "rg-ml-eu", "mlw-eu"), "swedencentral"),
    (WorkspaceId(SUBSCRIPTION, "rg-ml-dev", "mlw-dev"), "westus3"),
)
"""A region takes 100 endpoints, so the histories are spread over three."""
PHI = ModelRef("azureml", "Phi-4-mini-instruct")
QUICK = """\
durations: {serverlessEndpoint: 1ms, onlineEndpoint: 1ms, deployment: 1ms, update: 1ms, delete: 1ms}
behaviour: {onePerModel: false, throttling: false, nameHold: 0s}
"""
KINDS = ("shared", "shared with ttl", "ttl", "serverless ttl", "endless", "foreign shared")


class EmulatedClock:
    """The emulator's time for what is planned, real time for what is waited."""

    def __init__(self, emulator: server.Emulator) -> None:
        self._emulator = emulator

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._emulator.tenant.clock.now(), UTC)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        # Operations take a millisecond here; the watcher's patience is not what is tested.
        await asyncio.sleep(0.005 if seconds < 60 else seconds)


@dataclass(slots=True)
class History:
    """One endpoint: when it is born, and when it ends (None: never, or not ours to end)."""

    id: ResourceId
    region: str
    kind: str
    born: datetime
    ttl: timedelta
    deadline: datetime | None = None
    by_azure: datetime | None = None
    ended: datetime | None = None

    def resource(self, now: datetime) -> OnlineEndpoint | ServerlessEndpoint:
        tags = {} if self.kind.startswith("foreign") else {TAG_STACK: "s", TAG_NAME: self.id.name}
        shared = "shared" in self.kind
        if shared:
            self.by_azure = now.replace(microsecond=0) + timedelta(hours=168)
        ends = [now + self.ttl] if "ttl" in self.kind else []
        if ends:
            tags[TAG_EXPIRES] = instant_text(ends[0])
        if self.by_azure is not None:
            ends.append(self.by_azure)
        self.deadline = min(ends) if ends and tags else None
        if self.id.kind is Kind.SERVERLESS_ENDPOINT:
            return ServerlessEndpoint(self.id, self.region, PHI, tags=tags)
        bag = shared_bag(now) if shared else {}
        return OnlineEndpoint(self.id, self.region, properties=bag, tags=tags)


def histories(chance: random.Random, start: datetime) -> list[History]:
    found = []
    for number in range(HISTORIES):
        kind = KINDS[number % len(KINDS)]
        what = Kind.SERVERLESS_ENDPOINT if kind.startswith("server") else Kind.ONLINE_ENDPOINT
        workspace, region = chance.choice(WORKSPACES)
        id = ResourceId(workspace, what, f"ep-{number:04d}")
        born = start + timedelta(hours=chance.uniform(0, (DAYS - 8) * 24))
        found.append(History(id, region, kind, born, timedelta(hours=chance.uniform(25, 160))))
    return sorted(found, key=lambda one: one.born)


async def reap(cloud: Cloud, clock: EmulatedClock) -> set[ResourceId]:
    """One run of `provision reap --within 24h`; the endpoints that it took down."""
    prepared, _ = await pipeline.prepare_reap(cloud, Errand(WITHIN, (SUBSCRIPTION,)), clock, ignore)
    applied = await pipeline.carry_out(prepared, cloud, clock, ignore, apply.Settings(), None)
    assert not applied.problems
    return {
        result.step.resource_id
        for result in applied.report.results
        if isinstance(result.step, Delete) and result.outcome is Outcome.DONE
    }


async def listed(cloud: Cloud) -> set[ResourceId]:
    found: set[ResourceId] = set()
    for workspace, _ in WORKSPACES:
        found |= {live.id for live in await cloud.serverless_endpoints(workspace)}
        found |= {live.id for live in await cloud.online_endpoints(workspace)}
    return found


@pytest.mark.slow
async def test_azure_never_gets_there_first(tmp_path: Path) -> None:
    chance = random.Random(168)
    served = scenario.parse(QUICK + "clock: {start: 2026-06-01T00:00:00Z}\n", "quick")
    async with server.running(server.Settings(tmp_path, served)) as emulator:
        clock = EmulatedClock(emulator)
        settings = Settings(
            arm_endpoint=emulator.url,
            authority=emulator.url,
            ca_bundle=emulator.ca_bundle,
            tenant_id="aaaaaaaa-0000-4000-8000-000000000001",
            client_id="bbbbbbbb-0000-4000-8000-000000000001",
            client_secret=Secret("emulator-only-secret"),
        )
        async with connect(settings, clock) as cloud:
            coming = histories(chance, clock.now())
            ended = await live_through(coming, cloud, clock, emulator)
    counts = Counter(one.kind for one in ended)
    assert set(counts) == {kind for kind in KINDS if kind not in ("endless",)}, counts


async def live_through(
    coming: list[History], cloud: Cloud, clock: EmulatedClock, emulator: server.Emulator
) -> list[History]:
    """Thirty days in steps of six hours; the histories that have ended."""
    alive: dict[ResourceId, History] = {}
    ended: list[History] = []
    for _ in range(int(timedelta(days=DAYS) / EVERY)):
        born = [one for one in coming if one.born <= clock.now()]
        coming = coming[len(born) :]
        await asyncio.gather(*(cloud.put(one.resource(clock.now())) for one in born))
        alive |= {one.id: one for one in born}
        taken = await reap(cloud, clock)
        now = clock.now()
        for id in taken:
            one = alive.pop(id)
            assert one.deadline is not None, f"{one} is not ours to take down"
            assert one.deadline - now <= WITHIN, f"{one} had time left"
            assert now <= one.deadline, f"{one} was taken down too late"
            ended.append(one)
        emulator.tenant.clock.advance(EVERY.total_seconds())
        left = await listed(cloud)
        for id in set(alive) - left:
            one = alive.pop(id)
            assert one.kind == "foreign shared", f"Azure deleted {one} before we did"
            ended.append(one)
    late = [one for one in alive.values() if one.deadline and one.deadline - clock.now() < WITHIN]
    assert not [one for one in late if one.deadline and one.deadline < clock.now()], late
    return ended
