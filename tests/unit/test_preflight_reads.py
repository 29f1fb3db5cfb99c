"""What preflight asks: by workspace and subscription, not by manifest, and only what is needed."""

from __future__ import annotations

import asyncio
import io
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.preflight_cpu import SERVERLESS, documents
from provisioner import manifest
from provisioner.desired import desired
from provisioner.errors import Severity
from provisioner.observe import constraints, observe
from provisioner.plan import plan
from provisioner.preflight import Findings, Options, check
from tests.unit.preflight_cloud import FactCloud

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ROOM: dict[str, Any] = {"cores": {"eastus2": {"standardNCADSA100v4Family": "0/100000"}}}
SUBSCRIBED = {"live": {"subscriptions": ["azureml-meta/Llama-3.3-70B-Instruct"]}}


def asked(
    count: int, workspaces: int, facts: dict[str, Any], options: Options | None = None
) -> tuple[Counter[str], Findings]:
    """The reads that preflight makes, and what it finds."""
    cloud = FactCloud(facts)

    async def run() -> Findings:
        loaded = manifest.load(["-"], stdin=io.StringIO(documents(count, workspaces)))
        wanted = desired(loaded, stack="default", accept_terms=True)
        observed = await observe(cloud, wanted)
        cloud.reads.clear()
        steps = plan(wanted, observed, NOW)
        given = await constraints(cloud, steps, observed, wanted, options)
        return check(steps, wanted, observed, given, options)

    return cloud.reads, asyncio.run(run())


def test_ten_times_the_manifests_cost_no_read_more() -> None:
    every_model = 4 * 2 * len(SERVERLESS)
    few, _ = asked(every_model, 4, ROOM, Options(ignore_limits=True))
    many, _ = asked(10 * every_model, 4, ROOM, Options(ignore_limits=True))
    assert many == few


def test_reads_go_by_workspace_subscription_and_model() -> None:
    reads, _ = asked(8, 4, ROOM)
    assert reads == {
        "rights": 4 + 4 + 1,  # workspaces, their groups, the subscription
        "locks": 4,
        "subscription": 1,
        "provider": 2,
        "model": 2,
        "quota": 1,
        "sizes": 1,
        "placed": 1,
    }


def test_a_subscribed_workspace_asks_for_no_right_above_it() -> None:
    reads, findings = asked(1, 1, SUBSCRIBED)
    assert reads == {
        "rights": 1,
        "locks": 1,
        "subscription": 1,
        "provider": 1,
        "model": 1,
        "placed": 1,
    }
    assert not findings


def test_a_plan_without_steps_asks_nothing() -> None:
    live = [
        {"name": "model-0", "model": "azureml-meta/Llama-3.3-70B-Instruct"},
    ]
    reads, _ = asked(1, 1, {"live": {**SUBSCRIBED["live"], "serverless": live}})
    assert not reads


def test_doctor_asks_for_what_stays_too() -> None:
    live = [{"name": "model-0", "model": "azureml-meta/Llama-3.3-70B-Instruct"}]
    facts = {"live": {**SUBSCRIBED["live"], "serverless": live}}
    reads, findings = asked(1, 1, facts, Options(thorough=True))
    assert reads == {"rights": 1, "subscription": 1, "provider": 1, "model": 1}
    assert not findings


QUESTIONS = ("model", "rights", "subscription", "provider", "quota", "sizes", "locks", "agreement")


@settings(max_examples=40, deadline=None)
@given(unread=st.sets(st.sampled_from(QUESTIONS)), thorough=st.booleans())
def test_silence_never_blocks(unread: set[str], thorough: bool) -> None:
    facts = {**ROOM, "unread": sorted(unread)}
    _, findings = asked(4, 2, facts, Options(thorough=thorough))
    assert not [one for one in findings if one.severity is Severity.ERROR]
    told = [one for one in findings if one.code.id == "preflight.not-checked"]
    silent = unread - {"agreement"}  # no plan's ids are known here, so nobody asks for terms
    assert bool(told) == bool(silent)


@settings(max_examples=40, deadline=None)
@given(
    used=st.integers(0, 200),
    limit=st.integers(0, 200),
    count=st.integers(1, 6),
)
def test_quota_blocks_exactly_when_the_sum_does_not_fit(used: int, limit: int, count: int) -> None:
    facts = {"cores": {"eastus2": {"standardNCADSA100v4Family": f"{used}/{limit}"}}}
    # Every second manifest of the set is a managed deployment of 24 cores, one to a workspace.
    _, findings = asked(2 * count, count, facts)
    blocked = any(one.code.id == "preflight.quota-short" for one in findings)
    assert blocked == (24 * count > max(0, limit - used))
