"""`provision plan`: what would change."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from typing import Any

import click

from provisioner import pipeline
from provisioner import plan as planning
from provisioner.cli import loop
from provisioner.cli.flow import Flow, softened
from provisioner.cli.groups import Command
from provisioner.cli.options import (
    azure_options,
    format_option,
    manifest_options,
    screen_options,
    session_of,
    stack_option,
)
from provisioner.cli.planfile import Chosen, choose, require_no_file, write_plan
from provisioner.cli.render.documents import print_document
from provisioner.cli.render.plans import judged, plan_text
from provisioner.cli.report import show
from provisioner.cli.session import Session, width
from provisioner.cli.wishes import wish_options, wish_values
from provisioner.errors import ExitCode, Problem
from provisioner.pipeline import Prepared
from provisioner.plan.json import document
from provisioner.plan.markdown import markdown
from provisioner.preflight import blocking


@dataclass(frozen=True, slots=True)
class _Request:
    chosen: Chosen
    output_format: str
    detailed: bool
    out: str | None


@click.command(cls=Command)
@manifest_options
@format_option("text", "json", "yaml", "markdown")
@click.option(
    "--detailed-exitcode", is_flag=True, help="Leave with 2 when there are changes, 0 when none."
)
@click.option(
    "--out", type=click.Path(), metavar="FILE", help="Save the plan for `provision apply FILE`."
)
@wish_options
@stack_option
@azure_options
@screen_options
@click.pass_context
def plan(ctx: click.Context, /, **options: Any) -> int:
    """Show what would change; changes nothing.

    Read rights suffice. Leaves with 3 when an apply would be refused.
    """
    chosen = choose(options["filenames"], options["labels"], options["stack"], wish_values(options))
    request = _Request(
        chosen, options["output_format"], options["detailed_exitcode"], options["out"]
    )
    session = session_of(ctx)
    if request.out is not None:
        require_no_file(request.out)
    return loop.run(lambda interrupts: _plan(Flow(session, interrupts), request))


async def _plan(flow: Flow, request: _Request) -> int:
    async with flow.connect() as connection, flow.view() as emit:
        prepared = await pipeline.prepare(
            request.chosen.manifests,
            connection.cloud,
            request.chosen.wish,
            connection.clock,
            emit,
        )
        basis = request.chosen.basis(connection)
    _print(flow.session, request.output_format, prepared)
    if blocking(prepared.findings):
        return ExitCode.REFUSED
    if request.out is not None:
        write_plan(request.out, prepared.plan, basis)
        command = f"provision apply {shlex.quote(request.out)}"
        click.echo(f"Saved as {request.out}; apply it with: {command}", err=True)
    changes = request.detailed and not prepared.plan.empty
    return ExitCode.CHANGES if changes else ExitCode.DONE


def _print(session: Session, output_format: str, prepared: Prepared) -> None:
    findings: tuple[Problem, ...] = (
        *prepared.findings,
        *softened(planning.guard(prepared.plan)),
    )
    plan = judged(prepared.plan, findings)
    if output_format == "text":
        color = session.color(sys.stdout)
        text = plan_text(plan, width=width(sys.stdout), color=color, verbose=bool(session.verbose))
        show(findings, session)
        if findings and not session.log_json:
            click.echo(err=True)
        click.echo(text, nl=False, color=color)
    elif output_format == "markdown":
        click.echo(markdown(plan), nl=False)
    else:
        print_document(document(plan), output_format)
