"""What the common options say, for whoever prints or connects."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass, field
from typing import TextIO


@dataclass(slots=True)
class Session:
    """Filled by option callbacks while click parses, so that a usage error is printed as asked.

    `typed` are the fields that the command line set, rather than the environment.

    `emulator` selects the emulator of this folder; the three endpoint options name another ARM.
    """

    log_format: str = "text"
    no_color: bool = False
    verbose: int = 0
    emulator: bool = False
    arm_endpoint: str | None = None
    authority: str | None = None
    ca_bundle: str | None = None
    typed: set[str] = field(default_factory=set)

    @property
    def log_json(self) -> bool:
        return self.log_format == "json"

    def color(self, stream: TextIO) -> bool:
        """Colour only on a terminal, and only if nobody declined it (no-color.org)."""
        if self.no_color or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
            return False
        return is_terminal(stream)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person looks at `stream`; a closed one (None, says Python) is no terminal."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def together(first: TextIO, second: TextIO) -> bool:
    """Whether both streams end in the same terminal, file or pipe, so that lines of one follow
    lines of the other."""
    try:
        one, other = os.fstat(first.fileno()), os.fstat(second.fileno())
    except (AttributeError, OSError, ValueError):
        return True
    return os.path.samestat(one, other)


def width(stream: TextIO) -> int | None:
    """Columns of the terminal behind `stream`; None when it is none: then nothing is wrapped."""
    if not is_terminal(stream):
        return None
    return max(40, shutil.get_terminal_size((80, 24)).columns)


def in_runner() -> bool:
    """Whether a pipeline's runner may read what is printed, and obey commands in it."""
    return any(os.environ.get(name) for name in ("GITHUB_ACTIONS", "TF_BUILD"))


def can_ask() -> bool:
    """Whether there is a person to answer a question."""
    return is_terminal(sys.stdin) and is_terminal(sys.stderr)
