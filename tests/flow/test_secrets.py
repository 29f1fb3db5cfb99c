"""A key is in the file that was asked for and nowhere else that a run leaves behind."""

from __future__ import annotations

from pathlib import Path

from tests.flow.conftest import WORKSPACE, Folder, managed, serverless

EMULATED = ("--emulator", "-f", "m.yaml")


def _left_behind(folder: Folder) -> list[Path]:
    """Every file of the run but the outputs and the emulator's own state, which is Azure here."""
    files = (path for path in folder.path.rglob("*") if path.is_file())
    return [
        path for path in files if path.parent.name != "out" and not path.name.startswith("state.db")
    ]


def test_no_key_outside_its_file(folder: Folder) -> None:
    folder.write("m.yaml", WORKSPACE + serverless("llama") + managed("phi"))
    said = ""
    for arguments in (
        ("apply", *EMULATED, "--yes", "-vv"),
        ("apply", *EMULATED, "--yes", "-vv", "-o", "json"),
        ("plan", *EMULATED, "-vv", "-o", "json"),
        ("status", *EMULATED, "-vv", "-o", "yaml"),
        ("output", "llama", *EMULATED, "-vv"),
        ("destroy", *EMULATED, "--yes", "-vv", "--log-format", "json"),
    ):
        ran = folder.run(*arguments)
        said += ran.out + ran.err
    assert "Request URL" in said, "the noisiest output was looked at"
    keys = {
        folder.variables(f"out/{name}.env")["AZURE_INFERENCE_CREDENTIAL"]
        for name in ("llama", "phi")
    }
    assert len(keys) == 2
    for key in keys:
        assert key not in said
        for path in _left_behind(folder):
            assert key.encode() not in path.read_bytes(), path
    assert folder.emulator.client_secret not in said
