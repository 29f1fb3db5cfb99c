"""Label selectors, as kubectl writes them.

    team=search,tier!=trial,region in (eu, us),owner,!legacy

Commas mean "and". `!=` and `notin` also fit deployments that lack the label.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_PARTS: Final = re.compile(r",(?![^(]*\))")
_KEY: Final = r"(?P<key>[^\s=!,()]+)"
_SET: Final = re.compile(rf"{_KEY}\s+(?P<not>not)?in\s*\((?P<values>[^()]+)\)", re.IGNORECASE)
_EQUAL: Final = re.compile(rf"{_KEY}\s*(?P<operator>==?|!=)\s*(?P<value>.*)", re.DOTALL)
_EXISTS: Final = re.compile(rf"(?P<not>!)?\s*{_KEY}")


@dataclass(frozen=True, slots=True)
class Requirement:
    """What one label must be. `values` None: whatever it is, it must be there."""

    key: str
    values: frozenset[str] | None = None
    negated: bool = False

    def fits(self, labels: Mapping[str, str]) -> bool:
        there = self.key in labels
        found = there and (self.values is None or labels[self.key] in self.values)
        return found is not self.negated


@dataclass(frozen=True, slots=True)
class Selector:
    """Requirements that must all be met; none at all fits everything and is falsy."""

    text: str = ""
    requirements: tuple[Requirement, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.requirements)

    def fits(self, labels: Mapping[str, str]) -> bool:
        return all(one.fits(labels) for one in self.requirements)

    @staticmethod
    def of(texts: Sequence[str]) -> Selector:
        """The selector that all of `texts` make together. Raises ValueError with what is wrong."""
        parts = [part.strip() for text in texts for part in _PARTS.split(text)]
        return Selector(",".join(parts), tuple(_requirement(part) for part in parts))


def _requirement(part: str) -> Requirement:
    if match := _SET.fullmatch(part):
        values = frozenset(value.strip() for value in match["values"].split(","))
        return Requirement(match["key"], values, bool(match["not"]))
    if match := _EQUAL.fullmatch(part):
        value = match["value"].strip()
        return Requirement(match["key"], frozenset({value}), match["operator"] == "!=")
    if match := _EXISTS.fullmatch(part):
        return Requirement(match["key"], None, bool(match["not"]))
    raise ValueError(
        f'"{part}" selects no label; write key=value, key!=value, key in (a,b), '
        "key notin (a,b), key or !key"
    )
