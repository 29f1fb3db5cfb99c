"""`apply --verify`: a model is called before anybody gets its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioner import apply, outputs, pipeline
from provisioner import manifest as manifests
from provisioner.errors import ExitCode
from provisioner.events import Event, Outcome, StepFinished
from provisioner.inference import Prober
from provisioner.pipeline import Applied, Wish
from provisioner.resources import AnyLive
from provisioner.wiring import Connection, Which, connect
from tests.flow.conftest import WORKSPACE, Folder, managed, serverless

pytestmark = pytest.mark.slow

EMULATED = ("--emulator", "-f", "m.yaml", "--yes", "--verify")
GUARD = managed("guard").replace("azureml/Phi-4/versions/7", "azureml-meta/Prompt-Guard-86M")
BASE = managed("base").replace("azureml/Phi-4/versions/7", "azureml-meta/Meta-Llama-3.1-8B")


def test_models_of_every_task_are_called(folder: Folder) -> None:
    folder.write("m.yaml", WORKSPACE + serverless("llama") + GUARD + BASE)
    ran = folder.run("apply", *EMULATED)
    for name in ("llama", "guard", "base"):
        assert f"call {name}: done" in ran.err
        key = folder.variables(f"out/{name}.env")["AZURE_INFERENCE_CREDENTIAL"]
        assert key not in ran.out + ran.err
    again = folder.run("apply", *EMULATED)
    assert "No changes." in again.err
    assert "call llama: done" in again.err


async def _apply(connection: Connection, folder: Folder, events: list[Event]) -> Applied:
    """An apply on which llama never answers; the others are really called."""
    real = Prober(connection.cloud, connection.clock, connection.ca_bundle)

    async def probe(live: AnyLive, deployment: str) -> str | None:
        wrong = live.id.name == "llama"
        return "the model is out to lunch" if wrong else await real(live, deployment)

    loaded = manifests.load([str(folder.path / "m.yaml")])
    prepared = await pipeline.prepare(
        loaded, connection.cloud, Wish(), connection.clock, events.append
    )
    settings = apply.Settings(probe=probe, verify=True)
    context = outputs.Context(cwd=folder.path)
    return await pipeline.carry_out(
        prepared, connection.cloud, connection.clock, events.append, settings, context
    )


async def test_what_does_not_answer_gets_no_outputs(folder: Folder) -> None:
    folder.write("m.yaml", WORKSPACE + serverless("llama") + managed("phi"))
    which = Which(emulator=True, folder=Path(folder.path, ".provisioner"))
    async with connect(which) as connection:
        for _ in range(2):  # the second finds nothing to change, and calls all the same
            events: list[Event] = []
            applied = await _apply(connection, folder, events)
            assert applied.exit_code is ExitCode.PARTIAL
            (problem,) = applied.problems
            assert problem.code.id == "verify.no-answer"
            assert "out to lunch" in problem.what
            assert problem.position is not None
            assert [one.deployment for one in applied.sinks] == ["phi"]
            assert not (folder.path / "out/llama.env").exists()
            ends = {one.title: one.outcome for one in events if isinstance(one, StepFinished)}
            assert ends["call llama"] is Outcome.FAILED
            assert ends["call phi"] is Outcome.DONE


def test_a_rollout_asks_its_probe(folder: Folder) -> None:
    """The new colour is really called, by its own name, before the old one goes."""
    rollout = ", rollout: {strategy: blueGreen, steps: [100], bake: 0s, probe: true}}"
    first = WORKSPACE + managed("phi").replace("instanceCount: 1}", "instanceCount: 1" + rollout)
    folder.write("m.yaml", first)
    folder.run("apply", *EMULATED)
    folder.write("m.yaml", first.replace("Standard_NC24ads_A100_v4", "Standard_NC48ads_A100_v4"))
    ran = folder.run("apply", *EMULATED, "--allow-destroy")
    assert "call phi: done" in ran.err
    assert "phi-2" in ran.err
