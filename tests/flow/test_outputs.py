"""A sink that fails loses nothing else, and is written again by the command that is printed."""

from __future__ import annotations

import shlex

from tests.flow.conftest import WORKSPACE, Folder, serverless


def manifest(path: str) -> str:
    text = WORKSPACE + serverless("llama")
    both = f"- dotenv: {{path: {path}}}\n    - keyVault: {{vaultUrl: https://kv.invalid}}\n"
    return text.replace("- dotenv: {path: out/llama.env}\n", both)


def test_one_sink_fails(folder: Folder) -> None:
    folder.write("m.yaml", manifest("out/llama.env"))
    ran = folder.run("apply", "--emulator", "--yes", "-f", "m.yaml", expect=4)
    assert "output.store" in ran.err
    assert "m.yaml:" in ran.err
    written = folder.variables("out/llama.env")
    assert written["AZURE_INFERENCE_CREDENTIAL"] not in ran.out + ran.err
    (again,) = [line.strip() for line in ran.err.splitlines() if "--write" in line]
    assert again == "provision output llama --write --emulator -f m.yaml"

    # Mended, the printed command writes what was missing and leaves the rest as it is.
    folder.write("m.yaml", WORKSPACE + serverless("llama", path="out/other.env"))
    (folder.path / "out/llama.env").rename(folder.path / "out/kept.env")
    assert folder.run(*shlex.split(again)[1:]).out == "written: out/other.env (dotenv)\n"
    assert folder.variables("out/other.env") == written
    assert folder.run(*shlex.split(again)[1:]).out == "unchanged: out/other.env (dotenv)\n"


def test_what_cannot_be_written_is_refused_before_anything_is_made(folder: Folder) -> None:
    (folder.path / "out").write_text("a file where a folder should be")
    folder.write("m.yaml", WORKSPACE + serverless("llama"))
    refused = folder.run("apply", "--emulator", "--yes", "-f", "m.yaml", expect=3)
    assert "output.unwritable" in refused.err
    folder.run("plan", "--emulator", "--detailed-exitcode", "-f", "m.yaml", expect=2)
