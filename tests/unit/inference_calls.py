"""What the tests of the client of deployed models share: services, a clock, ways to call."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import trustme
from aiohttp import web

from provisioner.inference import (
    Call,
    CallFailed,
    Client,
    Endpoint,
    Parameters,
    joined,
)
from provisioner.resources import Secret
from tests.emulator.model_server import KEY, running

HELLO = Call("What is Azure?", parameters=Parameters(max_tokens=100))
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class QuickClock:
    """Sleeps are noted, and over at once."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> datetime:
        return datetime(2026, 6, 1, 12, tzinfo=UTC)

    def monotonic(self) -> float:
        return sum(self.slept)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def _trusted(context: ssl.SSLContext, path: Path) -> Path:
    """A CA bundle of what `context` trusts besides the machine's own."""
    authorities = context.get_ca_certs(binary_form=True)
    path.write_text("".join(map(ssl.DER_cert_to_PEM_cert, authorities)))
    return path


@pytest_asyncio.fixture
async def emulated(tmp_path: Path) -> AsyncIterator[Endpoint]:
    async with running() as server:
        bundle = _trusted(server.context, tmp_path / "ca.pem")
        yield Endpoint(f"{server.url}/llama", Secret(KEY), ca_bundle=bundle)


def at(endpoint: Endpoint, name: str) -> Endpoint:
    return replace(endpoint, url=endpoint.url.rpartition("/")[0] + "/" + name)


@asynccontextmanager
async def odd(handler: Handler, folder: Path) -> AsyncIterator[Endpoint]:
    """A service of our own making, over TLS."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "odd.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    application = web.Application(client_max_size=2**25)
    application.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "localhost", 0, ssl_context=context)
    await site.start()
    try:
        port = runner.addresses[0][1]
        yield Endpoint(f"https://localhost:{port}", Secret(KEY), ca_bundle=folder / "odd.pem")
    finally:
        await runner.cleanup()


async def failure(endpoint: Endpoint, call: Call = HELLO, **options: Any) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        async with Client(endpoint, **options) as client:
            await heard(client, call) if call.stream else await client.ask(call)
    assert KEY not in repr(caught.value.problem)
    return caught.value


async def heard(client: Client, call: Call) -> str:
    async with aclosing(client.stream(call)) as chunks:
        pieces = [piece async for chunk in chunks for piece in chunk.pieces]
    return joined(pieces)[0].text
