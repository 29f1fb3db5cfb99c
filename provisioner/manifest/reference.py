"""The manifest reference (docs/manifest.md), made from the schema so that it cannot drift."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from provisioner.manifest.explain import parts
from provisioner.manifest.published import json_schema
from provisioner.manifest.schema import Document, ModelDeployment, Workspace
from provisioner.manifest.starter import starter

_HEAD: Final = """\
# Manifest reference

<!-- Made by provisioner.manifest.reference.markdown(); a test keeps this file current. -->

A manifest is a YAML file of one or more documents, separated by `---`. Each is a `Workspace` or a
`ModelDeployment`. Keys are camelCase; an unknown key is an error. `-f` takes files, folders
(searched recursively for `.yaml`, `.yml` and `.json`) and `-` for standard input.

- **Values are what they look like to JSON.** `true`, `false`, `null` and plain decimal numbers are
  that; everything else is text: `on`, `no`, `010`, `12:30` and `2030-01-31` too.
- **Durations** are text with units: `90s`, `5m`, `72h`, `1h30m`, `7d`. **Instants** are RFC 3339
  with a time zone: `2030-01-31T18:00:00Z`.
- **Limits**: 5 MiB per file, 50,000 values per document. Anchors, aliases and merge keys work.
- An editor that knows JSON Schema completes and checks as you type: run
  `provision schema > manifest.schema.json`, then begin the file with
  `# yaml-language-server: $schema=manifest.schema.json`.

What `provision init` writes:

```yaml
"""


def markdown() -> str:
    """The text of docs/manifest.md."""
    schema: Any = json_schema()
    definitions = schema["$defs"]
    lines = [_HEAD + starter() + "```"]
    for cls in parts(Workspace, ModelDeployment):
        lines.extend(_section(cls, definitions))
    return "\n".join(lines) + "\n"


def _section(cls: type[Document], definitions: dict[str, Any]) -> Iterator[str]:
    entry = definitions[cls.__name__]
    required = entry.get("required", ())
    yield f"\n## {cls.__name__}\n"
    yield f"{entry['description']}\n"
    for choice in cls.choices:
        keys = ", ".join(f"`{key}`" for key in choice.keys)
        yield f"{'Exactly' if choice.required else 'At most'} one of {keys}.\n"
    yield "| key | takes | default | |"
    yield "|---|---|---|---|"
    for key, field in entry["properties"].items():
        default = "**required**" if key in required else _default(field)
        yield f"| `{key}` | {_takes(field)} | {default} | {_says(field)} |"


def _says(field: dict[str, Any]) -> str:
    text = " ".join(str(field.get("description", "")).split()).replace("|", "\\|")
    examples = field.get("examples")
    if examples and not isinstance(examples[0], dict):
        text += f" Example: `{examples[0]}`."
    return text.strip()


def _default(field: dict[str, Any]) -> str:
    if "default" not in field:
        return "–"
    value = field["default"]
    if value in ([], {}):
        return "–"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _takes(field: dict[str, Any]) -> str:
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    for key in ("oneOf", "anyOf", "allOf"):
        if key in field:
            return " or ".join(_takes(option) for option in field[key])
    kind = field.get("type", "anything")
    if kind == "array":
        return f"list of {_takes(field.get('items', {}))}"
    if kind == "object":
        return "mapping of text to text"
    return _scalar(kind, field)


def _scalar(kind: str, field: dict[str, Any]) -> str:
    if kind in ("integer", "number"):
        bounds = (field.get("minimum"), field.get("maximum"))
        if None not in bounds:
            return f"{kind}, {bounds[0]:g} to {bounds[1]:g}"
        return f"{kind}, at least {bounds[0]:g}" if bounds[0] is not None else kind
    if kind == "boolean":
        return "`true` or `false`"
    if field.get("format") == "date-time":
        return "instant"
    return "duration" if "(ms|" in field.get("pattern", "") else "text"


if __name__ == "__main__":
    import sys

    sys.stdout.write(markdown())
