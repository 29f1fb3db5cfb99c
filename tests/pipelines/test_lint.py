"""The files for pipelines before the linters of their formats."""

from __future__ import annotations

import asyncio
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from provisioner.cli.health import Health, serve
from tests.pipelines.runner import ROOT

BIN = Path(sys.executable).parent
_ALLOWED = "SC2154,SC2250,SC2292,SC2312"
YAML = ("action.yml", "ci/github-workflow.yml", "ci/azure-pipelines.yml")


def lint(*command: str, stdin: str | None = None) -> None:
    done = subprocess.run(
        command, cwd=ROOT, input=stdin, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def program(name: str) -> str:
    path = BIN / name
    if not path.exists():
        pytest.skip(f"{name} is not installed: there is none for this platform")
    return str(path)


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("vendor.github-actions", "action.yml"),
        ("vendor.github-workflows", "ci/github-workflow.yml"),
        ("vendor.azure-pipelines", "ci/azure-pipelines.yml"),
    ],
)
def test_against_its_published_schema(schema: str, file: str) -> None:
    assert find_spec("check_jsonschema")
    # Azure's schema has patterns that are no Unicode regular expressions.
    variant = ("--regex-variant", "nonunicode")
    lint(sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *variant, file)


def test_yaml() -> None:
    lint(sys.executable, "-m", "yamllint", "--strict", "-c", ".yamllint.yml", *YAML)


def _scripts(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node[key] for key in ("run", "inlineScript") if isinstance(node.get(key), str)]
        return own + [text for value in node.values() for text in _scripts(value)]
    if isinstance(node, list):
        return [text for value in node for text in _scripts(value)]
    return []


@pytest.mark.parametrize("file", ["action.yml", "ci/azure-pipelines.yml"])
def test_shell_steps(file: str) -> None:
    scripts = _scripts(yaml.safe_load((ROOT / file).read_text(encoding="utf-8")))
    assert len(scripts) >= 3
    for script in scripts:
        # What is not assigned here comes from the runner; [ ] and $x are as good as [[ ]] and ${x}.
        lint(program("shellcheck"), "-s", "bash", "-o", "all", "-e", _ALLOWED, "-", stdin=script)


@pytest.mark.parametrize("file", ["action.yml", "ci/azure-pipelines.yml"])
def test_python_runs_nothing_of_the_checkout(file: str) -> None:
    """`python -m venv` prefers a venv.py of the current directory, which a pull request may add."""
    for script in _scripts(yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))):
        for line in script.splitlines():
            if re.search(r"\bpython3?\b", line):
                assert re.search(r'\bpython3?"? -I ', line), line


def test_every_foreign_action_is_pinned_by_a_commit() -> None:
    for file in YAML[:2]:
        for used in re.findall(r"uses: (\S+)", (ROOT / file).read_text(encoding="utf-8")):
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", used), used


def test_dockerfile() -> None:
    lint(program("hadolint"), "Dockerfile")
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    last = text.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001:10001$", last, re.MULTILINE)
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for copied in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE):
        assert set(copied.split()) <= {line.removeprefix("!") for line in kept}


async def test_the_image_is_healthy_as_long_as_watch_is() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    command = yaml.safe_load(text.partition("HEALTHCHECK")[2].partition("CMD ")[2].splitlines()[0])
    assert command[0] == "python"

    def check(port: int) -> int:
        script = command[-1].replace(":8080/", f":{port}/")
        assert script != command[-1], shlex.join(command)
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
        return done.returncode

    async with serve(Health(patience=60), "127.0.0.1", 0) as port:
        assert await asyncio.to_thread(check, port) == 0
    async with serve(Health(patience=-1), "127.0.0.1", 0) as port:
        assert await asyncio.to_thread(check, port) != 0
    assert await asyncio.to_thread(check, port) != 0
