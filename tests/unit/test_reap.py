"""Reapers that race with each other, with a destroy, and with Azure itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from provisioner import plan as planning
from provisioner.apply import Report, execute
from provisioner.events import ignore
from provisioner.plan import Plan
from provisioner.plan.managed import shared_bag
from provisioner.reap import expiring
from provisioner.resources import (
    TAG_EXPIRES,
    TAG_NAME,
    TAG_ON_EXPIRY,
    TAG_STACK,
    Kind,
    ModelRef,
    OnlineDeployment,
    OnlineEndpoint,
    ResourceId,
    ServerlessEndpoint,
    State,
    instant_text,
)
from tests.fake_clock import START, FakeClock
from tests.fakes import FakeCloud
from tests.plan_cases import PLACE

SOON = START + timedelta(hours=2)
TAGS = {TAG_STACK: "default", TAG_NAME: "chat", TAG_EXPIRES: instant_text(SOON)}
CHAT = OnlineEndpoint(
    ResourceId(PLACE, Kind.ONLINE_ENDPOINT, "chat"), "eastus2", traffic={"blue": 100}, tags=TAGS
)
BLUE = OnlineDeployment(
    ResourceId(PLACE, Kind.ONLINE_DEPLOYMENT, "blue", "chat"),
    "eastus2",
    ModelRef("azureml-meta", "llama", "7"),
    "Standard_A",
    1,
    tags={TAG_STACK: "default", TAG_NAME: "blue"},
)
PHI = ServerlessEndpoint(
    ResourceId(PLACE, Kind.SERVERLESS_ENDPOINT, "phi"),
    "eastus2",
    ModelRef("azureml-meta", "phi"),
    tags={**TAGS, TAG_NAME: "phi"},
)


def renewing(endpoint: OnlineEndpoint) -> OnlineEndpoint:
    return replace(endpoint, tags={**endpoint.tags, TAG_ON_EXPIRY: "renew"})


def planned(cloud: FakeCloud) -> Plan:
    now = cloud.clock.now()
    doomed = expiring(cloud.observed(), now, timedelta(hours=24))
    removals = [
        planning.Removal(one.id, one.deadline.instant, "its time is up", one.renew_for)
        for one in doomed
    ]
    return planning.remove(removals, cloud.observed(), now)


def carry_out(plan: Plan, cloud: FakeCloud) -> Report:
    return cloud.clock.run(execute(plan, cloud, cloud.clock, ignore))


def test_the_slower_of_two_reapers_leaves_alone_what_the_other_brought_back() -> None:
    cloud = FakeCloud(FakeClock())
    cloud.seed(renewing(CHAT))
    cloud.seed(BLUE)
    first, second = planned(cloud), planned(cloud)
    assert not carry_out(first, cloud).problems
    cloud.finish()
    cloud.shifts.clear()
    cloud.writes.clear()
    assert not carry_out(second, cloud).problems
    assert not cloud.shifts, "it was drained"
    assert not [what for what, _ in cloud.writes if what == "delete"]
    endpoint = cloud.records[CHAT.id].resource
    assert isinstance(endpoint, OnlineEndpoint)
    assert endpoint.traffic == {"blue": 100}
    assert cloud.records[BLUE.id].state is State.SUCCEEDED


def test_azures_own_deadline_counts_where_the_tag_promises_more() -> None:
    """As after an adoption, whose tag is counted from then on."""
    cloud = FakeCloud(FakeClock())
    late = {**TAGS, TAG_EXPIRES: instant_text(START + timedelta(days=6))}
    bag = shared_bag(START - timedelta(hours=160))
    cloud.seed(replace(CHAT, traffic={}, tags=late, properties=bag))
    assert not carry_out(planned(cloud), cloud).problems
    assert CHAT.id not in cloud.records


def test_what_somebody_is_deleting_is_not_brought_back_before_its_time() -> None:
    cloud = FakeCloud(FakeClock())
    cloud.seed(renewing(CHAT), State.DELETING)
    assert not carry_out(planned(cloud), cloud).problems
    assert CHAT.id not in cloud.records


def test_what_ends_as_its_time_is_up_is_brought_back() -> None:
    cloud = FakeCloud(FakeClock())
    past = {**TAGS, TAG_EXPIRES: instant_text(START - timedelta(minutes=1))}
    cloud.seed(renewing(replace(CHAT, traffic={}, tags=past)), State.DELETING)
    assert not carry_out(planned(cloud), cloud).problems
    assert cloud.records[CHAT.id].state is State.SUCCEEDED


def test_tags_in_another_spelling_are_ours_all_the_same() -> None:
    cloud = FakeCloud(FakeClock())
    cloud.seed(replace(PHI, tags={name.title(): value for name, value in PHI.tags.items()}))
    (doomed,) = expiring(cloud.observed(), START, timedelta(hours=24))
    assert (doomed.stack, doomed.name) == ("default", "phi")
    (step,) = planned(cloud).steps
    assert step.expires == SOON
