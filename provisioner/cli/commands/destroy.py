"""`provision destroy`: remove what the manifests name."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import click

from provisioner import apply as applying
from provisioner import pipeline
from provisioner import plan as planning
from provisioner.cli import loop
from provisioner.cli.commands.validate import load
from provisioner.cli.flow import Flow
from provisioner.cli.groups import Command
from provisioner.cli.options import (
    azure_options,
    format_option,
    manifest_options,
    screen_options,
    session_of,
    stack_option,
    timeout_option,
    yes_option,
)
from provisioner.cli.render.documents import print_document
from provisioner.cli.render.results import applied_document, closing_line
from provisioner.cli.report import show
from provisioner.errors.harmless import clean
from provisioner.manifest import Manifests
from provisioner.pipeline import Wish
from provisioner.plan.words import counted, unchanged
from provisioner.preflight import blocking


@dataclass(frozen=True, slots=True)
class _Request:
    manifests: Manifests
    wish: Wish
    settings: applying.Settings
    output_format: str
    yes: bool


@click.command(cls=Command)
@manifest_options
@format_option("text", "json", "yaml")
@yes_option
@click.option(
    "--prune-subscriptions", is_flag=True, help="Also Marketplace subscriptions without endpoint."
)
@timeout_option
@stack_option
@azure_options
@screen_options
@click.pass_context
def destroy(ctx: click.Context, /, **options: Any) -> int:
    """Remove what the manifests name.

    Endpoints go before their Marketplace subscription, which stays unless it is pruned. What
    belongs to another stack, or was made by other means, is never touched.
    """
    session = session_of(ctx)
    allowed = planning.Options(prune_subscriptions=options["prune_subscriptions"])
    request = _Request(
        load(options["filenames"], options["labels"]),
        Wish(options["stack"], planning=allowed),
        applying.Settings(timeout=options["timeout"]),
        options["output_format"],
        options["yes"],
    )
    return loop.run(lambda interrupts: _destroy(Flow(session, interrupts), request))


async def _destroy(flow: Flow, request: _Request) -> int:
    flow.require_answer(request.yes, "destroy")
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(flow.connect())
        async with flow.view() as emit:
            prepared = await pipeline.prepare_destroy(
                request.manifests, connection.cloud, request.wish, connection.clock, emit
            )
        errors = blocking(prepared.findings)
        warned = [one for one in prepared.findings if one not in errors]
        if prepared.plan.empty:
            show(warned, flow.session)
        else:
            flow.show_plan(prepared.plan, warned)
        prepared.require_sound()
        if not request.yes and not prepared.plan.empty:
            flow.confirm("Delete these, for good?")
        async with flow.view() as emit:
            with flow.interrupts.gently(request.settings.stop):
                applied = await pipeline.carry_out(
                    prepared, connection.cloud, connection.clock, emit, request.settings, None
                )
    show(applied.problems, flow.session)
    if request.output_format != "text":
        print_document(applied_document([], applied), request.output_format)
    elif prepared.plan.empty:
        reasons = [counted(reason, count) for reason, count in unchanged(prepared.plan)]
        click.echo(clean(f"Nothing to destroy{': ' if reasons else ''}{', '.join(reasons)}."))
    else:
        click.echo(closing_line(prepared.plan, applied, flow.took, "Destroyed"))
    return applied.exit_code
