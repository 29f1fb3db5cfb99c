"""Request bodies against what a resource may hold: types and required properties.

A description is a small tree: `Obj` for objects, `Map` for free-form ones, or a scalar's name.
`clean` returns a copy that holds only what is known; read-only and unknown properties are ignored,
as the service ignores them. Enumerations are `modelAsString`, so their values are not checked.
"""

from __future__ import annotations

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


Shape = Obj | Map | Arr | str
_SCALARS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "any": (object,),
}


@dataclass(slots=True)
class _Problems:
    found: list[JsonObject] = field(default_factory=list)

    def add(self, code: str, where: str, message: str) -> None:
        self.found.append({"code": code, "target": where, "message": message})


def clean(body: Mapping[str, Any], shape: Obj, region: str = "") -> JsonObject:
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
        if name is not None:
            path = f"{where}.{name}" if where else name
            cleaned[name] = _value(value, shape.properties[name], path, problems)
    for name in shape.required:
        if cleaned.get(name) is None:
            path = f"{where}.{name}" if where else name
            problems.add("ArgumentNullOrEmpty", path, f"'{path}' must not be empty.")
    return cleaned


def _value(value: Any, shape: Shape, where: str, problems: _Problems) -> Any:
    if value is None:
        return None
    match shape:
        case Obj():
            if isinstance(value, dict):
                return _object(value, shape, where, problems)
            expected = "an object"
        case Map(inner, check):
            if isinstance(value, dict):
                pairs = value.items()
                cleaned = {k: _value(v, inner, f"{where}.{k}", problems) for k, v in pairs}
                if check is not None:
                    check(cleaned)
                return cleaned
            expected = "an object"
        case Arr(inner):
            if isinstance(value, list):
                return [_value(v, inner, f"{where}[{i}]", problems) for i, v in enumerate(value)]
            expected = "a list"
        case _:
            if _is_scalar(value, shape):
                return int(value) if shape == "integer" else value
            expected = f"a value of type {shape}"
    problems.add("ArgumentInvalid", where, f"'{where}' must be {expected}.")
    return None


def _is_scalar(value: Any, shape: str) -> bool:
    if isinstance(value, bool):
        return shape in ("boolean", "any")
    if shape == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _SCALARS[shape])
