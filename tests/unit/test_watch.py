"""Waiting by watching: how late a wait ends, and how many lists it costs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioner.apply.watch import Stopped, Watcher
from provisioner.cloud import CloudReader
from provisioner.errors.cloud import CloudError, ServiceFault
from provisioner.resources import (
    AnyLive,
    Kind,
    Live,
    ModelRef,
    ResourceId,
    ServerlessEndpoint,
    State,
    WorkspaceId,
)
from tests.fake_clock import FakeClock

TRIP = 0.02
"""Seconds that a list takes."""


class Workspaces:
    """The lists of some workspaces; `ends` says when each endpoint is ready, in seconds."""

    def __init__(self, clock: FakeClock, ends: Mapping[ResourceId, float]) -> None:
        self._clock = clock
        self._ends = ends
        self.lists = 0
        self.faults: list[CloudError] = []

    async def serverless_endpoints(
        self, workspace: WorkspaceId
    ) -> Sequence[Live[ServerlessEndpoint]]:
        self.lists += 1
        await self._clock.sleep(TRIP)
        if self.faults:
            raise self.faults.pop()
        now = self._clock.monotonic()
        return [
            Live(
                ServerlessEndpoint(id, "eastus2", ModelRef("r", "m")),
                State.SUCCEEDED if now >= end else State.CREATING,
            )
            for id, end in self._ends.items()
            if id.workspace == workspace
        ]


def endpoint(workspace: int, name: int) -> ResourceId:
    home = WorkspaceId("s", "g", f"w{workspace}")
    return ResourceId(home, Kind.SERVERLESS_ENDPOINT, f"e{name}")


def ready(live: AnyLive | None) -> bool:
    return live is not None and live.state is State.SUCCEEDED


def as_cloud(fake: Workspaces) -> CloudReader:
    return fake  # type: ignore[return-value]  # of the port only what is watched here


def lateness(ends: Mapping[ResourceId, float]) -> tuple[list[float], int]:
    """Seconds by which each wait ended late, and how many lists were asked for."""
    clock = FakeClock()
    fake = Workspaces(clock, ends)

    async def one(watcher: Watcher, id: ResourceId) -> float:
        await watcher.until(id, ready, purpose="create")
        return clock.monotonic() - ends[id]

    async def all_of_them() -> list[float]:
        watcher = Watcher(as_cloud(fake), clock)
        late = await asyncio.gather(*(one(watcher, id) for id in ends))
        await watcher.close()
        return list(late)

    return clock.run(all_of_them()), fake.lists


@given(st.floats(0.5, 3000.0))
@settings(max_examples=50)
def test_a_wait_ends_at_most_an_eighth_late_and_costs_few_lists(seconds: float) -> None:
    late, lists = lateness({endpoint(0, 0): seconds})
    assert late[0] <= 0.125 * seconds + 0.1 + 2 * TRIP
    assert lists <= 60 + seconds / 10


@pytest.mark.parametrize("seconds", [1.0, 5.0, 30.0, 600.0])
def test_many_workspaces_learn_from_the_first_that_is_ready(seconds: float) -> None:
    ends = {endpoint(workspace, 0): seconds for workspace in range(20)}
    late, _ = lateness(ends)
    assert max(late) <= max(0.02 * seconds, 0.15) + 2 * TRIP


def test_a_list_serves_all_who_wait_for_it() -> None:
    one, lists_of_one = lateness({endpoint(0, 0): 30.0})
    many, lists_of_many = lateness({endpoint(0, name): 30.0 for name in range(500)})
    assert lists_of_many <= lists_of_one + 2
    assert max(many) <= max(one) + 2 * TRIP


@given(st.randoms(use_true_random=False))
@settings(max_examples=25)
def test_endpoints_of_uneven_duration_are_all_seen_in_time(chance: random.Random) -> None:
    ends = {
        endpoint(workspace, name): chance.uniform(5.0, 120.0)
        for workspace in range(3)
        for name in range(10)
    }
    late, lists = lateness(ends)
    for end, seconds in zip(ends.values(), late, strict=True):
        assert seconds <= 0.125 * end + 0.1 + 2 * TRIP
    assert lists <= 3 * 100


def test_a_list_that_fails_for_a_moment_is_asked_again() -> None:
    clock = FakeClock()
    fake = Workspaces(clock, {endpoint(0, 0): 1.0})
    fake.faults = [CloudError(ServiceFault(503, "ServerBusy", "busy")) for _ in range(3)]
    watcher = Watcher(as_cloud(fake), clock)
    found = clock.run(watcher.until(endpoint(0, 0), ready, purpose="create"))
    assert ready(found)


def test_a_list_that_is_refused_ends_every_wait() -> None:
    clock = FakeClock()
    fake = Workspaces(clock, {endpoint(0, 0): 1.0})
    fake.faults = [CloudError(ServiceFault(403, "AuthorizationFailed", "no"))]
    watcher = Watcher(as_cloud(fake), clock)
    with pytest.raises(CloudError, match="AuthorizationFailed"):
        clock.run(watcher.until(endpoint(0, 0), ready, purpose="create"))


def test_a_stop_ends_present_and_future_waits() -> None:
    clock = FakeClock()
    watcher = Watcher(as_cloud(Workspaces(clock, {endpoint(0, 0): 100.0})), clock)

    async def stopped() -> None:
        wait = asyncio.ensure_future(watcher.until(endpoint(0, 0), ready, purpose="create"))
        await clock.sleep(5.0)
        watcher.stop()
        with pytest.raises(Stopped):
            await wait
        with pytest.raises(Stopped):
            await watcher.until(endpoint(0, 0), ready, purpose="create")
        await watcher.close()

    clock.run(stopped())
    assert clock.monotonic() == pytest.approx(5.0)
