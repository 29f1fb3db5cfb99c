"""What is about to expire, as a table and as plain data. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from provisioner.apply import Report
from provisioner.cli.render.rows import aligned
from provisioner.errors.harmless import clean
from provisioner.plan.words import duration, span
from provisioner.reap import Doomed
from provisioner.resources import instant_text

_HEADER = ("NAME", "STACK", "KIND", "WORKSPACE", "EXPIRES", "LEFT", "THEN")


def doomed_table(doomed: Sequence[Doomed], within: timedelta, width: int | None) -> str:
    """One line per endpoint, the most urgent first; a sentence when there is none."""
    if not doomed:
        return f"Nothing expires within {span(within)}.\n"
    lines = aligned([list(_HEADER), *(list(_cells(one)) for one in doomed)])
    if width is not None and any(len(line) > width for line in lines):
        lines = [line for one in doomed for line in _folded(one)]
    return "\n".join(lines) + "\n"


def _folded(one: Doomed) -> list[str]:
    """The same in three short lines, where the screen is narrow."""
    name, stack, kind, workspace, expires, left, then = _cells(one)
    return [
        f"{name}  ({kind} in {workspace}, stack {stack})",
        f"  expires  {expires}",
        f"  left     {left}, then {then}",
    ]


def _cells(one: Doomed) -> tuple[str, ...]:
    left = f"{span(one.left)}" if one.left > timedelta(0) else f"{span(-one.left)} ago"
    return (
        clean(one.name),
        clean(one.stack),
        one.id.kind.noun,
        one.id.workspace.name,
        instant_text(one.deadline.instant) + (" (Azure)" if one.deadline.by_azure else ""),
        left,
        f"again for {span(one.renew_for)}" if one.renew_for is not None else "gone",
    )


def doomed_document(one: Doomed) -> dict[str, object]:
    """Stable keys for `-o json`; `secondsLeft` is negative when the deadline is past."""
    return {
        "name": one.name,
        "stack": one.stack,
        "kind": one.id.kind.value,
        "workspace": one.id.workspace.name,
        "resourceId": one.id.arm_id,
        "expiresAt": instant_text(one.deadline.instant),
        "byAzure": one.deadline.by_azure,
        "secondsLeft": round(one.left.total_seconds()),
        "renew": one.renew_for is not None,
    }


def renewed_lines(doomed: Sequence[Doomed], report: Report) -> list[str]:
    """How long each renewed endpoint could not be called. Its URL is the same, its keys are new."""
    lines = []
    for one in doomed:
        away = report.away(one.id)
        if one.renew_for is not None and away is not None:
            lines.append(
                f"{clean(one.name)} is back under the same URL for {span(one.renew_for)}; "
                f"it was away for {duration(away)}. Its keys are new: apply its manifest to write "
                "them."
            )
    return lines
