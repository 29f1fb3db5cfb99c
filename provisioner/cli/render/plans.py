"""A plan on a screen: the reader's lines with colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import click

from provisioner.errors import Problem, Severity
from provisioner.plan import Plan
from provisioner.plan.text import Span, Tone, lines

_UNWRAPPED: Final = 100_000
"""Columns of a log file: nothing is wrapped there, so that it can be searched."""

_STYLES: Final[dict[Tone, dict[str, Any]]] = {
    Tone.PLAIN: {},
    Tone.FAINT: {"dim": True},
    Tone.STRONG: {"bold": True},
    Tone.WARNING: {"fg": "yellow"},
    Tone.CREATE: {"fg": "green", "bold": True},
    Tone.CHANGE: {"fg": "yellow", "bold": True},
    Tone.ADOPT: {"fg": "cyan", "bold": True},
    Tone.REPLACE: {"fg": "red", "bold": True},
    Tone.RECOVER: {"fg": "red", "bold": True},
    Tone.DELETE: {"fg": "red", "bold": True},
    Tone.WAIT: {"fg": "blue", "bold": True},
}


def plan_text(
    plan: Plan, *, width: int | None = None, color: bool = False, verbose: bool = False
) -> str:
    """The plan as a diff, ending in its summary line. `width` None: not wrapped."""
    found = lines(plan, width=width or _UNWRAPPED, verbose=verbose)
    if not color:
        return "".join(f"{line}\n" for line in found)
    return "".join("".join(map(_painted, line.spans)) + "\n" for line in found)


def judged(plan: Plan, findings: Sequence[Problem]) -> Plan:
    """The plan with all that was found about it, for readers that print problems themselves."""
    errors = tuple(one for one in findings if one.severity is Severity.ERROR)
    others = tuple(one for one in findings if one.severity is not Severity.ERROR)
    return replace(plan, refusals=errors, notices=others)


def _painted(span: Span) -> str:
    style = _STYLES[span.tone]
    return click.style(span.text, **style) if style else span.text
