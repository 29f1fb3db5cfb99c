"""Files of `az ml`, read by azure-ai-ml's own loaders, as manifests that read back the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioner.azure.az_ml_files import read
from provisioner.errors import Severity
from provisioner.imported import Wanted, describe_workspace
from provisioner.manifest.load import load_text
from provisioner.resources import WorkspaceId
from tests.flow.conftest import Folder, folder

pytestmark = pytest.mark.slow

__all__ = ["folder"]
PLACE = WorkspaceId("11111111-1111-1111-1111-111111111111", "rg-ml-prod", "mlw-prod")
SCHEMA = "$schema: https://azuremlschemas.azureedge.net/latest/{}.schema.json\n"
SERVERLESS = SCHEMA.format("serverlessEndpoint") + (
    "name: llama-33-70b\n"
    "model_id: azureml://registries/azureml-meta/models/Llama-3.3-70B-Instruct\n"
    "tags: {team: search}\n"
)
SUBSCRIPTION = SCHEMA.format("marketplaceSubscription") + (
    "name: llama\nmodel_id: azureml://registries/azureml-meta/models/Llama-3.3-70B-Instruct\n"
)
ENDPOINT = SCHEMA.format("managedOnlineEndpoint") + (
    "name: phi-4\nauth_mode: key\ndescription: For everybody\ntraffic: {blue: 90, green: 10}\n"
)
DEPLOYMENT = (
    SCHEMA.format("managedOnlineDeployment")
    + """\
name: blue
endpoint_name: phi-4
model: azureml://registries/azureml/models/Phi-4/versions/7
instance_type: Standard_NC24ads_A100_v4
instance_count: 2
environment_variables: {LOG: debug}
request_settings: {request_timeout_ms: 90000, max_queue_wait_ms: 500}
liveness_probe: {initial_delay: 600, period: 10, timeout: 2, failure_threshold: 30}
data_collector:
  sampling_rate: 0.1
  collections: {model_inputs: {enabled: "True"}}
"""
)


def files(folder: Path, *texts: str) -> list[Path]:
    paths = [folder / f"{number}.yml" for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, encoding="utf-8")
    return paths


def test_everything_that_a_manifest_can_say(tmp_path: Path) -> None:
    green = DEPLOYMENT.replace("name: blue", "name: green")
    paths = files(tmp_path, SERVERLESS, SUBSCRIPTION, ENDPOINT, DEPLOYMENT, green)
    seen, problems = read(paths, PLACE, "eastus2")
    assert [problem.code.id for problem in problems] == ["import.az-ml-left-out"]
    assert "needs no manifest" in problems[0].what
    imported = describe_workspace(seen, Wanted(environment=True))
    loaded = load_text(imported.text(), "imported.yaml")
    llama, blue, other = (one.document for one in loaded.deployments)
    assert (llama.metadata.name, llama.metadata.labels) == ("llama-33-70b", {"team": "search"})
    managed = blue.spec.target.managed_compute
    assert managed is not None
    assert (managed.endpoint_name, managed.instance_count, managed.traffic) == ("phi-4", 2, 90)
    assert managed.description == "For everybody"
    assert managed.environment_variables == {"LOG": "debug"}
    assert managed.request_settings is not None
    assert managed.request_settings.request_timeout == 90
    assert managed.request_settings.max_queue_wait == 0.5
    assert managed.liveness_probe is not None
    assert managed.liveness_probe.initial_delay == 600
    assert managed.data_collection is not None
    assert (managed.data_collection.inputs, managed.data_collection.outputs) == (True, False)
    assert other.spec.target.managed_compute is not None
    assert other.spec.target.managed_compute.traffic == 10


def test_a_deployment_alone_takes_all_the_traffic(tmp_path: Path) -> None:
    seen, problems = read(files(tmp_path, DEPLOYMENT), PLACE, "eastus2")
    assert problems == []
    assert [dict(live.resource.traffic) for live in seen.endpoints] == [{"blue": 100}]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ENDPOINT.replace("key", "aml_token"), "auth_mode"),
        (ENDPOINT, "without a deployment"),
        (DEPLOYMENT + "app_insights_enabled: true\n", "app_insights_enabled"),
    ],
)
def test_what_a_manifest_cannot_say_is_named(tmp_path: Path, text: str, words: str) -> None:
    _, problems = read(files(tmp_path, text), PLACE, "eastus2")
    assert [problem.severity for problem in problems] == [Severity.WARNING]
    assert words in problems[0].what


@pytest.mark.parametrize(
    "text",
    ["", "- a\n", "a: [\n", "\t", "name: x\n", SCHEMA.format("batchEndpoint") + "name: x\n",
     ENDPOINT.replace("key", "nope"), SERVERLESS.replace("model_id: ", "model: "),
     DEPLOYMENT.replace("instance_type: ", "size: "), "a: &a [*a]\n"],
)  # fmt: skip
def test_what_az_ml_would_not_take_is_refused(tmp_path: Path, text: str) -> None:
    seen, problems = read(files(tmp_path, text, SERVERLESS), PLACE, "eastus2")
    assert [problem.code.id for problem in problems] == ["import.az-ml-file"]
    assert problems[0].severity is Severity.ERROR
    assert len(seen.serverless) == 1


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    (path,) = files(tmp_path, "")
    path.write_bytes(b"\xff\xfe\x00")
    _, problems = read([path, tmp_path / "absent.yml"], PLACE, "eastus2")
    assert [problem.code.id for problem in problems] == ["import.az-ml-file"] * 2


def test_the_command(folder: Folder) -> None:
    """Imported files can be applied, and then a live import of the same plans nothing."""
    where = ("--subscription", PLACE.subscription, "-g", PLACE.resource_group, "-w", PLACE.name)
    folder.write("s.yml", SERVERLESS)
    folder.write("d.yml", DEPLOYMENT)
    given = ("--az-ml", "s.yml", "--az-ml", "d.yml")
    assert "belong together" in folder.run("import", *where, *given, expect=64).err
    ran = folder.run("import", *where, *given, "--region", "East US 2", "--out", "m.yaml")
    assert ran.err.splitlines() == ["Wrote 2 deployments to m.yaml"]
    text = (folder.path / "m.yaml").read_text()
    assert "LOG" not in text
    folder.run("apply", "--emulator", "--yes", "--accept-terms", "-f", "m.yaml")
    live = folder.run("import", "--emulator", *where, "--out", "live.yaml")
    assert "experimental" not in live.err
    folder.run("plan", "--emulator", "--detailed-exitcode", "-f", "live.yaml", expect=0)
    # Another stack is somebody else's.
    refused = folder.run(
        "plan", "--emulator", "--stack", "other", "-f", "live.yaml", "--adopt", expect=3
    )
    assert "default" in refused.out + refused.err
