"""Tokens of the emulator: a rough, lossless cut of text, much like a real tokenizer's in number."""

from __future__ import annotations

import re
import zlib

_TOKEN = re.compile(r" ?[^\W_]{1,8}| ?[^\w\s]|_|\s")


def tokenize(text: str) -> list[str]:
    """Pieces whose concatenation is the text."""
    return _TOKEN.findall(text)


def token_id(token: str) -> int:
    """A stable number within Llama's vocabulary of 128,000."""
    return zlib.crc32(token.encode("utf-8", "surrogatepass")) % 128_000


def logprob(token: str, place: int) -> float:
    """A stable log probability, between -2.5 and -0.01."""
    return -0.01 - (token_id(token) * 31 + place * 17) % 250 / 100


def alternatives(token: str, place: int, count: int) -> list[tuple[str, float]]:
    """The token and `count` less likely ones, most likely first."""
    top = logprob(token, place)
    words = (" the", " a", " of", " and", " to", " in", " is", " it", " that", " for")
    start = token_id(token)
    others = [
        (words[(start + n) % len(words)] + ("" if n < len(words) else str(n)), top - 0.5 * (n + 1))
        for n in range(count + 1)
    ]
    return [(token, top), *[pair for pair in others if pair[0] != token][:count]]
