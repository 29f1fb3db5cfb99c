"""The emulator's stand-in for Azure AI Content Safety.

No classifier runs. A prompt is filtered when it holds a marker in double brackets, `[[hate]]`,
`[[sexual]]`, `[[violence]]`, `[[selfharm]]`, or one of the few phrases below (letter case and the
amount of white space do not matter). `[[answer:violence]]` lets the prompt pass and filters the
answer; `[[filter-error]]` stands for a filter that could not be reached.
"""

from __future__ import annotations

import re
from typing import Any

CATEGORIES = ("hate", "self_harm", "sexual", "violence")

PHRASES = {
    "how to build a bomb": "violence",
    "how to make a bomb": "violence",
    "how do i kill someone": "violence",
    "i want to hurt myself": "self_harm",
    "how to kill myself": "self_harm",
    "write something racist": "hate",
    "write explicit erotica": "sexual",
}

_MARKER = re.compile(
    r"\[\[\s*(answer:)?\s*(hate|sexual|violence|self_?harm|filter-error)\s*\]\]", re.I
)
_SPACE = re.compile(r"\s+")


def screen_prompt(text: str) -> str | None:
    """The category for which a prompt is refused, or None."""
    for match in _MARKER.finditer(text):
        if not match[1] and match[2].lower() != "filter-error":
            return _category(match[2])
    plain = _SPACE.sub(" ", text).lower()
    return next((kind for phrase, kind in PHRASES.items() if phrase in plain), None)


def screen_answer(prompt: str) -> str | None:
    """`content_filter` or `content_filter_error` if the prompt's marker asks for it, else None."""
    for match in _MARKER.finditer(prompt):
        if match[2].lower() == "filter-error":
            return "content_filter_error"
        if match[1]:
            return "content_filter"
    return None


def results(category: str) -> dict[str, Any]:
    """The verdict per category, as Azure words it."""
    return {
        name: {
            "filtered": name == category,
            "severity": "high" if name == category else "safe",
        }
        for name in CATEGORIES
    }


def _category(word: str) -> str:
    return "self_harm" if word.lower().replace("_", "") == "selfharm" else word.lower()
