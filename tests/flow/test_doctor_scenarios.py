"""What would fail in the middle of an apply is found before its first write, and only that.

Each scenario is played on the emulator. The plan is judged first, then carried out all the same:
where a check says no, the service says no as well; in the neighbouring scenario, which differs in
that one thing, neither does.

Longer than other modules because it is a list of scenes, each beside its neighbour.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from provisioner import apply, manifest, pipeline
from provisioner.azure import Settings, connect
from provisioner.azure.settings import Patience
from provisioner.clock import SystemClock
from provisioner.cloud import Cloud
from provisioner.emulator import control
from provisioner.errors import Problem
from provisioner.events import Outcome, ignore
from provisioner.pipeline import Prepared, Wish
from provisioner.plan import Plan
from provisioner.preflight import blocking
from provisioner.resources import Secret

pytestmark = pytest.mark.slow
TENANT = "aaaaaaaa-0000-4000-8000-000000000001"
OWNER = ("bbbbbbbb-0000-4000-8000-000000000001", "emulator-only-secret")
READER = ("bbbbbbbb-0000-4000-8000-000000000002", "emulator-reader-secret")

QUICK = dict.fromkeys(
    ("subscription", "serverlessEndpoint", "onlineEndpoint", "deployment", "update", "delete"),
    "10ms",
)


def tenant(
    workspace: Mapping[str, Any] | None = None,
    *,
    group: Mapping[str, Any] | None = None,
    **subscription: Any,
) -> dict[str, Any]:
    """An Azure subscription of the scenario, in good order but for what is given."""
    place = {"name": "mlw-prod", "location": "eastus2", **(workspace or {})}
    inside = {
        "name": "rg-ml-prod",
        "location": "eastus2",
        "workspaces": [place],
        **(group or {}),
    }
    return {
        "name": "ML production",
        "quotas": {"*": {"standardNCADSA100v4Family": "0/96"}},
        "resourceGroups": [inside],
        **subscription,
    }


WORKSPACE = """\
apiVersion: provisioner.azureml/v1
kind: Workspace
metadata: {name: ml-prod}
spec: {subscriptionId: SUBSCRIPTION, resourceGroup: rg-ml-prod, workspaceName: mlw-prod,
       region: REGION}
"""


def serverless(model: str = "azureml-meta/Llama-3.3-70B-Instruct", name: str = "llama") -> str:
    return f"""---
apiVersion: provisioner.azureml/v1
kind: ModelDeployment
metadata: {{name: {name}-NUMBER}}
spec: {{workspace: ml-prod, model: {model}, target: {{serverless: {{}}}}}}
"""


def managed(settings: str = "", model: str = "azureml/Phi-4/versions/7") -> str:
    size = "" if "instanceType" in settings else "instanceType: Standard_NC24ads_A100_v4, "
    return f"""---
apiVersion: provisioner.azureml/v1
kind: ModelDeployment
metadata: {{name: phi-NUMBER}}
spec:
  workspace: ml-prod
  model: {model}
  target: {{managedCompute: {{{size}instanceCount: 1{settings}}}}}
"""


def managed_set(numbers: Iterable[int]) -> str:
    """Deployments of one endpoint that carry no traffic."""
    return "".join(
        managed(", endpointName: phi-NUMBER, traffic: 0").replace(
            "name: phi-NUMBER}", f"name: phi-NUMBER-{number}}}"
        )
        for number in numbers
    )


def two_workspaces(region: str) -> dict[str, Any]:
    places = [
        {"name": "mlw-prod", "location": "eastus2"},
        {"name": "mlw-second", "location": region},
    ]
    return tenant(group={"workspaces": places})


def second_workspace(region: str) -> str:
    return "---\n" + WORKSPACE.replace("ml-prod}", "ml-second}").replace(
        "mlw-prod", "mlw-second"
    ).replace("REGION", region)


def in_second(number: int, model: str, endpoint: str) -> str:
    """A serverless endpoint in the second workspace."""
    text = serverless(f"azureml/{model}", f"second-{number}").replace("ml-prod", "ml-second")
    return text.replace("serverless: {}", f"serverless: {{endpointName: {endpoint}-NUMBER}}")


@dataclass(frozen=True, slots=True)
class Scene:
    """A scenario, manifests, and the code of the finding that is due; None: none may block."""

    name: str
    tenant: dict[str, Any]
    manifests: str
    code: str | None
    who: tuple[str, str] = OWNER
    region: str = "eastus2"
    accept: bool = True
    first: str = ""
    """Manifests that are applied before; empty: nothing is there."""
    destroys: bool = False

    def __str__(self) -> str:
        return self.name


def cores(text: str, family: str = "standardNCADSA100v4Family") -> dict[str, Any]:
    return {"*": {family: text}}


def locked(level: str) -> dict[str, Any]:
    return {"locks": [{"name": "keep", "level": level}]}


SCENES = [
    Scene("good order, serverless", tenant(), serverless(), None),
    Scene("good order, managed", tenant(), managed(), None),
    Scene(
        "free trial",
        tenant(quotaId="FreeTrial_2014-09-01"),
        serverless(),
        "preflight.free-subscription",
    ),
    Scene("free trial, managed", tenant(quotaId="FreeTrial_2014-09-01"), managed(), None),
    Scene(
        "spending limit",
        tenant(spendingLimit="On"),
        serverless(),
        "preflight.spending-limit",
    ),
    Scene(
        "spending limit, nothing to buy",
        tenant(spendingLimit="On"),
        serverless("azureml/Phi-4"),
        None,
    ),
    Scene(
        "spending limit of the period only",
        tenant(spendingLimit="CurrentPeriodOff"),
        serverless(),
        None,
    ),
    Scene("disabled", tenant(state="Disabled"), serverless(), "preflight.subscription-state"),
    Scene("warned", tenant(state="Warned"), serverless(), None),
    Scene(
        "provider not registered",
        tenant(registeredProviders=["Microsoft.SaaS", "Microsoft.MarketplaceOrdering"]),
        managed(),
        "preflight.provider-not-registered",
    ),
    Scene(
        "SaaS not registered",
        tenant(registeredProviders=["Microsoft.MachineLearningServices"]),
        serverless(),
        None,
    ),
    Scene(
        "SaaS not registered, nothing to buy",
        tenant(registeredProviders=["Microsoft.MachineLearningServices"]),
        serverless("azureml/Phi-4"),
        None,
    ),
    Scene(
        "region of the model",
        tenant({"location": "westeurope"}),
        serverless(),
        "preflight.model-region",
        region="westeurope",
    ),
    Scene(
        "another region of the model",
        tenant({"location": "swedencentral"}),
        serverless(),
        None,
        region="swedencentral",
    ),
    Scene(
        "workspace that is not there",
        tenant({"name": "mlw-other"}),
        serverless(),
        "preflight.workspace-missing",
    ),
    Scene(
        "managed network not ready",
        tenant({"managedNetwork": {"isolationMode": "AllowInternetOutbound"}}),
        managed(),
        "preflight.managed-network",
    ),
    Scene(
        "managed network ready",
        tenant({"managedNetwork": {"isolationMode": "AllowInternetOutbound", "status": "Active"}}),
        managed(),
        None,
    ),
    Scene(
        "retired",
        tenant(),
        serverless("azureml-meta/Meta-Llama-3.1-8B-Instruct"),
        "preflight.model-retired",
    ),
    Scene(
        "version that is not there",
        tenant(),
        managed(model="azureml/Phi-4/versions/99"),
        "preflight.model-missing",
    ),
    Scene("no version", tenant(), managed(model="azureml/Phi-4"), None),
    Scene(
        "instance type",
        tenant(),
        managed(", instanceType: Standard_DS3_v2"),
        "preflight.instance-type",
    ),
    Scene(
        "shared quota forbidden",
        tenant(),
        managed(
            ", instanceType: Standard_NC48ads_A100_v4, sharedQuota: true",
            "azureml-meta/Meta-Llama-3.1-70B/versions/2",
        ),
        "preflight.shared-quota",
    ),
    Scene("shared quota", tenant(), managed(", sharedQuota: true"), None),
    Scene(
        "one core too few",
        tenant(quotas=cores("73/96")),
        managed(),
        "preflight.quota-short",
    ),
    Scene("just enough cores", tenant(quotas=cores("72/96")), managed(), None),
    Scene(
        "no cores, shared quota",
        tenant(quotas=cores("0/0")),
        managed(", sharedQuota: true"),
        None,
    ),
    Scene(
        "reserve of 20 %",
        tenant(quotas=cores("0/24", "standardNCSv3Family")),
        managed(", instanceType: Standard_NC24s_v3"),
        "preflight.quota-short",
    ),
    Scene(
        "room for the reserve",
        tenant(quotas=cores("0/48", "standardNCSv3Family")),
        managed(", instanceType: Standard_NC24s_v3"),
        None,
    ),
    Scene(
        "two of one model",
        tenant(),
        serverless() + serverless(name="llama-b"),
        "preflight.one-per-model",
    ),
    Scene("reader", tenant(), serverless(), "preflight.rights-missing", who=READER),
    Scene(
        "read-only lock",
        tenant(group=locked("ReadOnly")),
        serverless(),
        "preflight.locked",
    ),
    Scene("delete lock", tenant(group=locked("CanNotDelete")), serverless(), None),
    Scene(
        "delete lock, destroying",
        tenant(group=locked("CanNotDelete")),
        serverless("azureml/Phi-4"),
        "preflight.locked",
        first=serverless("azureml/Phi-4"),
        destroys=True,
    ),
    Scene(
        "destroying",
        tenant(),
        serverless("azureml/Phi-4"),
        None,
        first=serverless("azureml/Phi-4"),
        destroys=True,
    ),
    Scene(
        "21 deployments of one endpoint",
        tenant(quotas=cores("0/999")),
        managed_set(range(21)),
        "preflight.too-many",
        first=managed_set(range(20)),
    ),
    Scene(
        "20 deployments of one endpoint",
        tenant(quotas=cores("0/999")),
        managed_set(range(20)),
        None,
        first=managed_set(range(19)),
    ),
    Scene(
        "scaling beyond the quota",
        tenant(quotas=cores("48/96")),
        managed().replace("instanceCount: 1", "instanceCount: 3"),
        "preflight.quota-short",
        first=managed(),
    ),
    Scene(
        "scaling within the quota",
        tenant(quotas=cores("48/96")),
        managed().replace("instanceCount: 1", "instanceCount: 2"),
        None,
        first=managed(),
    ),
    Scene(
        "name that another workspace has",
        two_workspaces("eastus2"),
        second_workspace("eastus2") + serverless("azureml/Phi-4") + in_second(3, "Phi-4", "next"),
        "preflight.name-clash",
        first=second_workspace("eastus2") + in_second(2, "Phi-4-mini-instruct", "llama"),
    ),
    Scene(
        "name that another workspace has in another region",
        two_workspaces("westus3"),
        second_workspace("westus3") + serverless("azureml/Phi-4") + in_second(3, "Phi-4", "next"),
        None,
        first=second_workspace("westus3") + in_second(2, "Phi-4-mini-instruct", "llama"),
    ),
    Scene("no consent", tenant(), serverless(), "preflight.consent-missing", accept=False),
]


IDS = {
    scene.name: f"{number:08}-0000-4000-8000-000000000000" for number, scene in enumerate(SCENES)
}
"""Each scene has an Azure subscription to itself, so that one emulator serves them all."""


def whole_scenario() -> str:
    return yaml.safe_dump(
        {
            "durations": QUICK,
            "subscriptions": [{"id": IDS[scene.name], **scene.tenant} for scene in SCENES],
            "roleAssignments": [
                {"principal": "provisioner-ci", "role": "Owner", "scope": "/"},
                {"principal": "reader", "role": "Reader", "scope": "/"},
            ],
        }
    )


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Iterator[control.Record]:
    folder = tmp_path_factory.mktemp("doctor")
    scenario = folder / "scenario.yaml"
    scenario.write_text(whole_scenario(), encoding="utf-8")
    record = asyncio.run(control.start(folder, scenario=scenario))
    yield record
    asyncio.run(control.stop(folder))


@asynccontextmanager
async def signed_in(record: control.Record, who: tuple[str, str]) -> AsyncIterator[Cloud]:
    settings = Settings(
        arm_endpoint=record.url,
        authority=record.url,
        ca_bundle=Path(record.ca_bundle),
        emulator=True,
        tenant_id=TENANT,
        client_id=who[0],
        client_secret=Secret(who[1]),
        # What a registration or a lock forbids is not mended by waiting here.
        patience=Patience(attempts=2, first_delay=0.01, throttled=1, conflict=0.2),
    )
    async with connect(settings) as cloud:
        yield cloud


async def judged(cloud: Cloud, scene: Scene, manifests: str, *, destroys: bool = False) -> Prepared:
    text = WORKSPACE + manifests
    text = text.replace("SUBSCRIPTION", IDS[scene.name]).replace("REGION", scene.region)
    text = text.replace("NUMBER", str(list(IDS).index(scene.name)))
    loaded = manifest.load(["-"], stdin=io.StringIO(text))
    wish = Wish(accept_terms=scene.accept)
    prepare = pipeline.prepare_destroy if destroys else pipeline.prepare
    return await prepare(loaded, cloud, wish, SystemClock(), ignore)


async def carried_out(cloud: Cloud, plan: Plan, seconds: float) -> list[Problem]:
    """What goes wrong when the plan is carried out whatever was found."""
    settings = apply.Settings(timeout=seconds)
    report = await apply.execute(plan, cloud, SystemClock(), ignore, settings)
    failed = [one for one in report.results if one.outcome is Outcome.FAILED]
    assert all(one.problem is not None for one in failed)
    return [one.problem for one in failed if one.problem is not None]


@pytest.mark.parametrize("scene", SCENES, ids=str)
async def test_scene(scene: Scene, record: control.Record) -> None:
    async with signed_in(record, scene.who) as cloud:
        if scene.first:
            before = await judged(cloud, scene, scene.first)
            assert not await carried_out(cloud, before.plan, 60)
        found = await judged(cloud, scene, scene.manifests, destroys=scene.destroys)
        blocks = {one.code.id for one in blocking(found.findings)}
        failures = await carried_out(cloud, found.plan, 5 if scene.code else 60)
    if scene.code is None:
        assert not blocks
        assert not failures
        return
    assert blocks == {scene.code}
    assert failures, "the service would have done it: the check is wrong"
    for one in found.findings:
        assert one.hint
