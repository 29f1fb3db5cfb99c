"""Findings: problems that a check found before anything was written."""

from __future__ import annotations

from collections.abc import Iterable

from provisioner.errors import Problem, Severity

Findings = tuple[Problem, ...]

_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}


def sorted_findings(problems: Iterable[Problem]) -> Findings:
    """Errors first; then by manifest position; each said once."""
    unique = dict.fromkeys(problems)
    return tuple(
        sorted(
            unique,
            key=lambda one: (
                _ORDER[one.severity],
                (one.position.file, one.position.line) if one.position else ("~", 0),
                one.code.id,
                one.what,
            ),
        )
    )


def blocking(findings: Findings) -> Findings:
    """Those that forbid the apply."""
    return tuple(one for one in findings if one.severity is Severity.ERROR)
