"""`provision emulator`: the local Azure of this folder, by hand."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

import click

from provisioner import wiring
from provisioner.cli import codes, loop
from provisioner.cli.groups import Group
from provisioner.cli.options import format_option, screen_options
from provisioner.cli.render.documents import print_document
from provisioner.cli.render.words import seconds
from provisioner.errors import ExitCode, Failed, Problem, UsageError

_PORT = click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="0: the last one, or any free one."
)
_STATE = click.option(
    "--state",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Where it keeps its state (SQLite); .provisioner/state.db when left out.",
)
_SCENARIO = click.option(
    "--scenario",
    metavar="FILE",
    help="The tenant to begin with: a YAML file, or the name of a ready one.",
)


@click.group(cls=Group, no_args_is_help=True)
def emulator() -> None:
    """Run the local Azure of this folder.

    `--emulator` starts it by itself; it stops after an hour without a request.
    """


@emulator.command()
@_PORT
@_STATE
@_SCENARIO
@screen_options
def start(port: int, state: str | None, scenario: str | None) -> None:
    """Start it in the background, unless it runs."""
    _require_no_other(port, state, scenario)
    path = Path(state) if state else None
    record = loop.run(lambda _: wiring.start_emulator(port=port, state=path, scenario=scenario))
    click.echo(f"emulator at {record.url} (process {record.pid})")


def _require_no_other(port: int, state: str | None, scenario: str | None) -> None:
    """Raises UsageError when the one that runs was not started as these options say."""
    given = [name for name, value in (("--state", state), ("--scenario", scenario)) if value]
    record = loop.run(lambda _: wiring.emulator_status()) if port or given else None
    if record is None:
        return
    given += ["--port"] * (port not in (0, record.port))
    if given:
        raise UsageError(
            Problem(
                codes.EMULATOR_RUNS,
                f"The emulator of this folder runs already, at {record.url}; "
                f"{' and '.join(given)} would have no effect.",
                "stop it first: provision emulator stop",
            )
        )


@emulator.command()
@screen_options
def stop() -> None:
    """Stop it; its state stays for the next start."""
    stopped = loop.run(lambda _: wiring.stop_emulator())
    click.echo("stopped" if stopped else "not running")


@emulator.command()
@format_option("text", "json", "yaml")
@screen_options
def status(output_format: str) -> int:
    """Say whether it runs, and where. Leaves with 1 when it does not."""
    record = loop.run(lambda _: wiring.emulator_status())
    if output_format != "text":
        document: dict[str, object] = {"running": record is not None}
        if record is not None:
            document |= {"url": record.url, "pid": record.pid, "caBundle": record.ca_bundle}
        print_document(document, output_format)
    elif record is None:
        click.echo("not running")
    else:
        age = seconds(max(0.0, time.time() - record.started_at))
        click.echo(f"emulator at {record.url} (process {record.pid}), up {age}")
        click.echo(f"certificate authority: {record.ca_bundle}")
    return ExitCode.FAILED if record is None else ExitCode.DONE


@emulator.command()
@_PORT
@_STATE
@_SCENARIO
@screen_options
def serve(port: int, state: str | None, scenario: str | None) -> int:
    """Serve in the foreground until Ctrl-C; the log goes to stderr."""
    arguments = ["--folder", str(wiring.EMULATOR_FOLDER), "--port", str(port)]
    arguments += ["--state", state or str(wiring.EMULATOR_FOLDER / "state.db")]
    if scenario:
        arguments += ["--scenario", scenario]
    return wiring.serve_emulator(arguments)


@emulator.command()
@format_option("text", "json", "yaml")
@screen_options
def env(output_format: str) -> None:
    """Print what az or an SDK needs to reach it, for eval.

    The secret in it opens this emulator and nothing else.
    """
    record = loop.run(lambda _: wiring.emulator_status())
    if record is None:
        raise Failed(
            Problem(
                codes.NO_EMULATOR,
                "No emulator runs in this folder.",
                "start one: provision emulator start",
            )
        )
    values = wiring.emulator_environment(record)
    if output_format != "text":
        print_document(values, output_format)
        return
    for name, value in values.items():
        click.echo(f"export {name}={shlex.quote(value)}")
