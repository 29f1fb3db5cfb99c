"""Tools of a chat request: checked; called only where the request leaves no other answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioner.emulator.inference.errors import invalid
from provisioner.emulator.inference.fields import Fields, kind_of

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the caller offers; `parameters` is its JSON Schema."""

    name: str
    parameters: Mapping[str, Any]


def read_tools(fields: Fields) -> tuple[Tool, ...]:
    """The `tools` of a request. Raises ApiError 422."""
    tools = []
    for place, item in enumerate(fields.sequence("tools", 128) or []):
        where = f"tools.{place}"
        if not isinstance(item, dict):
            raise invalid(where, f"expected an object, got {kind_of(item)}")
        outer = Fields(item, f"{where}.")
        outer.required("type")
        outer.one_of("type", "function")
        outer.required("function")
        inner = Fields(outer.mapping("function") or {}, f"{where}.function.")
        inner.required("name")
        name = inner.string("name") or ""
        if not _NAME.fullmatch(name):
            raise invalid(inner.at("name"), "expected 1 to 64 of A-Z a-z 0-9 _ . -")
        inner.string("description")
        inner.boolean("strict")
        tools.append(Tool(name, inner.mapping("parameters") or {}))
    return tuple(tools)


def read_tool_choice(fields: Fields, tools: tuple[Tool, ...]) -> Tool | None:
    """The tool that must be called: the named one, or the first if one is `required`."""
    choice = fields.body.get("tool_choice")
    if choice is None:
        return None
    if not tools:
        raise invalid("tool_choice", "only allowed when tools are given")
    if isinstance(choice, str):
        word = fields.one_of("tool_choice", "none", "auto", "required", "any")
        return tools[0] if word in ("required", "any") else None
    outer = Fields(fields.mapping("tool_choice") or {}, "tool_choice.")
    outer.required("type")
    outer.one_of("type", "function")
    outer.required("function")
    inner = Fields(outer.mapping("function") or {}, "tool_choice.function.")
    inner.required("name")
    name = inner.string("name")
    for tool in tools:
        if tool.name == name:
            return tool
    raise invalid("tool_choice.function.name", "no such tool")


def example(schema: Any, depth: int = 0) -> Any:
    """A value that fits the plain parts of a JSON Schema; references and patterns are not read."""
    if not isinstance(schema, Mapping) or depth > 8:
        return None
    for given in ("const", "default"):
        if given in schema:
            return schema[given]
    options = schema.get("enum")
    if isinstance(options, list) and options:
        return options[0]
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0] if kind else None
    if kind == "object" or "properties" in schema:
        properties = schema.get("properties")
        named = list(properties.items())[:64] if isinstance(properties, Mapping) else []
        return {name: example(inner, depth + 1) for name, inner in named}
    simple = {"string": "emulator", "integer": 0, "number": 0.5, "boolean": True, "array": []}
    return simple.get(kind) if isinstance(kind, str) else None
