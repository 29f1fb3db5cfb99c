"""The client of a deployed model, against the emulator's API and against odd services."""

from __future__ import annotations

import asyncio
import json
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

from provisioner.errors import Code
from provisioner.inference import (
    Api,
    Call,
    CallFailed,
    Client,
    Endpoint,
    Parameters,
    answers,
    codes,
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


async def _failure(endpoint: Endpoint, call: Call = HELLO, **options: Any) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        async with Client(endpoint, **options) as client:
            await _heard(client, call) if call.stream else await client.ask(call)
    assert KEY not in repr(caught.value.problem)
    return caught.value


async def _heard(client: Client, call: Call) -> str:
    async with aclosing(client.stream(call)) as chunks:
        pieces = [piece async for chunk in chunks for piece in chunk.pieces]
    return joined(pieces)[0].text


# --- against the emulator ---------------------------------------------------------------------


@pytest.mark.parametrize("api", list(Api))
@pytest.mark.parametrize("llama", [False, True])
async def test_streamed_or_not_it_says_the_same(emulated: Endpoint, api: Api, llama: bool) -> None:
    call = replace(HELLO, api=api, llama=llama)
    async with Client(emulated) as client:
        whole = await client.ask(call)
        streamed = await _heard(client, replace(call, stream=True))
    assert whole.pieces[0].text == streamed
    assert whole.pieces[0].finish == "stop"
    assert whole.usage is not None
    assert whole.usage.total == whole.usage.prompt + whole.usage.completion > 10


async def test_every_parameter_is_taken(emulated: Endpoint) -> None:
    parameters = Parameters(
        max_tokens=12,
        temperature=0,
        n=2,
        best_of=3,
        stop=("zzz",),
        logprobs=2,
        presence_penalty=0.5,
        frequency_penalty=-0.5,
        ignore_eos=True,
        use_beam_search=True,
        stop_token_ids=(7,),
        skip_special_tokens=False,
        seed=4,
    )
    async with Client(emulated) as client:
        for api in Api:
            answer = await client.ask(Call("Go", api, parameters))
            assert [piece.finish for piece in answer.pieces] == ["length", "length"]
            assert answer.document["choices"][0]["logprobs"]


async def test_images_and_system(emulated: Endpoint) -> None:
    call = replace(HELLO, images=("data:image/png;base64,AAAA",), system="Be brief.")
    async with Client(at(emulated, "vision")) as client:
        assert (await client.ask(call)).pieces[0].text
    refused = await _failure(emulated, call)
    assert refused.problem.code is codes.REFUSED
    assert "takes no images" in refused.problem.details[0]


@pytest.mark.parametrize(
    ("name", "call", "code", "said"),
    [
        ("llama", Call("[[violence]]"), codes.FILTERED, "violence (high)"),
        ("embed", HELLO, codes.NOT_SERVED, "/embeddings"),
        ("nobody", HELLO, codes.NOT_SERVED, "no model is deployed"),
        ("vision", Call("word " * 5000), codes.TOO_LONG, "context length is 4096"),
    ],
)
async def test_refusals(emulated: Endpoint, name: str, call: Call, code: Code, said: str) -> None:
    for stream in (False, True):
        failed = await _failure(at(emulated, name), replace(call, stream=stream))
        assert failed.problem.code is code
        assert said in " ".join(failed.problem.details)


async def test_a_wrong_key(emulated: Endpoint) -> None:
    failed = await _failure(replace(emulated, key=Secret("wrong")))
    assert failed.problem.code is codes.UNAUTHORIZED
    assert not failed.transient


async def test_a_refused_parameter_names_its_option(emulated: Endpoint) -> None:
    failed = await _failure(emulated, replace(HELLO, parameters=Parameters(logprobs=99)))
    assert failed.problem.hint == "change or leave out --logprobs"


async def test_the_probe_finds_what_each_model_serves(emulated: Endpoint) -> None:
    for name in ("llama", "base", "embed", "online", "vision"):
        assert await answers(at(emulated, name), QuickClock()) is None


async def test_the_probe_waits_for_what_spreads_and_says_what_was_wrong(
    emulated: Endpoint,
) -> None:
    clock = QuickClock()
    problem = await answers(replace(emulated, key=Secret("wrong")), clock, patience=20)
    assert problem is not None
    assert problem.code is codes.UNAUTHORIZED
    assert clock.slept == [2.0] * 10
    nobody = await answers(at(emulated, "nobody"), QuickClock())
    assert nobody is not None
    assert nobody.code is codes.NOT_SERVED


# --- the network ------------------------------------------------------------------------------


async def test_who_is_not_trusted_gets_nothing(emulated: Endpoint) -> None:
    failed = await _failure(replace(emulated, ca_bundle=None))
    assert failed.problem.code is codes.UNTRUSTED
    assert "--ca-bundle" in failed.problem.hint


async def test_nobody_listens(emulated: Endpoint) -> None:
    failed = await _failure(replace(emulated, url="https://localhost:1"))
    assert failed.problem.code is codes.UNREACHABLE
    assert failed.transient


@pytest.mark.parametrize("url", ["http://localhost/x", "ftp://x", "", "https://"])
async def test_only_https(emulated: Endpoint, url: str) -> None:
    failed = await _failure(replace(emulated, url=url))
    assert failed.problem.code is codes.INSECURE


# --- odd services -----------------------------------------------------------------------------


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
        failed = await _failure(endpoint, clock=clock)
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
        failed = await _failure(endpoint)
    assert failed.problem.code is code
    assert failed.problem.correlation_id == "r-1"
    if details is not None:
        assert failed.problem.details == details
    if status == 422:
        assert "--best-of" in failed.problem.hint


@pytest.mark.parametrize(
    "body", [b"", b"hello", b"[]", b"{}", b'{"choices": 1}', b'{"choices": [1]}']
)
async def test_answers_that_are_none(tmp_path: Path, body: bytes) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    async with odd(handler, tmp_path) as endpoint:
        for stream in (False, True):
            failed = await _failure(endpoint, replace(HELLO, stream=stream))
            assert failed.problem.code is codes.UNINTELLIGIBLE


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
        failed = await _failure(endpoint, replace(HELLO, stream=True))
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
        assert await _heard(client, replace(HELLO, stream=True)) == "ab"


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
        assert await _heard(client, replace(HELLO, stream=True)) == "ok"
    assert [body["stream"] for body in bodies] == [True, True]


async def test_silence_ends_the_call(tmp_path: Path) -> None:
    ended = asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        await ended.wait()
        return _json(GOOD)

    async with odd(handler, tmp_path) as endpoint:
        failed = await _failure(endpoint, timeout=0.05)
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
