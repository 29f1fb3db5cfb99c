"""From an empty folder to a model that answers, and back to nothing."""

from __future__ import annotations

import json
import re
import ssl
import stat

import httpx
import pytest

from tests.flow.conftest import WORKSPACE, Folder, managed, serverless

EMULATED = ("--emulator", "-f", "m.yaml")


def _ask(folder: Folder, variables: dict[str, str], key: str | None = None) -> httpx.Response:
    token = key or variables["AZURE_INFERENCE_CREDENTIAL"]
    return httpx.post(
        f"{variables['AZURE_INFERENCE_ENDPOINT']}/chat/completions",
        headers={"Authorization": f"Bearer {token}"},
        json={"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 20},
        verify=ssl.create_default_context(cafile=folder.ca),
    )


def test_the_whole_way(folder: Folder) -> None:
    folder.write("m.yaml", WORKSPACE + serverless("llama") + managed("phi"))
    before = folder.run("plan", *EMULATED, "--detailed-exitcode", expect=2)
    assert "Plan: 4 to create" in before.out
    assert not (folder.path / "out").exists()

    applied = folder.run("apply", *EMULATED, "--yes")
    assert "using the emulator at https://localhost:" in applied.err
    assert "\n\n\n" not in applied.err, "one empty line is enough"
    assert "0 to delete.\nOutputs, written where they differ: out/llama.env" in applied.err
    assert "(dotenv).\n\nnote[preflight.accepts-terms]" in applied.err
    assert re.search(r"\n\nApplied in [0-9.]+s: 4 created\.\n", applied.err)
    variables = folder.variables("out/llama.env")
    key = variables["AZURE_INFERENCE_CREDENTIAL"]
    assert key not in applied.out + applied.err
    assert variables["AZURE_INFERENCE_ENDPOINT"] in applied.out
    assert stat.S_IMODE((folder.path / "out/llama.env").stat().st_mode) == 0o600

    for name in ("llama", "phi"):
        answer = _ask(folder, folder.variables(f"out/{name}.env"))
        assert answer.status_code == 200
        assert answer.json()["choices"][0]["message"]["content"]
        assert _ask(folder, variables, key="wrong").status_code == 401

    again = folder.run("apply", *EMULATED, "--yes")
    assert "No changes." in again.err
    assert "\n\n\n" not in again.err
    folder.run("plan", *EMULATED, "--detailed-exitcode", expect=0)

    folder.write("m.yaml", WORKSPACE + serverless("llama") + managed("phi", count=2))
    changed = folder.run("plan", *EMULATED, "--detailed-exitcode", expect=2)
    assert "instanceCount: 1 → 2" in changed.out
    assert "Plan: 0 to create, 1 to change, 0 to replace, 0 to delete." in changed.out

    gone = folder.run("destroy", *EMULATED, "--yes")
    assert "Destroyed in" in gone.out
    assert "Nothing to destroy" in folder.run("destroy", *EMULATED, "--yes").out


def test_starter_manifest(folder: Folder) -> None:
    """What init writes is valid and can be deployed on the emulator, terms accepted."""
    validate, apply = folder.run("init").out.splitlines()[1:]
    exists = folder.run("init", expect=64)
    assert "cli.file-exists" in exists.err
    folder.run(*validate.split()[1:])
    folder.run(*apply.split()[1:], "--yes")


def test_results_for_machines(folder: Folder) -> None:
    folder.write("m.yaml", WORKSPACE + serverless("llama"))
    plan = json.loads(folder.run("plan", *EMULATED, "-o", "json").out)
    assert [step["action"] for step in plan["steps"]] == ["create", "create"]
    applied = folder.run("apply", *EMULATED, "--yes", "-o", "json", "--log-format", "json")
    result = json.loads(applied.out)
    assert result["exitCode"] == 0
    (deployment,) = result["deployments"]
    assert deployment["state"] == "Succeeded"
    assert deployment["outputs"] == [
        {"sink": "dotenv", "target": "out/llama.env", "status": "written"}
    ]
    events = [json.loads(line) for line in applied.err.splitlines()]
    assert {"stepStarted", "stepFinished", "outputWritten", "termsAccepted"} <= {
        event["event"] for event in events
    }
    status = json.loads(folder.run("status", *EMULATED, "-o", "json").out)
    assert status["deployments"][0]["url"] == deployment["url"]
    none = folder.run("status", *EMULATED, "-l", "team=ads")
    assert none.out == "No deployment matches.\n"
    assert "manifest.no-match" in none.err
    markdown = folder.run("plan", *EMULATED, "-o", "markdown").out
    assert "No changes" in markdown


def test_output_on_demand(folder: Folder) -> None:
    folder.write("m.yaml", WORKSPACE + serverless("llama"))
    missing = folder.run("output", "llama", *EMULATED, expect=1)
    assert "cli.not-deployed" in missing.err
    folder.run("apply", *EMULATED, "--yes")
    written = folder.variables("out/llama.env")
    key = written["AZURE_INFERENCE_CREDENTIAL"]
    plain = folder.run("output", "llama", *EMULATED)
    assert plain.out.strip() == written["AZURE_INFERENCE_ENDPOINT"]
    assert key not in plain.out + plain.err
    assert folder.run("output", "llama", *EMULATED, "--key").out.strip() == key
    document = json.loads(folder.run("output", "llama", *EMULATED, "-o", "json").out)
    assert "key" not in document
    export = folder.run("output", "llama", *EMULATED, "--export").out
    assert f"export AZURE_INFERENCE_CREDENTIAL={key}\n" in export
    (folder.path / "out/llama.env").unlink()
    assert "written: out/llama.env" in folder.run("output", "llama", *EMULATED, "--write").out
    assert folder.variables("out/llama.env") == written
    unknown = folder.run("output", "lama", *EMULATED, expect=64)
    assert 'did you mean "llama"' in unknown.err


def test_the_emulator_by_hand(folder: Folder) -> None:
    assert folder.run("emulator", "status", expect=1).out == "not running\n"
    assert not (folder.path / ".provisioner").exists()
    assert "cli.no-emulator" in folder.run("emulator", "env", expect=1).err
    started = folder.run("emulator", "start").out
    assert started == folder.run("emulator", "start").out
    for option in (("--port", "1"), ("--scenario", "locked"), ("--state", "other.db")):
        other = folder.run("emulator", "start", *option, expect=64).err
        assert "cli.emulator-runs" in other
        assert option[0] in other
    assert started == folder.run("emulator", "start", "--port", str(folder.emulator.port)).out
    assert folder.emulator.url in folder.run("emulator", "status").out
    environment = json.loads(folder.run("emulator", "env", "-o", "json").out)
    assert environment["PROVISION_ARM_ENDPOINT"] == folder.emulator.url
    folder.write("m.yaml", WORKSPACE + serverless("llama"))
    # Reached like any other Azure, by what `env` prints.
    folder.run("plan", "-f", "m.yaml", "--detailed-exitcode", env=environment, expect=2)
    assert folder.run("emulator", "stop").out == "stopped\n"
    assert folder.run("emulator", "stop").out == "not running\n"
    said = folder.run("emulator", "start", "--scenario", "none-such", expect=1).err
    assert said.count("The scenario cannot be used") == 1
    assert "Shutting down" not in said, "what an earlier one logged"


@pytest.mark.parametrize("arguments", [(), ("emulator",)])
def test_no_arguments_shows_help(folder: Folder, arguments: tuple[str, ...]) -> None:
    assert "Usage: provision" in folder.run(*arguments, expect=64).err
