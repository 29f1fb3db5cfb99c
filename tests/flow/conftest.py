"""The command line as a person runs it: new processes in a folder of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from provisioner.emulator.control import Record, _read

MODULE = (sys.executable, "-m", "provisioner")
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV")


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Folder:
    """A working folder with an emulator of its own, as soon as a command asks for it."""

    path: Path

    def run(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        stdin: str = "",
        expect: int | None = 0,
    ) -> Ran:
        """Run `provision` without a terminal; its exit code must be `expect` (None: any)."""
        done = subprocess.run(
            [*MODULE, *arguments],
            cwd=self.path,
            env=self.environment(env),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        ran = Ran(done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in ran.err, ran.err
        assert expect is None or ran.code == expect, f"{ran.code}\n{ran.out}\n{ran.err}"
        return ran

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `provision` in a process group of its own, as a terminal would."""
        return subprocess.Popen(
            [*MODULE, *arguments],
            cwd=self.path,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        return {**kept, "PYTHONWARNINGS": "default", **(more or {})}

    def write(self, name: str, text: str) -> str:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return name

    def variables(self, name: str) -> dict[str, str]:
        """The values of a dotenv file."""
        lines = (self.path / name).read_text(encoding="utf-8").splitlines()
        pairs = (line.split("=", 1) for line in lines if not line.startswith("#"))
        return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}

    @property
    def emulator(self) -> Record:
        record = _read(self.path / ".provisioner")
        assert record is not None
        return record

    @property
    def ca(self) -> str:
        return str(self.path / ".provisioner" / "ca.pem")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    """An empty folder; its emulator, if one was started, is stopped afterwards."""
    here = Folder(tmp_path)
    yield here
    record = _read(tmp_path / ".provisioner") if (tmp_path / ".provisioner").is_dir() else None
    if record is not None:
        try:
            os.kill(record.pid, signal.SIGTERM)
        except ProcessLookupError:
            return


WORKSPACE = """\
apiVersion: provisioner.azureml/v1
kind: Workspace
metadata: {name: ml-prod}
spec:
  subscriptionId: 11111111-1111-1111-1111-111111111111
  resourceGroup: rg-ml-prod
  workspaceName: mlw-prod
  region: eastus2
"""


def serverless(name: str, model: str = "azureml-meta/Llama-3.3-70B-Instruct", **more: Any) -> str:
    """A serverless deployment that writes out/NAME.env."""
    safety = more.get("content_safety", "enabled")
    return f"""\
---
apiVersion: provisioner.azureml/v1
kind: ModelDeployment
metadata: {{name: {name}}}
spec:
  workspace: ml-prod
  model: {model}
  target:
    serverless: {{contentSafety: {safety}}}
  marketplace: {{acceptTerms: {more.get("accept", "true")}}}
  outputs:
    - dotenv: {{path: {more.get("path", f"out/{name}.env")}}}
"""


def managed(name: str, count: int = 1) -> str:
    """A managed deployment alone on its endpoint, writing out/NAME.env."""
    return f"""\
---
apiVersion: provisioner.azureml/v1
kind: ModelDeployment
metadata: {{name: {name}}}
spec:
  workspace: ml-prod
  model: azureml/Phi-4/versions/7
  target:
    managedCompute: {{instanceType: Standard_NC24ads_A100_v4, instanceCount: {count}}}
  outputs:
    - dotenv: {{path: out/{name}.env}}
"""
