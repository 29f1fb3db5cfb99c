"""Does it answer? The smallest call that a deployed model can be asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from provisioner.clock import Clock
from provisioner.cloud import Keyring
from provisioner.errors import Problem
from provisioner.errors.cloud import CloudError
from provisioner.errors.decode import decode
from provisioner.inference.client import CallFailed, Client, Endpoint
from provisioner.inference.codes import NO_KEY, NOT_SERVED
from provisioner.resources import AnyLive, Secret

PATIENCE: Final = 60.0
"""Seconds in which a new deployment must begin to answer: routes and keys spread with a delay."""

PAUSE: Final = 2.0

_IN_A_ROW: Final = 3
_BETWEEN: Final = 0.3

_HELLO: Final = [{"role": "user", "content": "Hello"}]
_SCORE: Final = {"input_string": ["Hello"], "parameters": {"max_new_tokens": 1}}
_CALLS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("/chat/completions", {"messages": _HELLO, "max_tokens": 1}),
    ("/v1/chat/completions", {"messages": _HELLO, "max_tokens": 1}),
    ("/completions", {"prompt": "Hello", "max_tokens": 1}),
    ("/embeddings", {"input": ["Hello"]}),
    ("/score", {"input_data": _SCORE}),
)
"""By falling likelihood; which one a model serves is not known without asking a registry."""

_SPREADING: Final = frozenset({401, 403, 404})


async def probe(client: Client) -> Problem | None:
    """One token from the model, by whichever path it serves; None when it answered.

    A path that is not served counts as a failure only when all are not.
    """
    first: Problem | None = None
    for path, body in _CALLS:
        try:
            await client.post(path, body)
        except CallFailed as error:
            if error.problem.code is not NOT_SERVED:
                raise
            first = first or error.problem
        else:
            return None
    return first


async def answers(endpoint: Endpoint, clock: Clock, patience: float = PATIENCE) -> Problem | None:
    """None as soon as the model answers; what was wrong when it does not within `patience`.

    What time does not mend (a refused request, a model that fails) is told at once.
    """
    deadline = clock.monotonic() + patience
    async with Client(endpoint, clock, timeout=60.0, patience=patience) as client:
        while True:
            try:
                problem = await probe(client)
                lasting = False
            except CallFailed as error:
                problem = error.problem
                lasting = not error.transient and error.status not in _SPREADING
            if problem is None or lasting or clock.monotonic() + PAUSE > deadline:
                return problem
            await clock.sleep(PAUSE)


async def admits(endpoint: Endpoint, clock: Clock, patience: float = PATIENCE) -> Problem | None:
    """None as soon as the endpoint lets the key in, three times in a row: a gateway is more than
    one machine. What was wrong when it does not within `patience` seconds.

    Whether the model then answers is another matter: any refusal but that of the key counts.
    """
    deadline = clock.monotonic() + patience
    entered = 0
    async with Client(endpoint, clock, timeout=60.0, patience=0.0) as client:
        while True:
            try:
                await probe(client)
                problem = None
            except CallFailed as error:
                shut = error.status in (0, 401, 403) or error.status >= 500
                problem = error.problem if shut else None
            entered = 0 if problem else entered + 1
            if entered == _IN_A_ROW:
                return None
            if clock.monotonic() + PAUSE > deadline:
                return problem
            await clock.sleep(PAUSE if problem else _BETWEEN)


@dataclass(frozen=True, slots=True)
class Prober:
    """Probes deployments with the keys that Azure has now.

    Callable as `apply.Probe`: with an endpoint and the name of one of its deployments.
    """

    keyring: Keyring
    clock: Clock
    ca_bundle: Path | None = None
    patience: float = PATIENCE

    async def __call__(self, live: AnyLive, deployment: str) -> str | None:
        """What was wrong in one line, or None when it answered."""
        problem = await self.problem(live, deployment)
        if problem is None:
            return None
        return " ".join((problem.what, *(f"({detail})" for detail in problem.details)))

    async def problem(self, live: AnyLive, deployment: str | None) -> Problem | None:
        """What was wrong with `deployment` of an endpoint (None: with the endpoint)."""
        try:
            keys = await self.keyring.keys(live.id)
        except CloudError as error:
            return decode(error.fault)
        key = keys.primary or keys.secondary
        if key is None or live.url is None:
            return Problem(
                NO_KEY,
                f"Azure gave no {'key' if key is None else 'URL'} for {live.id.name}.",
                "look at the endpoint in the Azure portal",
                resource=live.id.arm_id,
            )
        return await answers(self.endpoint(live.url, key, deployment), self.clock, self.patience)

    def endpoint(self, url: str, key: Secret, deployment: str | None = None) -> Endpoint:
        return Endpoint(base_url(url), key, deployment, self.ca_bundle)


def base_url(url: str) -> str:
    """Where the model's API hangs; a managed scoring URI ends in /score (AZURE.md §4)."""
    return url.removesuffix("/").removesuffix("/score")
