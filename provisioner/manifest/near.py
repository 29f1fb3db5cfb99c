"""Near misses: what a misspelt word was most likely meant to be."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import SequenceMatcher
from typing import Final

_LONGEST: Final = 80


def near(word: str, candidates: Iterable[str], *, ratio: float = 0.7) -> str | None:
    """The candidate that `word` resembles most, if at least `ratio` (0 to 1) of it fits.

    Case, hyphens, underscores and spaces weigh nothing: `instance_type` is near `instanceType`.
    """
    if not word or len(word) > _LONGEST:
        return None
    plain = _plain(word)
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(plain)
    best: tuple[float, str] | None = None
    for candidate in candidates:
        other = _plain(candidate)
        if other == plain:
            return candidate
        matcher.set_seq1(other)
        if matcher.real_quick_ratio() < ratio or matcher.quick_ratio() < ratio:
            continue
        score = matcher.ratio()
        if score >= ratio and (best is None or score > best[0]):
            best = (score, candidate)
    return best[1] if best else None


def is_slip(word: str, meant: str) -> bool:
    """Whether `word` can only be a slip of the pen for `meant`.

    It is where hyphens, underscores, blanks or case are all that differs, or one letter is wrong,
    missing, too many or swapped in a word of four letters or more. Other figures (`Phi-5` beside
    `Phi-4`) and other words (`…-FP8`) make another name, which may exist though no list has it.
    """
    if _plain(word) == _plain(meant):
        return True
    ours, theirs = _RUNS.findall(word.lower()), _RUNS.findall(meant.lower())
    if len(ours) != len(theirs):
        return False
    return all(
        one == other or (one.isalpha() and min(len(one), len(other)) >= 4 and _one_off(one, other))
        for one, other in zip(ours, theirs, strict=True)
    )


def _one_off(one: str, other: str) -> bool:
    """Whether a single edit, or two neighbours swapped, makes `one` of `other`."""
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    rest, wanted = one[start:], other[start:]
    if rest[:2] == wanted[1::-1] and rest[2:] == wanted[2:]:
        return True
    return rest[1:] == wanted or rest == wanted[1:] or rest[1:] == wanted[1:]


def _plain(text: str) -> str:
    return text.lower().translate(_WEIGHTLESS)


_RUNS: Final = re.compile(r"[^\W\d_]+|\d+|[\W_]+")
_WEIGHTLESS: Final = str.maketrans("", "", "-_ ")
