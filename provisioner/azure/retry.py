"""When a request is sent again, and after how long.

Two questions decide: did the service surely not act, or is sending twice harmless? A request
that is `repeatable` (reads, deletes, tag patches, listKeys) is sent again after any transient
failure. One that is not (a PUT, a key regeneration) is sent again only where the service surely
did nothing: 429, a connection that was never made, for an action (POST) also a 409 that says that
another operation is running. The 409 of any other write goes to the caller at once. A PUT whose
answer was lost is the business of `Arm.put`, which first asks what is there (AZURE.md §19).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
from azure.core.exceptions import (
    AzureError,
    IncompleteReadError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import AsyncHTTPPolicy
from azure.core.rest import AsyncHttpResponse, HttpRequest

from provisioner.azure.faults import fault_of
from provisioner.azure.settings import Patience
from provisioner.clock import Clock
from provisioner.errors.cloud import Verdict, verdict

TRANSIENT: Final = frozenset({408, 500, 502, 503, 504})
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})
REPEATABLE: Final = "repeatable"
"""Request option: True when sending twice is harmless; by default, so for reads and deletes."""


@dataclass(slots=True)
class Backoff:
    """Exponential backoff with full jitter, capped; one per request."""

    patience: Patience
    chance: random.Random
    attempt: int = 1
    waited: dict[str, float] = field(default_factory=dict)

    def failure(self, asked: float | None = None) -> float | None:
        """Seconds until the next attempt; None when the attempts are used up, or when the service
        asks for more patience than there is: a gateway may say "tomorrow"."""
        if self.attempt >= self.patience.attempts:
            return None
        if asked is None:
            return self._jittered()
        return self._within("failure", asked, self.patience.throttled)

    def throttled(self, asked: float | None) -> float | None:
        """After 429: what the service asked, plus a little so that not all return at once."""
        delay = self._jittered() + (asked or 0.0) if asked is None else self._near(asked)
        return self._within("throttled", delay, self.patience.throttled)

    def conflict(self, asked: float | None) -> float | None:
        """After a 409 that time alone mends."""
        delay = max(self._jittered(), 0.1) if asked is None else asked
        return self._within("conflict", delay, self.patience.conflict)

    def _jittered(self) -> float:
        ceiling = min(
            self.patience.longest_delay, self.patience.first_delay * 2.0 ** (self.attempt - 1)
        )
        return self.chance.uniform(0.0, ceiling)

    def _near(self, asked: float) -> float:
        return asked + self.chance.uniform(0.0, min(1.0, 0.1 * asked + 0.05))

    def _within(self, reason: str, delay: float, limit: float) -> float | None:
        total = self.waited.get(reason, 0.0) + delay
        if total > limit:
            return None
        self.waited[reason] = total
        return delay


class RetryPolicy(AsyncHTTPPolicy[HttpRequest, AsyncHttpResponse]):
    """Sends a request again under the rules above; sleeps on the injected clock."""

    def __init__(self, patience: Patience, clock: Clock, chance: random.Random) -> None:
        super().__init__()
        self._patience = patience
        self._clock = clock
        self._chance = chance

    async def send(
        self, request: PipelineRequest[HttpRequest]
    ) -> PipelineResponse[HttpRequest, AsyncHttpResponse]:
        repeatable = request.context.options.pop(
            REPEATABLE, request.http_request.method in _SAFE_METHODS
        )
        backoff = Backoff(self._patience, self._chance)
        while True:
            try:
                response = await self.next.send(request)
            except AzureError as error:
                delay = self._after_loss(error, backoff, repeatable)
                if delay is None:
                    raise
            else:
                delay = self._after_answer(response.http_response, backoff, repeatable)
                if delay is None:
                    return response
            backoff.attempt += 1
            await self._clock.sleep(delay)

    def _after_loss(self, error: AzureError, backoff: Backoff, repeatable: bool) -> float | None:
        if not is_loss(error) or is_untrusted(error):
            return None
        return backoff.failure() if repeatable or never_sent(error) else None

    def _after_answer(
        self, response: AsyncHttpResponse, backoff: Backoff, repeatable: bool
    ) -> float | None:
        status = response.status_code
        if status < 400:
            return None
        if status not in TRANSIENT and status not in (409, 429):
            return None
        fault = fault_of(
            status=status, headers=response.headers, body=body_of(response), now=self._clock.now()
        )
        if status == 429:
            return backoff.throttled(fault.retry_after)
        if status == 409:
            # Whoever plans the writes knows which of them stand in each other's way; only an
            # action, such as listKeys, is waited out here.
            if response.request.method != "POST":
                return None
            retry = verdict(fault.code, status) is Verdict.RETRY
            return backoff.conflict(fault.retry_after) if retry else None
        return backoff.failure(fault.retry_after) if repeatable else None


def body_of(response: Any) -> bytes:
    """The body of a loaded response, of azure-core's present or older kind."""
    content = response.content if hasattr(response, "content") else response.body()
    return content if isinstance(content, bytes) else b""


def is_loss(error: BaseException) -> bool:
    """Whether `error` means that no whole answer came."""
    return isinstance(error, ServiceRequestError | ServiceResponseError | IncompleteReadError)


def cause_of(error: BaseException) -> BaseException | None:
    """The transport's own exception under azure-core's."""
    return getattr(error, "inner_exception", None) or error.__cause__


def never_sent(error: BaseException) -> bool:
    """Whether the request surely did not reach the service: no connection was made.

    azure-core's ServiceRequestError does not say that: a connection that the server closed after
    it read the request is reported by the same class.
    """
    return isinstance(
        cause_of(error), aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError
    )


def is_untrusted(error: BaseException) -> bool:
    """Whether the server's certificate was not accepted: no repeat mends that."""
    cause = cause_of(error)
    return isinstance(cause, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError)
