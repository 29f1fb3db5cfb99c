"""`provision apply`: make it so."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import click

from provisioner import apply as applying
from provisioner import pipeline
from provisioner import plan as planning
from provisioner.cli import loop
from provisioner.cli.flow import Flow, check_outputs, softened, surroundings, with_vaults
from provisioner.cli.groups import Command
from provisioner.cli.options import (
    azure_options,
    format_option,
    optional_manifest_options,
    screen_options,
    session_of,
    stack_option,
    timeout_option,
    yes_option,
)
from provisioner.cli.planfile import Chosen, choose, open_plan
from provisioner.cli.render.documents import print_document
from provisioner.cli.render.results import applied_document, closing_line
from provisioner.cli.render.rows import rows, table
from provisioner.cli.report import show
from provisioner.cli.session import animated, together, width
from provisioner.cli.types import WAIT
from provisioner.cli.wishes import wish_options, wish_values
from provisioner.clock import Clock
from provisioner.errors import Refused
from provisioner.events import Emit
from provisioner.inference import Prober
from provisioner.outputs import Status
from provisioner.pipeline import Applied, Prepared
from provisioner.preflight import blocking


@dataclass(frozen=True, slots=True)
class _Request:
    chosen: Chosen
    settings: applying.Settings
    output_format: str
    yes: bool
    allow_destroy: bool


@click.command(cls=Command)
@click.argument("planfile", required=False, metavar="[PLANFILE]", type=click.Path())
@optional_manifest_options
@format_option("text", "json", "yaml")
@yes_option
@wish_options
@click.option("--allow-destroy", is_flag=True, help="Replace or delete live endpoints if need be.")
@click.option(
    "--parallelism", type=click.IntRange(1, 65536), metavar="N", default=2048, show_default=True,
    help="Steps under way at once.",
)  # fmt: skip
@timeout_option
@click.option(
    "--wait-for-rbac", type=WAIT, default=0.0, metavar="SPAN",
    help="Go on trying on 403, such as for 10m: a role that was just assigned takes minutes to "
    "work.",
)  # fmt: skip
@click.option(
    "--wait-for-name", type=WAIT, default="30s", show_default=True, metavar="SPAN",
    help="Go on trying when a name is taken: a deleted endpoint's takes minutes to become free.",
)  # fmt: skip
@click.option(
    "--verify", is_flag=True, help="Call every model; only one that answers gets its outputs."
)
@stack_option
@azure_options
@screen_options
@click.pass_context
def apply(ctx: click.Context, /, **options: Any) -> int:
    """Make Azure as the manifests say; write URLs and keys.

    Shows the plan, asks, applies it, and writes the outputs. Running it again changes nothing.
    """
    session = session_of(ctx)
    request = _request(options)
    return loop.run(lambda interrupts: _apply(Flow(session, interrupts), request))


def _request(options: Mapping[str, Any]) -> _Request:
    settings = applying.Settings(
        parallelism=options["parallelism"],
        timeout=options["timeout"],
        wait_for_rbac=options["wait_for_rbac"],
        wait_for_name=options["wait_for_name"],
        verify=options["verify"],
    )
    chosen = _choose(options)
    lags = bool(settings.wait_for_rbac)
    checks = replace(chosen.wish.checks, rights_may_lag=lags, verify=settings.verify)
    chosen = replace(chosen, wish=replace(chosen.wish, checks=checks))
    return _Request(
        chosen,
        settings,
        options["output_format"],
        options["yes"],
        options["allow_destroy"],
    )


def _choose(options: Mapping[str, Any]) -> Chosen:
    """The manifests of -f, or those of a saved plan; one of the two, and a plan's own options."""
    values = wish_values(options)
    if options["planfile"] is None:
        if not options["filenames"]:
            raise click.UsageError("Name manifests with -f, or a saved plan.")
        return choose(options["filenames"], options["labels"], options["stack"], values)
    if options["filenames"] or options["labels"] or any(values.values()):
        raise click.UsageError("A saved plan brings its own manifests and options.")
    return open_plan(options["planfile"])


async def _apply(flow: Flow, request: _Request) -> int:
    flow.require_answer(request.yes, "apply")
    context = surroundings(request.output_format)
    chosen = request.chosen
    await check_outputs(chosen.manifests, context)
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(flow.connect())
        chosen.require_same(connection)
        request.settings.probe = Prober(connection.cloud, connection.clock, connection.ca_bundle)

        async def prepare(emit: Emit) -> Prepared:
            return await pipeline.prepare(
                chosen.manifests,
                connection.cloud,
                replace(chosen.wish, who=connection.who),
                connection.clock,
                emit,
            )

        async with flow.view() as emit:
            prepared = await prepare(emit)
        chosen.require_fresh(prepared.plan)
        _consider(flow, request, prepared)
        prepared = await flow.unmoved(prepared, prepare)
        async with flow.view() as emit:
            with flow.interrupts.gently(request.settings.stop):
                applied = await pipeline.carry_out(
                    prepared,
                    connection.cloud,
                    connection.clock,
                    emit,
                    request.settings,
                    with_vaults(context, connection),
                )
        return _finish(flow, request, prepared, applied, connection.clock)


def _consider(flow: Flow, request: _Request, prepared: Prepared) -> None:
    """Show the plan and get the yes that it needs. Raises Refused."""
    plan = prepared.plan
    guarded = planning.guard(plan)
    errors = blocking(prepared.findings)
    warned = [one for one in prepared.findings if one not in errors]
    ask = not request.yes and not plan.empty
    if ask and not request.allow_destroy:
        warned += softened(guarded, "read the plan; if that is meant, a yes is enough")
    elif request.allow_destroy:
        warned += softened(guarded, "nothing to do: --allow-destroy allows it")
    flow.show_plan(plan, warned)
    prepared.require_sound()
    if guarded and not request.allow_destroy and not ask:
        raise Refused(*guarded)
    if ask:
        flow.confirm("Apply these changes?")


def _finish(
    flow: Flow, request: _Request, prepared: Prepared, applied: Applied, clock: Clock
) -> int:
    """Print what is now, and what went wrong; return the exit code."""
    found = rows(prepared.desired, prepared.observed, applied.report, applied.sinks)
    show(applied.problems, flow.session)
    _say_how_to_write_again(flow, request, applied)
    if request.output_format == "text":
        if found:
            if _something_above(applied) and together(sys.stdout, sys.stderr):
                click.echo(err=True)
            click.echo(table(found, clock.now(), width=width(sys.stdout)), nl=False)
        if applied.report.results and not flow.session.log_json:
            click.echo(f"\n{closing_line(prepared.plan, applied, flow.took)}", err=True)
    else:
        print_document(applied_document(found, applied), request.output_format)
    return applied.exit_code


def _something_above(applied: Applied) -> bool:
    """Whether lines came since the plan, which ends in an empty one; a log tells every stage."""
    return bool(applied.report.results or applied.problems) or not animated(sys.stderr)


def _say_how_to_write_again(flow: Flow, request: _Request, applied: Applied) -> None:
    """A sink that failed rolls nothing back: the model answers, only its key did not arrive."""
    failed = [one.deployment for one in applied.sinks if one.status is Status.FAILED]
    if not failed or flow.session.log_json:
        return
    files = " ".join(f"-f {shlex.quote(file)}" for file in request.chosen.sources)
    emulator = " --emulator" if flow.session.emulator else ""
    click.echo(
        "\nWhen that is mended, write the outputs again; nothing is deployed anew:", err=True
    )
    for name in dict.fromkeys(failed):
        click.echo(f"  provision output {name} --write{emulator} {files}", err=True)
