"""`provision reap`: take down what is about to expire, found in Azure alone."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import click

from provisioner import apply as applying
from provisioner import pipeline
from provisioner.cli import loop
from provisioner.cli.flow import Flow
from provisioner.cli.groups import Command
from provisioner.cli.options import (
    azure_options,
    format_option,
    screen_options,
    session_of,
    stack_name,
    timeout_option,
    yes_option,
)
from provisioner.cli.render.documents import print_document
from provisioner.cli.render.doomed import doomed_document, doomed_table, renewed_lines
from provisioner.cli.render.results import applied_document, closing_line
from provisioner.cli.report import show
from provisioner.cli.session import width
from provisioner.cli.types import SPAN
from provisioner.errors import ExitCode
from provisioner.events import Emit
from provisioner.pipeline import Applied, Errand, Prepared
from provisioner.plan import duration
from provisioner.preflight import blocking
from provisioner.reap import USUAL_WINDOW, Doomed


@dataclass(frozen=True, slots=True)
class _Request:
    errand: Errand
    settings: applying.Settings
    output_format: str
    yes: bool
    dry_run: bool


@click.command(cls=Command)
@click.option(
    "--within", type=SPAN, default=duration(USUAL_WINDOW.total_seconds()),
    show_default=True, metavar="SPAN",
    help="Take down what expires within this time from now.",
)  # fmt: skip
@click.option(
    "--subscription", "subscriptions", multiple=True, metavar="ID",
    help="Look in this Azure subscription only. Repeatable; by default in all that are visible.",
)  # fmt: skip
@click.option(
    "--stack",
    envvar="PROVISION_STACK",
    metavar="NAME",
    callback=stack_name,
    help="Only this stack's; by default all.",
)
@click.option("--dry-run", is_flag=True, help="Show what would go; delete nothing.")
@yes_option
@timeout_option
@format_option("text", "json", "yaml")
@azure_options
@screen_options
@click.pass_context
def reap(ctx: click.Context, /, **options: Any) -> int:
    """Take down endpoints before their deadline; needs no manifest.

    Finds our endpoints by their tags, reads their deadlines from the tags and from Azure's own
    properties of shared quota, and removes what expires soon, in the right order. Endpoints whose
    manifest says onExpiry: renew are created again with a new deadline. Made for a schedule:
    running it twice, or from two places at once, does no harm. What a lock or missing rights keep
    from being taken down is told, with exit code 4, after all the rest is gone.
    """
    request = _Request(
        Errand(timedelta(seconds=options["within"]), options["subscriptions"], options["stack"]),
        applying.Settings(timeout=options["timeout"]),
        options["output_format"],
        options["yes"],
        options["dry_run"],
    )
    session = session_of(ctx)
    return loop.run(lambda interrupts: _reap(Flow(session, interrupts), request))


async def _reap(flow: Flow, request: _Request) -> int:
    if not request.dry_run:
        flow.require_answer(request.yes, "reap")
    async with flow.connect() as connection:

        async def prepare(emit: Emit) -> tuple[Prepared, tuple[Doomed, ...]]:
            return await pipeline.prepare_reap(
                connection.cloud, request.errand, connection.clock, emit
            )

        async def again(emit: Emit) -> Prepared:
            return (await prepare(emit))[0]

        async with flow.view() as emit:
            prepared, doomed = await prepare(emit)
        if request.output_format == "text":
            click.echo(doomed_table(doomed, request.errand.within, width(sys.stdout)), nl=False)
        if request.dry_run or (not doomed and not prepared.left):
            show(prepared.left, flow.session)
            _print(request, doomed, None)
            return ExitCode.DONE
        errors = blocking(prepared.findings)
        prepared.require_sound()
        warned = [one for one in prepared.findings if one not in errors]
        flow.show_plan(prepared.plan, [*warned, *prepared.left])
        if not request.yes:
            flow.confirm("Take these down?")
            prepared = await flow.unmoved(prepared, again)
        async with flow.view() as emit:
            with flow.interrupts.gently(request.settings.stop):
                applied = await pipeline.carry_out(
                    prepared, connection.cloud, connection.clock, emit, request.settings, None
                )
    show([one for one in applied.problems if one not in prepared.left], flow.session)
    if request.output_format == "text":
        click.echo(closing_line(prepared.plan, applied, flow.took, "Reaped"))
        for line in renewed_lines(doomed, applied.report, width(sys.stdout)):
            click.echo(line)
    _print(request, doomed, applied)
    return applied.exit_code


def _print(request: _Request, doomed: Sequence[Doomed], applied: Applied | None) -> None:
    if request.output_format == "text":
        return
    body = {"dryRun": request.dry_run, "expiring": [doomed_document(one) for one in doomed]}
    if applied is not None:
        body.update(applied_document([], applied))
    print_document(body, request.output_format)
