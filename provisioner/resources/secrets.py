"""Secrets: values that do not show themselves."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Secret:
    """A value that shows itself only when asked: its repr, str and format are masked."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled")


@dataclass(frozen=True, slots=True)
class Keys:
    """An endpoint's two keys; the service may answer null for either (AZURE.md §17)."""

    primary: Secret | None
    secondary: Secret | None


class KeyName(StrEnum):
    PRIMARY = "Primary"
    SECONDARY = "Secondary"
