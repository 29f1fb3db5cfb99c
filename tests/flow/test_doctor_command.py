"""`provision doctor`, `role` and `models` as a pipeline runs them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from provisioner.azure import Settings, connect
from provisioner.resources import Secret, WorkspaceId
from tests.flow.conftest import WORKSPACE, Folder, serverless

pytestmark = pytest.mark.slow


def test_doctor_annotates_a_pull_request(folder: Folder) -> None:
    folder.write("m.yaml", WORKSPACE + serverless("llama", accept="false"))
    run = json.loads(
        folder.run("doctor", "--emulator", "-f", "m.yaml", "-o", "sarif", expect=3).out
    )
    (result,) = run["runs"][0]["results"]
    assert result["ruleId"] == "preflight.consent-missing"
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "m.yaml"
    line = (folder.path / "m.yaml").read_text(encoding="utf-8").splitlines()
    assert "acceptTerms: false" in line[place["region"]["startLine"] - 1]

    text = folder.run("doctor", "--emulator", "-f", "m.yaml", "-o", "markdown", expect=3).out
    assert "| ❌ | `m.yaml:" in text
    done = folder.run("doctor", "--emulator", "-f", "m.yaml", "--accept-terms", "-o", "json")
    report = json.loads(done.out)
    assert report["blocked"] is False
    assert report["counts"] == {"error": 0, "warning": 0, "note": 1}
    (note,) = report["findings"]
    assert note["code"] == "preflight.accepts-terms"
    assert any("https://" in line for line in note["details"])


def test_doctor_reports_broken_manifests_in_the_same_form(folder: Folder) -> None:
    folder.write("m.yaml", WORKSPACE.replace("resourceGroup:", "resourceGruop:"))
    done = folder.run("doctor", "--emulator", "-f", "m.yaml", "-o", "sarif", expect=65)
    found = json.loads(done.out)["runs"][0]["results"]
    assert any("resourceGroup" in one["message"]["text"] for one in found)
    assert not (folder.path / ".provisioner").exists()  # nothing was asked


def test_what_the_registry_answers_is_not_doubted_besides(folder: Folder) -> None:
    folder.write("m.yaml", WORKSPACE + serverless("new", "azureml/Phi-5"))
    assert "manifest.unknown-model" in folder.run("validate", "-f", "m.yaml").err
    done = folder.run("doctor", "--emulator", "-f", "m.yaml", "-o", "json", expect=3)
    codes = [one["code"] for one in json.loads(done.out)["findings"]]
    assert "preflight.model-missing" in codes
    assert "manifest.unknown-model" not in codes


def test_models_without_azure(folder: Folder) -> None:
    listed = folder.run("models", "list", "--offline", "--search", "llama-3.3", "-o", "json").out
    (model,) = json.loads(listed)["models"]
    assert model["serverless"]["marketplace"] is True
    shown = folder.run("models", "show", "Llama-3.3-70B-Instruct", "--offline").out
    assert "swedencentral" in shown
    missing = folder.run("models", "show", "Llama-3.3-70B-Instruc", "--offline", expect=64)
    assert "azureml-meta/Llama-3.3-70B-Instruct" in missing.err


def test_models_where_azure_cannot_be_reached(folder: Folder) -> None:
    nowhere = "https://localhost:1"
    env = {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_CLIENT_SECRET": "s"}
    away = ("--arm-endpoint", nowhere, "--authority", nowhere)
    listed = folder.run("models", "list", "--search", "llama-3.3", "-o", "json", *away, env=env)
    (model,) = json.loads(listed.out)["models"]
    assert model["model"] == "azureml-meta/Llama-3.3-70B-Instruct"
    assert "warning[azure.unreachable]" in listed.err


def test_role_shrinks_once_the_workspace_is_subscribed(folder: Folder) -> None:
    folder.write("m.yaml", WORKSPACE + serverless("llama"))
    before = json.loads(folder.run("role", "--emulator", "-f", "m.yaml").out)
    assert before["AssignableScopes"] == ["/subscriptions/11111111-1111-1111-1111-111111111111"]
    folder.run("apply", "--emulator", "--yes", "-f", "m.yaml")
    after = json.loads(folder.run("role", "--emulator", "-f", "m.yaml").out)
    assert after["AssignableScopes"] == [
        f"{before['AssignableScopes'][0]}/resourceGroups/rg-ml-prod"
    ]
    assert "Microsoft.SaaS/register/action" in before["Actions"]
    assert set(after["Actions"]) < set(before["Actions"])


def test_who_accepted_what_and_when_is_on_record(folder: Folder) -> None:
    folder.write("m.yaml", WORKSPACE + serverless("llama"))
    ran = folder.run("apply", "--emulator", "--yes", "-f", "m.yaml", "--log-format", "json")
    events = [json.loads(line) for line in ran.err.splitlines() if "termsAccepted" in line]
    assert events
    by = "application bbbbbbbb-0000-4000-8000-000000000001 (m.yaml:"
    for event in events:
        assert event["by"].startswith(by)
        assert event["instant"].endswith("Z")
    assert any("meta-llama-3-3-70b" in event["offer"] for event in events)
    (tags,) = asyncio.run(tags_of_endpoints(folder))
    assert f" by {by}" in tags["provisioner-terms-accepted"]


async def tags_of_endpoints(folder: Folder) -> list[Mapping[str, str]]:
    record = folder.emulator
    settings = Settings(
        arm_endpoint=record.url,
        authority=record.url,
        ca_bundle=Path(record.ca_bundle),
        emulator=True,
        tenant_id=record.tenant_id,
        client_id="bbbbbbbb-0000-4000-8000-000000000001",
        client_secret=Secret("emulator-only-secret"),
    )
    place = WorkspaceId("11111111-1111-1111-1111-111111111111", "rg-ml-prod", "mlw-prod")
    async with connect(settings) as cloud:
        return [live.resource.tags for live in await cloud.serverless_endpoints(place)]


def test_a_registry_that_does_not_exist_is_answered_with_those_that_do(folder: Folder) -> None:
    said = folder.run("models", "list", "--emulator", "--registry", "azureml-mta", expect=1).err
    assert "the catalogue knows azureml, " in said
    assert "azureml-meta" in said
    assert "provision doctor" not in said
