"""The client of a deployed model against services that answer as they should not."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from provisioner.errors import Code
from provisioner.inference import (
    Client,
    codes,
)
from tests.emulator.model_server import KEY
from tests.unit.inference_calls import HELLO, Handler, QuickClock, emulated, failure, heard, odd

__all__ = ["emulated"]  # a fixture


def _json(body: object, status: int = 200, **headers: str) -> web.Response:
    return web.json_response(body, status=status, headers=headers)


GOOD = {"choices": [{"index": 0, "message": {"content": "ok"}, "finish_reason": "stop"}]}


async def test_retry_after_is_obeyed(tmp_path: Path) -> None:
    asked = iter([(429, "3"), (503, "Mon, 01 Jun 2026 12:00:05 GMT"), (429, "0"), (200, "")])

    async def handler(request: web.Request) -> web.Response:
        status, wait = next(asked)
        return _json(GOOD, status, **({"Retry-After": wait} if wait else {}))

    clock, waits = QuickClock(), []
    async with odd(handler, tmp_path) as endpoint:
        tell = lambda seconds, why: waits.append((seconds, why.code))  # noqa: E731
        async with Client(endpoint, clock, waiting=tell) as client:
            assert (await client.ask(HELLO)).pieces[0].text == "ok"
    assert clock.slept == [3.0, 5.0, 1.0]
    assert waits == [
        (3.0, codes.THROTTLED),
        (5.0, codes.UNAVAILABLE),
        (1.0, codes.THROTTLED),
    ]


@pytest.mark.parametrize(("wait", "slept"), [("100", 0), ("25", 2), (None, 0), ("soon", 0)])
async def test_patience_ends(tmp_path: Path, wait: str | None, slept: int) -> None:
    async def handler(request: web.Request) -> web.Response:
        error = {"error": {"code": "RateLimitReached", "message": "Too many tokens."}}
        return _json(error, 429, **({"Retry-After": wait} if wait else {}))

    clock = QuickClock()
    async with odd(handler, tmp_path) as endpoint:
        failed = await failure(endpoint, clock=clock)
    assert failed.problem.code is codes.THROTTLED
    assert failed.problem.details == ("RateLimitReached: Too many tokens.",)
    assert len(clock.slept) == slept


@pytest.mark.parametrize(
    ("status", "body", "code", "details"),
    [
        (500, b"", codes.UNAVAILABLE, ("HTTP 500",)),
        (502, b"<html><h1>Bad\n gateway</h1></html>", codes.UNAVAILABLE, ("Bad gateway",)),
        (504, b"null", codes.TIMED_OUT, ("None",)),
        (424, b'{"error": "loading"}', codes.MODEL_FAILED, ("loading",)),
        (302, b"", codes.UNINTELLIGIBLE, ("HTTP 302",)),
        (418, b'{"message": "no"}', codes.REFUSED, ("no",)),
        (403, b'{"error": {"message": "%b"}}' % KEY.encode(), codes.UNAUTHORIZED, ("***",)),
        (404, b'{"detail": "Not Found"}', codes.NOT_SERVED, ("Not Found",)),
        (
            422,
            b'{"status": 422, "detail": {"loc": ["body", "best_of"]}, "message": "bad"}',
            codes.REFUSED,
            ("bad",),
        ),
        (
            422,
            b'{"detail": [{"loc": ["body", "best_of"], "msg": "Field required"}, {"msg": "b"}]}',
            codes.REFUSED,
            ("Field required; b",),
        ),
        (422, b'{"detail": [{"loc": ["body", "messages"]}]}', codes.REFUSED, ("HTTP 422",)),
        (413, b"[" * 100_000, codes.TOO_LONG, None),
    ],
)
async def test_envelopes(
    tmp_path: Path, status: int, body: bytes, code: Code, details: tuple[str, ...] | None
) -> None:
    async def handler(request: web.Request) -> web.Response:
        headers = {"Location": "https://localhost:1/", "x-request-id": "r-1"}
        return web.Response(body=body, status=status, headers=headers)

    async with odd(handler, tmp_path) as endpoint:
        failed = await failure(endpoint)
    assert failed.problem.code is code
    assert failed.problem.correlation_id == "r-1"
    if details is not None:
        assert failed.problem.details == details
    if status == 422:
        assert ("--best-of" in failed.problem.hint) is (b"best_of" in body)
        assert "--messages" not in failed.problem.hint


@pytest.mark.parametrize(
    "body", [b"", b"hello", b"[]", b"{}", b'{"choices": 1}', b'{"choices": [1]}']
)
async def test_answers_that_are_none(tmp_path: Path, body: bytes) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    async with odd(handler, tmp_path) as endpoint:
        for stream in (False, True):
            failed = await failure(endpoint, replace(HELLO, stream=stream))
            assert failed.problem.code is codes.UNINTELLIGIBLE


async def test_an_error_with_a_good_status_is_told(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.Response:
        return _json({"error": {"message": "engine died", "status": 503}})

    async with odd(handler, tmp_path) as endpoint:
        for stream in (False, True):
            failed = await failure(endpoint, replace(HELLO, stream=stream))
            assert failed.problem.code is codes.UNAVAILABLE
            assert failed.problem.details == ("engine died",)


async def test_content_in_parts_is_read(tmp_path: Path) -> None:
    parts = [{"type": "thinking"}, {"type": "text", "text": "o"}, {"type": "text", "text": "k"}]

    async def handler(request: web.Request) -> web.Response:
        return _json({"choices": [{"message": {"content": parts}, "finish_reason": "stop"}]})

    async with odd(handler, tmp_path) as endpoint, Client(endpoint, QuickClock()) as client:
        assert (await client.ask(HELLO)).pieces[0].text == "ok"


async def test_an_endless_answer_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provisioner.inference.client.MOST_BYTES", 1000)

    async def handler(request: web.Request) -> web.Response:
        return _json({**GOOD, "more": "x" * 2000})

    async with odd(handler, tmp_path) as endpoint:
        for stream in (False, True):
            failed = await failure(endpoint, replace(HELLO, stream=stream))
            assert failed.problem.code is codes.UNINTELLIGIBLE


async def test_an_error_in_a_stream_does_not_repeat_the_key(tmp_path: Path) -> None:
    error = json.dumps({"error": {"message": f"no such key: {KEY}"}}).encode()
    async with odd(_streaming(b"data: " + error + b"\n\n"), tmp_path) as endpoint:
        failed = await failure(endpoint, replace(HELLO, stream=True))
    assert failed.problem.details == ("no such key: ***",)


def _streaming(*parts: bytes, whole: bool = True) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for part in parts:
            await response.write(part)
        if not whole:
            assert request.transport is not None
            request.transport.abort()
        return response

    return handler


def _event(text: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


@pytest.mark.parametrize(
    ("parts", "whole", "code"),
    [
        ([_event("a")], True, codes.CUT_OFF),
        ([_event("a")], False, codes.CUT_OFF),
        ([], True, codes.CUT_OFF),
        ([_event("a"), b"data: {\n\n"], True, codes.UNINTELLIGIBLE),
        (
            [_event("a"), b'data: {"error": {"code": "content_filter", "message": "m"}}\n\n'],
            True,
            codes.FILTERED,
        ),
        ([_event("a"), b'data: {"error": {"message": "boom"}}\n\n'], True, codes.UNAVAILABLE),
    ],
)
async def test_streams_that_break(
    tmp_path: Path, parts: list[bytes], whole: bool, code: Code
) -> None:
    async with odd(_streaming(*parts, whole=whole), tmp_path) as endpoint:
        failed = await failure(endpoint, replace(HELLO, stream=True))
    assert failed.problem.code is code


@pytest.mark.parametrize(
    "parts",
    [
        [_event("a"), _event("b", "stop")],
        [_event("a"), _event("b"), b"data: [DONE]\n\ndata: nonsense\n\n"],
        [b": hello\r\n\r\n", _event("ab", "stop"), b'data: {"choices": [], "usage": null}\n\n'],
    ],
)
async def test_streams_that_end_well(tmp_path: Path, parts: list[bytes]) -> None:
    async with (
        odd(_streaming(*parts), tmp_path) as endpoint,
        Client(endpoint) as client,
    ):
        assert await heard(client, replace(HELLO, stream=True)) == "ab"


async def test_a_service_that_does_not_stream_or_count(tmp_path: Path) -> None:
    bodies = []

    async def handler(request: web.Request) -> web.Response:
        body = await request.json()
        bodies.append(body)
        if "stream_options" in body:
            message = "Extra inputs: stream_options"
            return _json({"error": {"code": "Invalid input", "message": message}}, 400)
        return _json(GOOD)

    async with odd(handler, tmp_path) as endpoint, Client(endpoint) as client:
        assert await heard(client, replace(HELLO, stream=True)) == "ok"
    assert [body["stream"] for body in bodies] == [True, True]


async def test_silence_ends_the_call(tmp_path: Path) -> None:
    ended = asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        await ended.wait()
        return _json(GOOD)

    async with odd(handler, tmp_path) as endpoint:
        failed = await failure(endpoint, timeout=0.05)
        ended.set()
    assert failed.problem.code is codes.TIMED_OUT


async def test_the_deployment_is_named_in_a_header(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.Response:
        named = request.headers.get("azureml-model-deployment", "")
        return _json({"choices": [{"text": named}]})

    async with odd(handler, tmp_path) as endpoint:
        for name in (None, "blue"):
            async with Client(replace(endpoint, deployment=name)) as client:
                answer = await client.ask(HELLO)
                assert answer.pieces[0].text == (name or "")
