"""Which deployments `--verify` calls."""

from __future__ import annotations

import pytest

from provisioner.apply import Report
from provisioner.desired import desired
from provisioner.events import ignore
from provisioner.manifest.load import load_text
from provisioner.resources import (
    TAG_NAME,
    TAG_STACK,
    AnyLive,
    Kind,
    ModelRef,
    OnlineDeployment,
    OnlineEndpoint,
    ResourceId,
)
from provisioner.verify import Verification
from tests.fake_clock import FakeClock
from tests.fakes import FakeCloud
from tests.plan_cases import HEAD, PLACE, WORKSPACE

MANIFEST = f"""{WORKSPACE}---
{HEAD}metadata: {{name: chat-blue}}
spec:
  workspace: ml-prod
  model: azureml-meta/Meta-Llama-3.1-8B-Instruct/versions/4
  target:
    managedCompute:
      endpointName: chat
      deploymentName: blue
      instanceType: Standard_NC24ads_A100_v4
"""


@pytest.mark.parametrize(
    ("live", "beside"),
    [("blue", "other"), ("BLUE", "other"), ("blue-2", "other"), ("blue", "blue-2")],
)
def test_a_deployment_is_called_by_its_own_name(live: str, beside: str) -> None:
    """The manifest's name is another one, and a rollout uses two by turns; one that carries the
    second name for another manifest is not this one's."""
    clock = FakeClock()
    cloud = FakeCloud(clock)
    tags = {TAG_STACK: "default", TAG_NAME: "chat-blue"}
    model = ModelRef("azureml-meta", "Meta-Llama-3.1-8B-Instruct", "4")
    cloud.seed(OnlineEndpoint(ResourceId(PLACE, Kind.ONLINE_ENDPOINT, "chat"), "eastus2"))
    for name in (live, beside):
        tags = {**tags, TAG_NAME: "chat-blue" if name == live else beside}
        id = ResourceId(PLACE, Kind.ONLINE_DEPLOYMENT, name, "chat")
        cloud.seed(OnlineDeployment(id, "eastus2", model, "Standard_A", 1, tags=tags))
    called: list[str] = []

    async def probe(endpoint: AnyLive, deployment: str) -> str | None:
        called.append(deployment)
        return None

    wish = desired(load_text(MANIFEST, file="m.yaml"), stack="default")
    silent = clock.run(Verification(cloud, clock, ignore, probe).run(wish, Report()))
    assert not silent
    assert called == [live]
