"""The command list costs what click costs, and loads nothing else."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from provisioner.cli.app import COMMANDS, cli

_PROBE = """
import sys
sys.argv = ["provision", "--help"]
from provisioner.cli import main
try:
    main()
except SystemExit as leaving:
    assert leaving.code == 0, leaving.code
heavy = {"azure", "pydantic", "rich", "yaml", "asyncio", "aiohttp", "ssl", "tempfile"}
print(sorted(heavy & set(sys.modules)), file=sys.stderr)
"""


def test_help_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROBE], capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "[]"
    assert "validate" in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_what_the_command_says(name: str) -> None:
    """The list is a table of its own, so that no command is imported; it must not drift."""
    context = click.Context(cli)
    command = cli.get_command(context, name)
    assert command is not None
    assert command.name == name
    first = (command.help or "").split("\n\n")[0].replace("\n", " ")
    assert first == COMMANDS[name].summary


def test_help_fits_80_columns() -> None:
    context = click.Context(cli, info_name="provision", terminal_width=80)
    assert max(map(len, cli.get_help(context).splitlines())) <= 80


def test_commands_are_told_in_whole_sentences() -> None:
    """click cuts the lines of subcommands at 45 characters; here they wrap."""
    models = cli.get_command(click.Context(cli), "models")
    assert models is not None
    text = click.Context(models, info_name="models", terminal_width=80).get_help()
    assert "..." not in text.partition("Commands:")[2]
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_shared_options_come_last(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    if isinstance(command, click.Group):
        return
    lines = click.Context(command, info_name=name, terminal_width=80).get_help().splitlines()
    assert max(map(len, lines)) <= 80
    assert lines.index("Screen:") > lines.index("Options:")
    assert any("--no-color" in line for line in lines[lines.index("Screen:") :])


@pytest.mark.parametrize(
    ("arguments", "meant"), [(["aply"], "apply"), (["emulator", "strat"], "start")]
)
def test_a_near_miss_names_what_was_meant(arguments: list[str], meant: str) -> None:
    with pytest.raises(click.UsageError, match=f'Did you mean "{meant}"'):
        cli.main(arguments, standalone_mode=False)
