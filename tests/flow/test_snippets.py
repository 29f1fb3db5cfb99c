"""Snippets run as printed, with what their own comments say to do first, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flow.conftest import WORKSPACE, Folder, managed, serverless

pytestmark = pytest.mark.slow

MANIFEST = (
    WORKSPACE
    + serverless("llama")
    + managed("phi").replace("out/phi.env", "out/phi.env, prefix: PHI_")
    + managed("bare").split("  outputs:")[0]
)
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    folder = Folder(tmp_path_factory.mktemp("snip pets"))
    folder.write("m.yaml", MANIFEST)
    folder.run("apply", "--emulator", "--yes", "-f", "m.yaml")
    yield folder
    folder.run("emulator", "stop")


def printed(folder: Folder, name: str, client: str, *more: str) -> str:
    return folder.run("snippet", name, "--emulator", "-f", "m.yaml", "--client", client, *more).out


def run_as_printed(folder: Path, client: str, code: str, python: str = sys.executable) -> str:
    """Save the code, do what its comment says, run it; nothing else is in the environment."""
    name = "snippet.sh" if client == "curl" else "snippet.py"
    (folder / name).write_text(code, encoding="utf-8")
    before = [line[4:] for line in code.splitlines() if line.startswith("#   ")]
    run = f"sh {name}" if client == "curl" else f"'{python}' {name}"
    kept = {key: os.environ[key] for key in _KEPT if key in os.environ}
    done = subprocess.run(
        ["/bin/sh", "-euc", "\n".join([*before, run])],
        cwd=folder,
        env={**kept, "PATH": f"{Path(sys.executable).parent}:{kept.get('PATH', '')}"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, f"{done.stderr[-3000:]}\n{code}"
    return done.stdout


@pytest.mark.parametrize("api", ["chat", "completions"])
@pytest.mark.parametrize("client", ["curl", "requests", "openai"])
@pytest.mark.parametrize("name", ["llama", "phi"])
def test_it_runs(here: Folder, name: str, client: str, api: str) -> None:
    code = printed(here, name, client, "--api", api)
    assert "This is the Azure ML emulator" in run_as_printed(here.path, client, code)
    held = here.variables(f"out/{name}.env")
    (key,) = (value for variable, value in held.items() if variable.endswith("CREDENTIAL"))
    assert key not in code


@pytest.mark.parametrize("client", ["curl", "requests", "openai"])
def test_the_key_only_when_it_is_asked_for(here: Folder, client: str) -> None:
    code = printed(here, "llama", client, "--inline-key")
    assert here.variables("out/llama.env")["AZURE_INFERENCE_CREDENTIAL"] in code
    assert "do not commit it" in code
    assert "environ" not in code
    assert "This is the Azure ML emulator" in run_as_printed(here.path, client, code)


@pytest.mark.parametrize("client", ["curl", "requests", "openai"])
def test_a_deployment_by_name(here: Folder, client: str) -> None:
    code = printed(here, "phi", client, "--deployment", "phi")
    assert "not Phi-4" in run_as_printed(here.path, client, code)


def test_without_a_dotenv_file_the_values_come_from_azure(here: Folder) -> None:
    code = printed(here, "bare", "requests")
    assert "provision output bare --export --emulator -f m.yaml" in code
    assert "not Phi-4" in run_as_printed(here.path, "requests", code)


def test_no_connection_is_needed(folder: Folder) -> None:
    folder.write("m.yaml", MANIFEST)
    code = folder.run("snippet", "llama", "-f", "m.yaml", "--client", "openai").out
    compile(code, "snippet.py", "exec")
    assert "CERT" not in code
    assert not (folder.path / ".provisioner").exists()


def test_a_call_that_the_client_has_not(folder: Folder) -> None:
    folder.write("m.yaml", MANIFEST)
    arguments = ("snippet", "llama", "-f", "m.yaml", "--client", "azure-ai-inference")
    assert "inference.no-snippet" in folder.run(*arguments, "--api", "completions", expect=64).err
