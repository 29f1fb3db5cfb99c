"""Problems as text in the manner of a compiler, and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Final

import click

from provisioner.errors import Position, Problem, Severity
from provisioner.errors.harmless import clean

_COLORS: Final = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


def problem_text(problem: Problem, *, width: int | None = None, color: bool = False) -> str:
    """One problem, ending in a newline.

    `width`: columns to wrap at; None does not wrap, which suits a log file. Words longer than a
    line (URLs, resource ids) are never broken, so that they can be copied.
    """
    paint = _Paint(color)
    severity = problem.severity
    head = paint(f"{severity}[{problem.code.id}]", _COLORS[severity], bold=True) + ":"
    lines: list[str] = []
    if problem.position is not None:
        lines.append(f"{head} {clean(str(problem.position))}")
        lines += wrapped(problem.what, "  ", "  ", width)
        lines += _snippet(problem.position, width, paint)
    else:
        plain = f"{severity}[{problem.code.id}]: "
        first, *rest = wrapped(problem.what, plain, "  ", width)
        lines += [f"{head} {first[len(plain) :]}", *rest]
    for detail in problem.details:
        lines += wrapped(detail, "  | ", "  |   ", width)
    if problem.resource:
        lines.append(f"  on:  {clean(problem.resource)}")
    if problem.correlation_id:
        lines.append(f"  correlation id: {clean(problem.correlation_id)}")
    if severity is not Severity.NOTE:  # nothing is broken: nobody has to mend it
        lines += wrapped(str(problem.mender), "  who: ", "       ", width)
    lines += wrapped(problem.hint, "  fix: ", "       ", width)
    return "\n".join(lines) + "\n"


def problem_document(problem: Problem) -> dict[str, object]:
    """One problem as plain data; absent fields are left out."""
    position = problem.position
    fields: dict[str, object | None] = {
        "code": problem.code.id,
        "severity": str(problem.severity),
        "what": problem.what,
        "hint": problem.hint,
        "who": str(problem.mender),
        "file": position.file if position else None,
        "line": position.line if position else None,
        "column": position.column if position else None,
        "resource": problem.resource,
        "correlationId": problem.correlation_id,
        "details": list(problem.details) or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def summary(problems: Iterable[Problem]) -> str:
    """`2 errors, 1 warning`; empty for nothing."""
    counts = dict.fromkeys(Severity, 0)
    for problem in problems:
        counts[problem.severity] += 1
    return ", ".join(
        f"{count} {severity}{'' if count == 1 else 's'}"
        for severity, count in counts.items()
        if count
    )


class _Paint:
    def __init__(self, color: bool) -> None:
        self._color = color

    def __call__(self, text: str, fg: str, *, bold: bool = False) -> str:
        return click.style(text, fg=fg, bold=bold) if self._color else text


def wrapped(text: str, first: str, rest: str, width: int | None) -> list[str]:
    """Lines of `text` with its own line breaks kept, each wrapped at `width`."""
    lines: list[str] = []
    for line in text.splitlines() or [""]:
        indent = rest if lines else first
        if width is None:
            lines.append(indent + clean(line))
            continue
        lines += textwrap.wrap(
            clean(line),
            width,
            initial_indent=indent,
            subsequent_indent=rest,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [indent.rstrip()]
    return lines


def _snippet(position: Position, width: int | None, paint: _Paint) -> list[str]:
    """The line of the manifest with a caret under the column; a long line is cut around it."""
    if not position.snippet.strip():
        return []
    text, column = clean(position.snippet), position.column
    number = str(position.line)
    room = (width or 120) - len(number) - 6
    if len(text) > room:
        start = max(0, min(column - 1 - room // 2, len(text) - room))
        text, column = text[start : start + room], column - start
    margin = " " * len(number)
    return [
        f"  {number} | {text}",
        f"  {margin} | {' ' * (column - 1)}{paint('^', 'red', bold=True)}",
    ]
