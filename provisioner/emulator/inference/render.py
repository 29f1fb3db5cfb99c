"""Answers in the words of the two APIs, whole or as server-sent events."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from provisioner.emulator.inference.answers import Answer
from provisioner.emulator.inference.requests import Sampling
from provisioner.emulator.inference.text import alternatives

_GROUP = 4
"""Tokens per chunk of a stream."""

Chunks = Iterator[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Reply:
    """All that a rendering needs. `created` in Unix seconds."""

    answers: tuple[Answer, ...]
    sampling: Sampling
    chat: bool
    model: str
    created: int
    prompt_tokens: int
    completion_tokens: int

    @property
    def usage(self) -> dict[str, int]:
        """Tokens of the prompt, of all answers, and of both."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
        }


def whole(reply: Reply) -> dict[str, Any]:
    """The body of an answer that is not streamed."""
    make = _chat_choice if reply.chat else _text_choice
    choices = [make(place, answer, reply.sampling) for place, answer in enumerate(reply.answers)]
    kind = "chat.completion" if reply.chat else "text_completion"
    return {**_frame(reply, kind), "choices": choices, "usage": reply.usage}


def stream(reply: Reply) -> Iterator[bytes]:
    """Server-sent events: chunks, the usage if it was asked for, `[DONE]`.

    Only the last chunk of each choice has a `finish_reason`; in a chat the first has the role.
    """
    kind = "chat.completion.chunk" if reply.chat else "text_completion"
    frame = _frame(reply, kind)
    running: dict[str, Any] = {"usage": None} if reply.sampling.include_usage else {}
    make = _chat_chunks if reply.chat else _text_chunks
    for place, answer in enumerate(reply.answers):
        for choice in make(place, answer, reply.sampling):
            yield _event({**frame, "choices": [choice], **running})
    if reply.sampling.include_usage:
        yield _event({**frame, "choices": [], "usage": reply.usage})
    yield b"data: [DONE]\n\n"


def _frame(reply: Reply, kind: str) -> dict[str, Any]:
    prefix = "chatcmpl" if reply.chat else "cmpl"
    return {
        "id": f"{prefix}-{uuid.uuid4().hex}",
        "object": kind,
        "created": reply.created,
        "model": reply.model,
    }


def _event(body: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(body, separators=(",", ":")).encode("ascii") + b"\n\n"


def _chat_choice(place: int, answer: Answer, sampling: Sampling) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text}
    if answer.call is not None:
        message = {"role": "assistant", "content": None, "tool_calls": [_call(place, answer.call)]}
    return {
        "index": place,
        "message": message,
        "finish_reason": answer.finish,
        "logprobs": _chat_logprobs(answer.tokens, 0, sampling),
    }


def _text_choice(place: int, answer: Answer, sampling: Sampling) -> dict[str, Any]:
    return {
        "index": place,
        "text": answer.text,
        "finish_reason": answer.finish,
        "logprobs": _text_logprobs(answer.tokens, 0, 0, sampling),
    }


def _chat_chunks(place: int, answer: Answer, sampling: Sampling) -> Chunks:
    def chunk(delta: dict[str, Any], finish: str | None, logprobs: Any = None) -> dict[str, Any]:
        return {"index": place, "delta": delta, "finish_reason": finish, "logprobs": logprobs}

    if answer.call is not None:
        name, arguments = answer.call
        start = {"index": 0, **_call(place, (name, ""))}
        yield chunk({"role": "assistant", "content": None, "tool_calls": [start]}, None)
        yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]}, None)
        yield chunk({}, answer.finish)
        return
    yield chunk({"role": "assistant", "content": ""}, None)
    for at in range(0, len(answer.tokens), _GROUP):
        tokens = answer.tokens[at : at + _GROUP]
        yield chunk({"content": "".join(tokens)}, None, _chat_logprobs(tokens, at, sampling))
    yield chunk({}, answer.finish)


def _text_chunks(place: int, answer: Answer, sampling: Sampling) -> Chunks:
    def chunk(text: str, finish: str | None, logprobs: Any = None) -> dict[str, Any]:
        return {"index": place, "text": text, "finish_reason": finish, "logprobs": logprobs}

    offset = 0
    for at in range(0, len(answer.tokens), _GROUP):
        tokens = answer.tokens[at : at + _GROUP]
        text = "".join(tokens)
        yield chunk(text, None, _text_logprobs(tokens, at, offset, sampling))
        offset += len(text)
    yield chunk("", answer.finish)


def _call(place: int, call: tuple[str, str]) -> dict[str, Any]:
    name, arguments = call
    function = {"name": name, "arguments": arguments}
    return {"id": f"call_emulator_{place}", "type": "function", "function": function}


def _chat_logprobs(tokens: tuple[str, ...], start: int, sampling: Sampling) -> Any:
    """OpenAI's form: one entry per token with its bytes and alternatives."""
    if sampling.logprobs is None:
        return None
    content = []
    for place, token in enumerate(tokens, start):
        listed = [_entry(*pair) for pair in alternatives(token, place, sampling.logprobs)]
        content.append({**listed[0], "top_logprobs": listed[: sampling.logprobs]})
    return {"content": content}


def _entry(token: str, value: float) -> dict[str, Any]:
    return {
        "token": token,
        "logprob": value,
        "bytes": list(token.encode("utf-8", "surrogatepass")),
    }


def _text_logprobs(tokens: tuple[str, ...], start: int, offset: int, sampling: Sampling) -> Any:
    """The Llama API's form; `text_offset` is the same under the name that OpenAI's clients read.

    Up to logprobs+1 entries per token: the token itself and its alternatives.
    """
    if sampling.logprobs is None:
        return None
    offsets, values, tops = [], [], []
    for place, token in enumerate(tokens, start):
        offsets.append(offset)
        offset += len(token)
        listed = alternatives(token, place, sampling.logprobs)
        values.append(listed[0][1])
        tops.append(dict(listed))
    return {
        "text_offsets": offsets,
        "text_offset": offsets,
        "token_logprobs": values,
        "tokens": list(tokens),
        "top_logprobs": tops,
    }
