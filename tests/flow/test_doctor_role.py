"""A principal with exactly the printed role can apply; without any one action it is told which."""

from __future__ import annotations

import asyncio
import io
import json
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from provisioner import apply, manifest, pipeline
from provisioner.azure import Settings, connect
from provisioner.cli.commands.role import role as command
from provisioner.clock import SystemClock
from provisioner.cloud import Cloud
from provisioner.emulator import control
from provisioner.errors import ProvisionError
from provisioner.events import ignore
from provisioner.pipeline import Wish
from provisioner.preflight import blocking
from provisioner.resources import Secret

TENANT = "aaaaaaaa-0000-4000-8000-000000000001"
SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-ml-prod"
MANIFESTS = f"""\
apiVersion: provisioner.azureml/v1
kind: Workspace
metadata: {{name: ml-prod}}
spec:
  subscriptionId: {SUBSCRIPTION}
  resourceGroup: rg-ml-prod
  workspaceName: mlw-prod
  region: eastus2
---
apiVersion: provisioner.azureml/v1
kind: ModelDeployment
metadata: {{name: llama}}
spec:
  workspace: ml-prod
  model: azureml-meta/Llama-3.3-70B-Instruct
  target: {{serverless: {{}}}}
  marketplace: {{acceptTerms: true}}
  outputs: [{{dotenv: {{path: llama.env}}}}]
---
apiVersion: provisioner.azureml/v1
kind: ModelDeployment
metadata: {{name: phi}}
spec:
  workspace: ml-prod
  model: azureml/Phi-4/versions/7
  target: {{managedCompute: {{instanceType: Standard_NC24ads_A100_v4, instanceCount: 1}}}}
  outputs: [{{dotenv: {{path: phi.env}}}}]
"""


def printed_roles(*options: str) -> list[dict[str, object]]:
    """What `provision role` prints for the manifests, without asking anybody."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "m.yaml")
        file.write_text(MANIFESTS, encoding="utf-8")
        done = CliRunner().invoke(command, ["-f", str(file), "--offline", *options])
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    return found if isinstance(found, list) else [found]


AGREED = {"preflight.accepts-terms"}
ROLE = printed_roles()[0]
ACTIONS = [str(action) for action in ROLE["Actions"]]  # type: ignore[attr-defined]


def principal(name: str) -> dict[str, str]:
    return {
        "name": name,
        "clientId": str(uuid.uuid5(uuid.NAMESPACE_URL, name)),
        "secret": f"secret-of-{name}-for-the-emulator",
    }


def without(action: str) -> str:
    return f"without-{ACTIONS.index(action)}"


WHOLE, SPLIT = principal("whole"), principal("split")


def scenario() -> str:
    """One principal with the role, one with the roles by scope, one without each action."""
    subscription = f"/subscriptions/{SUBSCRIPTION}"
    definitions, assignments = [], []

    def give(name: str, actions: list[str], scope: str, role: str) -> None:
        definitions.append({"name": role, "permissions": [{"actions": actions}]})
        assignments.append({"principal": name, "role": role, "scope": scope})

    give("whole", ACTIONS, subscription, "whole")
    for action in ACTIONS:
        rest = [one for one in ACTIONS if one != action]
        give(without(action), rest, subscription, without(action))
    for number, one in enumerate(printed_roles("--split")):
        scope = (
            subscription,
            GROUP,
            f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/mlw-prod",
        )[number]
        give("split", list(one["Actions"]), scope, f"split-{number}")  # type: ignore[call-overload]
    lacking = [principal(without(action)) for action in ACTIONS]
    quick = dict.fromkeys(
        ("subscription", "serverlessEndpoint", "onlineEndpoint", "deployment", "update", "delete"),
        "10ms",
    )
    owner = {"name": "provisioner-ci", "clientId": "bbbbbbbb-0000-4000-8000-000000000001"}
    return yaml.safe_dump(
        {
            "durations": quick,
            "principals": [{**owner, "secret": "emulator-only-secret"}, WHOLE, SPLIT, *lacking],
            "roleDefinitions": definitions,
            "roleAssignments": assignments,
        }
    )


@dataclass(frozen=True, slots=True)
class Tenant:
    record: control.Record

    @asynccontextmanager
    async def as_(self, who: dict[str, str]) -> AsyncIterator[Cloud]:
        settings = Settings(
            arm_endpoint=self.record.url,
            authority=self.record.url,
            ca_bundle=Path(self.record.ca_bundle),
            emulator=True,
            tenant_id=TENANT,
            client_id=who["clientId"],
            client_secret=Secret(who["secret"]),
        )
        async with connect(settings) as cloud:
            yield cloud


@pytest.fixture(scope="module")
def tenant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    folder = tmp_path_factory.mktemp("roles")
    file = folder / "scenario.yaml"
    file.write_text(scenario(), encoding="utf-8")
    yield Tenant(asyncio.run(control.start(folder, scenario=file)))
    asyncio.run(control.stop(folder))


async def prepared(cloud: Cloud) -> pipeline.Prepared:
    loaded = manifest.load(["-"], stdin=io.StringIO(MANIFESTS))
    return await pipeline.prepare(loaded, cloud, Wish(), SystemClock(), ignore)


@pytest.mark.parametrize("action", ACTIONS)
async def test_without_one_action_that_very_action_is_named(action: str, tenant: Tenant) -> None:
    async with tenant.as_(principal(without(action))) as cloud:
        try:
            problems = (await prepared(cloud)).findings
        except ProvisionError as error:
            problems = error.problems
    told = "\n".join(f"{one.what} {' '.join(one.details)}" for one in problems)
    assert action.lower() in told.lower()
    others = [one for one in ACTIONS if one != action and one.lower() in told.lower().split()]
    assert not others


async def test_with_exactly_the_role_nothing_is_missing_and_the_apply_works(
    tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with tenant.as_(SPLIT) as cloud:
        assert {one.code.id for one in (await prepared(cloud)).findings} == AGREED
    async with tenant.as_(WHOLE) as cloud:
        ready = await prepared(cloud)
        assert {one.code.id for one in ready.findings} == AGREED
        settings = apply.Settings(timeout=60)
        report = await apply.execute(ready.plan, cloud, SystemClock(), ignore, settings)
        assert not report.problems
        for wish in ready.desired.serverless:
            assert (await cloud.keys(wish.resource.id)).primary is not None
        again = await prepared(cloud)
        assert again.plan.empty
        assert not blocking(again.findings)
