"""Takes secrets out of text that leaves the process."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Final

MASK: Final = "***"

# What repeats is bounded: an error's text may be anything, and of any length.
_PATTERNS: Final = (
    re.compile(r"(?i)(bearer\s{1,9})[^\s'\"]+"),
    re.compile(r"eyJ[\w-]{1,4096}\.[\w-]{1,8192}\.[\w-]*"),  # a JWT
    re.compile(
        r"(?i)((?:secret|password|token|credential|api[-_]?key|primarykey|secondarykey|"
        r"accountkey|signature)[\w-]{0,64}[\"']?\s{0,9}[=:]\s{0,9}[\"']?)[^\s,;'\"})&]+"
    ),
)
_SECRET_NAME: Final = re.compile(r"(?i)secret|password|token|credential|key$")


def mask(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """`text` without bearer tokens, JWTs, `secret=value` pairs and values of secret variables.

    Values shorter than eight characters are left: masking "1" everywhere would only garble.
    """
    for name, value in environment.items():
        if len(value) >= 8 and _SECRET_NAME.search(name):
            text = text.replace(value, MASK)
    for pattern in _PATTERNS:
        text = pattern.sub(lambda found: (found[1] if found.re.groups else "") + MASK, text)
    return text


def mask_arguments(arguments: Sequence[str]) -> str:
    """A command line for a report, without the values of secret-looking options."""
    return mask(" ".join(arguments))
