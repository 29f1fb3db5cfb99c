"""Deterministic answers: the same request gets the same words, and the words say who speaks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioner.emulator.inference import safety
from provisioner.emulator.inference.requests import ChatRequest, CompletionRequest, Sampling
from provisioner.emulator.inference.served import ServedModel
from provisioner.emulator.inference.text import token_id, tokenize
from provisioner.emulator.inference.tools import example

MOST_TOKENS = 4096
MOST_IN_ALL = 32_768
"""Tokens of all answers to one request: with `logprobs` each becomes a hundred bytes and more, and
one event loop serves everybody."""
"""The longest answer; models of the serverless API stop there as well."""

_SPECIAL = "<|eot_id|>"
_VOICES = ("In short", "Put simply", "To begin with", "As far as an echo can tell", "Briefly")
_FILLER = " and so on, word after word, until the asked number of tokens is reached,"


@dataclass(frozen=True, slots=True)
class Answer:
    """One choice. `tokens` are the pieces of `text`; `call` is a tool call's name and arguments."""

    text: str
    tokens: tuple[str, ...]
    finish: str
    call: tuple[str, str] | None = None


def chat_answers(request: ChatRequest, served: ServedModel) -> tuple[Answer, ...]:
    """`n` answers to a conversation."""
    said = next((m.text for m in reversed(request.messages) if m.role == "user"), "")
    prompt = "\n".join(f"{m.role}: {m.text}" for m in request.messages)
    if request.forced is not None:
        arguments = json.dumps(example(request.forced.parameters) or {})
        pieces = tuple(tokenize(arguments))
        call = (request.forced.name, arguments)
        return tuple(Answer("", pieces, "tool_calls", call) for _ in range(request.sampling.n))
    texts = (
        _json_text(request.schema, said, served)
        if request.json_answer
        else _words(prompt, said, served, place, request.sampling)
        for place in range(request.sampling.n)
    )
    return tuple(_cut(text, prompt, served, request.sampling) for text in texts)


def completion_answers(request: CompletionRequest, served: ServedModel) -> tuple[Answer, ...]:
    """`n` answers to each prompt, in order."""
    answers = []
    for prompt in request.prompts:
        for place in range(request.sampling.n):
            text = " " + _words(prompt, prompt, served, place, request.sampling)
            answer = _cut(text, prompt, served, request.sampling)
            answers.append(_echoed(answer, prompt) if request.echo else answer)
    return tuple(answers)


def _words(prompt: str, said: str, served: ServedModel, place: int, sampling: Sampling) -> str:
    """A few sentences. Greedy sampling makes all choices alike, as it would a model's."""
    variant = 0 if sampling.temperature == 0 else place
    seed = f"{served.model}\n{prompt}\n{sampling.seed}\n{variant}"
    digest = hashlib.blake2s(seed.encode("utf-8", "surrogatepass")).digest()
    voice = _VOICES[digest[0] % len(_VOICES)]
    heard = " ".join(said[:2000].split())
    quoted = heard if len(heard) <= 160 else heard[:157] + "..."
    return (
        f"This is the Azure ML emulator, not {served.model}. {voice}: you wrote"
        f' "{quoted}" and no model has read it. Reference {digest[:4].hex()}.'
    )


def _json_text(schema: Mapping[str, Any] | None, said: str, served: ServedModel) -> str:
    if schema:
        return json.dumps(example(schema))
    heard = said[:160]
    return json.dumps({"source": "Azure ML emulator", "model": served.model, "prompt": heard})


def _cut(text: str, prompt: str, served: ServedModel, sampling: Sampling) -> Answer:
    """Applies the limits in the order in which a server meets them: tokens, stops, the filter."""
    most = min(sampling.max_tokens or MOST_TOKENS, MOST_TOKENS, MOST_IN_ALL // max(1, sampling.n))
    tokens = tokenize(text)
    if sampling.special_tokens:
        tokens.append(_SPECIAL)
    if sampling.ignore_eos:
        filler = tokenize(_FILLER)
        tokens += filler * (max(0, most - len(tokens)) // len(filler) + 1)
    finish = "stop"
    if len(tokens) > most or (sampling.ignore_eos and len(tokens) >= most):
        tokens, finish = tokens[:most], "length"
    tokens, finish = _stopped(tokens, finish, sampling)
    verdict = safety.screen_answer(prompt) if served.content_safety else None
    if verdict is not None:
        tokens, finish = tokens[: min(8, len(tokens))], verdict
    return Answer("".join(tokens), tuple(tokens), finish)


def _stopped(tokens: list[str], finish: str, sampling: Sampling) -> tuple[list[str], str]:
    if sampling.stop_token_ids:
        for place, token in enumerate(tokens):
            if token_id(token) in sampling.stop_token_ids:
                tokens, finish = tokens[:place], "stop"
                break
    if sampling.stop:
        text = "".join(tokens)
        found = [at for at in (text.find(stop) for stop in sampling.stop) if at >= 0]
        if found:
            tokens, finish = tokenize(text[: min(found)]), "stop"
    return tokens, finish


def _echoed(answer: Answer, prompt: str) -> Answer:
    tokens = (*tokenize(prompt), *answer.tokens)
    return Answer(prompt + answer.text, tokens, answer.finish)
