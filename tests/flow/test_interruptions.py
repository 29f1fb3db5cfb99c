"""Ctrl-C, termination and kill at any moment: the next run converges, with one of everything."""

from __future__ import annotations

import signal
import ssl
import subprocess
import time

import httpx
import pytest

from tests.flow.conftest import WORKSPACE, Folder, managed, serverless

EMULATED = ("--emulator", "-f", "m.yaml", "--yes")
MANIFEST = WORKSPACE + serverless("llama") + managed("phi")


def _until(process: subprocess.Popen[str], text: str) -> str:
    """Read stderr until a line holds `text`; return what was read."""
    assert process.stderr is not None
    read = ""
    for line in process.stderr:
        read += line
        if text in line:
            return read
    raise AssertionError(f"{text!r} never came:\n{read}")


def _end(process: subprocess.Popen[str]) -> tuple[str, str]:
    out, err = process.communicate(timeout=60)
    return out, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_first_signal_ends_in_order(folder: Folder, number: signal.Signals) -> None:
    folder.write("m.yaml", MANIFEST)
    folder.run("emulator", "start")
    process = folder.start("apply", *EMULATED)
    _until(process, "create online endpoint phi in mlw-prod: started")
    process.send_signal(number)
    _, err = _end(process)
    assert process.returncode == 130
    assert "left running" in err
    assert "skipped" in err
    assert "Traceback" not in err
    assert "cli.bug" not in err
    folder.run("apply", *EMULATED)
    folder.run("plan", *EMULATED[:-1], "--detailed-exitcode", expect=0)


def test_a_second_signal_leaves_at_once(folder: Folder) -> None:
    folder.write("m.yaml", MANIFEST)
    folder.run("emulator", "start")
    process = folder.start("apply", *EMULATED)
    _until(process, "create online endpoint phi in mlw-prod: started")
    process.send_signal(signal.SIGSTOP)  # so that both are pending when it goes on
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)
    started = time.monotonic()
    _end(process)
    assert process.returncode == 130
    assert time.monotonic() - started < 2.0


def _count(folder: Folder, collection: str) -> int:
    """How many of a kind are live, asked of ARM itself."""
    record = folder.emulator
    context = ssl.create_default_context(cafile=folder.ca)
    with httpx.Client(base_url=record.url, verify=context) as client:
        token = client.post(
            f"/{record.tenant_id}/oauth2/v2.0/token",
            data={
                "grant_type": "client_credentials",
                "client_id": record.client_id,
                "client_secret": record.client_secret,
                "scope": f"{record.url}/.default",
            },
        ).json()["access_token"]
        answer = client.get(
            f"/subscriptions/{record.subscription_id}/resourceGroups/rg-ml-prod/providers"
            f"/Microsoft.MachineLearningServices/workspaces/mlw-prod/{collection}",
            params={"api-version": "2024-10-01"},
            headers={"Authorization": f"Bearer {token}"},
        )
    return len(answer.json()["value"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment",
    [
        "reading what is live",
        "applying",
        "subscribe mlw-prod to Llama-3.3-70B-Instruct: done",
        "create online endpoint phi in mlw-prod: done",
        "set traffic of online endpoint phi in mlw-prod: started",
    ],
)
def test_killed_at_any_moment_it_converges(folder: Folder, moment: str) -> None:
    folder.write("m.yaml", MANIFEST)
    folder.run("emulator", "start")
    process = folder.start("apply", *EMULATED)
    _until(process, moment)
    process.kill()
    _end(process)
    folder.run("apply", *EMULATED)
    folder.run("plan", *EMULATED[:-1], "--detailed-exitcode", expect=0)
    for collection in ("marketplaceSubscriptions", "serverlessEndpoints", "onlineEndpoints"):
        assert _count(folder, collection) == 1
    assert _count(folder, "onlineEndpoints/phi/deployments") == 1
    for name in ("llama", "phi"):
        assert folder.variables(f"out/{name}.env")["AZURE_INFERENCE_CREDENTIAL"]
