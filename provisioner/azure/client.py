"""The one way to ARM: an azure-core pipeline that carries only the policies that matter.

    request id · user agent · home host only · retry · budget · bearer token (CAE) · log · aiohttp

`Arm` speaks in paths and JSON; it raises `CloudError` and nothing else. Microsoft's generated
management clients run on pipelines of the same policies (`policies()`) and the same transport, so
they spend from the same budget, and use the same connections and token.
"""

from __future__ import annotations

import random
import ssl
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urljoin, urlsplit

import aiohttp
from azure.core.exceptions import AzureError
from azure.core.pipeline.policies import (
    AsyncHTTPPolicy,
    RequestIdPolicy,
    SansIOHTTPPolicy,
    UserAgentPolicy,
)
from azure.core.pipeline.transport import AioHttpTransport
from azure.core.rest import AsyncHttpResponse, HttpRequest
from azure.mgmt.core import AsyncARMPipelineClient
from azure.mgmt.core.policies import ARMHttpLoggingPolicy

from provisioner.azure.budget import Budget
from provisioner.azure.credentials import Tokens
from provisioner.azure.faults import fault_of, load_json, unanswered, unreadable
from provisioner.azure.policies import BudgetPolicy, HomePolicy, TokenPolicy, foreign, origin
from provisioner.azure.retry import (
    REPEATABLE,
    TRANSIENT,
    Backoff,
    RetryPolicy,
    body_of,
    cause_of,
    is_untrusted,
)
from provisioner.azure.settings import Settings
from provisioner.azure.values import Json, mapping
from provisioner.clock import Clock
from provisioner.errors.cloud import CloudError
from provisioner.proxies import proxy_for

ML_VERSION: Final = "2024-10-01"
"""The api-version of every Machine Learning resource (AZURE.md §15)."""
ABSENT: Final = 404
_MOST_PAGES: Final = 10_000

Policy = AsyncHTTPPolicy[Any, Any] | SansIOHTTPPolicy[Any, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx (or a 404 that was asked for): `body` is undecoded."""

    operation: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        """The body as a JSON object; CloudError when it is something else."""
        try:
            value = load_json(self.body)
        except ValueError as error:
            raise unreadable(self.operation, self.status, "it is not JSON") from error
        if not isinstance(value, dict):
            raise unreadable(self.operation, self.status, "it is not a JSON object")
        return value


@dataclass(slots=True)
class Arm:
    """ARM over one pipeline. Paths start with `/subscriptions/…` and carry no api-version."""

    settings: Settings
    clock: Clock
    credential: Tokens
    scope: str
    transport: AioHttpTransport
    budget: Budget
    chance: random.Random
    heard: Callable[[datetime], None] | None = None
    """Is told the service's time, from the Date of its answers."""
    _date: str | None = None
    _pipeline: AsyncARMPipelineClient[HttpRequest, AsyncHttpResponse] = field(init=False)

    def __post_init__(self) -> None:
        self._pipeline = AsyncARMPipelineClient(
            self.settings.arm, policies=self.policies(), transport=self.transport
        )

    def policies(self) -> list[Policy]:
        """A fresh list of the policies; azure-core chains each instance into one pipeline only."""
        return [
            RequestIdPolicy(),
            UserAgentPolicy(user_agent=self.settings.application, user_agent_overwrite=False),
            HomePolicy(self.settings.arm),
            RetryPolicy(self.settings.patience, self.clock, self.chance),
            BudgetPolicy(self.budget, self.clock, counted=self.settings.public),
            TokenPolicy(self.credential, self.scope),
            _logging(),
        ]

    async def get(self, path: str, *, version: str = ML_VERSION) -> Answer | None:
        """One resource; None where the service answers 404."""
        answer = await self.send("GET", self.url(path, version), absent_ok=True)
        return None if answer.status == ABSENT else answer

    async def entries(
        self,
        path: str,
        *,
        version: str = ML_VERSION,
        query: str = "",
        absent_ok: bool = False,
        required: bool = False,
    ) -> list[Any]:
        """All pages' `value` entries. With `absent_ok`, a 404 reads as an empty list; with
        `required`, a page without a value does not."""
        url = self.url(path, version, query)
        return await self.entries_at(url, absent_ok=absent_ok, required=required)

    async def entries_at(
        self, url: str, *, absent_ok: bool = False, required: bool = False
    ) -> list[Any]:
        """As `entries`, from a whole first URL; a nextLink is followed on ARM's own host only."""
        entries: list[Any] = []
        seen: set[str] = set()
        next_url: str | None = url
        while next_url is not None:
            seen.add(next_url)
            answer = await self.send("GET", next_url, absent_ok=absent_ok)
            if answer.status == ABSENT:
                return entries
            entries.extend(values(answer, required=required))
            next_url = self.following(answer, seen)
        return entries

    async def put(self, path: str, body: Json, *, there: Callable[[Json], bool]) -> Answer | None:
        """PUT `body`. Where the answer was lost, ask what is there before writing again.

        `there` judges a GET's body: True means that the service has taken what was wished, and
        None is returned; otherwise the PUT is repeated (AZURE.md §19).
        """
        backoff = Backoff(self.settings.patience, self.chance)
        while True:
            try:
                return await self.send("PUT", self.url(path), body, repeatable=False)
            except CloudError as error:
                fault = error.fault
                doubtful = fault.status in TRANSIENT or fault.code in _LOST
                delay = backoff.failure(fault.retry_after) if doubtful else None
                if delay is None:
                    raise
            backoff.attempt += 1
            await self.clock.sleep(delay)
            found = await self.get(path)
            if found is not None and there(found.json):
                return None

    async def send(
        self,
        method: str,
        url: str,
        body: Json | None = None,
        *,
        absent_ok: bool = False,
        repeatable: bool | None = None,
    ) -> Answer:
        """Send one request; an answer of 400 and above is raised, a 404 may be asked for."""
        operation = f"{method} {urlsplit(url).path}"
        request = HttpRequest(method, url, json=body, headers=_HEADERS)
        # azure-core's own is time-based: asking the system for it costs 25 µs.
        options: dict[str, Any] = {
            "request_id": str(uuid.uuid4()),
            "connection_timeout": self.settings.patience.connect,
            "read_timeout": self.settings.patience.read,
        }
        if repeatable is not None:
            options[REPEATABLE] = repeatable
        try:
            response = await self._pipeline.send_request(request, **options)
        except (AzureError, OSError, aiohttp.ClientError) as error:
            raise lost(operation, error) from error
        content = body_of(response)
        status = response.status_code
        self._hear(response.headers.get("Date"))
        if status < 300 or (absent_ok and status == ABSENT and _means_absent(response, content)):
            return Answer(operation, status, response.headers, content)
        raise CloudError(
            fault_of(
                status=status,
                headers=response.headers,
                body=content,
                operation=operation,
                now=self.clock.now(),
            )
        )

    def _hear(self, date: str | None) -> None:
        """Pass the service's time on, once for each second of it."""
        if date is None or date == self._date or self.heard is None:
            return
        self._date = date
        try:
            instant = parsedate_to_datetime(date)
        except ValueError:
            return
        if instant.tzinfo is not None:
            self.heard(instant)

    def url(self, path: str, version: str = ML_VERSION, query: str = "") -> str:
        """The whole URL of an ARM path; the path is quoted here and nowhere else."""
        tail = f"&{query}" if query else ""
        return f"{self.settings.arm}{quote(path, safe=_PATH_SAFE)}?api-version={version}{tail}"

    def own(self, url: str | None) -> str | None:
        """`url` as a whole address when it is on ARM's host, else None.

        A relative one is ARM's own; the case of scheme and host and a named default port do not
        make another host.
        """
        if not url:
            return None
        try:
            whole = urljoin(f"{self.settings.arm}/", url)
            return whole if origin(whole) == origin(self.settings.arm) else None
        except ValueError:  # a port that is none, half an IPv6 address
            return None

    def following(self, answer: Answer, seen: set[str]) -> str | None:
        """The page after `answer`'s, None after the last; `seen` holds the pages so far."""
        link = answer.json.get("nextLink")
        if not link:
            return None
        if not isinstance(link, str):
            raise unreadable(answer.operation, answer.status, "its nextLink is not text")
        url = self.own(link)
        if url is None:
            raise foreign(link, self.settings.arm)
        if url in seen or len(seen) > _MOST_PAGES:
            raise unreadable(answer.operation, answer.status, "its pages go round in a circle")
        return url


def values(answer: Answer, *, required: bool = False) -> list[Any]:
    """The entries of a page. An object without a value is no page; `required`: nor is one whose
    value is null, which some lists have for none."""
    page = answer.json
    value = page.get("value")
    if isinstance(value, list):
        return value
    if value is not None or required or "value" not in page:
        raise unreadable(answer.operation, answer.status, "its value is not a list")
    return []


def _logging() -> ARMHttpLoggingPolicy:
    """Azure's log of requests, with the id that Azure support asks for left readable."""
    policy = ARMHttpLoggingPolicy()
    policy.allowed_header_names.add("x-ms-correlation-request-id")
    return policy


_HEADERS: Final = {"Accept": "application/json"}
_PATH_SAFE: Final = "/:@!$&'()*+,;=~-._"
_LOST: Final = frozenset({"ConnectionLost"})


def _means_absent(response: AsyncHttpResponse, content: bytes) -> bool:
    """Whether a 404 speaks of the resource, not of the Azure subscription it should be in."""
    fault = fault_of(status=ABSENT, headers=response.headers, body=content)
    return fault.code not in ("SubscriptionNotFound", "InvalidSubscriptionId")


def lost(operation: str, error: BaseException) -> CloudError:
    """What to raise when no answer came. Status 0: RETRY, except where trust is missing."""
    if isinstance(error, CloudError):
        return error
    cause = cause_of(error) or error
    if is_untrusted(error):
        return unanswered(operation, "CertificateNotTrusted", _words(cause))
    if isinstance(cause, aiohttp.ClientConnectorDNSError):
        return unanswered(operation, "HostNotFound", _words(cause))
    if isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return unanswered(operation, "ConnectionRefused", _words(cause))
    return unanswered(operation, "ConnectionLost", _words(cause))


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__


def make_session(settings: Settings) -> aiohttp.ClientSession:
    """The connections that everything shares. TLS is always verified; `ca_bundle` adds trust."""
    context = ssl.create_default_context()
    if settings.ca_bundle is not None:
        context.load_verify_locations(cafile=str(Path(settings.ca_bundle)))
    connector = aiohttp.TCPConnector(
        limit=settings.connections, ssl=context, keepalive_timeout=60, ttl_dns_cache=300
    )
    session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
    # aiohttp silently sends a PUT again when a kept connection breaks; here a lost answer is
    # looked into first (AZURE.md §19). There is no public switch.
    session._retry_connection = False
    return session


class _Transport(AioHttpTransport):  # type: ignore[misc]  # azure-core gives it as Any
    """azure-core's transport by way of the environment's proxy, looked up once for each host."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._proxies: dict[str, str | None] = {}

    async def send(self, request: Any, **config: Any) -> Any:
        host = urlsplit(request.url).hostname or ""
        if host not in self._proxies:
            self._proxies[host] = proxy_for(host)
        if self._proxies[host] is not None:
            config["proxy"] = self._proxies[host]
        return await super().send(request, **config)


def make_transport(session: aiohttp.ClientSession, settings: Settings) -> AioHttpTransport:
    """azure-core's transport over a session that it does not own."""
    return _Transport(
        session=session,
        session_owner=False,
        connection_timeout=settings.patience.connect,
        read_timeout=settings.patience.read,
    )


def covers(wanted: object, found: object, key: str = "") -> bool:
    """Whether everything in a request's body is in a resource's: JSON containment.

    Text compares without regard to case; a model id without a version is covered by one with it;
    an empty or null wish is covered by nothing.
    """
    if wanted is None or wanted in ({}, []):
        return True
    if isinstance(wanted, dict):
        have = mapping(found)
        return all(covers(value, have.get(name), name) for name, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and all(any(covers(w, f) for f in found) for w in wanted)
    if isinstance(wanted, str) and isinstance(found, str):
        want, have_text = wanted.casefold(), found.casefold()
        if key == "location":
            return "".join(want.split()) == "".join(have_text.split())
        return have_text == want or (key == "modelId" and have_text.startswith(f"{want}/"))
    return bool(wanted == found)
