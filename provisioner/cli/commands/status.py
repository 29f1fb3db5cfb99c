"""`provision status`: what is live of the manifests."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import click

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
)
from provisioner.cli.render.documents import print_document
from provisioner.cli.render.rows import Row, row_document, rows, table
from provisioner.cli.report import show
from provisioner.cli.session import width
from provisioner.desired import desired
from provisioner.errors import Failed
from provisioner.errors.cloud import CloudError
from provisioner.errors.decode import decode
from provisioner.manifest import Manifests
from provisioner.manifest.selector import Selector
from provisioner.observe import observe


@dataclass(frozen=True, slots=True)
class _Request:
    manifests: Manifests
    stack: str
    output_format: str


@click.command(cls=Command)
@manifest_options
@format_option("text", "json", "yaml")
@stack_option
@azure_options
@screen_options
@click.pass_context
def status(
    ctx: click.Context,
    filenames: tuple[str, ...],
    labels: Selector,
    output_format: str,
    stack: str,
) -> int | None:
    """List deployments: state, traffic, URL, expiry."""
    request = _Request(load(filenames, labels), stack, output_format)
    session = session_of(ctx)
    return loop.run(lambda interrupts: _status(Flow(session, interrupts), request))


async def _status(flow: Flow, request: _Request) -> int | None:
    wanted = desired(request.manifests, stack=request.stack)
    async with flow.connect() as connection:
        try:
            observed = await observe(connection.cloud, wanted)
        except CloudError as error:
            raise Failed(decode(error.fault)) from error
        found: list[Row] = rows(wanted, observed)
        if request.output_format != "text":
            document = {"deployments": [row_document(row) for row in found]}
            print_document(document, request.output_format)
        elif found:
            click.echo(table(found, connection.clock.now(), width=width(sys.stdout)), nl=False)
        else:
            click.echo("No deployment matches.")
    show(request.manifests.warnings, flow.session)
    return None
