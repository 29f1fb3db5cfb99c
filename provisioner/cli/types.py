"""Values of options that click does not know."""

from __future__ import annotations

import re
from typing import Final

import click

from provisioner.manifest.scalars import CENTURY, seconds

_BARE: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,3})?")


class Span(click.ParamType[float]):
    """A span of time as manifests write it, such as 24h or 90m; gives seconds.

    `least` is the shortest that makes sense; `bare` takes a plain number for seconds, as well.
    """

    name = "span"

    def __init__(self, least: float = 0.0, *, bare: bool = False) -> None:
        self._least, self._bare = least, bare

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        found = float(value) if isinstance(value, int | float) else self._read(value, param, ctx)
        if found < self._least:
            self.fail(f'"{value}" is too short; it is at least {self._least:g}s', param, ctx)
        if found > CENTURY:
            self.fail(f'"{value}" is too long; it is at most a hundred years', param, ctx)
        return found

    def _read(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if self._bare and _BARE.fullmatch(text.strip()):
            return float(text)
        try:
            return seconds(text)
        except ValueError:
            self.fail(
                f'"{text}" is not a span of time; write it like 24h, 90m or 1h30m', param, ctx
            )


SPAN = Span()
WAIT = Span(bare=True)
LIMIT = Span(1.0, bare=True)
"""The longest that one step may take."""
