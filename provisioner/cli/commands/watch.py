"""`provision watch`: apply and reap, again and again."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import click

from provisioner import apply as applying
from provisioner import pipeline
from provisioner import plan as planning
from provisioner.cli import codes, loop
from provisioner.cli.flow import Flow, check_outputs, surroundings, with_vaults
from provisioner.cli.groups import Command
from provisioner.cli.health import Health, serve
from provisioner.cli.options import (
    azure_options,
    manifest_options,
    screen_options,
    session_of,
    stack_option,
    timeout_option,
)
from provisioner.cli.planfile import choose
from provisioner.cli.render.results import closing_line
from provisioner.cli.render.rows import rows
from provisioner.cli.report import show
from provisioner.cli.types import SPAN
from provisioner.cli.wishes import wish_options, wish_values
from provisioner.errors import ExitCode, Problem, ProvisionError, Refused, Severity, UsageError
from provisioner.events import Emit
from provisioner.inference import Prober
from provisioner.pipeline import Applied, Errand, Prepared
from provisioner.plan.words import duration
from provisioner.wiring import Connection

_JITTER = 0.1
_CYCLES_AHEAD = 3
"""Cycles before its deadline at which an endpoint goes: two of them may fail."""
_LATE_CYCLES = 3


@dataclass(slots=True)
class _Watch:
    """One watching process. `last` and `said` remember what was told, so that it is told once."""

    flow: Flow
    options: dict[str, Any]
    health: Health
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    last: tuple[str, ...] = ()
    said: str = ""


@click.command(cls=Command)
@manifest_options
@click.option(
    "--every", type=SPAN, default="15m", show_default=True, metavar="SPAN",
    help="Time between the beginnings of two cycles; a tenth of it is left to chance.",
)  # fmt: skip
@click.option(
    "--within", type=SPAN, metavar="SPAN",
    help="Take down what expires within this time; by default that of three cycles.",
)  # fmt: skip
@click.option(
    "--listen", metavar="[HOST:]PORT",
    help="Serve /healthz, /readyz and /metrics (Prometheus) there; HOST is 127.0.0.1 by default.",
)  # fmt: skip
@click.option("--once", is_flag=True, help="One cycle, then leave with its exit code.")
@click.option("--allow-destroy", is_flag=True, help="Replace or delete live endpoints if need be.")
@timeout_option
@wish_options
@stack_option
@azure_options
@screen_options
@click.pass_context
def watch(ctx: click.Context, /, **options: Any) -> int:
    """Keep Azure as the manifests say: apply and reap in a loop.

    Manifests are read anew in each cycle. A cycle that fails is told and tried again in the next
    one. Ctrl-C or SIGTERM ends the loop after the requests that are under way.
    """
    health = Health(patience=max(options["every"] * _LATE_CYCLES, 60.0))
    session = session_of(ctx)
    return loop.run(lambda interrupts: _watch(_Watch(Flow(session, interrupts), options, health)))


async def _watch(watch: _Watch) -> int:
    async with AsyncExitStack() as stack:
        if watch.options["listen"]:
            host, port = _address(watch.options["listen"])
            port = await stack.enter_async_context(_serving(watch.health, host, port))
            click.echo(f"Serving health and metrics on http://{host}:{port}/", err=True)
        stack.enter_context(watch.flow.interrupts.gently(watch.stop))
        while True:
            begun = time.monotonic()
            code = await _cycle(watch)
            if watch.options["once"]:
                return code
            if await _rest(watch, begun):
                return ExitCode.DONE


async def _rest(watch: _Watch, begun: float) -> bool:
    """Wait for the next cycle; True when the process is to end."""
    every = watch.options["every"] * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311
    try:
        async with asyncio.timeout(max(1.0, begun + every - time.monotonic())):
            await watch.stop.wait()
    except TimeoutError:
        return False
    return True


async def _cycle(watch: _Watch) -> int:
    """One apply and one reap; every designed error ends only this cycle."""
    begun = time.monotonic()
    code: int = ExitCode.FAILED
    outcome = "failed"
    try:
        code = await _work(watch)
        outcome = ExitCode(code).name.lower()
    except ProvisionError as error:
        code = error.exit_code
        outcome = type(error).__name__.lower()
        _tell(watch, error.problems)
    finally:
        seconds = time.monotonic() - begun
        watch.health.end_cycle(outcome, seconds, good=code == ExitCode.DONE)
    return code


def _tell(watch: _Watch, problems: tuple[Problem, ...]) -> None:
    """Show problems; the very same ones are not shown again cycle after cycle."""
    told = tuple(sorted(f"{one.code.id} {one.what}" for one in problems))
    if told != watch.last:
        show(problems, watch.flow.session)
    watch.last = told


async def _work(watch: _Watch) -> int:
    options = watch.options
    chosen = choose(options["filenames"], options["labels"], options["stack"], wish_values(options))
    context = surroundings("text")
    await check_outputs(chosen.manifests, context)
    begun = time.monotonic()
    async with watch.flow.connect() as connection, watch.flow.view() as emit:
        prepared = await pipeline.prepare(
            chosen.manifests,
            connection.cloud,
            replace(chosen.wish, who=connection.who),
            connection.clock,
            emit,
        )
        guarded = planning.guard(prepared.plan)
        if guarded and not options["allow_destroy"]:
            raise Refused(*guarded)
        settings = _settings(watch)
        settings.probe = Prober(connection.cloud, connection.clock, connection.ca_bundle)
        applied = await pipeline.carry_out(
            prepared, connection.cloud, connection.clock, emit, settings,
            with_vaults(context, connection),
        )  # fmt: skip
        took = time.monotonic() - begun
        expired, reaped = await _reap(watch, connection, emit)
        _account(watch, prepared, applied, reaped)
    warned = (one for one in prepared.findings if one.severity is Severity.WARNING)
    _tell(watch, (*warned, *applied.problems, *reaped.problems))
    said = [closing_line(prepared.plan, applied, took)] if applied.report.results else []
    if expired is not None and reaped.report.results:
        late = time.monotonic() - begun - took
        said.append(closing_line(expired.plan, reaped, late, "Reaped"))
    _sum_up(watch, prepared, said)
    return max(applied.exit_code, reaped.exit_code)


def _sum_up(watch: _Watch, prepared: Prepared, said: list[str]) -> None:
    """`said`: what this cycle did. Where it did nothing, one line for the first such cycle."""
    count = len(prepared.desired.origins)
    many = "1 deployment is" if count == 1 else f"{count} deployments are"
    text = f"{many} as the manifests say."
    if not watch.options["once"]:
        text += f" Looking again every {duration(watch.options['every'])}."
    if said:
        text = "\n".join(said)
    if text != watch.said and not watch.flow.session.log_json:
        click.echo(text, err=True)
    watch.said = text


async def _reap(
    watch: _Watch, connection: Connection, emit: Emit
) -> tuple[Prepared | None, Applied]:
    """Why it could not be done is a part of the cycle's result: what the apply did is told too."""
    if watch.stop.is_set():
        return None, Applied(applying.Report())
    # A span longer than a lifetime would take down, cycle after cycle, what was just made.
    within = timedelta(seconds=watch.options["within"] or _CYCLES_AHEAD * watch.options["every"])
    errand = Errand(within, stack=watch.options["stack"])
    try:
        prepared, _ = await pipeline.prepare_reap(connection.cloud, errand, connection.clock, emit)
        applied = await pipeline.carry_out(
            prepared, connection.cloud, connection.clock, emit, _settings(watch), None
        )
    except ProvisionError as error:
        return None, Applied(applying.Report(), left=error.problems)
    return prepared, applied


def _settings(watch: _Watch) -> applying.Settings:
    return applying.Settings(timeout=watch.options["timeout"], stop=watch.stop)


def _account(watch: _Watch, prepared: Prepared, applied: Applied, reaped: Applied) -> None:
    watch.health.count(applied.report)
    watch.health.count(reaped.report)
    found = rows(prepared.desired, prepared.observed, applied.report)
    expiries = {
        (row.workspace, row.endpoint): row.expires.timestamp() for row in found if row.expires
    }
    watch.health.show(Counter(row.state for row in found), expiries)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise click.UsageError(f'--listen takes [HOST:]PORT, not "{text}".')
    return host.strip("[]") or "127.0.0.1", int(port)


@asynccontextmanager
async def _serving(health: Health, host: str, port: int) -> AsyncIterator[int]:
    """The server, with an address that cannot be had told as a designed error."""
    async with AsyncExitStack() as stack:
        try:
            taken = await stack.enter_async_context(serve(health, host, port))
        except OSError as error:
            raise UsageError(
                Problem(
                    codes.SYSTEM,
                    f"Nothing can listen on {host}:{port}: {error.strerror}.",
                    "choose another port with --listen",
                )
            ) from error
        yield taken
