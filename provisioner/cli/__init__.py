"""The command line: arguments, exit codes, words. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import sys
from typing import NoReturn

from provisioner.cli.app import cli
from provisioner.cli.run import execute
from provisioner.cli.session import Session
from provisioner.garbage import seldom_collected


def main() -> NoReturn:
    """Run `provision` with this process's arguments and leave with its exit code."""
    with seldom_collected():
        code = execute(cli, sys.argv[1:], Session())
    sys.exit(code)
