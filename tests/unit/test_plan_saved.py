"""Plans that are applied later than they were made: from a file, or after a long thought."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from provisioner.cli.flow import LONG_THOUGHT, Flow
from provisioner.cli.loop import Interrupts
from provisioner.cli.session import Session
from provisioner.desired import Desired
from provisioner.errors import Problem, Refused, UsageError
from provisioner.events import Emit
from provisioner.pipeline import Prepared
from provisioner.plan import Plan
from provisioner.plan.saved import Basis, load, require_fresh, save
from provisioner.plan.saved import _seal as seal
from provisioner.preflight.lifetime import DEADLINE_PAST
from tests.plan_cases import cases

BASIS = Basis("the public cloud", "default", ("m.yaml",), {"m.yaml": "0" * 64}, {})
PLANS = {case.path.stem: case.plan() for case in cases()}
FIRST, OTHER = PLANS["serverless-first"], PLANS["managed-first"]


def test_a_plan_reads_back_and_is_fresh_a_day_later() -> None:
    saved = load(save(FIRST, BASIS), "plan.json")
    require_fresh(saved, replace(FIRST, now=FIRST.now + timedelta(days=1)))
    with pytest.raises(Refused) as refused:
        require_fresh(saved, OTHER)
    (problem,) = refused.value.problems
    assert problem.code.id == "plan.stale"
    assert any(line.startswith("newly planned: create online endpoint") for line in problem.details)


def test_another_order_of_the_same_steps_is_said_to_be_one() -> None:
    """As when others have taken the quota that the plan found free: something must go first."""
    *others, last = FIRST.steps
    saved = load(save(FIRST, BASIS), "plan.json")
    with pytest.raises(Refused) as refused:
        require_fresh(saved, replace(FIRST, steps=(*others, replace(last, needs=()))))
    (problem,) = refused.value.problems
    assert problem.details == ("the same steps, with other values or in another order",)


@pytest.mark.parametrize("missing", ["plan", "files", "options", "sources", "digest", "cloud"])
def test_a_seal_that_was_made_by_hand_gets_nobody_further(missing: str) -> None:
    body = json.loads(save(FIRST, BASIS))
    del body["seal"], body[missing]
    forged = json.dumps({**body, "seal": seal(body)})
    with pytest.raises(Refused) as refused:
        load(forged, "plan.json")
    assert refused.value.problems[0].code.id == "plan.edited"


def test_steps_that_are_none_are_no_steps() -> None:
    body = json.loads(save(FIRST, BASIS))
    del body["seal"]
    body["plan"] = {"steps": [7]}
    with pytest.raises(Refused):
        load(json.dumps({**body, "seal": seal(body)}), "plan.json")


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 200_000, '{"kind": "Pod"}'])
def test_what_is_no_plan_is_said_to_be_none(text: str) -> None:
    with pytest.raises(UsageError):
        load(text, "plan.json")


def prepared(plan: Plan, *findings: Problem) -> Prepared:
    return Prepared(Desired("default", {}, (), ()), {}, plan, findings=findings)


async def asked_again(flow: Flow, fresh: Prepared) -> Prepared:
    async def again(emit: Emit) -> Prepared:
        return fresh

    return await flow.unmoved(prepared(FIRST), again)


async def test_after_a_short_thought_nothing_is_asked_again() -> None:
    flow = Flow(Session(), Interrupts(), pondered=LONG_THOUGHT - 1)
    assert (await asked_again(flow, prepared(OTHER))).plan is FIRST


async def test_after_a_long_thought_the_same_plan_is_carried_out() -> None:
    flow = Flow(Session(), Interrupts(), pondered=LONG_THOUGHT)
    same = replace(FIRST, now=FIRST.now + timedelta(hours=1))
    assert (await asked_again(flow, prepared(same))).plan is same


async def test_after_a_long_thought_another_plan_is_refused() -> None:
    flow = Flow(Session(), Interrupts(), pondered=LONG_THOUGHT)
    with pytest.raises(Refused) as refused:
        await asked_again(flow, prepared(OTHER))
    assert refused.value.problems[0].code.id == "plan.stale"


async def test_what_became_wrong_during_a_long_thought_is_refused() -> None:
    """Such as a deadline that has passed."""
    flow = Flow(Session(), Interrupts(), pondered=LONG_THOUGHT)
    with pytest.raises(Refused) as refused:
        await asked_again(flow, prepared(FIRST, Problem(DEADLINE_PAST, "too late", "begin sooner")))
    assert refused.value.problems[0].code is DEADLINE_PAST
