"""Errors as designed objects.

A `Problem` is everything that a person can meet: an error, a preflight finding, a warning.
It says what happened, where, who can mend it and how; the class demands all four.

    ProvisionError            carries one or more problems and an exit code
    ├── UsageError            64  the command line cannot be carried out
    ├── InvalidManifest       65  the manifests are wrong; nothing was asked of Azure
    ├── Refused                3  a check said no before any write
    ├── Failed                 1  the work could not be done
    └── Partial                4  some steps failed, the rest is applied
    CloudError                what the service answered, before it is decoded (errors/cloud.py)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from typing import ClassVar, Self


class ExitCode(IntEnum):
    """Exit codes of the command line (DESIGN, "Command line")."""

    DONE = 0
    FAILED = 1
    CHANGES = 2
    REFUSED = 3
    PARTIAL = 4
    USAGE = 64
    INVALID_MANIFEST = 65
    INTERRUPTED = 130


class Severity(StrEnum):
    """How much a problem weighs: only an error blocks."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Who(StrEnum):
    """Who can mend a problem, as it is printed after "who"."""

    AUTHOR = "the author of the manifest"
    OPERATOR = "whoever runs this command"
    WORKSPACE_OWNER = "an owner of the workspace"
    SUBSCRIPTION_OWNER = "an owner of the Azure subscription"
    BILLING_ADMIN = "a billing administrator"
    AZURE = "Azure; wait or open a support request"
    MAINTAINER = "the maintainers of provisioner"


@dataclass(frozen=True, slots=True)
class Code:
    """A stable name of one kind of problem, such as `manifest.unknown-key`.

    `title` is a phrase for lists and docs/errors.md; `meaning` explains in a sentence or two.
    """

    id: str
    title: str
    meaning: str
    who: Who


_codes: dict[str, Code] = {}


def define(id: str, title: str, meaning: str, who: Who) -> Code:
    """Register a code; the registry is what docs/errors.md is generated from.

    Raises ValueError when the id is taken: two meanings under one name would help nobody.
    """
    if id in _codes:
        raise ValueError(f"error code {id!r} is defined twice")
    code = Code(id, title, meaning, who)
    _codes[id] = code
    return code


def codes() -> tuple[Code, ...]:
    """All codes of the modules imported so far, sorted by id."""
    return tuple(_codes[id] for id in sorted(_codes))


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a manifest. `line` and `column` count from 1; `snippet` is that line's text."""

    file: str
    line: int
    column: int
    snippet: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to tell a person.

    `what` is a full sentence; `hint` says how to mend it, as a command or a portal step where
    there is one. `resource` is an ARM id; `correlation_id` is what Azure support asks for.
    `details` are further lines, such as the service's own message, printed under `what`.
    """

    code: Code
    what: str
    hint: str
    severity: Severity = Severity.ERROR
    position: Position | None = None
    resource: str | None = None
    correlation_id: str | None = None
    who: Who | None = None
    details: tuple[str, ...] = ()

    @property
    def mender(self) -> Who:
        """Who can mend it: this problem's own answer, else its code's."""
        return self.who or self.code.who

    def at(self, position: Position | None) -> Self:
        """The same problem with `position`, unless it has one already."""
        return self if self.position or position is None else replace(self, position=position)


class ProvisionError(Exception):
    """Ends a run with designed problems and an exit code."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(problem.what for problem in problems))
        self.problems = problems

    @classmethod
    def of(cls, problems: Iterable[Problem]) -> Self:
        return cls(*problems)


class UsageError(ProvisionError):
    """The command line cannot be carried out as written."""

    exit_code = ExitCode.USAGE


class InvalidManifest(ProvisionError):
    """The manifests are wrong; carries every problem of every file at once."""

    exit_code = ExitCode.INVALID_MANIFEST


class Refused(ProvisionError):
    """A check, guard or missing consent said no before any write."""

    exit_code = ExitCode.REFUSED


class Interrupted(ProvisionError):
    """The person broke off before any write."""

    exit_code = ExitCode.INTERRUPTED


class Failed(ProvisionError):
    """The work could not be done."""

    exit_code = ExitCode.FAILED


class Partial(ProvisionError):
    """Some steps failed; the rest is applied."""

    exit_code = ExitCode.PARTIAL
