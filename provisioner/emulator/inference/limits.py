"""Rate limits of deployments: requests and tokens per minute, as token buckets.

Azure documents 200,000 tokens and 1,000 requests a minute for a serverless deployment
(CATALOG.md, how-to-deploy-models-serverless.md). Time is an argument: seconds of any one clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from provisioner.emulator.inference.served import ServedModel


@dataclass(slots=True)
class _Bucket:
    """Holds at most `size`; refills `size` a minute. A size of 0 never refuses."""

    size: int
    level: float
    at: float

    def refill(self, size: int, now: float) -> None:
        if size != self.size:
            self.size, self.level = size, float(size)
        elif now > self.at:
            self.level = min(float(size), self.level + (now - self.at) * size / 60)
        self.at = now

    def wait(self, amount: float) -> float:
        """Seconds until `amount` (at most a full bucket) is there; 0 if it is."""
        if self.size == 0 or self.level >= amount:
            return 0.0
        return (min(amount, self.size) - self.level) * 60 / self.size


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one charge; `retry_after` is None when it went through."""

    retry_after: int | None
    exceeded: str
    """`requests` or `tokens`; empty when it went through."""
    headers: dict[str, str]


class RateLimits:
    """Buckets of every deployment that was called, held in memory only."""

    __slots__ = ("_buckets",)

    def __init__(self) -> None:
        self._buckets: dict[tuple[str, str, str, str], tuple[_Bucket, _Bucket]] = {}

    def take_request(self, served: ServedModel, now: float) -> Verdict:
        """Charges one request; refuses it while the bucket of requests or of tokens is empty."""
        requests, tokens = self._pair(served, now)
        wait = requests.wait(1)
        if wait > 0:
            return self._refusal("requests", wait, requests, tokens)
        debt = tokens.wait(1)
        if debt > 0:
            return self._refusal("tokens", debt, requests, tokens)
        if requests.size:
            requests.level -= 1
        return Verdict(None, "", _headers(requests, tokens))

    def take_tokens(self, served: ServedModel, amount: int, now: float) -> Verdict:
        """Charges tokens. More than a full bucket passes when it is full and leaves a debt."""
        requests, tokens = self._pair(served, now)
        wait = tokens.wait(min(amount, tokens.size))
        if wait > 0:
            return self._refusal("tokens", wait, requests, tokens)
        if tokens.size:
            tokens.level -= amount
        return Verdict(None, "", _headers(requests, tokens))

    def forget(self, served: ServedModel) -> None:
        """Drops the buckets of an endpoint that is gone."""
        self._buckets.pop(_key(served), None)

    def clear(self) -> None:
        """Drops all buckets."""
        self._buckets.clear()

    def _pair(self, served: ServedModel, now: float) -> tuple[_Bucket, _Bucket]:
        rpm, tpm = served.requests_per_minute, served.tokens_per_minute
        key = _key(served)
        pair = self._buckets.get(key)
        if pair is None:
            pair = (_Bucket(rpm, float(rpm), now), _Bucket(tpm, float(tpm), now))
            self._buckets[key] = pair
        pair[0].refill(rpm, now)
        pair[1].refill(tpm, now)
        return pair

    @staticmethod
    def _refusal(what: str, wait: float, requests: _Bucket, tokens: _Bucket) -> Verdict:
        seconds = max(1, math.ceil(wait))
        headers = _headers(requests, tokens) | {
            "retry-after": str(seconds),
            f"x-ratelimit-reset-{what}": str(seconds),
        }
        return Verdict(seconds, what, headers)


def _key(served: ServedModel) -> tuple[str, str, str, str]:
    return served.kind, served.region, served.name.lower(), served.deployment.lower()


def _headers(requests: _Bucket, tokens: _Bucket) -> dict[str, str]:
    headers = {}
    for name, bucket in (("requests", requests), ("tokens", tokens)):
        if bucket.size:
            headers[f"x-ratelimit-limit-{name}"] = str(bucket.size)
            headers[f"x-ratelimit-remaining-{name}"] = str(max(0, int(bucket.level)))
    return headers
