"""The JSON Schema that editors use (draft 2020-12)."""

from __future__ import annotations

from typing import Any, Final

from pydantic import TypeAdapter

from provisioner.manifest.explain import parts
from provisioner.manifest.schema import Document, ModelDeployment, Workspace

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, object]:
    """One schema for a document of either kind, told apart by `kind`.

    Says all that the models say of one document; what needs several documents, or the catalogue,
    is beyond it.
    """
    raw = TypeAdapter(Workspace | ModelDeployment).json_schema(by_alias=True)
    definitions = {name: _tidy(entry) for name, entry in raw["$defs"].items()}
    for cls in parts(Workspace, ModelDeployment):
        _choices(definitions[cls.__name__], cls)
    return {
        "$schema": DRAFT,
        "title": "provisioner manifest",
        "description": "A Workspace or a ModelDeployment of provisioner.",
        "oneOf": [{"$ref": "#/$defs/Workspace"}, {"$ref": "#/$defs/ModelDeployment"}],
        "$defs": dict(sorted(definitions.items())),
    }


def _tidy(entry: Any) -> Any:
    """Without generated titles, without null beside a real type, without defaults of parts."""
    if isinstance(entry, list):
        return [_tidy(item) for item in entry]
    if not isinstance(entry, dict):
        return entry
    kept: dict[str, Any] = {
        key: _properties(value) if key == "properties" else _tidy(value)
        for key, value in entry.items()
        if key != "title"
    }
    if kept.get("default", ...) is None or isinstance(kept.get("default"), dict):
        del kept["default"]
    options = [option for option in kept.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) == 1:
        del kept["anyOf"]
        kept = {**options[0], **kept}
    elif options:
        kept["anyOf"] = options
    return kept


def _properties(properties: dict[str, Any]) -> dict[str, Any]:
    """Names of properties are not keywords: `title` may be one."""
    return {name: _tidy(entry) for name, entry in properties.items()}


def _choices(entry: dict[str, Any], cls: type[Document]) -> None:
    for choice in cls.choices:
        rules: list[dict[str, Any]] = [{"required": [key]} for key in choice.keys]
        if not choice.required:
            rules.append({"not": {"anyOf": [{"required": [key]} for key in choice.keys]}})
        entry["oneOf"] = rules
