"""What a model answers, whole or in chunks, read without trusting its shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

FILTERED: Final = frozenset({"content_filter", "content_filter_error"})
"""Reasons to finish that mean that content safety took (some of) the answer away."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of the prompt, of the answers, and of both."""

    prompt: int
    completion: int
    total: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the choice `index`. `finish` is None while it goes on."""

    index: int
    text: str
    finish: str | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """One event of a stream, or a whole answer. `document` is the JSON as it came."""

    pieces: tuple[Piece, ...]
    usage: Usage | None
    document: Mapping[str, Any]


def read(document: Mapping[str, Any]) -> Chunk:
    """A chunk or a whole answer of either API. Raises ValueError when it is neither."""
    choices = document.get("choices")
    if not isinstance(choices, list):
        raise ValueError("there are no choices in it")
    return Chunk(tuple(map(_piece, choices)), _usage(document.get("usage")), document)


def joined(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """One piece per choice, by index: all its text, and its reason to finish."""
    texts: dict[int, list[str]] = {}
    ends: dict[int, str | None] = {}
    for piece in pieces:
        texts.setdefault(piece.index, []).append(piece.text)
        ends[piece.index] = piece.finish or ends.get(piece.index)
    return tuple(Piece(index, "".join(texts[index]), ends[index]) for index in sorted(texts))


def _piece(choice: object) -> Piece:
    if not isinstance(choice, Mapping):
        raise ValueError("a choice is not an object")
    index, finish = choice.get("index", 0), choice.get("finish_reason")
    return Piece(
        index if isinstance(index, int) else 0,
        _text(choice),
        finish if isinstance(finish, str) else None,
    )


def _text(choice: Mapping[str, Any]) -> str:
    said: object = choice.get("text")
    for key in ("message", "delta"):
        inner = choice.get(key)
        if isinstance(inner, Mapping):
            said = inner.get("content")
    if isinstance(said, list):  # content in parts, of which the texts are the answer
        said = "".join(map(_part, said))
    return said if isinstance(said, str) else ""


def _part(part: object) -> str:
    text = part.get("text") if isinstance(part, Mapping) else None
    return text if isinstance(text, str) else ""


def _usage(value: object) -> Usage | None:
    if not isinstance(value, Mapping):
        return None
    prompt, completion = (
        count if isinstance(count := value.get(f"{name}_tokens"), int) else 0
        for name in ("prompt", "completion")
    )
    total = value.get("total_tokens")
    return Usage(prompt, completion, total if isinstance(total, int) else prompt + completion)
