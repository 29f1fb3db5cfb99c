"""Rows of the status table."""

from __future__ import annotations

from provisioner.apply import Report
from provisioner.cli.render.rows import rows
from provisioner.desired import desired
from provisioner.manifest.load import load_text
from provisioner.resources import Kind, ModelRef, OnlineDeployment, OnlineEndpoint, ResourceId
from tests.fake_clock import FakeClock
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
