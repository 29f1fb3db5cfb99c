"""Time that passes only when everybody waits.

`FakeClock.run(main)` runs a coroutine on an event loop of its own whose time jumps to the next
timer as soon as nothing is ready: hours of waiting take milliseconds, in the right order, and
`asyncio.timeout` and `asyncio.sleep` follow. Time goes on from one run to the next.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")
START = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


class Deadlock(AssertionError):
    """Everybody waits for something that no timer will bring."""


class _Selector(selectors.DefaultSelector):
    """Never blocks: what it was to wait for is added to the time instead."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.time = start

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None:
            raise Deadlock("every task waits and no timer is set")
        self.time += timeout
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, start: float) -> None:
        self._fake = _Selector(start)
        super().__init__(self._fake)

    def time(self) -> float:
        return self._fake.time


class FakeClock:
    """A `provisioner.clock.Clock`. Outside of `run` its time stands still."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._elapsed = 0.0
        self._loop: _Loop | None = None

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return self._loop.time() if self._loop is not None else self._elapsed

    async def sleep(self, seconds: float) -> None:
        if asyncio.get_running_loop() is not self._loop:
            raise AssertionError("FakeClock.sleep is awaited outside of FakeClock.run")
        await asyncio.sleep(seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass between two runs."""
        if self._loop is not None:
            raise AssertionError("advance is called during a run")
        self._elapsed += seconds

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run `main` to its end in this clock's time."""

        def factory() -> _Loop:
            self._loop = _Loop(self._elapsed)
            return self._loop

        try:
            with asyncio.Runner(loop_factory=factory) as runner:
                return runner.run(main)
        finally:
            if self._loop is not None:
                self._elapsed = self._loop.time()
            self._loop = None
