"""Checked reading of a JSON object: every mistake is a 422 that names the parameter."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from provisioner.emulator.inference.errors import invalid


class Fields:
    """Reads values out of a JSON object. `null` is the same as leaving the key out."""

    __slots__ = ("body", "prefix")

    def __init__(self, body: Mapping[str, Any], prefix: str = "") -> None:
        self.body = body
        self.prefix = prefix

    def at(self, name: str) -> str:
        """The full name of a parameter, for messages: `messages.0.role`."""
        return f"{self.prefix}{name}"

    def required(self, name: str) -> Any:
        """The value, or 422 when it is absent or null."""
        value = self.body.get(name)
        if value is None:
            raise invalid(self.at(name), "this parameter is required")
        return value

    def integer(self, name: str, low: int, high: int) -> int | None:
        """A whole number within [low, high]; None when absent."""
        value = self.body.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise invalid(self.at(name), f"expected an integer, got {kind_of(value)}")
        if not low <= value <= high:
            raise invalid(self.at(name), f"must be between {low} and {high}")
        return value

    def number(self, name: str, low: float, high: float, *, above: bool = False) -> float | None:
        """A finite number within [low, high], or (low, high] if `above`; None when absent."""
        value = self.body.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise invalid(self.at(name), f"expected a number, got {kind_of(value)}")
        too_low = value <= low if above else value < low
        if too_low or value > high or (isinstance(value, float) and not math.isfinite(value)):
            bound = "greater than" if above else "at least"
            raise invalid(self.at(name), f"must be {bound} {low:g} and at most {high:g}")
        return float(value)

    def boolean(self, name: str) -> bool | None:
        """true or false; None when absent."""
        value = self.body.get(name)
        if value is not None and not isinstance(value, bool):
            raise invalid(self.at(name), f"expected a boolean, got {kind_of(value)}")
        return value

    def string(self, name: str) -> str | None:
        """A string; None when absent."""
        value = self.body.get(name)
        if value is not None and not isinstance(value, str):
            raise invalid(self.at(name), f"expected a string, got {kind_of(value)}")
        return value

    def one_of(self, name: str, *words: str) -> str | None:
        """One of the given words; None when absent."""
        value = self.string(name)
        if value is not None and value not in words:
            raise invalid(self.at(name), f"must be one of {', '.join(words)}")
        return value

    def mapping(self, name: str) -> Mapping[str, Any] | None:
        """An object; None when absent."""
        value = self.body.get(name)
        if value is not None and not isinstance(value, dict):
            raise invalid(self.at(name), f"expected an object, got {kind_of(value)}")
        return value

    def sequence(self, name: str, most: int) -> list[Any] | None:
        """An array of at most `most` items; None when absent."""
        value = self.body.get(name)
        if value is None:
            return None
        if not isinstance(value, list):
            raise invalid(self.at(name), f"expected an array, got {kind_of(value)}")
        if len(value) > most:
            raise invalid(self.at(name), f"at most {most} items are allowed")
        return value

    def only(self, known: frozenset[str], policy: str) -> None:
        """Applies the Model Inference API's `extra-parameters` rule to unknown keys.

        `error` (also the default) refuses them, `drop` and `pass-through` let them by: there is no
        model here that could take them.
        """
        if policy != "error":
            return
        for name in self.body:
            if name not in known:
                raise invalid(self.at(name), "Extra inputs are not permitted")


def kind_of(value: object) -> str:
    """JSON's name for a value's type."""
    names = {bool: "a boolean", int: "an integer", float: "a number", str: "a string"}
    return names.get(type(value), "an array" if isinstance(value, list) else "an object")
