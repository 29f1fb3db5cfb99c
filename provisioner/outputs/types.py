"""What sinks take and give."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from provisioner.errors import Problem
from provisioner.resources import KeyName, Keys, ModelRef, Secret


@dataclass(frozen=True, slots=True)
class EndpointCredentials:
    """What a caller of one deployment needs.

    `name` is the manifest's; `url` the base URL of the model's API; `use` says which of the two
    keys is written; `target` is serverless or managedCompute.
    """

    name: str
    url: str
    keys: Keys
    model: ModelRef
    target: str = "serverless"
    use: KeyName = KeyName.PRIMARY

    @property
    def key(self) -> Secret | None:
        first, second = self.keys.primary, self.keys.secondary
        return (second or first) if self.use is KeyName.SECONDARY else (first or second)


class SecretStore(Protocol):
    """A vault: named secrets with versions."""

    async def get(self, name: str) -> Secret | None:
        """The present version, or None when there is no such secret."""
        ...

    async def set(self, name: str, value: Secret, content_type: str) -> None:
        """Add a version."""
        ...


def _discard(line: str) -> None:
    """Runner commands go nowhere unless somebody listens."""


@dataclass(frozen=True, slots=True)
class Context:
    """The surroundings of a run.

    `command` sends one line to a pipeline's runner (its stdout). `vault` opens a Key Vault by its
    URL. `tracked` remembers what git said, by resolved path.
    """

    cwd: Path = field(default_factory=Path.cwd)
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    command: Callable[[str], None] = _discard
    vault: Callable[[str], SecretStore] | None = None
    allow_outside: bool = False
    tracked: dict[Path, bool] = field(default_factory=dict)


class Status(StrEnum):
    WRITTEN = "written"
    UNCHANGED = "unchanged"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SinkResult:
    """What became of one sink. `sink` is its key in the manifest, `target` names where."""

    deployment: str
    sink: str
    target: str
    status: Status
    problem: Problem | None = None


class SinkError(Exception):
    """A sink's refusal; becomes a `SinkResult`, never leaves this package."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.what)
        self.problem = problem
