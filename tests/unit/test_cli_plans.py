"""Colours of the plan, and its findings; its words are tested with the reader."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from provisioner.cli.render.plans import judged, plan_text
from provisioner.errors import Code, Problem, Severity, Who
from provisioner.plan.steps import Create, Plan
from provisioner.plan.text import text
from provisioner.resources import Kind, ModelRef, ResourceId, ServerlessEndpoint, WorkspaceId

ODD = Code("test.odd", "odd", "Odd.", Who.OPERATOR)
PROD = WorkspaceId("11111111-1111-1111-1111-111111111111", "rg-ml-prod", "mlw-prod")
ENDPOINT = ServerlessEndpoint(
    ResourceId(PROD, Kind.SERVERLESS_ENDPOINT, "llama-33-70b"),
    "eastus2",
    ModelRef("azureml-meta", "Llama-3.3-70B-Instruct"),
)
REASON = "does not exist, " + "which takes many words to say " * 4
PLAN = Plan(
    "default",
    datetime(2030, 1, 1, tzinfo=UTC),
    steps=(Create(id="1", reason=REASON.strip(), resource=ENDPOINT),),
)


def test_without_colour_it_is_the_readers_text() -> None:
    assert plan_text(PLAN, width=80) == text(PLAN, width=80)


def test_colour_changes_no_letter() -> None:
    colored = plan_text(PLAN, width=80, color=True)
    assert "\x1b[" in colored
    assert click.unstyle(colored) == text(PLAN, width=80)


def test_piped_text_is_not_wrapped() -> None:
    assert REASON.strip() in plan_text(PLAN)
    assert max(map(len, plan_text(PLAN, width=80).splitlines())) <= 80


def test_findings_become_refusals_and_notices() -> None:
    error = Problem(ODD, "what", "hint")
    note = Problem(ODD, "what", "hint", severity=Severity.NOTE)
    plan = judged(PLAN, [note, error])
    assert plan.refusals == (error,)
    assert plan.notices == (note,)
