"""Documents together with where they were written."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from pydantic.alias_generators import to_camel

from provisioner.errors import Position, Problem, Severity
from provisioner.manifest import codes
from provisioner.manifest.schema import ModelDeployment, Workspace
from provisioner.manifest.selector import Selector

_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # what the YAML parser counts as line ends
_WIDEST_SNIPPET = 400
_LABELS_SHOWN = 8


class Mark(NamedTuple):
    """Where a value stands: its line and column, those of its key, and the marks inside it.

    A tree of these is several times smaller than the parser's own nodes.
    """

    line: int
    column: int
    key_line: int
    key_column: int
    children: dict[str, Mark] | list[Mark] | None


Marks: TypeAlias = dict[str, Mark] | list[Mark]


class Source:
    """A manifest's text under the name that positions show."""

    __slots__ = ("_lines", "file", "text")

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self._lines: list[str] | None = None

    @property
    def lines(self) -> list[str]:
        """The text's lines without their ends, split once, when first asked for."""
        if self._lines is None:
            self._lines = _BREAK.split(self.text)
        return self._lines

    def position(self, line: int, column: int) -> Position:
        """A place with its line; the snippet of an overlong line is cut, or left out."""
        text = self.lines[line - 1] if line <= len(self.lines) else ""
        snippet = text[:_WIDEST_SNIPPET] if column <= _WIDEST_SNIPPET else ""
        return Position(self.file, line, column, snippet)


@dataclass(frozen=True, slots=True)
class Place:
    """A document's place in its source; finds the place of anything inside it."""

    source: Source
    mark: Mark

    def _find(self, path: tuple[str | int, ...]) -> Mark:
        mark = self.mark
        for part in path:
            child = _child(mark.children, part)
            if child is None:
                break
            mark = child
        return mark

    def value(self, *path: str | int) -> Position:
        """Where the value at `path` begins, or its nearest known ancestor's."""
        mark = self._find(path)
        return self.source.position(mark.line, mark.column)

    def key(self, *path: str | int) -> Position:
        """Where the key at `path` stands, or its nearest known ancestor's."""
        mark = self._find(path)
        return self.source.position(mark.key_line, mark.key_column)


def _child(children: Marks | None, part: str | int) -> Mark | None:
    if isinstance(children, dict):
        key = str(part)
        found: Mark | None = children.get(key)
        return found if found is not None else children.get(to_camel(key))
    if isinstance(children, list) and isinstance(part, int) and 0 <= part < len(children):
        item: Mark = children[part]
        return item
    return None


T = TypeVar("T", Workspace, ModelDeployment)


@dataclass(frozen=True, slots=True)
class Loaded(Generic[T]):
    """A document and where each of its keys was written."""

    document: T
    place: Place

    @property
    def file(self) -> str:
        return self.place.source.file

    @property
    def name(self) -> str:
        return self.document.metadata.name

    def position(self, *path: str | int) -> Position:
        """Where the value of a key stands, as in `position("spec", "target", "serverless")`.

        A key that the manifest leaves out answers with its nearest ancestor that is there; no
        path at all, with the start of the document.
        """
        return self.place.value(*path)


@dataclass(frozen=True, slots=True)
class Manifests:
    """Everything that a run was given, checked.

    `warnings` do not stop a run. `files` are the names of all files that were read.
    """

    workspaces: tuple[Loaded[Workspace], ...]
    deployments: tuple[Loaded[ModelDeployment], ...]
    files: tuple[str, ...]
    warnings: tuple[Problem, ...] = ()
    left_out: tuple[Loaded[ModelDeployment], ...] = ()

    def select(self, selector: Selector) -> Manifests:
        """Only the deployments whose labels fit; workspaces stay, the others are `left_out`."""
        fits = [selector.fits(one.document.metadata.labels) for one in self.deployments]
        paired = tuple(zip(self.deployments, fits, strict=True))
        chosen = tuple(one for one, fit in paired if fit)
        others = tuple(one for one, fit in paired if not fit)
        warnings = self.warnings
        if others and not chosen:
            warnings = (*warnings, self._no_match(selector))
        return replace(self, deployments=chosen, left_out=others, warnings=warnings)

    def _no_match(self, selector: Selector) -> Problem:
        """A slip in a label would otherwise look like a run with nothing to do."""
        each = (one.document.metadata.labels.items() for one in self.deployments)
        there = sorted({f"{key}={value}" for labels in each for key, value in labels})
        more = ", …" if len(there) > _LABELS_SHOWN else ""
        hint = f"the labels that there are: {', '.join(there[:_LABELS_SHOWN])}{more}"
        return Problem(
            codes.NO_MATCH,
            f"no deployment of these manifests fits -l {shlex.quote(selector.text)}",
            hint if there else "none of them has a label: leave -l out, or give them labels",
            Severity.WARNING,
        )

    def workspace(self, name: str) -> Loaded[Workspace] | None:
        """The Workspace document of this name."""
        return next((loaded for loaded in self.workspaces if loaded.name == name), None)
