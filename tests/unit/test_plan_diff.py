"""Differences that the service makes by itself are none."""

from __future__ import annotations

from dataclasses import replace

from provisioner.plan.diff import diff, merged_tags
from provisioner.resources import (
    TAG_ON_EXPIRY,
    TAG_STACK,
    DataCollection,
    Kind,
    ModelRef,
    OnlineDeployment,
    ResourceId,
    ServerlessEndpoint,
)
from tests.plan_cases import PLACE

BLUE = OnlineDeployment(
    ResourceId(PLACE, Kind.ONLINE_DEPLOYMENT, "blue", "chat"),
    "eastus2",
    ModelRef("azureml-meta", "llama", "7"),
    "Standard_A",
    1,
)


def test_the_sampling_rate_of_a_collection_that_is_off_is_no_difference() -> None:
    wanted = replace(BLUE, data_collection=DataCollection(False, False, 0.1))
    for live in (DataCollection(False, False, 1.0), None):
        assert not diff(wanted, replace(BLUE, data_collection=live))
    on = replace(BLUE, data_collection=DataCollection(True, False, 0.1))
    changes = diff(on, replace(BLUE, data_collection=DataCollection(True, False, 1.0)))
    assert [one.field for one in changes] == ["data_collection.sampling_rate"]


def test_our_own_tags_may_be_spelled_otherwise() -> None:
    live = {"Provisioner-Stack": "default", "Provisioner-On-Expiry": "renew"}
    wanted = {TAG_STACK: "default", TAG_ON_EXPIRY: "renew"}
    id = ResourceId(PLACE, Kind.SERVERLESS_ENDPOINT, "llama")
    model = ModelRef("azureml-meta", "llama")
    ours = ServerlessEndpoint(id, "eastus2", model, tags=wanted)
    assert not diff(ours, replace(ours, tags=live))
    assert merged_tags(wanted, live) == live
    ended = replace(ours, tags={TAG_STACK: "default"})
    assert [one.field for one in diff(ended, replace(ours, tags=live))] == [
        "tags.Provisioner-On-Expiry"
    ]
