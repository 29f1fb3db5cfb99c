"""The Azure CLI, unmodified, in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from azure.identity import AzureCliCredential

from provisioner.emulator.control import Record
from tests.interop.conftest import client_environment

Az = Callable[..., Any]
OFFER = (
    *("--publisher", "metagenai"),
    *("--offer", "meta-llama-3-1-8b-instruct-offer"),
    *("--plan", "meta-llama-3-1-8b-instruct-plan"),
)
READER = "bbbbbbbb-0000-4000-8000-000000000002"
PHI = "azureml://registries/azureml/models/Phi-4"


@pytest.fixture(scope="module")
def home(emulator: Record, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLI that has heard of nothing yet; its environment is that of all these tests."""
    folder = tmp_path_factory.mktemp("azure")
    os.environ["AZURE_CONFIG_DIR"] = str(folder)
    os.environ["AZURE_CORE_COLLECT_TELEMETRY"] = "false"
    os.environ["PATH"] = f"{client_environment('az')}{os.pathsep}{os.environ['PATH']}"
    return folder


@pytest.fixture(scope="module")
def az(emulator: Record, home: Path) -> Az:
    """`az …` as a function of its arguments; the JSON that it prints, or its refusal."""

    def run(*arguments: str, fails: bool = False) -> Any:
        done = subprocess.run(
            ["az", *arguments, "--only-show-errors", "-o", "json"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode != 0) == fails, f"az {arguments}: {done.stderr}"
        if fails:
            return done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    run("cloud", "register", "-n", "Emulator", "--endpoint-resource-manager", emulator.url)
    run("cloud", "set", "-n", "Emulator")
    run("config", "set", "core.instance_discovery=false")
    run(
        "login",
        "--service-principal",
        "-u",
        emulator.client_id,
        "-p",
        emulator.client_secret,
        "--tenant",
        emulator.tenant_id,
    )
    return run


@pytest.fixture(scope="module")
def workspace(emulator: Record) -> str:
    return (
        f"/subscriptions/{emulator.subscription_id}/resourceGroups/rg-ml-eu"
        "/providers/Microsoft.MachineLearningServices/workspaces/mlw-eu"
    )


def test_the_account(az: Az, emulator: Record) -> None:
    account = az("account", "show")
    assert account["id"] == emulator.subscription_id
    assert account["tenantId"] == emulator.tenant_id
    assert account["state"] == "Enabled"


def test_groups_and_providers(az: Az) -> None:
    assert "rg-ml-eu" in [group["name"] for group in az("group", "list")]
    provider = az("provider", "show", "-n", "Microsoft.MachineLearningServices")
    assert provider["registrationState"] == "Registered"


def test_rest(az: Az, emulator: Record, workspace: str) -> None:
    shown = az("rest", "--url", f"{workspace}?api-version=2024-10-01")
    assert shown["location"] == "swedencentral"
    refused = az("rest", "--url", f"{workspace}x?api-version=2024-10-01", fails=True)
    assert "ResourceNotFound" in refused


def test_resources_listed_shown_created_and_deleted(az: Az, workspace: str) -> None:
    kind = "Microsoft.MachineLearningServices/workspaces"
    listed = az("resource", "list", "--resource-type", kind)
    assert sorted(each["name"] for each in listed) == ["mlw-dev", "mlw-eu", "mlw-prod"]
    shown = az("resource", "show", "--ids", workspace, "--api-version", "2024-10-01")
    assert shown["name"] == "mlw-eu"

    identifier = f"{workspace}/serverlessEndpoints/cli-phi"
    body = {
        "location": "swedencentral",
        "properties": {"authMode": "Key", "modelSettings": {"modelId": PHI}},
    }
    made = az(
        *("resource", "create", "--id", identifier, "--api-version", "2024-10-01"),
        *("--is-full-object", "--properties", json.dumps(body)),
    )
    assert made["properties"]["provisioningState"] == "Succeeded"
    assert made["properties"]["inferenceEndpoint"]["uri"].endswith("/cli-phi")
    az("resource", "delete", "--ids", identifier, "--api-version", "2024-10-01")
    gone = ("resource", "show", "--ids", identifier, "--api-version", "2024-10-01")
    assert "NotFound" in az(*gone, fails=True)


def test_terms_of_an_image(az: Az) -> None:
    terms = az("vm", "image", "terms", "show", *OFFER)
    assert terms["publisher"] == "metagenai"
    assert az("vm", "image", "terms", "accept", *OFFER)["accepted"]
    assert az("vm", "image", "terms", "show", *OFFER)["accepted"]


def test_role_assignments(az: Az, emulator: Record) -> None:
    scope = f"/subscriptions/{emulator.subscription_id}"
    listed = az("role", "assignment", "list", "--scope", scope, "--fill-principal-name", "false")
    assert "Owner" in [each["roleDefinitionName"] for each in listed]
    named = az("role", "assignment", "list", "--scope", scope)
    assert {each["principalId"] for each in named} == {each["principalId"] for each in listed}


def test_a_group_a_role_and_a_lock_made_and_removed(az: Az, emulator: Record) -> None:
    made = az("group", "create", "-n", "rg-cli", "-l", "eastus2", "--tags", "a=b")
    assert made["tags"] == {"a": "b"}
    role = ("--assignee", READER, "--scope", made["id"])
    az("role", "assignment", "create", "--role", "Contributor", *role)
    named = az("role", "assignment", "list", *role)
    assert [(each["roleDefinitionName"], each["principalName"]) for each in named] == [
        ("Contributor", READER)
    ]
    az("role", "assignment", "delete", *role)
    az("lock", "create", "-n", "keep", "-g", "rg-cli", "--lock-type", "CanNotDelete")
    assert "ScopeLocked" in az("group", "delete", "-n", "rg-cli", "-y", fails=True)
    az("lock", "delete", "-n", "keep", "-g", "rg-cli")
    az("group", "delete", "-n", "rg-cli", "-y")
    assert az("group", "exists", "-n", "rg-cli") is False


def test_a_workspace_is_tagged(az: Az, workspace: str) -> None:
    tagged = az("resource", "tag", "--ids", workspace, "--tags", "team=search")
    assert tagged["tags"] == {"team": "search"}
    found = az("resource", "list", "--tag", "team=search")
    assert [each["name"] for each in found] == ["mlw-eu"]


def test_azure_identity_signs_in_through_the_cli(az: Az, emulator: Record) -> None:
    token = AzureCliCredential().get_token(f"{emulator.url}/.default")
    assert token.token.count(".") == 2
