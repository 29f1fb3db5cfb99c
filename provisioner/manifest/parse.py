"""YAML text → plain values with marks, one document at a time.

The C parser's events are put together here rather than by its composer, because that recurses
in C without a limit and knows no positions of keys. Scalars follow JSON's idea of types, so that
`on`, `no`, `010`, `12:30` and `2030-01-31` stay the text that they are. A syntax error ends its
document only: parsing goes on at the next `---`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import yaml
from yaml import events as ev

from provisioner.errors import Position, Problem
from provisioner.manifest import codes
from provisioner.manifest.loaded import Mark, Marks, Place, Source
from provisioner.manifest.syntax import explain_yaml

Value: TypeAlias = "bool | int | float | str | list[Value] | dict[str, Value] | None"

_OPENING: Final = ("apiVersion", "kind")
"""Keys that a document begins with, and that nobody writes twice into one."""

MAX_DEPTH: Final = 40
MAX_VALUES: Final = 50_000
"""Values of one document."""
MAX_ALIASED: Final = 100_000
"""Values that the aliases of one file may add to what is written in it."""
MAX_PROBLEMS: Final = 100
"""Problems of one file after which no more of its text is looked at."""

_Loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(\.[0-9]{1,40})?([eE][-+]?[0-9]{1,3})?")
_CONSTANTS: Final[dict[str, Value]] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_CORE_TAGS: Final = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("int", "float", "bool", "null", "map", "seq", "merge")
)
_STR_TAGS: Final = frozenset({"!", "tag:yaml.org,2002:str"})
_START: Final = re.compile(r"---(?:\s|$)")


@dataclass(frozen=True, slots=True)
class Raw:
    """A document's values as written, and where."""

    value: Value
    place: Place


class _AbandonedError(Exception):
    """The rest of the document makes no sense; carries the problem."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem


@dataclass(slots=True)
class _Frame:
    """A mapping or sequence that is still open."""

    value: dict[str, Value] | list[Value]
    marks: Marks
    line: int
    column: int
    anchor: str | None
    before: int  # values counted when it opened: what it holds is the difference
    key: str | None = None
    key_line: int = 0
    key_column: int = 0
    merges: list[tuple[Value, Mark]] = field(default_factory=list)
    merging: bool = False


def scalar(text: str) -> Value:
    """The value of a plain scalar: JSON's null, booleans and numbers; all else is text."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    match = _NUMBER.fullmatch(text)
    if match is None:
        return text
    if match[1] is None and match[2] is None:
        return int(text)
    number = float(text)
    return number if math.isfinite(number) else text


class _Builder:
    """Puts the events of one text together."""

    def __init__(self, source: Source, report: Callable[[Problem], None]) -> None:
        self.source = source
        self.report = report
        self.base = 0  # lines before the text that the parser was given
        self.line = 0  # index of the line that was reached
        self.first = 0  # index of the line where the document began
        self.aliased = 0

    def at(self, mark: Any) -> Position:
        return self.source.position(mark.line + self.base + 1, mark.column + 1)

    def documents(self, text: str) -> Iterator[Raw]:
        """The documents of `text`. Raises _AbandonedError or yaml.YAMLError."""
        parser = _Loader(text)
        try:
            while True:
                event = parser.get_event()
                self.line = event.start_mark.line + self.base
                if isinstance(event, ev.DocumentStartEvent):
                    yield self._document(parser)
                elif isinstance(event, ev.StreamEndEvent):
                    return
        finally:
            parser.dispose()

    def _document(self, parser: Any) -> Raw:
        self.stack: list[_Frame] = []
        self.anchors: dict[str, tuple[Value, Mark, int] | None] = {}
        self.count = 0
        self.first = self.line
        self.root: tuple[Value, Mark] = (None, Mark(1, 1, 1, 1, None))
        while True:
            event = parser.get_event()
            mark = event.start_mark
            self.line = mark.line + self.base
            if isinstance(event, ev.ScalarEvent):
                self._scalar(event, mark)
            elif isinstance(event, ev.MappingStartEvent):
                self._open(event, mark, {}, {})
            elif isinstance(event, ev.SequenceStartEvent):
                self._open(event, mark, [], [])
            elif isinstance(event, ev.AliasEvent):
                self._alias(event, mark)
            elif isinstance(event, ev.DocumentEndEvent):
                value, marks = self.root
                return Raw(value, Place(self.source, marks))
            else:
                self._close()

    def _add(self, mark: Any, more: int = 1) -> None:
        self.count += more
        if self.count > MAX_VALUES:
            raise _AbandonedError(
                Problem(
                    codes.TOO_COMPLEX,
                    f"the document has more than {MAX_VALUES:,} values",
                    "split it, or write out what its aliases repeat",
                    position=self.at(mark),
                )
            )

    def _scalar(self, event: Any, mark: Any) -> None:
        top = self.stack[-1] if self.stack else None
        plain = event.implicit[0] and event.tag is None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            self._key(top, event.value, mark, merge=plain and event.value == "<<")
            if event.anchor:
                self._remember(event.anchor, event.value, self._leaf(mark), 1)
            return
        self._add(mark)
        value: Value = event.value
        if plain or (event.tag in _CORE_TAGS):
            value = scalar(event.value)
        elif event.tag is not None and event.tag not in _STR_TAGS:
            self._tag(event, mark)
        leaf = self._leaf(mark)
        if event.anchor:
            self._remember(event.anchor, value, leaf, 1)
        self._put(value, leaf)

    def _leaf(self, mark: Any) -> Mark:
        line, column = mark.line + self.base + 1, mark.column + 1
        return Mark(line, column, line, column, None)

    def _remember(self, anchor: str, value: Value, mark: Mark, size: int) -> None:
        self.anchors[anchor] = (value, mark, size)

    def _tag(self, event: Any, mark: Any) -> None:
        tag = event.tag.replace("tag:yaml.org,2002:", "!!")
        self.report(
            Problem(
                codes.UNSUPPORTED,
                f"the tag {tag[:80]} has no meaning in a manifest",
                "remove it; quote the value if text is meant",
                position=self.at(mark),
            )
        )

    def _key(self, top: _Frame, key: str, mark: Any, *, merge: bool) -> None:
        line, column = mark.line + self.base + 1, mark.column + 1
        assert isinstance(top.marks, dict)
        first = None if merge else top.marks.get(key)
        if first is not None and len(self.stack) == 1 and key in _OPENING:
            # The rest would be told as mistakes that it is not.
            raise _AbandonedError(
                Problem(
                    codes.DUPLICATE_KEY,
                    f"another document begins here: {key} was given on line {first.key_line}",
                    "put a line with --- between two documents; files that are joined should each "
                    "begin with one",
                    position=self.at(mark),
                )
            )
        if first is not None:
            self.report(
                Problem(
                    codes.DUPLICATE_KEY,
                    f'the key "{key[:80]}" is given twice in one mapping',
                    "keep one of them",
                    position=self.at(mark),
                    details=(f"it is first given on line {first.key_line}",),
                )
            )
        top.key, top.key_line, top.key_column, top.merging = key, line, column, merge

    def _open(self, event: Any, mark: Any, value: Any, marks: Marks) -> None:
        if event.tag is not None and event.tag not in _CORE_TAGS:
            self._tag(event, mark)
        top = self.stack[-1] if self.stack else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            raise _AbandonedError(
                Problem(
                    codes.UNSUPPORTED,
                    "a mapping's key is itself a mapping or a sequence",
                    'keys are text; quote the value if it begins with "{" or "["',
                    position=self.at(mark),
                )
            )
        if len(self.stack) >= MAX_DEPTH:
            raise _AbandonedError(
                Problem(
                    codes.TOO_COMPLEX,
                    f"the document nests deeper than {MAX_DEPTH} levels",
                    "no manifest needs that; look for brackets that are not closed",
                    position=self.at(mark),
                )
            )
        self._add(mark)
        if event.anchor:
            self.anchors[event.anchor] = None  # known, but not complete
        line, column = mark.line + self.base + 1, mark.column + 1
        self.stack.append(_Frame(value, marks, line, column, event.anchor, self.count - 1))

    def _close(self) -> None:
        frame = self.stack.pop()
        if frame.merges:
            self._merge(frame)
        mark = Mark(frame.line, frame.column, frame.line, frame.column, frame.marks)
        if frame.anchor:
            self._remember(frame.anchor, frame.value, mark, self.count - frame.before)
        self._put(frame.value, mark)

    def _alias(self, event: Any, mark: Any) -> None:
        known = self.anchors.get(event.anchor)
        top = self.stack[-1] if self.stack else None
        as_key = top is not None and isinstance(top.value, dict) and top.key is None
        if known is None or as_key:
            what = f"the alias *{event.anchor[:60]} stands for no anchor before it"
            if event.anchor in self.anchors:
                what = f"the anchor &{event.anchor[:60]} contains itself"
            if as_key:
                what = f"the alias *{event.anchor[:60]} is used as a key"
            raise _AbandonedError(
                Problem(codes.UNSUPPORTED, what, "write the value out", position=self.at(mark))
            )
        value, marks, size = known
        self.aliased += size
        if self.aliased > MAX_ALIASED:
            raise _AbandonedError(
                Problem(
                    codes.TOO_COMPLEX,
                    f"the aliases of this file multiply to more than {MAX_ALIASED:,} values",
                    "write out what they repeat",
                    position=self.at(mark),
                )
            )
        self._add(mark, size)
        line, column = mark.line + self.base + 1, mark.column + 1
        self._put(value, Mark(line, column, line, column, marks.children))

    def _put(self, value: Value, mark: Mark) -> None:
        if not self.stack:
            self.root = (value, mark)
            return
        top = self.stack[-1]
        if isinstance(top.value, list):
            top.value.append(value)
            assert isinstance(top.marks, list)
            top.marks.append(mark)
            return
        key = top.key
        assert key is not None
        assert isinstance(top.marks, dict)
        top.key = None
        mark = Mark(mark.line, mark.column, top.key_line, top.key_column, mark.children)
        if top.merging:
            top.merges.append((value, mark))
        elif key not in top.marks:  # of two, the first stays
            top.value[key] = value
            top.marks[key] = mark

    def _merge(self, frame: _Frame) -> None:
        """Give `frame` the keys of its `<<`, as far as it has none of its own."""
        assert isinstance(frame.value, dict)
        assert isinstance(frame.marks, dict)
        for value, mark in frame.merges:
            pairs: list[tuple[Value, Mark]] = [(value, mark)]
            if isinstance(value, list) and isinstance(mark.children, list):
                pairs = list(zip(value, mark.children, strict=True))
            for each, marks in pairs:
                if not isinstance(each, dict) or not isinstance(marks.children, dict):
                    self.report(
                        Problem(
                            codes.SYNTAX,
                            "a merge key takes a mapping, or a list of mappings",
                            "write it like <<: *anchor",
                            position=self.source.position(mark.key_line, mark.key_column),
                        )
                    )
                    continue
                for key, inner in each.items():
                    frame.value.setdefault(key, inner)
                    frame.marks.setdefault(key, marks.children[key])


def _next_start(lines: list[str], after: int) -> int | None:
    """Index of the next `---` line beyond index `after`."""
    return next(
        (index for index in range(after + 1, len(lines)) if _START.match(lines[index])), None
    )


def parse(source: Source, problems: list[Problem]) -> Iterator[Raw]:
    """The documents of a source that can be read; what is wrong is added to `problems`.

    One by one, so that a reader who has seen enough problems need not parse the rest.
    """
    builder = _Builder(source, problems.append)
    text, before = source.text, len(problems)
    while True:
        try:
            yield from builder.documents(text)
        except _AbandonedError as stop:
            problems.append(stop.problem)
        except yaml.YAMLError as error:
            problem, line = explain_yaml(error, source, builder.base)
            # the line that breaks a document is often the `---` of the next one
            builder.line = max(builder.first, line - 1)
            problems.append(problem)
        else:
            return
        start = _next_start(source.lines, builder.line)
        if start is None or len(problems) - before > MAX_PROBLEMS:
            return
        builder.base = start
        text = "\n".join(source.lines[start:])
