"""A loopback HTTPS server that answers by script, a clock that never sleeps, and an `Arm` to them.

The server is deliberately no Azure: each test says what is answered, and looks at what was asked.
"""

from __future__ import annotations

import asyncio
import json
import random
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import trustme
from aiohttp import web
from azure.core.credentials import AccessTokenInfo, TokenRequestOptions

from provisioner.azure.adapter import AzureCloud
from provisioner.azure.budget import Budget
from provisioner.azure.client import Arm, make_session, make_transport
from provisioner.azure.credentials import Tokens
from provisioner.azure.mlclient import MlClients
from provisioner.azure.settings import Settings

START = datetime(2026, 1, 1, tzinfo=UTC)
TOKEN_PATH = "/oauth2/v2.0/token"


class FakeClock:
    """Time passes only by sleeping, and sleeping takes none. `slept` keeps each duration."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return START + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.elapsed += seconds
        await asyncio.sleep(0)


class Source:
    """A credential that hands out numbered tokens and keeps what it was asked."""

    def __init__(self, clock: FakeClock, life: float = 3600.0) -> None:
        self.clock = clock
        self.life = life
        self.asked: list[TokenRequestOptions | None] = []
        self.scopes: list[str] = []
        self.failure: Exception | None = None

    async def get_token_info(
        self, *scopes: str, options: TokenRequestOptions | None = None
    ) -> AccessTokenInfo:
        await asyncio.sleep(0)
        self.asked.append(options)
        self.scopes.extend(scopes)
        if self.failure is not None:
            raise self.failure
        expires = int(self.clock.now().timestamp() + self.life)
        return AccessTokenInfo(f"token-{len(self.asked)}", expires)

    async def close(self) -> None:
        pass


@dataclass(frozen=True)
class Asked:
    """One request as the server saw it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Script:
    """Answers in order; the last one is repeated. DROP breaks the connection instead."""

    answers: deque[Answer] = field(default_factory=deque)
    asked: list[Asked] = field(default_factory=list)
    handler: Callable[[Asked], Answer | Awaitable[Answer]] | None = None
    url: str = ""

    def will(self, *answers: Answer) -> None:
        self.answers.extend(answers)

    def count(self, method: str) -> int:
        return sum(1 for asked in self.asked if asked.method == method)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        content = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Asked(
            request.method,
            request.path,
            dict(request.query),
            headers,
            json.loads(content)
            if content and "json" in headers.get("content-type", "")
            else content.decode(),
        )
        self.asked.append(asked)
        answer = await self._answer(asked)
        if answer is DROP:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        named = {} if isinstance(answer.body, bytes) else {"Content-Type": "application/json"}
        return web.Response(
            status=answer.status, headers={**named, **answer.headers}, body=answer.content
        )

    async def _answer(self, asked: Asked) -> Answer:
        if self.handler is not None:
            answer = self.handler(asked)
            return answer if isinstance(answer, Answer) else await answer
        assert self.answers, f"nothing to answer to {asked}"
        return self.answers.popleft() if len(self.answers) > 1 else self.answers[0]


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        if self.body is None:
            return b""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


DROP = Answer(status=0)


def refusal(status: int, code: str, message: str = "no", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, {"error": {"code": code, "message": message}}, named)


@asynccontextmanager
async def serve(
    folder: Path, authority: trustme.CA | None = None
) -> AsyncIterator[tuple[Script, Path]]:
    """The running server's script, and the CA bundle that trusts it."""
    authority = authority or trustme.CA()
    bundle = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    script = Script()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", script.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    script.url = f"https://localhost:{runner.addresses[0][1]}"
    try:
        yield script, bundle
    finally:
        await runner.cleanup()


@dataclass
class Wire:
    """Everything that a wire test touches."""

    script: Script
    clock: FakeClock
    source: Source
    arm: Arm
    cloud: AzureCloud
    settings: Settings


@asynccontextmanager
async def wired(folder: Path, **changes: Any) -> AsyncIterator[Wire]:
    """An `AzureCloud` on a scripted server, with a fake clock and a fake credential."""
    async with serve(folder) as (script, bundle):
        settings = Settings(arm_endpoint=script.url, ca_bundle=bundle, emulator=True, **changes)
        clock = FakeClock()
        source = Source(clock)
        tokens = Tokens(source, clock, lambda: source)
        async with make_session(settings) as session:
            arm = Arm(
                settings=settings,
                clock=clock,
                credential=tokens,
                scope=f"{script.url}/.default",
                transport=make_transport(session, settings),
                budget=Budget(clock),
                chance=random.Random(7),
            )
            cloud = AzureCloud(arm, MlClients(settings, None, tokens))
            yield Wire(script, clock, source, arm, cloud, settings)
