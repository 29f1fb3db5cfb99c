"""The command line: arguments, exit codes, words. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from provisioner.cli.app import cli
from provisioner.cli.run import execute
from provisioner.cli.session import Session
from provisioner.garbage import seldom_collected


def _open_standard_streams() -> None:
    """A standard stream that was closed (`>&-`) swallows what is written, as /dev/null does.

    Python has None in its place; and its number would go to the next file that is opened, into
    which somebody's output would then be written.
    """
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_WRONLY)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115


def main() -> NoReturn:
    """Run `provision` with this process's arguments and leave with its exit code."""
    _open_standard_streams()
    with seldom_collected():
        code = execute(cli, sys.argv[1:], Session())
    sys.exit(code)
