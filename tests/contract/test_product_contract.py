"""What the command itself sends and understands, judged by the published specifications."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from provisioner.emulator.routing import Router
from provisioner.emulator.scenario import parse
from provisioner.emulator.server import Emulator, Settings, running
from tests.contract.described import route_of, stand_in, to_judge
from tests.contract.judge import judge
from tests.contract.recorder import Exchange, Recorder
from tests.shared import shared_dir

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = """\
apiVersion: provisioner.azureml/v1
kind: Workspace
metadata: {name: ml-prod}
spec:
  subscriptionId: 11111111-1111-1111-1111-111111111111
  resourceGroup: rg-ml-prod
  workspaceName: mlw-prod
  region: eastus2
---
apiVersion: provisioner.azureml/v1
kind: ModelDeployment
metadata: {name: llama, labels: {team: LABEL}}
spec:
  workspace: ml-prod
  model: azureml-meta/Llama-3.3-70B-Instruct
  target: {serverless: {}}
  marketplace: {acceptTerms: true}
  outputs: [{dotenv: {path: out/llama.env}}]
---
apiVersion: provisioner.azureml/v1
kind: ModelDeployment
metadata: {name: phi, labels: {team: LABEL}}
spec:
  workspace: ml-prod
  model: azureml://registries/azureml/models/Phi-4/versions/7
  target:
    managedCompute:
      instanceType: Standard_NC24ads_A100_v4
      instanceCount: COUNT
      traffic: 100
  outputs: [{dotenv: {path: out/phi.env}}]
"""
# Fifty times as fast, so that the whole life of two targets takes seconds.
SCENARIO = "clock: {speed: 50}\n"


@dataclass(frozen=True, slots=True)
class Life:
    """What passed over the wire from the first apply to the destroy."""

    exchanges: list[Exchange]
    router: Router
    codes: list[tuple[str, int, str]]


async def provision(emulator: Emulator, folder: Path, *arguments: str) -> tuple[int, str]:
    principal = emulator.settings.scenario.principals[0]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AZURE_")},
        "AZURE_TENANT_ID": emulator.settings.scenario.tenant_id,
        "AZURE_CLIENT_ID": principal.client_id,
        "AZURE_CLIENT_SECRET": principal.secret or "",
        "PROVISION_ARM_ENDPOINT": emulator.url,
        "PROVISION_AUTHORITY": emulator.url,
        "PROVISION_CA_BUNDLE": str(emulator.ca_bundle),
        "PYTHONPATH": str(ROOT),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "provisioner",
        *arguments,
        cwd=folder,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(90):
        output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def live(folder: Path) -> Life:
    codes = []
    async with running(Settings(folder, parse(SCENARIO))) as emulator:
        recorder = Recorder(emulator.app)
        emulator.server.config.loaded_app = recorder
        manifest = folder / "manifest.yaml"
        for label, count, command in (
            ("one", "1", ("apply", "--yes")),
            ("one", "1", ("plan", "--detailed-exitcode")),
            ("two", "2", ("apply", "--yes")),
            ("two", "2", ("status",)),
            ("two", "2", ("destroy", "--yes")),
        ):
            manifest.write_text(MANIFEST.replace("LABEL", label).replace("COUNT", count))
            arguments = (command[0], "-f", str(manifest), *command[1:])
            code, output = await provision(emulator, folder, *arguments)
            codes.append((command[0], code, output))
        return Life(recorder.exchanges, emulator.app.router, codes)


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    shared_dir("azure-specs")  # without it, do not even begin
    return asyncio.run(live(tmp_path_factory.mktemp("life")))


def test_the_life_of_two_targets(life: Life) -> None:
    expected = [
        ("apply", 0),
        ("plan", 0),
        ("apply", 0),
        ("status", 0),
        ("destroy", 0),
    ]
    outputs = "\n".join(output for _, _, output in life.codes)
    assert [(command, code) for command, code, _ in life.codes] == expected, outputs
    sent = {(e.method, r.operation) for e in life.exchanges if (r := route_of(life.router, e))}
    assert sent >= {
        ("PUT", "marketplaceSubscriptions.put"),
        ("POST", "agreements.sign"),
        ("PUT", "serverlessEndpoints.put"),
        ("POST", "serverlessEndpoints.listKeys"),
        ("DELETE", "serverlessEndpoints.delete"),
        ("PUT", "onlineEndpoints.put"),
        ("PUT", "onlineDeployments.put"),
        ("DELETE", "onlineEndpoints.delete"),
    }


def test_all_that_passed_agrees_with_the_specification(life: Life, tmp_path: Path) -> None:
    exchanges = to_judge(life.router, life.exchanges)
    verdicts = judge(exchanges, shared_dir("azure-specs"), tmp_path, stand_in)
    wrong = [f"{v.exchange}\n    {problem}" for v in verdicts for problem in v.problems]
    assert not wrong, "\n".join(dict.fromkeys(wrong))
    assert len(verdicts) > 50
