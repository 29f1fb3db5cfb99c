"""The last line of a run says what became of it, and never more than that."""

from __future__ import annotations

import pytest

from provisioner.apply.report import Report, Result
from provisioner.cli.render.results import closing_line
from provisioner.events import Outcome
from provisioner.pipeline import Applied
from provisioner.plan import Plan
from provisioner.plan.steps import Because, Delete
from provisioner.resources import Kind, ResourceId
from tests.fake_clock import START
from tests.plan_cases import PLACE

STEP = Delete(
    id="delete:phi",
    reason="no manifest names it any more",
    resource_id=ResourceId(PLACE, Kind.SERVERLESS_ENDPOINT, "phi"),
    because=Because.PRUNED,
)


@pytest.mark.parametrize(
    ("outcomes", "line"),
    [
        ((Outcome.DONE,), "Applied in 2.0s: 1 deleted."),
        ((Outcome.DONE, Outcome.FAILED), "Applied in part: of 2 steps, 1 done, 1 failed."),
        ((Outcome.FAILED, Outcome.SKIPPED), "Nothing applied: of 2 steps, 1 failed, 1 skipped."),
    ],
)
def test_the_last_line(outcomes: tuple[Outcome, ...], line: str) -> None:
    report = Report(tuple(Result(STEP, outcome) for outcome in outcomes))
    assert closing_line(Plan("default", START, (STEP,)), Applied(report), 2.0) == line
