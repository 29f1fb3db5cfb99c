"""Reading JSON that may hold anything: a wrong type reads as absent, never as a crash.

All of Azure's enumerations are open and most of its fields nullable (AZURE.md §12, §17).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

Json = dict[str, Any]

_DURATION: Final = re.compile(
    r"(?P<sign>-)?P(?:(?P<days>\d+(?:\.\d+)?)D)?"
    r"(?:T(?:(?P<hours>\d+(?:\.\d+)?)H)?(?:(?P<minutes>\d+(?:\.\d+)?)M)?"
    r"(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?$",
    re.ASCII,
)
_UNIT_SECONDS: Final = {"days": 86400.0, "hours": 3600.0, "minutes": 60.0, "seconds": 1.0}


def mapping(value: object) -> Json:
    """`value` when it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value: object) -> list[Any]:
    """`value` when it is a JSON array, else an empty one."""
    return value if isinstance(value, list) else []


def text(value: object) -> str | None:
    """`value` when it is a string with something in it."""
    return value if isinstance(value, str) and value else None


def integer(value: object, default: int = 0) -> int:
    """A whole number, also where the service writes 3.0 or "3"."""
    number_ = number(value)
    return default if number_ is None else int(number_)


def number(value: object) -> float | int | None:
    """A finite number, also where it was written as a string; booleans are not numbers."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str) and len(value) <= 32:
        try:
            parsed = float(value)
        except ValueError:
            return None
        return parsed if math.isfinite(parsed) else None
    return None


def strings(value: object) -> dict[str, str]:
    """A map of strings, such as tags; nulls are left out, other values written as text."""
    return {key: _as_text(item) for key, item in mapping(value).items() if item is not None}


def texts(value: object) -> tuple[str, ...]:
    """The strings of an array."""
    return tuple(item for item in sequence(value) if isinstance(item, str))


def instant(value: object) -> datetime | None:
    """An RFC 3339 instant as aware UTC; one without an offset is taken for UTC."""
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def seconds(value: object) -> float | None:
    """An ISO 8601 duration of days and smaller (`PT5S`, `P1DT0.5S`) in seconds."""
    match = _DURATION.match(value) if isinstance(value, str) else None
    if match is None:
        return None
    parts = match.groupdict()
    total = sum(float(parts[unit] or 0) * size for unit, size in _UNIT_SECONDS.items())
    return -total if parts["sign"] else total


def duration(value: float) -> str:
    """Seconds as ISO 8601: 5 → `PT5S`, 0.5 → `PT0.5S`."""
    rounded = f"{value:.3f}".rstrip("0").rstrip(".")
    return f"PT{rounded}S"


def without_nulls(value: Mapping[str, Any]) -> Json:
    """A copy without keys whose value is None, at the first level only."""
    return {key: item for key, item in value.items() if item is not None}


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)
