"""docs/errors.md says what the code says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from provisioner.cli.errors_page import _EXITS
from provisioner.errors import ExitCode

PAGE = Path(__file__).resolve().parents[2] / "docs" / "errors.md"


def test_the_page_is_current() -> None:
    # A new process: codes that only tests define must not count.
    done = subprocess.run(
        [sys.executable, "-m", "provisioner.cli.errors_page"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == PAGE.read_text(encoding="utf-8"), "run: make docs"


def test_every_exit_code_is_explained() -> None:
    assert set(_EXITS) == set(ExitCode)
