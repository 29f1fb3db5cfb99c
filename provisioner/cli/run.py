"""Runs the command tree and turns whatever happens into an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from provisioner.cli.session import Session
from provisioner.errors import ExitCode


def execute(command: click.Command, arguments: Sequence[str], session: Session) -> int:
    """Run `command` and return its exit code; whatever goes wrong is printed on stderr.

    Commands return their own exit code; none means done.
    """
    try:
        code = command.main(
            list(arguments), prog_name="provision", standalone_mode=False, obj=session
        )
        sys.stdout.flush()
        return code if isinstance(code, int) else ExitCode.DONE
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else ExitCode.FAILED
    except BaseException as error:
        # Loaded now: a run that goes well must not wait for asyncio, tempfile and platform.
        from provisioner.cli.report import report  # noqa: PLC0415

        return report(error, session, arguments)
