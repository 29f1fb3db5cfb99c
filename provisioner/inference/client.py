"""An asynchronous client of a deployed model. TLS is always verified; the key goes nowhere else.

A call that the service refused for the moment (429, 503 with a Retry-After) is made again when
the service said it may, within `patience`; everything else is told at once as a problem.
"""

from __future__ import annotations

import json
import ssl
import urllib.request
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import aiohttp

from provisioner.clock import Clock, SystemClock
from provisioner.errors import Failed, Problem
from provisioner.inference import codes
from provisioner.inference.answers import Chunk, read
from provisioner.inference.refusals import Refusal, problem_of
from provisioner.inference.requests import Call
from provisioner.inference.sse import EventStream, EventTooLong
from provisioner.resources import Secret

MOST_BYTES: Final = 64 * 1024 * 1024
"""Of an answer that is not streamed."""

_MOST_ERROR_BYTES: Final = 256 * 1024
_CONNECT_TIMEOUT: Final = 15.0
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_DONE: Final = "[DONE]"
_REQUEST_IDS: Final = ("x-ms-client-request-id", "x-request-id", "apim-request-id")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model answers. `deployment` picks one of a managed endpoint, whatever the traffic.

    `ca_bundle` is trusted besides the public authorities.
    """

    url: str
    key: Secret
    deployment: str | None = None
    ca_bundle: Path | None = None


class CallFailed(Failed):
    """A call without an answer. `status` is 0 when nothing came; `transient` when time may mend."""

    def __init__(self, problem: Problem, status: int = 0, *, transient: bool = False) -> None:
        super().__init__(problem)
        self.problem, self.status, self.transient = problem, status, transient


Waiting = Callable[[float, Problem], None]
"""Told before a wait: its seconds, and why."""


class Client:
    """Calls one endpoint; enter it to use it. `timeout`: the longest silence, in seconds.

    `patience` bounds the waits that a Retry-After asks for, in seconds and in all.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        clock: Clock | None = None,
        *,
        timeout: float = 120.0,
        patience: float = 60.0,
        waiting: Waiting = lambda seconds, why: None,
    ) -> None:
        self._endpoint = endpoint
        self._base = endpoint.url.rstrip("/")
        self._clock = clock or SystemClock()
        self._timeout, self._patience, self._waiting = timeout, patience, waiting
        self._session: aiohttp.ClientSession | None = None
        self._proxy: str | None = None

    async def __aenter__(self) -> Self:
        parts = urlsplit(self._base)
        if parts.scheme != "https" or not parts.hostname:
            raise CallFailed(
                Problem(
                    codes.INSECURE,
                    f"{self._base} is no https:// address.",
                    "look at the endpoint in the portal: Azure serves models over https only",
                )
            )
        self._proxy = proxy_for(parts.hostname)
        context = ssl.create_default_context()
        if self._endpoint.ca_bundle is not None:
            context.load_verify_locations(cafile=str(self._endpoint.ca_bundle))
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context),
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=2**20,
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=_CONNECT_TIMEOUT, sock_read=self._timeout
            ),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(self, call: Call) -> Chunk:
        """The whole answer to a call that is not streamed. Raises CallFailed."""
        return self._read(call.path, await self.post(call.path, call.body(), call.headers))

    async def post(
        self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """The JSON object that `path` answers with; a list becomes `{"": list}`.

        Raises CallFailed.
        """
        async with self._answer(path, body, headers or {}) as response:
            content = await _limited(response, MOST_BYTES)
        if content is None:
            raise self._unintelligible(path, f"it has more than {MOST_BYTES} bytes")
        try:
            document = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise self._unintelligible(path, f"it is no JSON: {error}") from error
        return document if isinstance(document, dict) else {"": document}

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The chunks of a streamed call, as they come. Raises CallFailed, also in the middle."""
        body = call.body()
        try:
            async with self._answer(call.path, body, call.headers) as response:
                async for chunk in self._chunks(call.path, response):
                    yield chunk
                return
        except CallFailed as error:
            # Some versions of the service do not know stream_options; the answer matters more
            # than the count of its tokens.
            if error.status not in (400, 422) or "stream_options" not in _text_of(error.problem):
                raise
        plain = call.body(usage=False)
        async with self._answer(call.path, plain, call.headers) as response:
            async for chunk in self._chunks(call.path, response):
                yield chunk

    async def _chunks(self, path: str, response: aiohttp.ClientResponse) -> AsyncIterator[Chunk]:
        if response.content_type == "application/json":  # it does not stream, and answers whole
            content = await _limited(response, MOST_BYTES)
            if content is None:
                raise self._unintelligible(path, f"it has more than {MOST_BYTES} bytes")
            yield self._chunk(path, content.decode("utf-8", "replace"))
            return
        events = EventStream()
        open_choices: set[int] = set()
        begun = False
        async for piece in response.content.iter_any():
            for data in self._events(path, events, piece):
                if data.strip() == _DONE:
                    return
                chunk = self._chunk(path, data)
                begun = begun or bool(chunk.pieces)
                for part in chunk.pieces:
                    (open_choices.discard if part.finish else open_choices.add)(part.index)
                yield chunk
        if open_choices or not begun:  # without [DONE], the reasons to finish tell the end
            raise CallFailed(self._cut_off(path, "the stream ended in the middle"), transient=True)

    def _events(self, path: str, events: EventStream, piece: bytes) -> list[str]:
        try:
            return events.feed(piece)
        except EventTooLong as error:
            raise self._unintelligible(path, str(error)) from error

    def _chunk(self, path: str, data: str) -> Chunk:
        try:
            document = json.loads(data)
            if not isinstance(document, dict):
                raise ValueError("it is no object")
        except (ValueError, RecursionError) as error:
            raise self._unintelligible(path, str(error)) from error
        return self._read(path, document)

    def _read(self, path: str, document: Mapping[str, Any]) -> Chunk:
        """What came with a 200: an answer, or the error of a service that had begun to answer."""
        told = document.get("error")
        if told is not None:
            status = told.get("status") if isinstance(told, dict) else None
            said = self._masked(json.dumps(document).encode())
            raise self._failed(Refusal(status if isinstance(status, int) else 500, said), path)
        try:
            return read(document)
        except ValueError as error:
            raise self._unintelligible(path, str(error)) from error

    @asynccontextmanager
    async def _answer(
        self, path: str, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A response with status 200; waits as a Retry-After asks, within the patience."""
        left = self._patience
        while True:
            try:
                async with self._send(path, body, headers) as response:
                    if response.status == 200:
                        yield response
                        return
                    refusal = await self._refusal(response)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise self._no_answer(path, error) from error
            failed = self._failed(refusal, path)
            delay = refusal.retry_after
            if refusal.status not in (429, 503) or delay is None or delay > left:
                raise failed
            delay = max(delay, 1.0)  # a Retry-After of 0 is no advice
            left -= delay
            self._waiting(delay, failed.problem)
            await self._clock.sleep(delay)

    @asynccontextmanager
    async def _send(
        self, path: str, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        assert self._session is not None, "the client is entered before it is used"
        sent = {
            **headers,
            "Authorization": f"Bearer {self._endpoint.key.reveal()}",
            "Content-Type": "application/json",
        }
        if self._endpoint.deployment:
            sent["azureml-model-deployment"] = self._endpoint.deployment
        data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(
            "utf-8", "replace"
        )
        # Redirects are not followed: they would carry the key to another place.
        async with self._session.post(
            self._base + path,
            data=data,
            headers=sent,
            allow_redirects=False,
            proxy=self._proxy,
        ) as response:
            yield response

    async def _refusal(self, response: aiohttp.ClientResponse) -> Refusal:
        content = await _limited(response, _MOST_ERROR_BYTES) or b""
        ids = (response.headers.get(name) for name in _REQUEST_IDS)
        return Refusal(
            response.status,
            self._masked(content),
            next((id for id in ids if id), None),
            _retry_after(response.headers, self._clock.now()),
        )

    def _masked(self, content: bytes) -> bytes:
        """What a service said, without the key: some repeat it."""
        key = self._endpoint.key.reveal().encode()
        return content.replace(key, b"***") if key else content

    def _failed(self, refusal: Refusal, path: str) -> CallFailed:
        where = self._base + path
        if self._endpoint.deployment:
            where += f" (deployment {self._endpoint.deployment})"
        problem = problem_of(refusal, where)
        return CallFailed(problem, refusal.status, transient=refusal.transient)

    def _no_answer(self, path: str, error: Exception) -> CallFailed:
        where, said = self._base + path, str(error) or type(error).__name__
        if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLError):
            problem = Problem(
                codes.UNTRUSTED,
                f"The certificate of {where} is not trusted.",
                "name its certificate authority with --ca-bundle FILE",
                details=(said,),
            )
            return CallFailed(problem)
        if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
            problem = Problem(
                codes.UNREACHABLE,
                f"{where} cannot be reached.",
                "check the network, a proxy, and whether the workspace is private",
                details=(said,),
            )
            return CallFailed(problem, transient=True)
        if isinstance(error, TimeoutError):
            problem = Problem(
                codes.TIMED_OUT,
                f"Nothing came from {where} for {self._timeout:g} s.",
                "give it more time with --timeout, lower --max-tokens, or add --stream",
            )
            return CallFailed(problem, transient=True)
        return CallFailed(self._cut_off(path, said), transient=True)

    def _cut_off(self, path: str, said: str) -> Problem:
        return Problem(
            codes.CUT_OFF,
            f"The answer of {self._base + path} ended early.",
            "ask again",
            details=(said,),
        )

    def _unintelligible(self, path: str, said: str) -> CallFailed:
        return CallFailed(
            Problem(
                codes.UNINTELLIGIBLE,
                f"The answer of {self._base + path} cannot be read.",
                "see whether the model serves this API: --api completions, --llama-api",
                details=(said,),
            )
        )


async def _limited(response: aiohttp.ClientResponse, most: int) -> bytes | None:
    """The body, or None when it is longer than `most` bytes."""
    parts, size = [], 0
    async for piece in response.content.iter_any():
        size += len(piece)
        if size > most:
            return None
        parts.append(piece)
    return b"".join(parts)


def _retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds, from either form of the header; None when it is absent or unreadable."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (ValueError, TypeError):
        return None


def proxy_for(host: str) -> str | None:
    """The proxy that the environment names for `host`; never one for loopback.

    Looked up here because aiohttp's trust_env would also read ~/.netrc, and take a password
    from there in the key's place.
    """
    if host in _LOOPBACK or urllib.request.proxy_bypass(host):
        return None
    proxy = urllib.request.getproxies().get("https")
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


def _text_of(problem: Problem) -> str:
    return " ".join((problem.what, *problem.details))
