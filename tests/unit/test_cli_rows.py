"""Rows of the status table."""

from __future__ import annotations

from provisioner.apply import Report
from provisioner.cli.render.rows import row_document, rows, table
from provisioner.desired import desired
from provisioner.manifest.load import load_text
from provisioner.resources import (
    TAG_NAME,
    Kind,
    ModelRef,
    OnlineDeployment,
    OnlineEndpoint,
    ResourceId,
)
from tests.fake_clock import START, FakeClock
from tests.fakes import FakeCloud
from tests.plan_cases import PLACE
from tests.unit.test_verify import MANIFEST


def test_traffic_is_found_whatever_the_case_of_the_deployments_name() -> None:
    cloud = FakeCloud(FakeClock())
    id = ResourceId(PLACE, Kind.ONLINE_ENDPOINT, "chat")
    cloud.seed(OnlineEndpoint(id, "eastus2", traffic={"Blue": 90, "BLUE-2": 10}))
    part = ResourceId(PLACE, Kind.ONLINE_DEPLOYMENT, "Blue", "chat")
    model = ModelRef("azureml-meta", "Meta-Llama-3.1-8B-Instruct", "4")
    cloud.seed(OnlineDeployment(part, "eastus2", model, "Standard_A", 1))
    wish = desired(load_text(MANIFEST, file="m.yaml"), stack="default")
    (row,) = rows(wish, cloud.observed(), Report())
    assert (row.traffic, row.state) == (100, "Succeeded")
    assert "90% Blue, 10% BLUE-2" in table([row], START)
    assert row_document(row)["trafficShares"] == {"Blue": 90, "BLUE-2": 10}


def test_a_second_name_that_another_manifest_has_is_that_ones() -> None:
    """`blue-2` is what a rollout of `blue` is called, too."""
    cloud = FakeCloud(FakeClock())
    id = ResourceId(PLACE, Kind.ONLINE_ENDPOINT, "chat")
    cloud.seed(OnlineEndpoint(id, "eastus2", traffic={"blue": 40, "blue-2": 60}))
    model = ModelRef("azureml-meta", "Meta-Llama-3.1-8B-Instruct", "4")
    for name in ("blue", "blue-2"):
        part = ResourceId(PLACE, Kind.ONLINE_DEPLOYMENT, name, "chat")
        tags = {TAG_NAME: f"chat-{name}"}
        cloud.seed(OnlineDeployment(part, "eastus2", model, "Standard_A", 1, tags=tags))
    wish = desired(load_text(MANIFEST, file="m.yaml"), stack="default")
    (row,) = rows(wish, cloud.observed(), Report())
    assert (row.traffic, dict(row.shares)) == (40, {})
