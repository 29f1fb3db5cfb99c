"""The steps of action.yml and of ci/azure-pipelines.yml run as they stand, without a secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.flow.conftest import WORKSPACE, serverless
from tests.pipelines.runner import ROOT, VENV, Job, Runner

pytestmark = pytest.mark.slow


def manifest(runner: Runner, *, sink: str = "githubOutput: {}", accept: str = "true") -> None:
    text = WORKSPACE + serverless("llama", accept=accept)
    text = text.replace("dotenv: {path: out/llama.env}", sink)
    (runner.folder / "manifests/m.yaml").write_text(text)


def who(runner: Runner) -> dict[str, str]:
    return {"client_id": runner.record.client_id, "tenant_id": runner.record.tenant_id}


async def test_from_a_pull_request_to_a_key(runner: Runner) -> None:
    manifest(runner)
    request = Job(runner, "pull_request")
    for _ in range(2):  # a second push rewrites the same comment
        assert [one.code for one in await request.uses(mode="plan", **who(runner))] == [0, 0, 0]
    assert (request.outputs["exit-code"], request.outputs["changes"]) == ("2", "true")
    (comment,) = runner.hosted.comments.values()
    assert comment.startswith("<!-- provision plan: default -->\n")
    assert "2 to create" in comment
    assert comment.partition("\n")[2] in request.summary

    merge = Job(runner)
    *_, applied = await merge.uses(mode="apply", **who(runner))
    assert applied.code == 0, applied.text
    assert merge.outputs["endpoint"].startswith("https://")
    key = merge.outputs["key"]
    assert applied.text.count(key) == 1
    assert f"::add-mask::{key}\n" in applied.out
    assert merge.outputs["exit-code"] == "0"

    drift = Job(runner, "schedule")
    *_, again = await drift.uses(mode="plan", **who(runner))
    assert (again.code, drift.outputs["exit-code"], drift.outputs["changes"]) == (0, "0", "false")
    assert len(runner.hosted.comments) == 1


@pytest.mark.parametrize("login", [None, "release-bot"])
async def test_a_strangers_comment_with_our_marker_is_left_alone(
    runner: Runner, login: str | None
) -> None:
    """Its author could rewrite the plan that reviewers read."""
    manifest(runner)
    forged = "<!-- provision plan: default -->\nNo changes."
    hosted = runner.hosted
    hosted.comments[1], hosted.login = forged, login
    hosted.strangers.add(1)
    for _ in range(2):
        ran = await Job(runner, "pull_request").uses(mode="plan", **who(runner))
        assert [one.code for one in ran] == [0, 0, 0]
    assert hosted.comments[1] == forged
    assert "2 to create" in hosted.comments[2]
    assert len(hosted.comments) == 2


async def test_a_plan_that_would_be_refused_fails_after_its_comment(runner: Runner) -> None:
    manifest(runner, accept="false")
    job = Job(runner, "pull_request")
    ran = await job.uses(mode="plan", **who(runner))
    assert [one.code for one in ran] == [0, 0, 0, 3]
    assert "terms" in next(iter(runner.hosted.comments.values()))
    assert "::error::" in ran[-1].out


async def test_a_pull_request_from_a_fork_has_a_summary_only(runner: Runner) -> None:
    manifest(runner)
    runner.hosted.may_comment = False
    job = Job(runner, "pull_request")
    *_, commented = await job.uses(mode="plan", **who(runner))
    assert commented.code == 0
    assert "::warning::" in commented.out
    assert "2 to create" in job.summary


async def test_an_invalid_manifest_fails_the_step(runner: Runner) -> None:
    (runner.folder / "manifests/m.yaml").write_text("kind: Nothing\n")
    job = Job(runner, "pull_request")
    *_, last = await job.uses(mode="plan", **who(runner))
    assert last.code == 65
    assert job.outputs["exit-code"] == "65"


async def test_reap_and_wrong_modes(runner: Runner) -> None:
    job = Job(runner, "schedule")
    *_, reaped = await job.uses(mode="reap", dry_run="true", stack="default", **who(runner))
    assert reaped.code == 0, reaped.text
    *_, reaped = await job.uses(mode="reap", within="6h", **who(runner))
    assert reaped.code == 0, reaped.text
    *_, wrong = await job.uses(mode="destroy; echo owned", **who(runner))
    assert wrong.code == 64
    assert "\nowned" not in wrong.text


async def test_inputs_are_arguments_and_never_commands(runner: Runner) -> None:
    manifest(runner)
    hostile = "manifests\n$(touch owned)\n`touch owned`; touch owned"
    *_, ran = await Job(runner).uses(mode="plan", manifests=hostile, **who(runner))
    assert ran.code != 0
    assert not (runner.folder / "owned").exists()
    *_, ran = await Job(runner).uses(mode="plan", arguments="--stack\nother", **who(runner))
    assert ran.code == 0, ran.text


def _scripts() -> dict[str, tuple[str, dict[str, Any]]]:
    """display name → script, task of every AzureCLI@2 task, wherever it stands."""
    found = {}

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if node.get("task") == "AzureCLI@2":
                found[node["displayName"]] = (node["inputs"]["inlineScript"], node)
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(yaml.safe_load((ROOT / "ci/azure-pipelines.yml").read_text(encoding="utf-8")))
    return found


async def test_azure_pipelines(runner: Runner) -> None:
    manifest(runner, sink="azureDevOps: {}")
    shims = runner.temporary / "shims"
    _executable(shims / "python3", VENV)
    agent = runner.temporary / "agent"
    agent.mkdir()
    environment = {
        **runner.environment(),
        "TF_BUILD": "True",
        "AGENT_TEMPDIRECTORY": str(agent),
        "PROVISIONER_SOURCE": "provisioner",
        "SYSTEM_ACCESSTOKEN": "runner-token",
        "SYSTEM_OIDCREQUESTURI": f"{runner.hosted.script.url}/oidc/devops",
        "AZURESUBSCRIPTION_CLIENT_ID": runner.record.client_id,
        "AZURESUBSCRIPTION_TENANT_ID": runner.record.tenant_id,
        "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": "connection",
    }
    environment["PATH"] = f"{shims}:{environment['PATH']}"
    scripts = _scripts()
    assert list(scripts) == ["provision plan", "provision apply", "provision reap"]
    for _, task in scripts.values():
        assert task["env"]["SYSTEM_ACCESSTOKEN"] == "$(System.AccessToken)"
    planned = await runner.bash(scripts["provision plan"][0], environment)
    assert planned.code == 0, planned.text
    assert f"##vso[task.uploadsummary]{agent}/plan.md" in planned.out
    assert "2 to create" in (agent / "plan.md").read_text()
    applied = await runner.bash(scripts["provision apply"][0], environment)
    assert applied.code == 0, applied.text
    assert "issecret=true" in applied.out
    reaped = await runner.bash(scripts["provision reap"][0], environment)
    assert reaped.code == 0, reaped.text


def _executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
