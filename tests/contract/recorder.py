"""Keeps every exchange that passes through an ASGI application, bodies included."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(slots=True)
class Exchange:
    """One request with its answer. Header names are in lower case; bodies are parsed JSON."""

    method: str
    path: str
    query: str
    request_headers: dict[str, str]
    request_body: Any = None
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None

    @property
    def version(self) -> str:
        """The api-version of the call, or ""."""
        pairs = {name.lower(): value for name, value in parse_qsl(self.query)}
        return pairs.get("api-version", "")

    def __str__(self) -> str:
        return f"{self.method} {self.path}?{self.query} -> {self.status}"


class Recorder:
    """The application itself, with a memory."""

    def __init__(self, app: Application) -> None:
        self.app = app
        self.exchanges: list[Exchange] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = Exchange(
            scope["method"],
            scope["path"],
            scope["query_string"].decode("latin-1"),
            _headers(scope["headers"]),
        )
        asked, answered = bytearray(), bytearray()

        async def listen() -> Message:
            message = await receive()
            asked.extend(message.get("body", b""))
            return message

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                exchange.headers = _headers(message["headers"])
            answered.extend(message.get("body", b""))
            await send(message)

        await self.app(scope, listen, tell)
        exchange.request_body = _parsed(bytes(asked))
        exchange.body = _parsed(bytes(answered))
        self.exchanges.append(exchange)


def _headers(raw: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw}


def _parsed(body: bytes) -> Any:
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")
