"""Request bodies of the inference API, checked and turned into values.

Parameters, types, defaults and ranges: the table in the guide to Meta Llama models (both families
take it), plus those that the OpenAI and Azure AI Model Inference clients add. Where they differ:

- `max_tokens` is 16 by default under `/v1` and for `/completions`; `/chat/completions` of the Model
  Inference API answers in full.
- `ignore_eos`: the guide's table says true by default, which no deployment can mean (every answer
  would run to `max_tokens`); here only an explicit `true` goes on after the end of the answer.
- `n` and `best_of` of 1 together are accepted: they are the defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioner.emulator.inference.errors import invalid, unsupported
from provisioner.emulator.inference.fields import Fields, kind_of
from provisioner.emulator.inference.messages import Message, read_messages
from provisioner.emulator.inference.served import ServedModel
from provisioner.emulator.inference.tools import Tool, read_tool_choice, read_tools

MOST_CHOICES = 128
_TOKEN_IDS = 2**31 - 1

_COMMON = frozenset(
    [
        "model",
        "stream",
        "stream_options",
        "max_tokens",
        "top_p",
        "temperature",
        "n",
        "stop",
        "best_of",
        "logprobs",
        "presence_penalty",
        "frequency_penalty",
        "ignore_eos",
        "use_beam_search",
        "stop_token_ids",
        "skip_special_tokens",
        "seed",
        "user",
        "logit_bias",
    ]
)
_CHAT = _COMMON | frozenset(
    [
        "messages",
        "max_completion_tokens",
        "top_logprobs",
        "response_format",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "metadata",
        "store",
        "modalities",
    ]
)
_COMPLETION = _COMMON | frozenset(["prompt", "echo", "suffix"])
_EMBEDDING = frozenset(["input", "model", "encoding_format", "dimensions", "input_type", "user"])


@dataclass(frozen=True, slots=True)
class Sampling:
    """How answers are made. `logprobs`: alternatives per token, None for no log probabilities."""

    max_tokens: int | None
    n: int
    stop: tuple[str, ...]
    stop_token_ids: frozenset[int]
    ignore_eos: bool
    special_tokens: bool
    temperature: float
    seed: int | None
    logprobs: int | None
    stream: bool
    include_usage: bool


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """`POST /chat/completions`. `forced`: the tool that must be called, None for a text answer."""

    messages: tuple[Message, ...]
    sampling: Sampling
    json_answer: bool
    schema: Mapping[str, Any] | None
    forced: Tool | None


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """`POST /completions`."""

    prompts: tuple[str, ...]
    sampling: Sampling
    echo: bool
    suffix: str


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """`POST /embeddings`."""

    inputs: tuple[str, ...]
    dimensions: int | None
    base64: bool


def read_chat(body: Mapping[str, Any], served: ServedModel, v1: bool, policy: str) -> ChatRequest:
    """Raises ApiError 422 for anything that a chat request may not hold."""
    fields = Fields(body)
    fields.only(_CHAT, policy)
    messages = read_messages(fields, served.modalities)
    tools = read_tools(fields)
    forced = read_tool_choice(fields, tools)
    fields.boolean("parallel_tool_calls")
    fields.boolean("store")
    fields.mapping("metadata")
    if any(kind != "text" for kind in fields.sequence("modalities", 8) or []):
        raise unsupported("modalities", "this model answers in text")
    json_answer, schema = _response_format(fields)
    longest = fields.integer("max_completion_tokens", 1, served.context)
    sampling = _sampling(fields, longest, 16 if v1 else None, _chat_logprobs(fields))
    return ChatRequest(messages, sampling, json_answer, schema, forced)


def read_completion(body: Mapping[str, Any], policy: str) -> CompletionRequest:
    """Raises ApiError 422 for anything that a completion request may not hold."""
    fields = Fields(body)
    fields.only(_COMPLETION, policy)
    prompts = _texts(fields, "prompt", MOST_CHOICES)
    sampling = _sampling(fields, None, 16, fields.integer("logprobs", 0, 5))
    if len(prompts) * sampling.n > MOST_CHOICES:
        raise invalid("n", f"prompts times n may be at most {MOST_CHOICES}")
    echo = bool(fields.boolean("echo"))
    return CompletionRequest(prompts, sampling, echo, fields.string("suffix") or "")


def read_embedding(body: Mapping[str, Any], policy: str) -> EmbeddingRequest:
    """Raises ApiError 422 for anything that an embeddings request may not hold."""
    fields = Fields(body)
    fields.only(_EMBEDDING, policy)
    inputs = _texts(fields, "input", 2048)
    fields.string("model")
    fields.string("user")
    fields.one_of("input_type", "text", "query", "document")
    encoding = fields.string("encoding_format") or "float"
    if encoding not in ("float", "base64"):
        raise unsupported("encoding_format", "this model answers in float or base64")
    return EmbeddingRequest(inputs, fields.integer("dimensions", 1, 4096), encoding == "base64")


def _sampling(
    fields: Fields, longest: int | None, default: int | None, logprobs: int | None
) -> Sampling:
    for name in ("model", "user"):
        fields.string(name)
    fields.mapping("logit_bias")
    max_tokens = fields.integer("max_tokens", 1, 2**31 - 1) or longest or default
    temperature = fields.number("temperature", 0, 2)
    top_p = fields.number("top_p", 0, 1, above=True)
    for name in ("presence_penalty", "frequency_penalty"):
        fields.number(name, -2, 2)
    n = fields.integer("n", 1, MOST_CHOICES)
    stream = bool(fields.boolean("stream"))
    best_of = _best_of(fields, n, stream)
    if fields.boolean("use_beam_search"):
        _beam(best_of, temperature, top_p)
    skip = fields.boolean("skip_special_tokens")
    return Sampling(
        max_tokens=max_tokens,
        n=n or 1,
        stop=_stop(fields),
        stop_token_ids=_stop_token_ids(fields),
        ignore_eos=bool(fields.boolean("ignore_eos")),
        special_tokens=skip is False,
        temperature=1.0 if temperature is None else temperature,
        seed=fields.integer("seed", -(2**63), 2**63 - 1),
        logprobs=logprobs,
        stream=stream,
        include_usage=_include_usage(fields, stream),
    )


def _best_of(fields: Fields, n: int | None, stream: bool) -> int:
    best_of = fields.integer("best_of", 1, MOST_CHOICES)
    if best_of is None:
        return 1
    if n is not None and best_of <= n and (best_of, n) != (1, 1):
        raise invalid("best_of", "must be greater than n")
    if stream and best_of > 1:
        raise invalid("best_of", "results with best_of cannot be streamed")
    return best_of


def _beam(best_of: int, temperature: float | None, top_p: float | None) -> None:
    if best_of < 2:
        raise invalid("use_beam_search", "best_of must be greater than 1 with beam search")
    if temperature != 0:
        raise invalid("use_beam_search", "temperature must be 0 with beam search")
    if top_p not in (None, 1.0):
        raise invalid("use_beam_search", "top_p must be 1 with beam search")


def _stop(fields: Fields) -> tuple[str, ...]:
    value = fields.body.get("stop")
    if isinstance(value, str):
        value = [value]
    elif value is not None and not isinstance(value, list):
        raise invalid(fields.at("stop"), f"expected a string or an array, got {kind_of(value)}")
    stops = value or []
    if len(stops) > 16:
        raise invalid(fields.at("stop"), "at most 16 items are allowed")
    for place, stop in enumerate(stops):
        if not isinstance(stop, str) or not stop:
            raise invalid(fields.at(f"stop.{place}"), "expected a string that is not empty")
    return tuple(stops)


def _stop_token_ids(fields: Fields) -> frozenset[int]:
    ids = fields.sequence("stop_token_ids", 1024) or []
    for place, value in enumerate(ids):
        fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _TOKEN_IDS
        if not fits:
            raise invalid(fields.at(f"stop_token_ids.{place}"), "expected a token id")
    return frozenset(ids)


def _include_usage(fields: Fields, stream: bool) -> bool:
    options = fields.mapping("stream_options")
    if options is None:
        return False
    if not stream:
        raise invalid("stream_options", "only allowed when stream is true")
    return bool(Fields(options, "stream_options.").boolean("include_usage"))


def _chat_logprobs(fields: Fields) -> int | None:
    """The chat form is a switch with `top_logprobs`; the Llama API's a number. Both are taken."""
    value = fields.body.get("logprobs")
    top = fields.integer("top_logprobs", 0, 20)
    if value is None or isinstance(value, bool):
        if top is not None and not value:
            raise invalid("top_logprobs", "logprobs must be true when top_logprobs is used")
        return (top or 0) if value else None
    return fields.integer("logprobs", 0, 20)


def _response_format(fields: Fields) -> tuple[bool, Mapping[str, Any] | None]:
    value = fields.body.get("response_format")
    if value is None:
        return False, None
    if isinstance(value, str):
        # The Model Inference API's first version had a bare string here.
        return fields.one_of("response_format", "text", "json_object") == "json_object", None
    inner = Fields(fields.mapping("response_format") or {}, "response_format.")
    inner.required("type")
    kind = inner.one_of("type", "text", "json_object", "json_schema")
    if kind != "json_schema":
        return kind == "json_object", None
    inner.required("json_schema")
    named = Fields(inner.mapping("json_schema") or {}, "response_format.json_schema.")
    named.required("name")
    named.string("name")
    named.boolean("strict")
    return True, named.mapping("schema") or {}


def _texts(fields: Fields, name: str, most: int) -> tuple[str, ...]:
    """A string, strings, token ids or lists of token ids: the forms of OpenAI's clients."""
    value = fields.required(name)
    if isinstance(value, str):
        return (value,)
    items = fields.sequence(name, most if _nested(value) else 2**17) or []
    if not items:
        raise invalid(fields.at(name), "must not be empty")
    if all(map(_is_id, items)):
        return (_spell(items),)
    if len(items) > most:
        raise invalid(fields.at(name), f"at most {most} items are allowed")
    texts = []
    for place, item in enumerate(items):
        if isinstance(item, list) and item and all(map(_is_id, item)):
            texts.append(_spell(item))
        elif isinstance(item, str):
            texts.append(item)
        else:
            raise invalid(fields.at(f"{name}.{place}"), f"expected a string, got {kind_of(item)}")
    return tuple(texts)


def _nested(value: object) -> bool:
    return isinstance(value, list) and bool(value) and not isinstance(value[0], int)


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _TOKEN_IDS


def _spell(ids: list[int]) -> str:
    return " ".join(f"t{value}" for value in ids)
