"""What an apply or a destroy did, as a sentence and as plain data. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from provisioner.apply.executor import RUNS_ON
from provisioner.cli.render.problems import problem_document
from provisioner.cli.render.rows import Row, row_document
from provisioner.cli.render.words import seconds
from provisioner.events import Outcome
from provisioner.pipeline import Applied
from provisioner.plan import Plan, action

_DONE: Final = {
    "create": "created",
    "change": "changed",
    "adopt": "adopted",
    "replace": "replaced",
    "recover": "recovered",
    "delete": "deleted",
    "wait": "waited for",
}
"""The plan's actions once they are done: its summary and this line count the same things."""
_WORDS: Final = {
    Outcome.DONE: "done",
    Outcome.FAILED: "failed",
    Outcome.SKIPPED: "skipped",
    Outcome.INTERRUPTED: "interrupted",
}


def closing_line(plan: Plan, applied: Applied, took: float, done: str = "Applied") -> str:
    """`Applied in 8.3s: 13 created, 1 changed.`, or what did not go well; `took` in seconds."""
    results = applied.report.results
    counts = {outcome: len(applied.report.of(outcome)) for outcome in Outcome}
    running = sum(one.because == RUNS_ON for one in applied.report.of(Outcome.INTERRUPTED))
    told = Counter({_WORDS[outcome]: count for outcome, count in counts.items()})
    told.subtract({"interrupted": running})
    told["left running"] = running
    parts = [f"{count} {word}" for word, count in told.items() if count]
    steps = "1 step" if len(results) == 1 else f"{len(results)} steps"
    if counts[Outcome.DONE] == len(results):
        done_to = [f"{count} {_DONE[name]}" for name, count in plan.counts().items() if count]
        return f"{done} in {seconds(took)}: {', '.join(done_to) or steps}."
    stopped = applied.report.stopped or counts[Outcome.INTERRUPTED]
    left = "\nRun the same command again to go on." if stopped else ""
    # What runs on in Azure was begun, and what was interrupted may have been.
    begun = counts[Outcome.DONE] or counts[Outcome.INTERRUPTED]
    how = f"{done} in part" if begun else f"Nothing {done.lower()}"
    return f"{how}: of {steps}, {', '.join(parts)}.{left}"


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
