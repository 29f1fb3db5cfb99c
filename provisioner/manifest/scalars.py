"""Scalars with a form of their own: durations, instants, names and output paths.

Each is checked by a function that takes the text as written and raises `PydanticCustomError`
with a type of `explain`'s table, a message and a hint.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

_UNITS: Final = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART: Final = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(ms|d|h|m|s)", re.ASCII)
_DURATION: Final = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)

CENTURY: Final = 36_525 * 86_400.0
"""Seconds. No deadline lies further away: dates end with the year 9999."""

_TAKEN: Final = frozenset({".git", ".provisioner"})
"""Folders that belong to a tool: a line in one of their files would break it, or do worse."""

GUID: Final = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
NAME: Final = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
RESOURCE_GROUP: Final = r"^[\w().-]{0,89}[\w()-]$"
WORKSPACE_NAME: Final = r"^[a-zA-Z0-9][a-zA-Z0-9_-]{2,32}$"
SERVERLESS_NAME: Final = r"^[a-zA-Z][a-zA-Z0-9-]{0,51}$"  # AZURE.md §2
ONLINE_NAME: Final = r"^[a-zA-Z][a-zA-Z0-9-]{1,30}[a-zA-Z0-9]$"  # AZURE.md §4
INSTANCE_TYPE: Final = r"^Standard_[A-Za-z0-9_-]{1,60}$"


def fault(what: str, hint: str, kind: str = "value", *, key: str = "") -> PydanticCustomError:
    """A validation error with a hint of its own.

    `kind` picks the error code in `explain`; `key` is the key of a mapping that is to blame.
    """
    return PydanticCustomError(kind, "{what}", {"what": what, "hint": hint, "key": key})


def seconds(value: object) -> float:
    """Seconds of `72h`, `90m`, `1h30m`, `7d`, `1.5s`. A bare number is refused: of what?"""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise fault("a duration is text with a unit", 'write it like "72h", "90m" or "1h30m"')
    if not isinstance(value, str):
        raise fault(
            f"the duration {value} has no unit",
            f'write "{value}s", "{value}m", "{value}h" or "{value}d", as you mean it',
        )
    if not _DURATION.fullmatch(value.strip()):
        raise fault(
            f'"{value[:60]}" is not a duration',
            'write numbers with units, such as "72h", "90m", "1h30m" or "7d"',
        )
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(value))


def instant(value: object) -> datetime:
    """An aware instant in UTC, from RFC 3339 text."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    if not isinstance(value, str):
        raise fault("an instant is text", 'write it like "2030-01-31T18:00:00Z"')
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        parsed = None
    if parsed is None or "T" not in value.upper().replace(" ", "T"):
        raise fault(
            f'"{value[:60]}" is not an instant', 'write date and time, like "2030-01-31T18:00:00Z"'
        )
    if parsed.tzinfo is None:
        raise fault(
            f'"{value[:60]}" does not say in which time zone it is',
            f'write "{value[:60]}Z" for UTC',
        )
    try:
        return parsed.astimezone(UTC)
    except OverflowError:
        raise fault(f'"{value[:60]}" lies outside the calendar', "choose another date") from None


def inside(path: str) -> str:
    """A relative path that stays below the current directory, as text.

    Only the text is judged here; symbolic links are looked at when the file is written.
    """
    parts = path.replace("\\", "/").split("/")
    if not path or path.endswith(("/", "\\")) or parts[-1] == ".":
        raise fault(f'"{path}" does not name a file', 'write it like "out/model.env"', "path")
    if path.startswith(("/", "\\", "~")) or (len(path) > 1 and path[1] == ":"):
        raise fault(
            f'the output path "{path[:120]}" is not relative',
            'outputs are written below the current directory: write it like "out/model.env"',
            "path",
        )
    if not path.isprintable():
        raise fault(
            "the output path holds control characters",
            "write a plain path, like out/model.env; no escapes",
            "path",
        )
    taken = next((part for part in parts if part.casefold() in _TAKEN), None)
    if taken is not None:
        raise fault(
            f'the output path "{path[:120]}" leads into {taken}, which is not yours to write to',
            'choose a folder of your own, like "out/model.env"',
            "path",
        )
    if ".." in parts:
        raise fault(
            f'the output path "{path[:120]}" leaves the current directory',
            'outputs are written below it: remove the ".."',
            "path",
        )
    if len(path) > 1024 or any(len(part.encode()) > 255 for part in parts):
        raise fault("the output path is too long", "choose a shorter one", "path")
    return path


def matching(pattern: str, rule: str, kind: str = "name") -> AfterValidator:
    """Checks text against `pattern` and explains it with `rule`, a phrase after "it takes"."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        hint = rule
        if not compiled.fullmatch(value):
            what = f'"{value[:80]}" is not a valid name'
            if kind != "name":
                what, hint = f'"{value[:80]}" is not valid', f"it takes {rule}"
            raise fault(what, hint, kind)
        return value

    return AfterValidator(check)


_NOT_IN_TAG_NAMES: Final = re.compile(r"[<>%&\\?/\x00-\x1f\x7f]")


def label_key(key: str) -> str:
    """A label's key, which becomes the name of an Azure tag."""
    if not key or len(key) > 128 or _NOT_IN_TAG_NAMES.search(key):
        hint = "it takes 1 to 128 characters, none of them < > % & \\ ? / or a control character"
        raise fault(f'"{key[:60]}" cannot be the name of a tag', hint)
    if key.lower().startswith("provisioner-"):
        raise fault(f'the label "{key}" is reserved for this tool', "choose another name")
    return key


NAME_RULE: Final = "lower-case letters, digits and hyphens, 63 at most, no hyphen at either end"
SERVERLESS_RULE: Final = "letters, digits and hyphens, 52 at most, a letter first"
ONLINE_RULE: Final = "3 to 32 letters, digits and hyphens, a letter first, no hyphen last"

Seconds = Annotated[
    float,
    BeforeValidator(seconds),
    WithJsonSchema({"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|d|h|m|s))+$"}),
]
Instant = Annotated[
    datetime,
    BeforeValidator(instant),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
NAME_RULES: Final = {
    "serverless endpoint": (re.compile(SERVERLESS_NAME), SERVERLESS_RULE),
    "online endpoint": (re.compile(ONLINE_NAME), ONLINE_RULE),
    "deployment": (re.compile(ONLINE_NAME), ONLINE_RULE),
}
"""Pattern and rule of each name in Azure (AZURE.md §2, §4)."""

LabelKey = Annotated[str, AfterValidator(label_key)]
LabelValue = Annotated[str, Field(max_length=256)]
OutputPath = Annotated[str, AfterValidator(inside)]
Name = Annotated[str, matching(NAME, NAME_RULE), Field(json_schema_extra={"pattern": NAME})]
Guid = Annotated[
    str,
    matching(GUID, "a GUID, like 11111111-1111-1111-1111-111111111111", "value"),
    AfterValidator(str.lower),  # one spelling: quotas and limits are counted by subscription
    Field(json_schema_extra={"pattern": GUID}),
]
ResourceGroup = Annotated[
    str,
    matching(
        RESOURCE_GROUP,
        "1 to 90 letters, digits, underscores, hyphens, periods and parentheses, no period last",
    ),
    Field(json_schema_extra={"pattern": RESOURCE_GROUP}),
]
WorkspaceName = Annotated[
    str,
    matching(
        WORKSPACE_NAME, "3 to 33 letters, digits, hyphens and underscores, a letter or digit first"
    ),
    Field(json_schema_extra={"pattern": WORKSPACE_NAME}),
]
ServerlessName = Annotated[
    str,
    matching(SERVERLESS_NAME, SERVERLESS_RULE),
    Field(json_schema_extra={"pattern": SERVERLESS_NAME}),
]
OnlineName = Annotated[
    str,
    matching(ONLINE_NAME, ONLINE_RULE),
    Field(json_schema_extra={"pattern": ONLINE_NAME}),
]
