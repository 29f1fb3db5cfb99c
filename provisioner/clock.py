"""Time as an argument: loops take a `Clock`, pure code takes `now`."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

TOLERANCE: Final = timedelta(minutes=2)
"""A difference below this is the network and the rounding of a Date header, not a wrong clock."""


class Clock(Protocol):
    """What the asynchronous stages know of time."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of this clock's time."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class ServiceClock(SystemClock):
    """The machine's clock, set right by what the service says the time is.

    Deadlines are Azure's: a machine whose clock is wrong must neither reap too early nor too late.
    """

    def __init__(self) -> None:
        self.skew = timedelta(0)
        """What is added to the machine's time; zero within `TOLERANCE`."""

    def now(self) -> datetime:
        return super().now() + self.skew

    def heard(self, instant: datetime) -> None:
        """Take note of the service's time (aware), as of now."""
        skew = instant - super().now()
        self.skew = skew if abs(skew) > TOLERANCE else timedelta(0)
