"""Properties of the planner over random fleets and histories.

Every history is counted: at the end of the module the kinds, states and steps that the properties
claim to cover must have occurred.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import get_args

from hypothesis import event, given, settings
from hypothesis import strategies as st

from provisioner.cloud import Observed
from provisioner.desired import Desired
from provisioner.plan import Options, Plan, action, destroy, plan
from provisioner.plan.json import digest
from provisioner.plan.steps import Await, Delete, Replace, Rollout, SetTraffic, Step, Update
from provisioner.resources import (
    TAG_NAME,
    TAG_STACK,
    MarketplaceSubscription,
    OnlineDeployment,
    OnlineEndpoint,
    State,
    tags_of,
)
from tests.fake_clock import FakeClock
from tests.fakes import FakeCloud
from tests.fleets import (
    KINDS,
    STACK,
    WORKSPACES,
    fleets,
    mishaps,
    offer_of,
    searching,
    strangers,
)
from tests.ideal import Cut, carry_out

Mishap = Callable[[FakeCloud], None]

STATES: Counter[tuple[str, str]] = Counter()
STEPS: Counter[str] = Counter()


def note(cloud: FakeCloud, made: Plan) -> None:
    STATES.update(cloud.states)
    for step in made.steps:
        STEPS[action(step)] += 1
        STEPS[type(step).__name__] += 1


def new_cloud() -> FakeCloud:
    return FakeCloud(FakeClock(), STACK, needs_offer=offer_of)


def planned(wish: Desired, cloud: FakeCloud, options: Options | None = None) -> Plan:
    found = plan(wish, observed(cloud), cloud.clock.now(), options)
    note(cloud, found)
    return found


def observed(cloud: FakeCloud) -> Observed:
    return {place: cloud.view(place) for place in WORKSPACES}


def converge(
    wish: Desired, cloud: FakeCloud, options: Options | None = None, rounds: int = 1
) -> None:
    """Plan and carry out until nothing is left to do; at most `rounds` times."""
    for _ in range(rounds):
        found = planned(wish, cloud, options)
        assert not found.refusals, [problem.what for problem in found.refusals]
        outcome = carry_out(found, cloud)
        if rounds == 1:
            assert not outcome.failed, (outcome.failed, describe(found))
        assert not cloud.violations, (cloud.violations, describe(found))
        cloud.finish()
        pay(cloud)
    last = planned(wish, cloud, options)
    assert last.empty, describe(last)


def pay(cloud: FakeCloud) -> None:
    """A suspended subscription serves again: only a person can see to that, between two runs."""
    for record in cloud.records.values():
        if record.condition == "Suspended":
            record.condition = "Subscribed"


def describe(found: Plan) -> list[str]:
    return [
        f"{_short(step.id)} ({step.reason}) after {[_short(need) for need in step.needs]}"
        for step in found.steps
    ]


def _short(step: str) -> str:
    verb, _, id = step.partition(":")
    return f"{verb} {'/'.join(id.split('/')[8:])}"


def holdings(cloud: FakeCloud, *, named: bool = True) -> set[tuple[str, ...]]:
    """What the stack owns, by manifest rather than by slot, with each deployment's traffic."""
    found: set[tuple[str, ...]] = set()
    for id, record in cloud.records.items():
        resource = record.resource
        if isinstance(resource, MarketplaceSubscription):
            continue
        if tags_of(resource).get(TAG_STACK) != STACK:
            continue
        name = tags_of(resource).get(TAG_NAME, "") if named else ""
        share = ""
        if isinstance(resource, OnlineDeployment):
            parent = cloud.records[id.endpoint].resource
            assert isinstance(parent, OnlineEndpoint)
            share = str({n.lower(): s for n, s in parent.traffic.items()}.get(id.name.lower(), 0))
        found.add((id.kind.noun, id.workspace.name, id.parent or id.name, name, share))
    return found


@st.composite
def histories(draw: st.DrawFn) -> FakeCloud:
    """A cloud in which earlier fleets were applied, perhaps not to the end, and things happened."""
    cloud = new_cloud()
    for wish in draw(st.lists(fleets(), max_size=2)):
        found = plan(wish, observed(cloud), cloud.clock.now())
        carry_out(found, cloud, cut=draw(cuts(found)) if draw(st.booleans()) else None)
        if draw(st.booleans()):
            cloud.finish()
        cloud.violations.clear()
    for happen in draw(st.lists(mishaps(), max_size=3)):
        happen(cloud)
    return cloud


@st.composite
def cuts(draw: st.DrawFn, found: Plan) -> Cut:
    return Cut(
        steps=draw(st.integers(0, max(0, len(found.steps) - 1))),
        writes=draw(st.integers(0, 3)),
        state=draw(st.sampled_from([None, State.FAILED, State.CANCELED])),
    )


@searching(30)
@given(wish=fleets())
def test_a_first_plan_on_an_empty_cloud_is_done_in_one_go(wish: Desired) -> None:
    converge(wish, new_cloud())


@searching(30)
@given(cloud=histories(), wish=fleets())
def test_a_second_plan_is_empty_whatever_was_there_before(cloud: FakeCloud, wish: Desired) -> None:
    # An operation under way may end badly after the plan was made: that takes another run.
    converge(wish, cloud, rounds=3)


@searching(30)
@given(cloud=histories(), wish=fleets())
def test_with_prune_nothing_is_left_that_no_manifest_names(cloud: FakeCloud, wish: Desired) -> None:
    converge(wish, cloud, Options(prune=True), rounds=3)
    clean = new_cloud()
    converge(wish, clean)
    assert holdings(cloud) == holdings(clean)


@searching(30)
@given(cloud=histories(), wish=fleets(), seed=st.integers(0, 2**32))
def test_any_order_that_the_needs_allow_is_a_good_order(
    cloud: FakeCloud, wish: Desired, seed: int
) -> None:
    cloud.finish()
    for record in list(cloud.records.values()):
        if record.state.broken and record.condition is None:
            record.state = State.SUCCEEDED
            if isinstance(record.resource, MarketplaceSubscription):
                record.condition = "Subscribed"
    found = planned(wish, cloud, Options(prune=True))
    outcome = carry_out(found, cloud, order=random.Random(seed))
    assert not cloud.violations, (cloud.violations, describe(found))
    assert not outcome.failed, (outcome.failed, describe(found))
    assert planned(wish, cloud, Options(prune=True)).empty


@searching(60)
@given(before=fleets(least=1), wish=fleets(least=1), prune=st.booleans())
def test_a_live_endpoint_answers_at_every_moment_if_another_deployment_can(
    before: Desired, wish: Desired, prune: bool
) -> None:
    cloud = new_cloud()
    converge(before, cloud)
    cloud.shifts.clear()
    found = planned(wish, cloud, Options(prune=prune))
    carry_out(found, cloud)
    assert not outages(cloud, wish, found), describe(found)


@searching(30)
@given(cloud=histories(), wish=fleets(), data=st.data())
def test_a_crash_at_any_step_and_another_run_end_where_a_whole_run_ends(
    cloud: FakeCloud, wish: Desired, data: st.DataObject
) -> None:
    cloud.finish()
    whole = copy_of(cloud)
    converge(wish, whole, Options(prune=True), rounds=3)
    found = planned(wish, cloud, Options(prune=True))
    carry_out(found, cloud, cut=data.draw(cuts(found)))
    converge(wish, cloud, Options(prune=True), rounds=3)
    assert holdings(cloud) == holdings(whole)


@searching(30)
@given(cloud=histories(), visitors=st.lists(strangers(), min_size=1, max_size=3), wish=fleets())
def test_what_is_not_ours_is_never_targeted(
    cloud: FakeCloud, visitors: list[Mishap], wish: Desired
) -> None:
    for appear in visitors:
        appear(cloud)
    foreign = {
        id
        for id, record in cloud.records.items()
        if not isinstance(record.resource, MarketplaceSubscription)
        and tags_of(record.resource).get(TAG_STACK) != STACK
    }
    for found in (
        planned(wish, cloud, Options(prune=True, prune_subscriptions=True)),
        destroy(wish, observed(cloud), cloud.clock.now(), Options(prune_subscriptions=True)),
    ):
        # A refused plan is never carried out; what it names must have been refused.
        refused = {problem.resource for problem in found.refusals}
        hit = [s for s in found.steps if s.target in foreign and not isinstance(s, Await)]
        assert not [s for s in hit if s.target.arm_id not in refused], describe(found)
        if refused:
            continue
        ends = {s.target for s in found.steps if isinstance(s, Delete)}
        assert not [id for id in foreign if id.endpoint in ends], describe(found)


@searching(30)
@given(cloud=histories(), visitors=st.lists(strangers(), min_size=1, max_size=3), wish=fleets())
def test_adopting_takes_over_in_place_or_not_at_all(
    cloud: FakeCloud, visitors: list[Mishap], wish: Desired
) -> None:
    cloud.finish()
    for appear in visitors:
        appear(cloud)
    foreign = {
        id
        for id, record in cloud.records.items()
        if not isinstance(record.resource, MarketplaceSubscription)
        and tags_of(record.resource).get(TAG_STACK) is None
    }
    options = Options(adopt=True)
    found = planned(wish, cloud, options)
    hit = [step for step in found.steps if step.target in foreign]
    allowed = (Update, Await, SetTraffic, Rollout)
    refused = {problem.resource for problem in found.refusals}
    assert not [
        step for step in hit if not isinstance(step, allowed) and step.target.arm_id not in refused
    ], describe(found)
    if not found.refusals and not any(isinstance(step, Await) for step in found.steps):
        carry_out(found, cloud)
        again = planned(wish, cloud, options)
        assert not [step for step in again.steps if step.target in foreign], describe(again)


@searching(30)
@given(cloud=histories(), wish=fleets())
def test_destroy_leaves_nothing_of_the_fleet_and_is_then_a_no_op(
    cloud: FakeCloud, wish: Desired
) -> None:
    options = Options(prune_subscriptions=True)
    for _ in range(3):
        found = destroy(wish, observed(cloud), cloud.clock.now(), options)
        assert not found.refusals
        carry_out(found, cloud)
        assert not cloud.violations, (cloud.violations, describe(found))
        cloud.finish()
    last = destroy(wish, observed(cloud), cloud.clock.now(), options)
    assert last.empty, describe(last)
    named = [one.resource.id for one in wish.serverless]
    named += [part.resource.id for end in wish.endpoints for part in end.deployments]
    assert not [id for id in named if id in cloud.records]


@searching(30)
@given(cloud=histories(), wish=fleets(), data=st.data())
def test_a_plan_is_a_value(cloud: FakeCloud, wish: Desired, data: st.DataObject) -> None:
    """The same situation gives the same plan; a later one of it differs in instants only."""
    first = planned(wish, cloud)
    assert planned(wish, cloud) == first
    assert digest(planned(wish, cloud)) == digest(first)
    later = plan(wish, observed(cloud), cloud.clock.now().replace(hour=23))
    assert digest(later) == digest(first)


def outages(cloud: FakeCloud, wish: Desired, found: Plan) -> list[str]:
    """Endpoints that stopped answering although more than one deployment is to carry traffic, and
    shares that did not add up, while the endpoint itself was to stay."""
    ends = {step.target for step in found.steps if isinstance(step, Delete | Replace)}
    takers = {
        one.resource.id: [part for part in one.deployments if part.traffic]
        for one in wish.endpoints
    }
    told = []
    for id, before, after in cloud.shifts:
        event(f"traffic of {len(before)} becomes that of {len(after)}")
        if sum(after.values()) not in (0, 100):
            told.append(f"{id.name}: {after} does not add up")
        if before and not after and id not in ends and len(takers.get(id, ())) > 1:
            told.append(f"{id.name}: {before} → nothing")
    return told


def copy_of(cloud: FakeCloud) -> FakeCloud:
    twin = new_cloud()
    for id, record in cloud.records.items():
        twin.seed(record.resource, record.state)
        twin.records[id].condition, twin.records[id].plan = record.condition, record.plan
    return twin


def test_every_kind_state_and_step_occurs() -> None:
    """The histories that the properties are judged on are rich enough to mean something."""
    STATES.clear()
    STEPS.clear()

    @settings(searching(600), derandomize=True)
    @given(
        before=fleets(least=1),
        happened=st.lists(mishaps(), min_size=2, max_size=4),
        wish=fleets(least=1),
    )
    def walk(before: Desired, happened: list[Mishap], wish: Desired) -> None:
        cloud = new_cloud()
        converge(before, cloud)
        cloud.states.clear()
        for happen in happened:
            happen(cloud)
        planned(wish, cloud, Options(prune=True))

    walk()
    kinds = {kind.noun for kind in KINDS}
    states = (State.SUCCEEDED, State.FAILED, State.CREATING, State.UPDATING, State.DELETING)
    missing = [(kind, one) for kind in kinds for one in states if not STATES[(kind, one.value)]]
    assert not missing
    classes = {one.__name__ for one in get_args(Step)}
    actions = {"create", "change", "replace", "recover", "delete", "wait"}
    assert not [one for one in classes | actions if not STEPS[one]]
