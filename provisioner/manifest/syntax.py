"""What the YAML parser complains about, in words that help."""

from __future__ import annotations

import re
from typing import Final

import yaml

from provisioner.errors import Problem
from provisioner.manifest import codes
from provisioner.manifest.loaded import Source

_SPACES: Final = "indent with spaces only, the same number on each level"
_TABLE: Final[tuple[tuple[str, str, str], ...]] = (
    # what the parser says · what to say · hint
    (
        r"cannot start any token.*'\\t'|'\\t'.*cannot start|tab character",
        "a tab is used for indentation",
        _SPACES,
    ),
    (
        r"cannot start any token",
        "a character stands where YAML expects a value",
        'quote values that begin with "@", "`", "%" or another special character',
    ),
    (
        r"mapping values are not allowed",
        'a second ":" in one line, or a key at the wrong indentation',
        'quote text that contains ": ", and align keys of one level',
    ),
    (
        r"could not find expected ':'",
        'a key without ":"',
        'write "key: value", with a space after the colon',
    ),
    (
        r"did not find expected key|block end",
        "a line does not fit the indentation of the lines above it",
        _SPACES,
    ),
    (r"expected ',' or '[\]}]'", "a bracket is not closed, or a comma is missing", "close it"),
    (r"unexpected end of stream", "a quote is opened and never closed", "close it"),
    (r"unknown escape|escape", "an unknown escape in a quoted text", "use single quotes"),
    (r"undefined alias", "an alias stands for no anchor before it", "write the value out"),
    (
        r"expected '<document start>'|document start",
        "something follows the end of a document",
        'separate documents by a line of "---"',
    ),
    (r"undefined tag|tag", "a tag that is not defined", "remove it"),
    (r"version", "a YAML version that is not known", "remove the %YAML line"),
)


def explain_yaml(error: yaml.YAMLError, source: Source, base: int) -> tuple[Problem, int]:
    """The problem, and the index of the line where the parser gave up.

    `base` is how many lines of the source come before the text that was parsed.
    """
    said = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
    mark = getattr(error, "problem_mark", None)
    context = getattr(error, "context_mark", None)
    line = (mark.line if mark else 0) + base
    place = context if context and mark and _unclosed(said, mark.line > context.line) else mark
    position = source.position(
        (place.line if place else 0) + base + 1, (place.column if place else 0) + 1
    )
    seen = said
    if "cannot start any token" in said and position.snippet[position.column - 1 :][:1] == "\t":
        seen = "tab character"
    known = ((what, hint) for pattern, what, hint in _TABLE if re.search(pattern, seen))
    told = next(known, None)
    if told is None and not "".join(source.lines[position.line - 1 :]).strip():
        return _ends_early(said, source), line
    what, hint = told or ("the text is not YAML", "look at this line and the one above")
    problem = Problem(
        codes.SYNTAX, what, hint, position=position, details=(f"the YAML parser says: {said}",)
    )
    return problem, line


def _ends_early(said: str, source: Source) -> Problem:
    """The text is over where more must follow: the last line that says something is to blame."""
    last = max((n for n, text in enumerate(source.lines, 1) if text.strip()), default=1)
    width = len(source.lines[last - 1].rstrip()) if source.lines else 0
    return Problem(
        codes.SYNTAX,
        "the text ends in the middle of something",
        "close the brackets and quotes that are still open",
        position=source.position(last, max(1, width)),
        details=(f"the YAML parser says: {said}",),
    )


def _unclosed(said: str, later: bool) -> bool:
    """Whether the fault lies where a quote or bracket opens, on an earlier line."""
    return "end of stream" in said or (later and re.search(r"',' or '[\]}]'", said) is not None)
