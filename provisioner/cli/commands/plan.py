"""`provision plan`: what would change."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import click

from provisioner import pipeline
from provisioner import plan as planning
from provisioner.cli import loop
from provisioner.cli.commands.validate import load
from provisioner.cli.flow import Flow, softened
from provisioner.cli.options import (
    azure_options,
    format_option,
    manifest_options,
    screen_options,
    session_of,
    stack_option,
)
from provisioner.cli.render.documents import print_document
from provisioner.cli.render.plans import judged, plan_text
from provisioner.cli.report import show
from provisioner.cli.session import Session, width
from provisioner.errors import ExitCode, Problem
from provisioner.manifest import Manifests
from provisioner.pipeline import Prepared, Wish
from provisioner.plan.json import document
from provisioner.plan.markdown import markdown
from provisioner.preflight import blocking


@dataclass(frozen=True, slots=True)
class _Request:
    manifests: Manifests
    wish: Wish
    output_format: str
    detailed: bool


@click.command()
@manifest_options
@format_option("text", "json", "yaml", "markdown")
@click.option(
    "--detailed-exitcode", is_flag=True, help="Leave with 2 when there are changes, 0 when none."
)
@click.option("--prune", is_flag=True, help="Include what the stack has and no manifest names.")
@click.option("--adopt", is_flag=True, help="Take over what exists under the manifests' names.")
@click.option("--accept-terms", is_flag=True, help="Accept the Marketplace terms that it needs.")
@stack_option
@azure_options
@screen_options
@click.pass_context
def plan(ctx: click.Context, /, **options: object) -> int:
    """Show what would change; changes nothing.

    Read rights suffice. Leaves with 3 when an apply would be refused.
    """
    manifests = load(options["filenames"], options["labels"])  # type: ignore[arg-type]
    wish = Wish(
        stack=str(options["stack"]),
        accept_terms=bool(options["accept_terms"]),
        planning=planning.Options(adopt=bool(options["adopt"]), prune=bool(options["prune"])),
    )
    request = _Request(
        manifests, wish, str(options["output_format"]), bool(options["detailed_exitcode"])
    )
    session = session_of(ctx)
    return loop.run(lambda interrupts: _plan(Flow(session, interrupts), request))


async def _plan(flow: Flow, request: _Request) -> int:
    async with flow.connect() as connection, flow.view() as emit:
        prepared = await pipeline.prepare(
            request.manifests, connection.cloud, request.wish, connection.clock, emit
        )
    _print(flow.session, request.output_format, prepared)
    if blocking(prepared.findings):
        return ExitCode.REFUSED
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
        click.echo(text, nl=False, color=color)
    elif output_format == "markdown":
        click.echo(markdown(plan), nl=False)
    else:
        print_document(document(plan), output_format)
