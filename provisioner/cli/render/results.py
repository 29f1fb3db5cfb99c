"""What an apply or a destroy did, as a sentence and as plain data. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from provisioner.cli.render.problems import problem_document
from provisioner.cli.render.rows import Row, row_document
from provisioner.events import Outcome
from provisioner.pipeline import Applied
from provisioner.plan import action

_WORDS = {
    Outcome.DONE: "done",
    Outcome.FAILED: "failed",
    Outcome.SKIPPED: "skipped",
    Outcome.INTERRUPTED: "left running",
}


def closing_line(applied: Applied, done: str = "Applied") -> str:
    """`Applied: 3 steps done.`, or what did not go well."""
    results = applied.report.results
    if not results:
        return "Nothing to change."
    counts = {outcome: len(applied.report.of(outcome)) for outcome in Outcome}
    parts = [f"{count} {_WORDS[outcome]}" for outcome, count in counts.items() if count]
    steps = "1 step" if len(results) == 1 else f"{len(results)} steps"
    if counts[Outcome.DONE] == len(results):
        return f"{done}: {steps} done."
    left = "; run the same command again to go on" if counts[Outcome.INTERRUPTED] else ""
    return f"{done} in part: of {steps}, {', '.join(parts)}{left}."


def applied_document(rows: Sequence[Row], applied: Applied) -> dict[str, object]:
    """The end of a run for `-o json`; never a key."""
    return {
        "exitCode": int(applied.exit_code),
        "deployments": [row_document(row, applied.sinks) for row in rows],
        "steps": [
            {
                "id": result.step.id,
                "action": action(result.step),
                "title": result.step.title,
                "outcome": str(result.outcome),
                "seconds": round(result.seconds, 3),
                **({"because": result.because} if result.because else {}),
            }
            for result in applied.report.results
        ],
        "problems": [problem_document(problem) for problem in applied.problems],
    }
