"""The inference API on a real socket: uvicorn with TLS, on a loopback port chosen for it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import trustme
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from provisioner.emulator.inference import RateLimits, ServedModel, handle

KEY = "primary-key-of-the-test"
SERVED = ServedModel(
    name="llama",
    model="Llama-3.3-70B-Instruct",
    registry="azureml-meta",
    kind="serverless",
    task="chat-completion",
    keys=(KEY, "secondary-key-of-the-test"),
    content_safety=True,
    state="Online",
    created=1_700_000_000,
    region="eastus2",
    publisher="Meta",
)
VISION = replace(
    SERVED, name="vision", model="Vision", modalities=frozenset({"text", "image"}), context=4096
)
EMBED = replace(SERVED, name="embed", model="Cohere-embed-v3-english", task="embeddings")
BASE = replace(SERVED, name="base", model="Meta-Llama-3.1-8B", task="text-generation")
ONLINE = replace(
    SERVED, name="online", kind="online", deployment="blue", content_safety=False, state="Succeeded"
)
ALL = {served.name: served for served in (SERVED, VISION, EMBED, BASE, ONLINE)}


def application(now: float = 1_700_000_100.0) -> Starlette:
    """An ASGI application with every model of `ALL` at `/{name}`."""
    limits = RateLimits()

    async def serve(request: Request) -> Response:
        served = ALL.get(request.path_params["name"])
        return await handle(request, request.path_params["rest"], served, limits, now)

    methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]
    return Starlette(routes=[Route("/{name}/{rest:path}", serve, methods=methods)])


@dataclass(frozen=True, slots=True)
class Server:
    """Where it listens, and what trusts its certificate."""

    url: str
    context: ssl.SSLContext


@asynccontextmanager
async def running() -> AsyncIterator[Server]:
    """Serves until the block ends."""
    authority = trustme.CA()
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    config = uvicorn.Config(application(), host="127.0.0.1", port=0, log_level="error")
    config.load()
    config.ssl = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(config.ssl)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    try:
        while not server.started:  # noqa: ASYNC110 (uvicorn offers no event to wait for)
            await asyncio.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Server(f"https://localhost:{port}", trusting)
    finally:
        server.should_exit = True
        await task
