"""What docs/emulator.md tells people to run, run as it stands there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from provisioner.emulator.control import Record
from tests.interop.conftest import ROOT, client_environment


def blocks(language: str) -> list[str]:
    text = (ROOT / "docs" / "emulator.md").read_text("utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)


@pytest.mark.parametrize("place", [0, 1])
def test_python(emulator: Record, place: int) -> None:
    told = [sys.executable, "-W", "ignore", "-c", blocks("python")[place]]
    done = subprocess.run(told, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] in ("9", "['rg-ml-prod', 'rg-ml-eu', 'rg-ml-dev']")


def test_azure_cli(emulator: Record, tmp_path: Path) -> None:
    [script] = [block for block in blocks("sh") if "az login" in block]
    path = f"{client_environment('az')}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-ec", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "mlw-prod" in done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_curl(emulator: Record) -> None:
    [script] = [block for block in blocks("sh") if "curl" in block]
    told = ["sh", "-ec", script]
    done = subprocess.run(told, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "mlw-prod" in done.stdout
