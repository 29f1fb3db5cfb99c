"""YAML text into frozen dataclasses, strictly: unknown keys are errors, and errors have a place.

The nodes are composed but never constructed, so that every value keeps its line and that the
declared type, not YAML's guess, decides what `Off`, `NO` or `12:30` mean. Keys are the fields'
names in camelCase. A field left out keeps the base's value, else the field's default. All problems
of a file are reported at once.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import types
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import (
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

import yaml

Seconds = Annotated[float, "seconds"]
Instant = Annotated[float, "instant"]

MAX_BYTES = 1_000_000
MAX_NODES = 100_000

T = TypeVar("T")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_TRUE = {"true", "yes", "on"}
_FALSE = {"false", "no", "off"}


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """One mistake with its place; line and column count from 1."""

    line: int
    column: int
    message: str


class ScenarioError(ValueError):
    """A scenario that cannot be used; its text has one line `source:line:column: …` a problem."""

    def __init__(self, source: str, problems: tuple[Problem, ...]) -> None:
        self.source = source
        self.problems = tuple(sorted(problems, key=lambda p: (p.line, p.column)))
        super().__init__(
            "\n".join(f"{source}:{p.line}:{p.column}: {p.message}" for p in self.problems)
        )


class _BadError(Exception):
    """The problems of a subtree, on their way up."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__()
        self.problems = problems


def duration(text: str) -> float:
    """Seconds of `168h`, `250ms`, `1h30m`, or a bare `0`; ValueError for anything else."""
    if text == "0":
        return 0.0
    if not _DURATION.fullmatch(text):
        raise ValueError(f"'{text}' is not a duration such as 250ms, 2s, 10m, 168h or 7d")
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def instant(text: str) -> float:
    """Seconds since the epoch of an ISO 8601 time with its zone; ValueError otherwise."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"'{text}' is not a time such as 2026-07-01T12:00:00Z") from None
    if moment.tzinfo is None:
        raise ValueError(f"'{text}' has no time zone; write it as {text}Z for UTC")
    return moment.astimezone(UTC).timestamp()


def camel(name: str) -> str:
    """A field's name as a key: `retry_after` is `retryAfter`."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


@lru_cache(maxsize=256)
def _hints(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls, include_extras=True)


def _boolean(text: str) -> bool:
    lowered = text.lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    raise ValueError(f"'{text}' is not true or false")


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"'{text}' is not a whole number") from None


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"'{text}' is not a number") from None
    if not math.isfinite(value):
        raise ValueError(f"'{text}' is not a finite number")
    return value


_SCALARS: Mapping[Any, Callable[[str], object]] = {
    str: str,
    bool: _boolean,
    int: _integer,
    float: _number,
    Seconds: duration,
    Instant: instant,
}


@dataclasses.dataclass(slots=True)
class Decoder:
    """Decodes the nodes of one document and remembers where each dataclass came from."""

    places: dict[int, Problem] = dataclasses.field(default_factory=dict)
    seen: int = 0

    def value(self, kind: Any, node: yaml.Node, base: object = None) -> object:
        """Decode a node as `kind`; raises _BadError."""
        self.seen += 1
        if self.seen > MAX_NODES:
            raise _BadError(_at(node, f"more than {MAX_NODES} values, aliases counted each time"))
        if kind in _SCALARS:
            return _scalar(_SCALARS[kind], node)
        origin = get_origin(kind)
        if origin in (Union, types.UnionType):
            return self._optional(kind, node, base)
        if origin is Literal:
            return _scalar(lambda text: _one_of(text, get_args(kind)), node)
        if origin is tuple:
            return self._sequence(get_args(kind)[0], node)
        if origin is Mapping:
            return self._mapping(get_args(kind)[1], node)
        return self.dataclass(kind, node, base)

    def dataclass(self, cls: type[T], node: yaml.Node, base: object = None) -> T:
        """Decode a mapping (or, where the class has `from_text`, a scalar) as a dataclass."""
        from_text = getattr(cls, "from_text", None)
        if from_text is not None and isinstance(node, yaml.ScalarNode):
            return cast(T, self._keep(node, _scalar(from_text, node)))
        pairs = _pairs(node)
        fields = {camel(f.name): f for f in dataclasses.fields(cast(Any, cls)) if f.init}
        values, problems = self._given(cls, pairs, fields, base)
        for key in fields.keys() - pairs.keys():
            if isinstance(base, cls):
                values[fields[key].name] = getattr(base, fields[key].name)
            elif _required(fields[key]):
                problems.append(_at(node, f"'{key}' is missing"))
        if problems:
            raise _BadError(*problems)
        try:
            return cast(T, self._keep(node, cls(**values)))
        except ValueError as error:
            raise _BadError(_at(node, str(error))) from None

    def _given(
        self,
        cls: type,
        pairs: Mapping[str, tuple[yaml.Node, yaml.Node]],
        fields: Mapping[str, dataclasses.Field[Any]],
        base: object,
    ) -> tuple[dict[str, object], list[Problem]]:
        values: dict[str, object] = {}
        problems: list[Problem] = []
        for key, (key_node, value_node) in pairs.items():
            if key not in fields:
                problems.append(_at(key_node, _unknown(key, fields)))
                continue
            name = fields[key].name
            kept = getattr(base, name, None) if isinstance(base, cls) else None
            try:
                values[name] = self.value(_hints(cls)[name], value_node, kept)
            except _BadError as bad:
                problems.extend(bad.problems)
        return values, problems

    def place(self, decoded: object, message: str) -> Problem:
        """A problem at the place where a decoded dataclass began."""
        return dataclasses.replace(self.places.get(id(decoded), Problem(1, 1, "")), message=message)

    def _keep(self, node: yaml.Node, decoded: object) -> object:
        self.places[id(decoded)] = _at(node, "")
        return decoded

    def _optional(self, kind: Any, node: yaml.Node, base: object) -> object:
        if isinstance(node, yaml.ScalarNode) and _is_null(node):
            return None
        (inner,) = (each for each in get_args(kind) if each is not type(None))
        return self.value(inner, node, base)

    def _sequence(self, kind: Any, node: yaml.Node) -> tuple[object, ...]:
        if not isinstance(node, yaml.SequenceNode):
            raise _BadError(_at(node, "a list is expected here"))
        items: list[object] = []
        problems: list[Problem] = []
        for each in node.value:
            try:
                items.append(self.value(kind, each))
            except _BadError as bad:
                problems.extend(bad.problems)
        if problems:
            raise _BadError(*problems)
        return tuple(items)

    def _mapping(self, kind: Any, node: yaml.Node) -> dict[str, object]:
        found: dict[str, object] = {}
        problems: list[Problem] = []
        for key, (_, value_node) in _pairs(node).items():
            try:
                found[key] = self.value(kind, value_node)
            except _BadError as bad:
                problems.extend(bad.problems)
        if problems:
            raise _BadError(*problems)
        return found


def decode(cls: type[T], text: str, source: str, base: T | None = None) -> tuple[T, Decoder]:
    """One document as `cls`; ScenarioError with every problem found. Empty text is no change."""
    if len(text.encode()) > MAX_BYTES:
        raise ScenarioError(source, (Problem(1, 1, f"larger than {MAX_BYTES} bytes"),))
    decoder = Decoder()
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            node = yaml.MappingNode("tag:yaml.org,2002:map", [], yaml.Mark("", 0, 0, 0, None, 0))
        return decoder.dataclass(cls, node, base), decoder
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = Problem(line, column, f"this is not YAML: {error.problem or error.context}")
        raise ScenarioError(source, (problem,)) from None
    except yaml.YAMLError as error:
        reason = str(error).partition("\n")[0]
        raise ScenarioError(source, (Problem(1, 1, f"this is not YAML: {reason}"),)) from None
    except RecursionError:
        raise ScenarioError(source, (Problem(1, 1, "nested too deeply"),)) from None
    except _BadError as bad:
        raise ScenarioError(source, bad.problems) from None


def _at(node: yaml.Node, message: str) -> Problem:
    return Problem(node.start_mark.line + 1, node.start_mark.column + 1, message)


def _is_null(node: yaml.ScalarNode) -> bool:
    return not node.style and node.value in ("", "~", "null", "Null", "NULL")


def _scalar(convert: Callable[[str], object], node: yaml.Node) -> object:
    if not isinstance(node, yaml.ScalarNode):
        raise _BadError(_at(node, "a single value is expected here"))
    if _is_null(node):
        raise _BadError(_at(node, "a value is expected here, this is null"))
    try:
        return convert(node.value)
    except ValueError as error:
        raise _BadError(_at(node, str(error))) from None


def _pairs(node: yaml.Node) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        raise _BadError(_at(node, "a mapping of keys and values is expected here"))
    pairs: dict[str, tuple[yaml.Node, yaml.Node]] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise _BadError(_at(key_node, "a key must be a plain word"))
        if key_node.value in pairs:
            raise _BadError(_at(key_node, f"the key '{key_node.value}' is there twice"))
        pairs[key_node.value] = (key_node, value_node)
    return pairs


def _one_of(text: str, choices: tuple[str, ...]) -> str:
    for choice in choices:
        if choice.lower() == text.lower():
            return choice
    raise ValueError(f"'{text}' is not one of {', '.join(choices)}{_near(text, choices)}")


def _unknown(key: str, fields: Mapping[str, object]) -> str:
    near = _near(key, tuple(fields))
    return f"unknown key '{key}'{near or '; known are ' + ', '.join(sorted(fields))}"


def _near(text: str, choices: tuple[str, ...]) -> str:
    found = difflib.get_close_matches(text, choices, n=1, cutoff=0.6)
    return f"; did you mean '{found[0]}'?" if found else ""


def _required(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing
