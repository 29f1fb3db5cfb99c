"""The emulator's own clock: it starts at real time, may run faster, and can be moved forward.

Times are seconds since 1970 UTC (float). Tokens do not follow it: a client counts a token's
life on its own clock, so moving this one must not log anybody out.

It stands still at the end of the year 8999: what comes after it (deadlines, expiry) must still be
a date that can be written, and no request may leave a clock that breaks the ones after it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate
from functools import lru_cache

END = datetime(9000, 1, 1, tzinfo=UTC).timestamp()


class EmulatedClock:
    """A linear map of the wall clock. Only forward: deadlines that have passed stay passed."""

    def __init__(
        self,
        *,
        speed: float = 1.0,
        start: float | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._wall = wall
        self.speed = speed
        self._anchor_wall = wall()
        self._anchor = self._anchor_wall if start is None else start

    def now(self) -> float:
        return min(END, self._anchor + (self._wall() - self._anchor_wall) * self.speed)

    def advance(self, seconds: float) -> float:
        """Move forward by `seconds`; raises ValueError when negative or past the clock's end."""
        if seconds < 0:
            raise ValueError("The emulated clock only moves forward.")
        if not self.now() + seconds <= END:  # so that NaN is refused as well
            raise ValueError("The emulated clock ends with the year 8999.")
        self._anchor = self.now() + seconds
        self._anchor_wall = self._wall()
        return self._anchor

    def move_to(self, when: float) -> float:
        """Move to an instant; raises ValueError when it lies in the past."""
        return self.advance(when - self.now())

    def saved(self) -> dict[str, float]:
        """What a restart needs to carry on where this clock stands."""
        return {"wall": self._anchor_wall, "emulated": self._anchor}

    def restore(self, saved: dict[str, float]) -> None:
        self._anchor_wall = saved["wall"]
        self._anchor = min(END, saved["emulated"])


@lru_cache(maxsize=65_536)  # a list shows the same instants again and again
def iso(when: float) -> str:
    """The round-trip form that ARM shows: `2026-11-22T11:20:00.1234560+00:00`."""
    text = datetime.fromtimestamp(when, UTC).isoformat(timespec="microseconds")
    return f"{text[:-6]}0+00:00"


def iso_z(when: float) -> str:
    """The form with `Z`, which MarketplaceOrdering and Authorization use."""
    return iso(when).replace("+00:00", "Z")


@lru_cache(maxsize=8)
def _http_date(second: int) -> str:
    return formatdate(second, usegmt=True)


def http_date(when: float) -> str:
    """The form of a Date header, by the emulated clock: clients learn the time from it."""
    return _http_date(int(when))
