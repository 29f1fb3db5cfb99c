"""Request bodies against what a resource may hold: types and required properties.

A description is a small tree: `Obj` for objects, `Map` for free-form ones, or a scalar's name.
`clean` returns a copy that holds only what is known; read-only and unknown properties are ignored,
as the service ignores them. `Enum` takes its words without regard to case and returns them in the
specification's; `modelAsString` warns clients of words to come, it does not let them invent any.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from provisioner.emulator.errors import ArmError, JsonObject


@dataclass(frozen=True, slots=True)
class Obj:
    """An object with known properties."""

    properties: Mapping[str, Shape]
    required: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Map:
    """An object with any keys and values of one shape; `check` raises for a whole that is wrong."""

    value: Shape
    check: Callable[[JsonObject], None] | None = None


@dataclass(frozen=True, slots=True)
class Arr:
    """A list of one shape."""

    item: Shape


@dataclass(frozen=True, slots=True)
class Enum:
    """One of some words."""

    words: tuple[str, ...]


def enum(*words: str) -> Enum:
    """A shape that takes one of these words, whatever their case."""
    return Enum(words)


Shape = Obj | Map | Arr | Enum | str
# "integer" is the specification's int32, "long" its int64, "duration" a time span of ISO 8601.
_SCALARS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "duration": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "number": (int, float),
    "any": (object,),
}
_NAMES = {"duration": "a duration of ISO 8601, such as PT30S"}
_WHOLE = {"integer": 2**31, "long": 2**63}
_DURATION = re.compile(
    r"P(?=.)(?:\d+W|(?:\d+Y)?(?:\d+M)?(?:\d+D)?(?:T(?=.)(?:\d+H)?(?:\d+M)?(?:\d+(?:\.\d+)?S)?)?)",
    re.ASCII,
)


@dataclass(slots=True)
class _Problems:
    found: list[JsonObject] = field(default_factory=list)

    def add(self, code: str, where: str, message: str) -> None:
        self.found.append({"code": code, "target": where, "message": message})


def clean(body: Mapping[str, Any], shape: Obj) -> JsonObject:
    """The body in the given shape; raises the provider's 400 with one detail per problem."""
    problems = _Problems()
    cleaned = _object(body, shape, "", problems)
    if problems.found:
        first = problems.found[0]["message"]
        raise ArmError(
            400,
            "UserError",
            f"The request has {len(problems.found)} validation error(s): {first}",
            details=problems.found,
            inner=("BadArgument", "ArgumentInvalid"),
        )
    return cleaned


def _object(body: Mapping[str, Any], shape: Obj, where: str, problems: _Problems) -> JsonObject:
    names = {name.lower(): name for name in shape.properties}
    cleaned: JsonObject = {}
    for given, value in body.items():
        name = names.get(str(given).lower())
        if name is not None and value is not None:  # null is the same as leaving it out
            path = f"{where}.{name}" if where else name
            cleaned[name] = _value(value, shape.properties[name], path, problems)
    present = {str(given).lower() for given, value in body.items() if value is not None}
    for name in shape.required:
        if name.lower() not in present:
            path = f"{where}.{name}" if where else name
            problems.add("ArgumentNullOrEmpty", path, f"'{path}' must not be empty.")
    return cleaned


def _value(value: Any, shape: Shape, where: str, problems: _Problems) -> Any:
    if value is None:
        return None
    match shape:
        case Obj() if isinstance(value, dict):
            return _object(value, shape, where, problems)
        case Map() if isinstance(value, dict):
            return _mapping(value, shape, where, problems)
        case Arr(inner) if isinstance(value, list):
            return _list(value, inner, where, problems)
        case Enum(words) if isinstance(value, str):
            wanted = value.replace(" ", "").lower()
            for word in words:
                if word.lower() == wanted:
                    return word
        case str() if _is_scalar(value, shape):
            return int(value) if shape in _WHOLE else value
        case _:
            pass
    problems.add("ArgumentInvalid", where, f"'{where}' must be {_expected(shape)}.")
    return None


def _list(value: list[Any], inner: Shape, where: str, problems: _Problems) -> list[Any]:
    for place, item in enumerate(value):
        if item is None:  # nothing could be left out here
            problems.add("ArgumentInvalid", f"{where}[{place}]", f"'{where}' must hold no null.")
    return [_value(v, inner, f"{where}[{i}]", problems) for i, v in enumerate(value)]


def _mapping(value: JsonObject, shape: Map, where: str, problems: _Problems) -> JsonObject:
    cleaned = {k: _value(v, shape.value, f"{where}.{k}", problems) for k, v in value.items()}
    if shape.check is not None:
        shape.check(cleaned)
    return cleaned


def _expected(shape: Shape) -> str:
    match shape:
        case Obj() | Map():
            return "an object"
        case Arr():
            return "a list"
        case Enum(words):
            return "one of " + ", ".join(f"'{word}'" for word in words)
        case _:
            return _NAMES.get(shape, f"a value of type {shape}")


def _is_scalar(value: Any, shape: str) -> bool:
    if isinstance(value, bool):
        return shape in ("boolean", "any")
    if shape in _WHOLE and isinstance(value, int | float):
        return -_WHOLE[shape] <= value < _WHOLE[shape] and int(value) == value
    if shape == "number" and isinstance(value, int | float):
        return abs(value) < 1e308  # neither infinite nor beyond a double
    if shape == "duration" and isinstance(value, str):
        return _DURATION.fullmatch(value) is not None
    return isinstance(value, _SCALARS[shape])
