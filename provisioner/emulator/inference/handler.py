"""One request to a deployed model: who asks, may it, what for, and the answer."""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from provisioner.emulator.inference import embeddings, openapi, render, safety, score
from provisioner.emulator.inference.answers import Answer, chat_answers, completion_answers
from provisioner.emulator.inference.errors import ApiError, invalid
from provisioner.emulator.inference.limits import RateLimits
from provisioner.emulator.inference.requests import (
    Sampling,
    read_chat,
    read_completion,
    read_embedding,
)
from provisioner.emulator.inference.served import ServedModel
from provisioner.emulator.inference.text import tokenize

MOST_BYTES = 20 * 1024 * 1024
"""Largest request body; more is answered 413."""

_POLICIES = ("error", "drop", "pass-through")


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was let in."""

    request: Request
    path: str
    """Below the endpoint's base, lower-cased, `/v1` taken off."""
    v1: bool
    served: ServedModel
    limits: RateLimits
    headers: dict[str, str]
    now: float

    @property
    def policy(self) -> str:
        """The `extra-parameters` rule of this request."""
        policy = self.request.headers.get("extra-parameters", "error").strip().lower()
        if policy == "ignore":
            return "drop"
        if policy not in _POLICIES:
            raise invalid("extra-parameters", f"this header must be one of {', '.join(_POLICIES)}")
        return policy


async def handle(
    request: Request,
    path: str,
    served: ServedModel | None,
    limits: RateLimits,
    now: float,
) -> Response:
    """Answers one request below an endpoint's base URL; never raises for what a client sent.

    `path` is the part after the base; `served` is None when nothing answers there; `now` is the
    emulated clock in Unix seconds.
    """
    try:
        return await _answer(request, path, served, limits, now)
    except ApiError as error:
        return _json(error.body(), error.status, error.headers)


async def _answer(
    request: Request,
    path: str,
    served: ServedModel | None,
    limits: RateLimits,
    now: float,
) -> Response:
    if served is None:
        raise ApiError(404, "NotFound", "no model is deployed behind this address")
    _authenticate(request, served)
    plain = "/" + path.strip("/").lower()
    v1 = plain.startswith("/v1/")
    plain = plain[3:] if v1 else plain
    route = _route(request, plain, v1, served)
    _require_ready(served)
    headers = {"azureml-model-deployment": served.deployment} if served.deployment else {}
    if request.method == "POST":
        verdict = limits.take_request(served, now)
        if verdict.retry_after is not None:
            raise _throttled(served, verdict.exceeded, verdict.retry_after, verdict.headers)
        headers |= verdict.headers
    return await route(Call(request, plain, v1, served, limits, headers, now))


def _authenticate(request: Request, served: ServedModel) -> None:
    """Either header opens the endpoint: `Authorization: Bearer` or `api-key`."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    given = token.strip() if scheme.lower() == "bearer" else request.headers.get("api-key", "")
    if given:
        raw = given.encode("utf-8", "surrogateescape")
        matches = [hmac.compare_digest(raw, key.encode()) for key in served.keys if key]
        if any(matches):
            return
    message = "Access denied: the key is missing, wrong, or for another endpoint."
    raise ApiError(401, "Unauthorized", message, headers={"www-authenticate": "Bearer"})


def _require_ready(served: ServedModel) -> None:
    if served.ready:
        return
    if served.state.lower() in ("creating", "deleting", "reinstating", "unknown"):
        message = f"The endpoint is not ready: its state is {served.state}."
        raise ApiError(503, "ServiceUnavailable", message, headers={"retry-after": "1"})
    if served.kind == "online" and not served.deployment:
        raise ApiError(404, "NotFound", "The endpoint has no valid deployment with traffic.")
    message = f"The model behind this endpoint cannot answer: its state is {served.state}."
    raise ApiError(424, "FailedDependency", message)


Route = Callable[[Call], Awaitable[Response]]


def _route(request: Request, path: str, v1: bool, served: ServedModel) -> Route:
    routes = _routes(served, v1)
    by_method = routes.get(path)
    if by_method is None:
        known = ", ".join(sorted(("/v1" if v1 else "") + each for each in routes))
        message = f"Not served by this deployment of {served.model}: {path}. Served are: {known}."
        raise ApiError(404, "NotFound", message)
    route = by_method.get("GET" if request.method == "HEAD" else request.method)
    if route is None:
        allow = {"allow": ", ".join(sorted(by_method))}
        message = f"{request.method} is not allowed here."
        raise ApiError(405, "MethodNotAllowed", message, headers=allow)
    return route


def _routes(served: ServedModel, v1: bool) -> dict[str, dict[str, Route]]:
    """What a deployment serves, by its task."""
    routes: dict[str, dict[str, Route]] = {}
    if served.task == "chat-completion":
        routes["/chat/completions"] = {"POST": _chat}
    if served.task in ("chat-completion", "text-generation"):
        routes["/completions"] = {"POST": _completions}
    if served.task == "embeddings":
        routes["/embeddings"] = {"POST": _embeddings}
    if v1:
        routes["/models"] = {"GET": _models}
        return routes
    for path in ("/openapi.json", "/swagger.json"):
        routes[path] = {"GET": _openapi}
    routes["/info"] = {"GET": _info}
    if served.kind == "online":
        routes["/score"] = {"POST": _score}
    return routes


async def _chat(call: Call) -> Response:
    return _chat_reply(call, await _body(call.request))


def _chat_reply(call: Call, body: Mapping[str, Any]) -> Response:
    request = read_chat(body, call.served, call.v1, call.policy)
    _screen(call.served, "\n".join(message.text for message in request.messages))
    tokens = 2 + sum(message.tokens for message in request.messages)
    _fits(call.served, tokens, request.sampling)
    return _reply(call, chat_answers(request, call.served), request.sampling, (True, tokens))


async def _completions(call: Call) -> Response:
    return _completion_reply(call, await _body(call.request))


def _completion_reply(call: Call, body: Mapping[str, Any]) -> Response:
    request = read_completion(body, call.policy)
    _screen(call.served, "\n".join(request.prompts))
    counts = [1 + len(tokenize(prompt)) for prompt in request.prompts]
    _fits(call.served, max(counts), request.sampling)
    answers = completion_answers(request, call.served)
    return _reply(call, answers, request.sampling, (False, sum(counts)))


async def _embeddings(call: Call) -> Response:
    request = read_embedding(await _body(call.request), call.policy)
    tokens = sum(1 + len(tokenize(text)) for text in request.inputs)
    _charge(call, tokens)
    return _json(embeddings.render(request, call.served, tokens), 200, call.headers)


async def _score(call: Call) -> Response:
    """`/score` of an online deployment: the chat or completion body, or Azure's `input_data`."""
    body = await _body(call.request)
    if "input_data" in body:
        text, tokens = score.answer(body, call.served)
        _charge(call, tokens)
        return _json(text, 200, call.headers)
    if call.served.task == "chat-completion" and "prompt" not in body:
        return _chat_reply(call, body)
    return _completion_reply(call, body)


async def _models(call: Call) -> Response:
    entry = {
        "id": call.served.model,
        "object": "model",
        "created": call.served.created,
        "owned_by": call.served.publisher or call.served.registry,
    }
    return _json({"object": "list", "data": [entry]}, 200, call.headers)


async def _info(call: Call) -> Response:
    info = {
        "model_name": call.served.model,
        "model_type": call.served.task.replace("-", "_")
        if call.served.task != "chat-completion"
        else "chat-completion",
        "model_provider_name": call.served.publisher or call.served.registry,
    }
    return _json(info, 200, call.headers)


async def _openapi(call: Call) -> Response:
    url = call.request.url
    base = f"{url.scheme}://{url.netloc}{url.path.rpartition('/')[0]}"
    return _json(openapi.document(call.served, base), 200, call.headers)


def _screen(served: ServedModel, text: str) -> None:
    """Refuses a prompt that Content Safety would, when it is on."""
    category = safety.screen_prompt(text) if served.content_safety else None
    if category is None:
        return
    inner = {
        "code": "ResponsibleAIPolicyViolation",
        "content_filter_result": safety.results(category),
    }
    raise ApiError(
        400,
        "content_filter",
        f"The prompt was filtered by Azure AI Content Safety ({category}).",
        param="prompt",
        extra={"innererror": inner},
    )


def _fits(served: ServedModel, prompt_tokens: int, sampling: Sampling) -> None:
    wanted = prompt_tokens + (sampling.max_tokens or 1)
    if wanted > served.context:
        message = (
            f"This model's maximum context length is {served.context} tokens; the prompt has"
            f" {prompt_tokens} and {sampling.max_tokens or 1} are asked for."
        )
        raise ApiError(400, "context_length_exceeded", message, param="max_tokens")


def _charge(call: Call, tokens: int) -> None:
    verdict = call.limits.take_tokens(call.served, tokens, call.now)
    if verdict.retry_after is not None:
        raise _throttled(call.served, verdict.exceeded, verdict.retry_after, verdict.headers)
    call.headers.update(verdict.headers)


def _throttled(served: ServedModel, what: str, wait: int, headers: dict[str, str]) -> ApiError:
    limit = served.requests_per_minute if what == "requests" else served.tokens_per_minute
    message = (
        f"Rate limit of {limit} {what} per 60s exceeded. "
        f"Please wait {wait} seconds before retrying."
    )
    return ApiError(429, "RateLimitReached", message, headers=headers)


def _reply(
    call: Call, answers: tuple[Answer, ...], sampling: Sampling, shape: tuple[bool, int]
) -> Response:
    """`shape`: whether it is a chat, and the tokens of the prompt."""
    chat, prompt_tokens = shape
    spent = sum(len(answer.tokens) for answer in answers)
    _charge(call, prompt_tokens + spent)
    reply = render.Reply(
        answers, sampling, chat, call.served.model, int(call.now), prompt_tokens, spent
    )
    if sampling.stream:
        return EventStream(render.stream(reply), call.headers)
    return _json(render.whole(reply), 200, call.headers)


async def _body(request: Request) -> dict[str, Any]:
    """The JSON object of a request. Raises ApiError 400, 413, 415 or 422."""
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise ApiError(415, "UnsupportedMediaType", "Send application/json.")
    try:
        value = json.loads(await _read(request), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        message = f"The body is not valid JSON: {str(error)[:200]}"
        raise ApiError(400, "InvalidJson", message) from error
    if not isinstance(value, dict):
        raise ApiError(422, "invalid_parameter", "The body must be a JSON object.", param="body")
    return value


async def _read(request: Request) -> bytes:
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > MOST_BYTES:
                message = f"The body is larger than {MOST_BYTES} bytes."
                raise ApiError(413, "RequestEntityTooLarge", message)
            chunks.append(chunk)
    except ClientDisconnect as error:
        raise ApiError(400, "BadRequest", "The body ended early.") from error
    return b"".join(chunks)


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def _json(body: Any, status: int, headers: Mapping[str, str]) -> Response:
    content = json.dumps(body, separators=(",", ":")).encode("ascii")
    return Response(content, status, dict(headers), "application/json")


class EventStream(Response):
    """Server-sent events, one ASGI message per event so that clients see them as they come."""

    def __init__(self, events: Iterator[bytes], headers: Mapping[str, str]) -> None:
        super().__init__(None, 200, {**headers, "cache-control": "no-cache"}, "text/event-stream")
        del self.headers["content-length"]
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends all events; a client that has gone away ends it quietly."""
        head = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(head)
        for event in self._events:
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
