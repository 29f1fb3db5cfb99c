"""Plan files that somebody forged: refused by design, and nothing of another file is shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from provisioner.plan.saved import _seal
from tests.flow.conftest import WORKSPACE, Folder, serverless

Forge = Callable[[dict[str, Any]], object]


def put(name: str, value: object) -> Forge:
    return lambda body: body.__setitem__(name, value)


FORGERIES: dict[str, tuple[Forge, int, str]] = {
    "no plan": (lambda body: body.pop("plan"), 64, "plan.not-a-plan-file"),
    "no files": (lambda body: body.pop("files"), 64, "plan.not-a-plan-file"),
    "steps of numbers": (put("plan", {"steps": [1]}), 64, "plan.not-a-plan-file"),
    "steps are a number": (put("plan", {"steps": 5}), 64, "plan.not-a-plan-file"),
    "no stack": (put("stack", None), 64, "plan.not-a-plan-file"),
    "options are a list": (put("options", [1]), 64, "plan.not-a-plan-file"),
    "numbers as files": (put("files", {"m.yaml": 5}), 64, "plan.not-a-plan-file"),
    "numbers as sources": (put("sources", [1]), 64, "plan.not-a-plan-file"),
    "another source": (put("sources", ["secret.txt"]), 3, "plan.manifest-changed"),
    "one more source": (put("sources", ["m.yaml", "secret.txt"]), 3, "plan.manifest-changed"),
    "stdin": (put("sources", ["-"]), 3, "plan.manifest-changed"),
    "another digest": (put("digest", "0" * 64), 3, "plan.stale"),
    "another stack": (put("stack", "other"), 3, "plan.stale"),
    "another Azure": (put("cloud", "\x1b[2J##vso[task.complete]x"), 3, "plan.other-azure"),
    "another version": (put("version", "9\n::add-mask::x"), 3, "plan.other-version"),
}


@pytest.mark.slow
def test_a_forged_plan_does_nothing_and_shows_nothing(folder: Folder) -> None:
    folder.write("m.yaml", WORKSPACE + serverless("llama"))
    folder.write("secret.txt", "token: hush-hush\n")
    folder.run("plan", "--emulator", "-f", "m.yaml", "--out", "p.json")
    saved = json.loads((folder.path / "p.json").read_text("utf-8"))
    for name, (forge, code, word) in FORGERIES.items():
        body = json.loads(json.dumps(saved))
        body.pop("seal")
        forge(body)
        folder.write("x.json", json.dumps({**body, "seal": _seal(body)}))
        ran = folder.run("apply", "x.json", "--emulator", "--yes", expect=code)
        assert word in ran.err, name
        for never in ("hush-hush", "\x1b", "##vso[", "\n  ::add-mask::", "Traceback"):
            assert never not in ran.err + ran.out, name
    for text in ("[" * 200_000, '{"kind": "provisioner.azureml/SavedPlan", "a": ' + "[" * 200_000):
        folder.write("x.json", text)
        ran = folder.run("apply", "x.json", "--emulator", "--yes", expect=64)
        assert "plan.not-a-plan-file" in ran.err
    status = json.loads(folder.run("status", "--emulator", "-f", "m.yaml", "-o", "json").out)
    assert "absent" in json.dumps(status)
    folder.run("apply", "p.json", "--emulator", "--yes")
    folder.write("m.yaml", "token: hush-hush\n")  # a plan of a manifest that is none any more
    ran = folder.run("apply", "p.json", "--emulator", "--yes", expect=3)
    assert "plan.manifest-changed" in ran.err
    assert "hush" not in ran.err
