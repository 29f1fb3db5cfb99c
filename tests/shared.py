"""Where the shared test data (published OpenAPI files, recordings) is, when it is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parent.parent


def shared_dir(*parts: str) -> Path:
    """A folder of the shared data; the calling test is skipped, loudly, where it is absent."""
    base = Path(os.environ.get("PROVISIONER_SHARED", _ROOT.parent / "shared"))
    path = base.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"SHARED DATA ABSENT: {'/'.join(parts)} is not beside the project")
    return path
