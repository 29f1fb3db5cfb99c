"""Near misses: what a misspelt word was most likely meant to be."""

from __future__ import annotations

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


def _plain(text: str) -> str:
    return text.lower().translate(_WEIGHTLESS)


_WEIGHTLESS: Final = str.maketrans("", "", "-_ ")
