"""A runner whose services, Azure included, are on loopback."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from provisioner.emulator import control
from tests.contract.adapter_server import serve
from tests.pipelines.runner import WRAPPER, Hosted, Runner


@pytest.fixture
async def runner(tmp_path: Path) -> AsyncIterator[Runner]:
    checkout, temporary = tmp_path / "checkout", tmp_path / "temp"
    (checkout / "manifests").mkdir(parents=True)
    installed = temporary / "provisioner/bin/provision"
    installed.parent.mkdir(parents=True)
    installed.write_text(WRAPPER)
    installed.chmod(0o755)
    record = await control.start(tmp_path / ".provisioner")
    try:
        async with serve(tmp_path) as (script, bundle):
            both = tmp_path / "both.pem"
            both.write_text(bundle.read_text() + (tmp_path / ".provisioner/ca.pem").read_text())
            hosted = Hosted(script)
            script.handler = hosted.answer
            yield Runner(checkout, temporary, hosted, record, both)
    finally:
        os.kill(record.pid, signal.SIGTERM)
