"""Case files of the planner: manifests and what is live → the plan's text.

A case is a YAML file in tests/cases/plan: `reason` (a sentence), `manifests` (text; a Workspace
`ml-prod` is added), `observed` (see `_seed`), `options`, `does` (plan or destroy), and what is
expected: `plan` (text), `refused` and `noticed` (codes), `guarded` (codes).
`UPDATE_CASES=1 pytest tests/unit/test_plan_cases.py` writes what is expected anew, for review.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from provisioner.desired import desired
from provisioner.manifest.load import load_text
from provisioner.plan import Options, Plan, destroy, plan
from provisioner.resources import (
    SHARED_CAPACITY,
    TAG_NAME,
    TAG_STACK,
    ContentSafety,
    Kind,
    MarketplacePlan,
    MarketplaceSubscription,
    ModelRef,
    OnlineDeployment,
    OnlineEndpoint,
    Resource,
    ResourceId,
    ServerlessEndpoint,
    State,
    WorkspaceId,
)
from tests.fake_clock import FakeClock
from tests.fakes import FakeCloud

FOLDER = Path(__file__).parent / "cases" / "plan"
PLACE = WorkspaceId("11111111-1111-1111-1111-111111111111", "rg-ml-prod", "mlw-prod")
WORKSPACE = """\
apiVersion: provisioner.azureml/v1
kind: Workspace
metadata: {name: ml-prod}
spec:
  subscriptionId: 11111111-1111-1111-1111-111111111111
  resourceGroup: rg-ml-prod
  workspaceName: mlw-prod
  region: eastus2
"""
HEAD = "apiVersion: provisioner.azureml/v1\nkind: ModelDeployment\n"


@dataclass(frozen=True, slots=True)
class Case:
    path: Path
    content: Mapping[str, Any]

    def plan(self) -> Plan:
        texts = [WORKSPACE, *(HEAD + one for one in _documents(self.content["manifests"]))]
        manifests = load_text("---\n".join(texts), file="case.yaml")
        wish = desired(manifests, stack="default")
        clock = FakeClock()
        cloud = FakeCloud(clock)
        for live in self.content.get("observed") or []:
            _seed(cloud, live)
        observed = {PLACE: cloud.view(PLACE)}
        options = Options(**(self.content.get("options") or {}))
        make = destroy if self.content.get("does") == "destroy" else plan
        return make(wish, observed, clock.now(), options)


def cases() -> list[Case]:
    files = sorted(FOLDER.glob("*.yaml"))
    return [Case(file, yaml.safe_load(file.read_text())) for file in files]


def _documents(text: str) -> list[str]:
    return [part.lstrip("\n") for part in text.split("---\n") if part.strip()]


def _seed(cloud: FakeCloud, live: Mapping[str, Any]) -> None:
    """`ours: name` stands for our tags, `tags` are further ones, `in` names the endpoint,
    `livesOn` the subscription that a serverless endpoint has."""
    more: dict[str, Any] = {}
    if "offer" in live:
        more["plan"] = MarketplacePlan(*live["offer"].split("/"))
    if "condition" in live:
        more["condition"] = live["condition"]
    if "livesOn" in live:
        more["subscription"] = live["livesOn"]
    cloud.seed(_resource(live), State(live.get("state", "Succeeded")), **more)


def _resource(live: Mapping[str, Any]) -> Resource:
    tags = dict(live.get("tags") or {})
    if "ours" in live:
        tags |= {TAG_STACK: "default", TAG_NAME: live["ours"]}
    match live:
        case {"subscription": name, "model": model}:
            id = ResourceId(PLACE, Kind.MARKETPLACE_SUBSCRIPTION, name)
            return MarketplaceSubscription(id, ModelRef.parse(model))
        case {"serverless": name, "model": model}:
            return ServerlessEndpoint(
                id=ResourceId(PLACE, Kind.SERVERLESS_ENDPOINT, name),
                location="eastus2",
                model=ModelRef.parse(model),
                content_safety=ContentSafety(live.get("contentSafety", "Enabled")),
                tags=tags,
            )
        case {"endpoint": name}:
            return OnlineEndpoint(
                id=ResourceId(PLACE, Kind.ONLINE_ENDPOINT, name),
                location="eastus2",
                auth_mode=live.get("authMode", "Key"),
                description=live.get("description"),
                traffic=live.get("traffic") or {},
                properties={SHARED_CAPACITY: "true"} if live.get("sharedQuota") else {},
                tags=tags,
            )
        case {"deployment": name, "in": endpoint, "model": model}:
            return OnlineDeployment(
                id=ResourceId(PLACE, Kind.ONLINE_DEPLOYMENT, name, endpoint),
                location="eastus2",
                model=ModelRef.parse(model),
                instance_type=live.get("instanceType", "Standard_NC24ads_A100_v4"),
                instance_count=live.get("instanceCount", 1),
                environment_variables=live.get("environmentVariables"),
                tags=tags,
            )
        case _:
            raise ValueError(f"what is {live}?")
