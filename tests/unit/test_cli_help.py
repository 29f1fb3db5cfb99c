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
