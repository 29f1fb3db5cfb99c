"""How click's commands and groups look here: options by subject, whole sentences, near misses."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final

import click

_SUBJECTS: Final = {
    "Which Azure": ("emulator", "arm_endpoint", "authority", "ca_bundle"),
    "Screen": ("output_format", "log_format", "no_color", "verbose"),
}
"""Options that most commands share, by the names of their parameters; they come last."""


_FOLLOWING: Final = frozenset(
    {"-f", "--filename", "-l", "--selector", "-o", "--output", "-v", "--verbose", "-y", "--yes"}
    | {"--emulator", "--arm-endpoint", "--authority", "--ca-bundle", "--stack"}
    | {"--log-format", "--no-color"}
)
"""Options of most commands, which other tools also take before the command."""


class Command(click.Command):
    """A command whose help lists its own options first, then those that most commands share."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx  # some of click's errors do not say whose they are
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        subjects: dict[str, list[tuple[str, str]]] = {"Options": []}
        subjects |= {subject: [] for subject in _SUBJECTS}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                subjects[_subject(param.name)].append(record)
        for subject, records in subjects.items():
            if records:
                with formatter.section(subject):
                    formatter.write_dl(records)


def _subject(name: str | None) -> str:
    return next((one for one, names in _SUBJECTS.items() if name in names), "Options")


class Group(click.Group):
    """A group that tells the whole first sentence of each command, and the name that was meant."""

    command_class = Command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.option_name not in _FOLLOWING:
                raise
            message = f"No such option '{error.option_name}' before a command"
            advice = f"options follow it: {ctx.command_path} COMMAND {error.option_name} …"
            raise click.UsageError(f"{message}; {advice}", ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _first(one)) for name, one in self.commands.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, known = args[0] if args else "", self.list_commands(ctx)
        if name and not name.startswith("-") and name not in known:
            near = get_close_matches(name, known, n=1)
            advice = f' Did you mean "{near[0]}"?' if near else ""
            raise click.UsageError(f'There is no command "{name}".{advice}', ctx)
        return super().resolve_command(ctx, args)


def _first(command: click.Command) -> str:
    return (command.help or "").split("\n\n")[0].replace("\n", " ")
