"""ARM's token buckets, kept on our side so that they are never overdrawn (AZURE.md §16).

Per subscription, principal and kind: 250 reads refilled at 25 a second, 200 writes at 10, 200
deletes at 10. Whoever wants a token waits in line; the service's own count, in
`x-ms-ratelimit-remaining-subscription-*`, corrects ours when somebody else spends too.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from provisioner.azure.values import number
from provisioner.clock import Clock

READS: Final = "reads"
WRITES: Final = "writes"
DELETES: Final = "deletes"

SPARE: Final = 5.0
"""Tokens never spent, for requests that overtake each other on their way."""

SIZES: Final[Mapping[str, tuple[float, float]]] = {
    READS: (250.0, 25.0),
    WRITES: (200.0, 10.0),
    DELETES: (200.0, 10.0),
}
"""Tokens in a full bucket, and tokens a second."""

_SCOUTS: Final = 2
_SUBSCRIPTION: Final = re.compile(r"/subscriptions/([^/?]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A token that was taken: as which one in order, and when, on the clock's seconds."""

    order: int
    at: float


class Bucket:
    """One token bucket. `take` serves in order of arrival.

    What is in it at the start is the service's secret: an earlier run may have emptied it. So the
    first few requests go alone, and the rest follow when one of them was answered (`heard`).

    A request that is under way may not have arrived yet, and a bucket that is still full takes no
    refill: so ours takes none for what is under way either, and only the service's own count can
    show that there was some (`correct`).
    """

    def __init__(self, capacity: float, rate: float, clock: Clock, spare: float = 0.0) -> None:
        """`capacity` tokens and `rate` a second are the service's; `spare` of them are not used."""
        self.capacity = capacity - spare
        self.spare = spare
        self.rate = rate
        self._clock = clock
        self._tokens = self.capacity
        self._alone = self.capacity  # what would be left if nobody else spent
        self._filled_at = clock.monotonic()
        self._closed_until = 0.0
        self._taken = 0
        self._flying = 0  # taken and not yet answered
        self._counted: bool | None = None
        self._answered = asyncio.Event()
        self._line = asyncio.Lock()  # asyncio's locks wake their waiters in order

    @property
    def undecided(self) -> bool:
        """Whether no answer has shown yet if the service counts."""
        return self._counted is None

    @property
    def counted(self) -> bool:
        """Whether the service is known to keep this bucket."""
        return self._counted is True

    async def take(self) -> Receipt:
        """Wait for a token and take it. A waiter that is cancelled takes none."""
        if self._taken >= _SCOUTS and not self._answered.is_set():
            await self._answered.wait()
        if self._line.locked() or self._wait() > 0:
            async with self._line:
                while (wait := self._wait()) > 0:
                    await self._clock.sleep(wait)
                return self._spend()
        return self._spend()

    def heard(self) -> None:
        """A request of this bucket has ended, well or badly; `correct` comes in the same breath."""
        self._refill()
        self._flying = max(0, self._flying - 1)
        self._answered.set()

    def correct(self, remaining: float, receipt: Receipt) -> None:
        """Bring the level within what the service's own count allows.

        The count was made some time between sending and now. At the least, nothing has flowed in
        since, and all that was sent after `receipt` is still to be subtracted; at the most, all of
        it was counted already, as requests overtake each other, and the refill came on top. A level
        below the one is raised, one above the other is lowered: so neither a burst whose answers
        come in any order, nor rounding, costs throughput. Never raised above what we have left
        ourselves.
        """
        self._counted = True
        now = self._refill()
        left = remaining - self.spare
        least = left - (self._taken - receipt.order)
        most = left + (now - receipt.at) * self.rate
        self._tokens = min(max(self._tokens, least), most, self._alone)

    def uncounted(self) -> None:
        """A good answer came without a count: unless one ever came with it, nobody counts here.

        ARM puts its count on every good answer of the ML provider that is on record, so a service
        without one keeps no such bucket, and holding back would only cost time.
        """
        if self._counted is None:
            self._counted = False

    def close(self, seconds: float) -> None:
        """Nothing leaves before `seconds` have passed: the service said 429."""
        self._counted = True
        now = self._refill()
        self._closed_until = max(self._closed_until, now + seconds)
        self._tokens = min(self._tokens, 1.0)

    def _refill(self) -> float:
        now = self._clock.monotonic()
        flow = (now - self._filled_at) * self.rate
        room = max(self._tokens, self.capacity - self._flying)
        self._tokens = min(room, self._tokens + flow)
        self._alone = min(self.capacity, self._alone + flow)
        self._filled_at = now
        return now

    def _wait(self) -> float:
        """Seconds until there is a token to take; 0: now."""
        now = self._refill()
        if now < self._closed_until:
            return self._closed_until - now
        if self._counted is False:
            return 0.0
        missing = 1.0 - self._tokens
        # A thousandth of a token is rounding, not debt.
        return missing / self.rate if missing > 0.001 else 0.0

    def _spend(self) -> Receipt:
        self._tokens -= 1.0
        self._alone -= 1.0
        self._taken += 1
        self._flying += 1
        return Receipt(self._taken, self._clock.monotonic())


class Budget:
    """The buckets of one principal."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[tuple[str, str], Bucket] = {}

    def bucket(self, method: str, url: str) -> Bucket:
        """The bucket that a request spends from; tenant-level calls share one per kind."""
        kind = kind_of(method)
        match = _SUBSCRIPTION.search(url)
        key = (match.group(1).lower() if match else "", kind)
        found = self._buckets.get(key)
        if found is None:
            found = self._buckets[key] = Bucket(*SIZES[kind], self._clock, SPARE)
        return found


def kind_of(method: str) -> str:
    """Which kind of bucket a method spends from; POST counts as a write."""
    if method == "DELETE":
        return DELETES
    return READS if method in ("GET", "HEAD", "OPTIONS") else WRITES


def remaining_in(method: str, headers: Mapping[str, str]) -> float | None:
    """What the service says is left of the bucket that `method` spends from."""
    kind = kind_of(method)
    value = headers.get(f"x-ms-ratelimit-remaining-subscription-{kind}")
    if value is None:
        value = headers.get(f"x-ms-ratelimit-remaining-tenant-{kind}")
    return number(value) if value is not None else None
