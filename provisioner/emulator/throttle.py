"""ARM's request buckets: 250 reads refilled at 25/s, 200 writes at 10/s, 200 deletes at 10/s.

One bucket per subscription, principal and kind, and the same again per tenant for calls outside
of subscriptions (AZURE.md §16). The emulator is one region, so the region is not part of the key.
A bucket is a value; `take` computes the next one, so nothing drifts when the clock is moved.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from provisioner.emulator.refusals import Refusal

Kind = Literal["reads", "writes", "deletes"]
Key = tuple[str, str, Kind]


@dataclass(frozen=True, slots=True)
class Limit:
    """A bucket's size in requests and its refill in requests per second."""

    size: int
    refill: float


@dataclass(frozen=True, slots=True)
class Limits:
    """The sizes of the three buckets."""

    reads: Limit = Limit(250, 25.0)
    writes: Limit = Limit(200, 10.0)
    deletes: Limit = Limit(200, 10.0)

    def of(self, kind: Kind) -> Limit:
        """The limit for a kind of request."""
        match kind:
            case "reads":
                return self.reads
            case "writes":
                return self.writes
            case "deletes":
                return self.deletes


@dataclass(frozen=True, slots=True)
class Bucket:
    """What is left in a bucket and when that was computed (seconds)."""

    tokens: float
    at: float


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a request passes, what remains, and after how many whole seconds to try again."""

    allowed: bool
    remaining: int
    retry_after: int


def kind_of(method: str) -> Kind:
    """The bucket that an HTTP method draws from; ARM counts POST among the writes."""
    match method.upper():
        case "GET" | "HEAD" | "OPTIONS":
            return "reads"
        case "DELETE":
            return "deletes"
        case _:
            return "writes"


def take(bucket: Bucket | None, limit: Limit, now: float) -> tuple[Decision, Bucket]:
    """Draw one request; None is a full bucket. A clock that went back refills nothing."""
    if bucket is None:
        tokens = float(limit.size)
    else:
        gained = max(0.0, now - bucket.at) * limit.refill
        tokens = min(float(limit.size), bucket.tokens + gained)
    # A whole token is needed: rounding errors of the refill must not turn 0.9999999 into a wait
    # of a second, nor grant more than was refilled, so the slack is far below one request.
    if tokens >= 1.0 - 1e-9:
        left = max(0.0, tokens - 1.0)
        return Decision(True, int(left), 0), Bucket(left, now)
    wait = math.ceil((1.0 - tokens) / limit.refill) if limit.refill > 0 else 3600
    return Decision(False, 0, max(1, wait)), Bucket(tokens, now)


@dataclass(slots=True)
class Throttle:
    """All buckets of the tenant, in memory: ARM forgets them over a restart too."""

    limits: Limits = field(default_factory=Limits)
    buckets: dict[Key, Bucket] = field(default_factory=dict)

    def request(self, owner: str, principal: str, method: str, now: float) -> Decision:
        """Count one request; `owner` is the subscription id, or "" for the tenant."""
        kind = kind_of(method)
        key: Key = (owner.lower(), principal.lower(), kind)
        decision, self.buckets[key] = take(self.buckets.get(key), self.limits.of(kind), now)
        return decision

    def reset(self) -> None:
        """Fill every bucket."""
        self.buckets.clear()


def header(owner: str, method: str) -> str:
    """The name of the header that carries what remains."""
    whose = "subscription" if owner else "tenant"
    return f"x-ms-ratelimit-remaining-{whose}-{kind_of(method)}"


def refusal(owner: str, principal: str, method: str, retry_after: int) -> Refusal:
    """ARM's 429, in the words of the quoted error."""
    kind = kind_of(method)[:-1]
    if owner:
        code, whose = "SubscriptionRequestsThrottled", f"subscription '{owner}'"
    else:
        code, whose = "TenantRequestsThrottled", "tenant"
    return Refusal(
        429,
        code,
        f"Number of '{kind}' requests for {whose} actor '{principal}' exceeded. "
        f"Please try again after '{retry_after}' seconds.",
        retry_after=retry_after,
    )


def provider_refusal(seconds: int = 20) -> Refusal:
    """The machine learning provider's own 429: a UserError without a Retry-After (AZURE.md §17)."""
    return Refusal(
        429,
        "UserError",
        "Received too many requests in a short amount of time. "
        f"Retry again after {seconds} seconds.",
        inner=("QuotaExceeded", "TooManyRequests"),
    )
