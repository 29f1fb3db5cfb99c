"""`provision keys`: show an endpoint's keys, or make both anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import click

from provisioner import outputs, rotation
from provisioner.cli import loop
from provisioner.cli.commands.validate import load
from provisioner.cli.flow import Flow, surroundings, with_vaults
from provisioner.cli.groups import Group
from provisioner.cli.options import (
    azure_options,
    format_option,
    manifest_options,
    screen_options,
    session_of,
    stack_option,
)
from provisioner.cli.reach import choose, credentials, key_of
from provisioner.cli.render.documents import print_document
from provisioner.cli.types import WAIT
from provisioner.desired import desired
from provisioner.errors import ExitCode, Problem, Refused
from provisioner.events import Emit
from provisioner.inference import Endpoint, admits
from provisioner.outputs.held import lasting
from provisioner.outputs.types import EndpointCredentials
from provisioner.publish import Published, published
from provisioner.resources import Keys, Secret
from provisioner.wiring import Connection


@dataclass(frozen=True, slots=True)
class _Request:
    """`sharing`: the deployments of the manifests that have the chosen one's endpoint."""

    chosen: Published
    sharing: tuple[Published, ...]
    output_format: str


@click.group(cls=Group, no_args_is_help=True)
def keys() -> None:
    """Show or rotate an endpoint's keys."""


@keys.command()
@click.argument("name")
@manifest_options
@format_option("text", "json", "yaml")
@click.option("--key", "which", type=click.Choice(["primary", "secondary"]), default="primary",
              show_default=True, help="Which of the two.")  # fmt: skip
@stack_option
@azure_options
@screen_options
@click.pass_context
def show(ctx: click.Context, /, **options: Any) -> int:
    """Print one key of the deployment NAME: alone as text, as a field otherwise."""
    session = session_of(ctx)
    request = _request(options)
    which = options["which"]
    found = loop.run(lambda interrupts: _found(Flow(session, interrupts), request))
    # With both of them, the credentials would answer with the other one where this is absent.
    one = getattr(found.keys, which)
    key = key_of(replace(found, keys=Keys(one, one)))
    if request.output_format == "text":
        click.echo(key.reveal())
    else:
        print_document(
            {"name": found.name, "which": which, "key": key.reveal()}, request.output_format
        )
    return ExitCode.DONE


@keys.command()
@click.argument("name")
@manifest_options
@format_option("text", "json", "yaml")
@click.option(
    "--grace", type=WAIT, default="30s", show_default=True, metavar="SPAN",
    help="Time to read the outputs again before an old key ends.",
)  # fmt: skip
@stack_option
@azure_options
@screen_options
@click.pass_context
def rotate(ctx: click.Context, /, **options: Any) -> int:
    """Make both keys of NAME's endpoint anew; callers that read its outputs never fail.

    The outputs move to a new secondary key before the primary is regenerated, and back to it
    afterwards. Every deployment of the manifests that shares the endpoint is included. May be
    interrupted anywhere: the same command goes on from there. Nothing is asked, and the old keys
    do not come back: whoever has one from elsewhere than an output needs the new one.
    """
    session = session_of(ctx)
    request = _request(options)
    grace = float(options["grace"])
    return loop.run(lambda interrupts: _rotate(Flow(session, interrupts), request, grace))


def _request(options: Mapping[str, Any]) -> _Request:
    manifests = load(options["filenames"], options["labels"])
    everything = list(published(desired(manifests, stack=options["stack"])))
    chosen = choose(options["name"], everything)
    sharing = tuple(one for one in everything if one.endpoint == chosen.endpoint)
    return _Request(chosen, sharing, options["output_format"])


async def _found(flow: Flow, request: _Request) -> EndpointCredentials:
    async with flow.connect() as connection:
        return await credentials(connection.cloud, request.chosen)


async def _rotate(flow: Flow, request: _Request, grace: float) -> int:
    context = surroundings(request.output_format)
    async with flow.connect() as connection:
        context = with_vaults(context, connection)
        await _require_writable(request, context)
        found = await credentials(connection.cloud, request.chosen)
        async with flow.view() as emit:
            run = _rotation(request, found, connection, context, emit, grace)
            await run.run()
    return _end(request, run.results)


def _rotation(
    request: _Request,
    found: EndpointCredentials,
    connection: Connection,
    context: outputs.Context,
    emit: Emit,
    grace: float,
) -> rotation.Rotation:
    async def let_in(key: Secret) -> Problem | None:
        endpoint = Endpoint(found.url, key, ca_bundle=connection.ca_bundle)
        return await admits(endpoint, connection.clock)

    job = rotation.Job(request.chosen.endpoint, found.url, request.sharing, grace)
    return rotation.Rotation(job, connection.cloud, connection.clock, emit, context, let_in)


async def _require_writable(request: _Request, context: outputs.Context) -> None:
    """Raises Refused, before any key changes, when an output could not be written."""
    problems: list[Problem] = []
    for one in request.sharing:
        sinks = [sink for sink in one.origin.outputs if lasting(sink)]
        found = await outputs.check_writable(sinks, context)
        problems += [problem.at(one.origin.position) for problem in found]
    if problems:
        raise Refused(*problems)


def _end(request: _Request, results: list[outputs.SinkResult]) -> int:
    name = request.chosen.endpoint.name
    if request.output_format == "text":
        where = "the outputs hold the primary" if results else "no output holds one"
        click.echo(f"Both keys of {name} are new; {where}.")
        return ExitCode.DONE
    written = [
        {"deployment": one.deployment, "sink": one.sink, "target": one.target} for one in results
    ]
    print_document({"endpoint": name, "rotated": True, "outputs": written}, request.output_format)
    return ExitCode.DONE
