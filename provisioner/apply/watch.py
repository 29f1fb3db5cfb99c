"""Waiting by watching: one list per tick wakes everybody who waits on that collection.

A collection is a workspace's resources of one kind, or an endpoint's deployments. Success is what
a list showed, never a 2xx; so a run that starts after a crash waits in exactly the same way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from provisioner.clock import Clock
from provisioner.cloud import CloudReader
from provisioner.errors.cloud import CloudError, Verdict
from provisioner.resources import AnyLive, Kind, ResourceId, WorkspaceId

Judge = Callable[[AnyLive | None], bool]
"""Looks at what a list showed of one resource: True ends the wait; it may raise to fail it."""

FIRST = 0.5
SHORTEST = 0.1
LONGEST = 15.0
GROWTH = 0.1
"""Seconds between lists: a tenth of how long the youngest waiter has waited, within bounds; the
first look comes after `FIRST`.

So a wait of T seconds in one workspace ends at most 10 % late, 5 % on average, and costs about 45
lists for T = 30 s, whether one resource is waited for or five hundred. Many workspaces look at
moments of their own (gaps of 7.5 to 12.5 %), and what the first of them learns of T tells all
others when to look: together they are late by much less than one."""

_GOLDEN = 0.618034
"""Multiples of it, taken modulo 1, spread evenly however many there are."""


class Stopped(Exception):
    """The run was asked to stop; what was waited for goes on in Azure."""


@dataclass(slots=True, eq=False)
class _Waiter:
    id: ResourceId
    judge: Judge
    since: float
    pace: Pace
    done: asyncio.Future[AnyLive | None]
    seen: Callable[[AnyLive | None], None]


@dataclass(slots=True)
class Pace:
    """What is known of how long operations of one kind take, in seconds.

    The shortest one seen tells when it is worth to begin looking.
    """

    shortest: float | None = None

    def learn(self, seconds: float) -> bool:
        """Take note of an operation that took `seconds`; whether that is news to others."""
        if self.shortest is not None and seconds >= self.shortest:
            return False
        news = self.shortest is None or seconds < self.shortest * 0.9
        self.shortest = seconds
        return news

    def gap(self, age: float, turn: float) -> float:
        """Seconds until the next look at something that has been waited for `age` seconds.

        `turn` stretches it a little, so that not everybody looks at once.
        """
        gap = min(max(age * GROWTH, SHORTEST, FIRST - age) * turn, LONGEST)
        if self.shortest is not None and age < self.shortest:
            left = self.shortest - age
            gap = max(gap, min(left - self.shortest * 0.1, LONGEST))
            gap = max(min(gap, left), SHORTEST)
        return gap


@dataclass(slots=True, eq=False)
class _Collection:
    list: Callable[[], Awaitable[Sequence[AnyLive]]]
    clock: Clock
    turn: float
    """Stretches the gaps, each collection's by a little of its own."""
    learned: Callable[[], None]
    """Is called when a wait showed how long operations of its kind take."""
    waiters: set[_Waiter] = field(default_factory=set)
    task: asyncio.Task[None] | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    failures: int = 0
    looked: float = 0.0
    """When the last list was asked for, on the clock's seconds."""

    def add(self, waiter: _Waiter) -> None:
        self.waiters.add(waiter)
        self.wake.set()
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            self.waiters = {one for one in self.waiters if not one.done.done()}
            if not self.waiters:
                return
            if await self._rested():
                await self._look()

    async def _rested(self) -> bool:
        """Sleep until the next look is due; False when a newcomer may want it sooner."""
        self.wake.clear()
        sleeper = asyncio.ensure_future(self.clock.sleep(self._delay()))
        waker = asyncio.ensure_future(self.wake.wait())
        try:
            done, _ = await asyncio.wait({sleeper, waker}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sleeper, waker):
                task.cancel()
            await asyncio.gather(sleeper, waker, return_exceptions=True)
        return sleeper in done

    def _delay(self) -> float:
        """Seconds until the first of all waiters wants a look."""
        due = min(self._due(one) for one in self.waiters)
        gap = due - self.clock.monotonic()
        return max(gap, min(2.0**self.failures, 30.0) if self.failures else 0.0)

    def _due(self, waiter: _Waiter) -> float:
        since = max(self.looked, waiter.since)
        return since + waiter.pace.gap(since - waiter.since, self.turn)

    async def _look(self) -> None:
        self.looked = self.clock.monotonic()
        try:
            found = {live.id: live for live in await self.list()}
        except CloudError as error:
            self._fail(error)
            return
        except Exception as error:
            self._end(error)  # a fault of this program: whoever waits must hear of it
            return
        self.failures = 0
        now = self.clock.monotonic()
        for waiter in [one for one in self.waiters if not one.done.done()]:
            live = found.get(waiter.id)
            waiter.seen(live)
            try:
                finished = waiter.judge(live)
            except Exception as error:
                waiter.done.set_exception(error)
                continue
            if finished:
                waiter.done.set_result(live)
                if waiter.pace.learn(now - waiter.since):
                    self.learned()

    def _fail(self, error: CloudError) -> None:
        """A list that time will mend is asked again; any other error ends all waits."""
        self.failures += 1
        if error.verdict is not Verdict.RETRY:
            self._end(error)

    def _end(self, error: Exception) -> None:
        for waiter in self.waiters:
            if not waiter.done.done():
                waiter.done.set_exception(error)


class Watcher:
    """Hands out waits; one collection is listed by one task, however many wait."""

    def __init__(self, cloud: CloudReader, clock: Clock) -> None:
        self._cloud = cloud
        self._clock = clock
        self._collections: dict[tuple[Kind, WorkspaceId | ResourceId], _Collection] = {}
        self._paces: dict[tuple[Kind, str], Pace] = {}
        self._stopped = False

    async def until(
        self,
        id: ResourceId,
        judge: Judge,
        *,
        purpose: str,
        seen: Callable[[AnyLive | None], None] = lambda _: None,
    ) -> AnyLive | None:
        """Wait until `judge` accepts what a list shows of `id`; gives what it showed.

        `purpose` groups waits of like duration, e.g. "create". Raises Stopped, CloudError, or
        what `judge` raises.
        """
        if self._stopped:
            raise Stopped
        future: asyncio.Future[AnyLive | None] = asyncio.get_running_loop().create_future()
        pace = self._paces.setdefault((id.kind, purpose), Pace())
        waiter = _Waiter(id, judge, self._clock.monotonic(), pace, future, seen)
        collection = self._collection(id)
        collection.add(waiter)
        try:
            return await future
        finally:
            collection.waiters.discard(waiter)

    def stop(self) -> None:
        """End every wait, present and future, with Stopped."""
        self._stopped = True
        for collection in self._collections.values():
            for waiter in collection.waiters:
                if not waiter.done.done():
                    waiter.done.set_exception(Stopped())

    async def close(self) -> None:
        """End the watching tasks."""
        tasks = [one.task for one in self._collections.values() if one.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _collection(self, id: ResourceId) -> _Collection:
        owner: WorkspaceId | ResourceId = id.workspace
        if id.kind is Kind.ONLINE_DEPLOYMENT:
            owner = id.endpoint
        key = (id.kind, owner)
        if key not in self._collections:
            turn = 0.75 + (0.5 + len(self._collections) * _GOLDEN) % 1.0 / 2
            lister = self._lister(id.kind, owner)
            self._collections[key] = _Collection(lister, self._clock, turn, self._wake)
        return self._collections[key]

    def _wake(self) -> None:
        """Let every collection think again of when to look."""
        for collection in self._collections.values():
            collection.wake.set()

    def _lister(
        self, kind: Kind, owner: WorkspaceId | ResourceId
    ) -> Callable[[], Awaitable[Sequence[AnyLive]]]:
        if isinstance(owner, ResourceId):
            return lambda: self._cloud.online_deployments(owner)
        match kind:
            case Kind.MARKETPLACE_SUBSCRIPTION:
                return lambda: self._cloud.marketplace_subscriptions(owner)
            case Kind.SERVERLESS_ENDPOINT:
                return lambda: self._cloud.serverless_endpoints(owner)
            case Kind.ONLINE_ENDPOINT:
                return lambda: self._cloud.online_endpoints(owner)
            case _:
                raise ValueError(f"{kind} is not a collection")
