"""Every command of the documentation is run as printed, in order, page by page.

A page's ```sh blocks run in one folder that begins with the project's manifests/, against the
emulator of that folder. A ```yaml block that begins with the comment `# NAME` is that file.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from provisioner.cli.app import COMMANDS
from provisioner.manifest.load import load_text
from tests.flow.conftest import Folder, folder

pytestmark = pytest.mark.slow

__all__ = ["folder"]
ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
GENERATED = {"errors.md", "manifest.md"}
ELSEWHERE = {"emulator.md", "emulator-scenarios.md"}
"""Pages whose samples have a test of their own (tests/interop/test_documents.py)."""
FROM_NOTHING = {"guide.md"}
"""Pages that begin in an empty folder."""

PAGES = sorted(
    page
    for page in [ROOT / "README.md", *DOCS.glob("*.md")]
    if page.name not in GENERATED | ELSEWHERE
)
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"# (manifests/[\w./-]+)\n")
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")


def blocks(page: Path, language: str) -> list[str]:
    return [text for name, text in _BLOCK.findall(page.read_text("utf-8")) if name == language]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page, "sh")], ids=lambda page: page.name
)
def test_the_commands_run(folder: Folder, page: Path) -> None:
    if page.name not in FROM_NOTHING:
        (folder.path / "manifests").mkdir()
        for name in ("workspaces.yaml", "serverless.yaml"):
            text = (ROOT / "manifests" / name).read_text("utf-8")
            folder.write(f"manifests/{name}", text)
    for text in blocks(page, "yaml"):
        named = _FILE.match(text)
        if named:
            folder.write(named[1], text)
    shim = folder.path / ".bin" / "provision"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m provisioner "$@"\n')
    shim.chmod(0o755)
    environment = folder.environment({"PROVISION_EMULATOR": "1", "PYTHONPATH": str(ROOT)})
    environment["PATH"] = f"{shim.parent}{os.pathsep}{environment['PATH']}"
    script = "set -eux\n" + "".join(blocks(page, "sh"))
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder.path, env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_command_of_ours_is_only_shown(page: Path) -> None:
    for language, text in _BLOCK.findall(page.read_text("utf-8")):
        if language != "sh":
            shown = [line for line in text.splitlines() if re.match(r"\$? ?provision ", line)]
            assert not shown, f"{page.name}: put it into a block of sh, so that it is run"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_of_commands_and_manifests_are_right(page: Path) -> None:
    text = page.read_text("utf-8")
    for name in re.findall(r"`provision ([a-z]+)", text):
        assert name in COMMANDS, name
    for block in blocks(page, "yaml"):
        if "kind: ModelDeployment" in block:
            workspaces = (ROOT / "manifests/workspaces.yaml").read_text("utf-8")
            assert load_text(f"{workspaces}\n---\n{block}").deployments
        else:
            assert yaml.safe_load(block)


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize(
    "page",
    [*PAGES, *sorted((DOCS / "decisions").glob("*.md")), ROOT / "CONTRIBUTING.md"],
    ids=lambda page: page.name,
)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in _LINK.findall(page.read_text("utf-8")):
        place = (page.parent / target).resolve() if target else page
        assert place.exists(), f"{page.name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", place.read_text("utf-8"), re.MULTILINE)
            assert anchor in {_anchor(one) for one in headings}, f"{page.name}: {target}#{anchor}"


def test_every_command_has_its_place_in_the_readme() -> None:
    table = (ROOT / "README.md").read_text("utf-8")
    missing = [name for name in COMMANDS if f"`{name}`" not in table]
    assert not missing


def test_decisions_are_numbered_once() -> None:
    numbers = [page.name[:4] for page in (DOCS / "decisions").glob("*.md")]
    assert len(set(numbers)) == len(numbers)
    assert all(
        re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", p.name) for p in (DOCS / "decisions").iterdir()
    )
