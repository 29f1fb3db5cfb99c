"""What goes wrong is told as a designed error with its exit code, and nothing is half done."""

from __future__ import annotations

import ssl
import subprocess

import httpx
import pytest

from tests.flow.conftest import WORKSPACE, Folder, Ran, serverless

EMULATED = ("--emulator", "-f", "m.yaml")


def _writes(folder: Folder) -> int:
    """How many requests changed something, by the emulator's own log."""
    context = ssl.create_default_context(cafile=folder.ca)
    log = httpx.get(f"{folder.emulator.url}/emulator/requests", verify=context).json()
    return sum(
        entry["method"] in ("PUT", "PATCH", "DELETE")
        for entry in log["requests"]
        if "/emulator/" not in entry["path"]
    )


def _designed(ran: Ran, code: str) -> None:
    assert f"[{code}" in ran.err
    assert "  who: " in ran.err
    assert "  fix: " in ran.err


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (": : :", "manifest."),
        (WORKSPACE + WORKSPACE.replace("apiVersion", "---\napiVersion", 1), "manifest."),
        (WORKSPACE + serverless("llama").replace("model:", "modell:"), "manifest.unknown-key"),
        (WORKSPACE.replace("eastus2", "eastus22"), "manifest."),
        ("a: &a [x]\nb: [" + ",".join(["*a"] * 9) + "]", "manifest."),
    ],
    ids=["broken yaml", "same name twice", "unknown key", "bad region", "no document"],
)
def test_invalid_manifests(folder: Folder, text: str, code: str) -> None:
    folder.write("m.yaml", text)
    ran = folder.run("apply", *EMULATED, "--yes", expect=65)
    _designed(ran, code)
    assert not (folder.path / ".provisioner").exists(), "nothing is started for a bad manifest"


def test_without_a_terminal_a_yes_is_wanted(folder: Folder) -> None:
    folder.write("m.yaml", WORKSPACE + serverless("llama"))
    for command in ("apply", "destroy"):
        _designed(folder.run(command, *EMULATED, stdin="yes\n", expect=64), "cli.not-confirmed")


def test_wrong_usage(folder: Folder) -> None:
    _designed(folder.run("aply", expect=64), "cli.usage")
    _designed(folder.run("apply", "--emulatr", expect=64), "cli.usage")
    _designed(folder.run("plan", "-f", "x", "-l", "=novalue", expect=64), "cli.usage")
    _designed(folder.run("plan", "-f", "nothing-here", expect=65), "manifest.")


def test_terms_are_not_accepted_by_accident(folder: Folder) -> None:
    folder.write("m.yaml", WORKSPACE + serverless("llama", accept="false"))
    refused = folder.run("apply", *EMULATED, "--yes", expect=3)
    assert "--accept-terms" in refused.err
    assert _writes(folder) == 0
    folder.run("plan", *EMULATED, expect=3)
    folder.run("apply", *EMULATED, "--yes", "--accept-terms")


def test_an_output_that_cannot_be_written_stops_everything_before(folder: Folder) -> None:
    (folder.path / "out").write_text("a file where a folder should be")
    folder.write("m.yaml", WORKSPACE + serverless("llama"))
    _designed(folder.run("apply", *EMULATED, "--yes", expect=3), "output.unwritable")
    assert "m.yaml:" in folder.run("apply", *EMULATED, "--yes", expect=3).err
    assert not (folder.path / ".provisioner").exists()


def test_an_output_that_git_tracks(folder: Folder) -> None:
    folder.write("kept.env", "A=1\n")
    for arguments in (("init", "-q"), ("add", "kept.env")):
        subprocess.run(["git", *arguments], cwd=folder.path, check=True)
    folder.write("m.yaml", WORKSPACE + serverless("llama", path="kept.env"))
    _designed(folder.run("apply", *EMULATED, "--yes", expect=3), "output.tracked")


def test_wrong_credentials(folder: Folder) -> None:
    folder.run("emulator", "start")
    environment = {
        "AZURE_TENANT_ID": folder.emulator.tenant_id,
        "AZURE_CLIENT_ID": folder.emulator.client_id,
        "AZURE_CLIENT_SECRET": "certainly-not-the-secret",
        "AZURE_AUTHORITY_HOST": folder.emulator.url,
        "PROVISION_ARM_ENDPOINT": folder.emulator.url,
        "PROVISION_AUTHORITY": folder.emulator.url,
        "PROVISION_CA_BUNDLE": folder.ca,
    }
    folder.write("m.yaml", WORKSPACE + serverless("llama"))
    ran = folder.run("apply", "-f", "m.yaml", "--yes", env=environment, expect=1)
    _designed(ran, "")
    assert "certainly-not-the-secret" not in ran.out + ran.err
    assert "cli.bug" not in ran.err


def test_an_endpoint_that_does_not_answer(folder: Folder) -> None:
    environment = {
        "AZURE_TENANT_ID": "aaaaaaaa-0000-4000-8000-000000000001",
        "AZURE_CLIENT_ID": "bbbbbbbb-0000-4000-8000-000000000001",
        "AZURE_CLIENT_SECRET": "some-secret",
        "PROVISION_ARM_ENDPOINT": "https://localhost:1",
        "PROVISION_AUTHORITY": "https://localhost:1",
    }
    folder.write("m.yaml", WORKSPACE + serverless("llama"))
    ran = folder.run("plan", "-f", "m.yaml", env=environment, expect=1)
    _designed(ran, "")
    assert "cli.bug" not in ran.err


def test_a_certificate_that_is_not_trusted(folder: Folder) -> None:
    folder.run("emulator", "start")
    environment = {
        "AZURE_TENANT_ID": folder.emulator.tenant_id,
        "AZURE_CLIENT_ID": folder.emulator.client_id,
        "AZURE_CLIENT_SECRET": folder.emulator.client_secret,
        "PROVISION_ARM_ENDPOINT": folder.emulator.url,
        "PROVISION_AUTHORITY": folder.emulator.url,
    }
    folder.write("m.yaml", WORKSPACE + serverless("llama"))
    ran = folder.run("plan", "-f", "m.yaml", env=environment, expect=1)
    _designed(ran, "")
    assert "cli.bug" not in ran.err


def test_a_workspace_that_does_not_exist(folder: Folder) -> None:
    folder.write("m.yaml", WORKSPACE.replace("mlw-prod", "mlw-nowhere") + serverless("llama"))
    _designed(folder.run("apply", *EMULATED, "--yes", expect=3), "")
    assert _writes(folder) == 0


def test_an_emulator_without_a_place_for_its_state(folder: Folder) -> None:
    folder.write(".provisioner", "a file")
    told = folder.run("emulator", "start", expect=1).err
    assert "emulator.not-started" in told
    assert "keeps its state in .provisioner" in told
    assert "emulator.log" not in told
