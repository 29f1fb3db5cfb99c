"""The one place where exceptions become words and exit codes."""

from __future__ import annotations

import asyncio
import errno
import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

import provisioner
from provisioner.cli import codes
from provisioner.cli.masking import mask, mask_arguments
from provisioner.cli.render.problems import problem_document, problem_text
from provisioner.cli.session import Session, width
from provisioner.errors import ExitCode, Problem, ProvisionError, Severity
from provisioner.errors.cloud import CloudError
from provisioner.errors.decode import decode
from provisioner.errors.harmless import json_text


def show(problems: Iterable[Problem], session: Session) -> None:
    """Print problems on stderr: text, or JSON lines with --log-format json."""

    if session.log_json:
        for problem in problems:
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            line = {"time": now, "event": "problem", **problem_document(problem)}
            click.echo(json_text(line), err=True)
        return
    color = session.color(sys.stderr)
    texts = [problem_text(problem, width=width(sys.stderr), color=color) for problem in problems]
    if texts:
        click.echo("\n".join(texts), nl=False, err=True, color=color)


def report(error: BaseException, session: Session, arguments: Sequence[str]) -> int:
    """Print `error` and return its exit code; a broken pipe is nobody's fault and says nothing."""
    if isinstance(error, OSError) and error.errno == errno.EPIPE:
        _silence()
        return ExitCode.FAILED
    if isinstance(error, click.Abort):
        click.echo(err=True)  # leaves the line on which the terminal wrote ^C
    code, problems = translate(error, arguments)
    try:
        show(problems, session)
    except OSError:
        _silence()
    return code


def translate(
    error: BaseException, arguments: Sequence[str] = ()
) -> tuple[ExitCode, tuple[Problem, ...]]:
    """The exit code and the problems of any exception; one not foreseen gets a report file."""
    match error:
        case ProvisionError():
            return error.exit_code, error.problems
        case click.exceptions.NoArgsIsHelpError():
            click.echo(error.format_message(), err=True)
            return ExitCode.USAGE, ()
        case click.ClickException():
            return ExitCode.USAGE, (_usage(error),)
        case BaseExceptionGroup():
            return _group(error, arguments)
        case KeyboardInterrupt() | click.Abort() | EOFError():
            return ExitCode.INTERRUPTED, (_interrupted(),)

    if isinstance(error, asyncio.CancelledError):
        return ExitCode.INTERRUPTED, (_interrupted(),)
    if isinstance(error, CloudError):
        return ExitCode.FAILED, (decode(error.fault),)
    if isinstance(error, OSError) and (
        error.errno == errno.ENOSPC or (error.errno in _SYSTEM and error.filename)
    ):
        return ExitCode.FAILED, (_system(error),)
    return ExitCode.FAILED, (_bug(error, arguments),)


_SYSTEM = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT}
    | {errno.EISDIR, errno.ENOTDIR, errno.EMFILE, errno.EIO, errno.ENAMETOOLONG, errno.ELOOP}
)


def _usage(error: click.ClickException) -> Problem:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "provision"
    hint = f"see `{command} --help`"
    param = getattr(error, "param", None)
    if isinstance(error, click.MissingParameter) and param and param.name == "filenames":
        hint = (
            "name your manifests, such as -f manifests; `provision init` writes one to begin with"
        )
    return Problem(codes.USAGE, error.format_message(), hint)


def _group(
    error: BaseExceptionGroup[BaseException], arguments: Sequence[str]
) -> tuple[ExitCode, tuple[Problem, ...]]:
    """Concurrent failures: all their problems once, and the weightiest exit code."""
    problems: dict[Problem, None] = {}
    worst = ExitCode.INTERRUPTED
    for inner in error.exceptions:
        code, found = translate(inner, arguments)
        problems.update(dict.fromkeys(found))
        worst = code if worst is ExitCode.INTERRUPTED else min(worst, code)
    return worst, tuple(problems)


def _interrupted() -> Problem:
    return Problem(
        codes.INTERRUPTED,
        "Stopped before the end.",
        "run the same command again: it goes on from whatever exists by then",
        severity=Severity.NOTE,
    )


def _system(error: OSError) -> Problem:
    return Problem(
        codes.SYSTEM,
        f"{error.strerror}: {error.filename or 'standard output'}",
        "mend the file, its permissions or the free space, then run the command again",
    )


def _bug(error: BaseException, arguments: Sequence[str]) -> Problem:

    # The message can be anything; its first line is enough here, the report has the rest.
    first = (mask(str(error)).splitlines() or [""])[0][:300]
    name = type(error).__name__
    try:
        where = f"send the report {_write_report(error, arguments)} to the maintainers"
    except OSError as trouble:
        where = f"report it to the maintainers (no report file: {trouble.strerror})"
    return Problem(
        codes.BUG,
        f"provision met an error that it does not understand: {name}{': ' if first else ''}{first}",
        f"{where}; the same command can be run again",
    )


def _write_report(error: BaseException, arguments: Sequence[str]) -> Path:
    """The traceback, masked, in a new file with mode 0600 in the folder for temporary files."""

    trace = "".join(traceback.format_exception(error))
    text = (
        f"provision {provisioner.__version__}, Python {platform.python_version()}, "
        f"{platform.platform()}\n"
        f"{datetime.now(UTC).isoformat(timespec='seconds')}\n"
        f"provision {mask_arguments(arguments)}\n\n{mask(trace)}"
    )
    descriptor, name = tempfile.mkstemp(prefix="provision-report-", suffix=".txt")  # 0600
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
    return Path(name)


def _silence() -> None:
    """Point stdout and stderr to nothing, so that the interpreter's last flush stays quiet."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            os.dup2(null, stream.fileno())
        except (OSError, ValueError):
            continue
