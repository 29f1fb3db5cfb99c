"""Values of options that click does not know."""

from __future__ import annotations

import click

from provisioner.manifest.scalars import seconds


class Span(click.ParamType[float]):
    """A span of time as manifests write it, such as 24h or 90m; gives seconds."""

    name = "span"

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, int | float):
            return float(value)
        try:
            return seconds(value)
        except ValueError:
            self.fail(
                f'"{value}" is not a span of time; write it like 24h, 90m or 1h30m', param, ctx
            )


class Patience(Span):
    """A span of time, or a bare number of seconds; gives seconds."""

    name = "patience"

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        bare = isinstance(value, str) and value.replace(".", "", 1).isdecimal()
        return super().convert(float(value) if bare else value, param, ctx)


SPAN = Span()
PATIENCE = Patience()
