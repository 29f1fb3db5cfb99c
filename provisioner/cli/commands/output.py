"""`provision output NAME`: URL and key of one deployment, on demand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import click

from provisioner import outputs
from provisioner.cli import loop
from provisioner.cli.commands.validate import load
from provisioner.cli.flow import Flow, surroundings, with_vaults
from provisioner.cli.groups import Command
from provisioner.cli.options import (
    azure_options,
    format_option,
    manifest_options,
    screen_options,
    session_of,
    stack_option,
)
from provisioner.cli.reach import choose, credentials
from provisioner.cli.render.documents import print_document
from provisioner.cli.report import show
from provisioner.desired import desired
from provisioner.errors import ExitCode, Failed
from provisioner.errors.harmless import clean
from provisioner.manifest import Manifests
from provisioner.manifest.selector import Selector
from provisioner.outputs import EndpointCredentials, Status
from provisioner.outputs.content import secret_of, shell_lines
from provisioner.outputs.types import SinkError
from provisioner.publish import Published, published


@dataclass(frozen=True, slots=True)
class _Request:
    name: str
    manifests: Manifests
    stack: str
    output_format: str
    key: bool
    export: bool
    write: bool


@click.command(cls=Command)
@click.argument("name")
@manifest_options
@format_option("text", "json", "yaml")
@click.option("--key", is_flag=True, help="Show the key: alone as text, as a field otherwise.")
@click.option("--export", is_flag=True, help="Shell lines with URL, key and model, for eval.")
@click.option("--write", is_flag=True, help="Write the outputs that the manifest names again.")
@stack_option
@azure_options
@screen_options
@click.pass_context
def output(
    ctx: click.Context,
    /,
    name: str,
    filenames: tuple[str, ...],
    labels: Selector,
    **options: object,
) -> int:
    """Show or write one deployment's URL and key.

    Without options: the URL, alone. The key is shown only when it is asked for.
    """
    request = _Request(
        name,
        load(filenames, labels),
        str(options["stack"]),
        str(options["output_format"]),
        key=bool(options["key"]),
        export=bool(options["export"]),
        write=bool(options["write"]),
    )
    _require_one_wish(ctx, request)
    session = session_of(ctx)
    return loop.run(lambda interrupts: _output(Flow(session, interrupts), request))


def _require_one_wish(ctx: click.Context, request: _Request) -> None:
    """Raises UsageError where one option would silently win over another."""
    flags = (("--key", request.key), ("--export", request.export), ("--write", request.write))
    given = [name for name, on in flags if on]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} exclude each other.", ctx)
    if request.export and request.output_format != "text":
        raise click.UsageError("--export prints shell lines; it takes no -o.", ctx)


async def _output(flow: Flow, request: _Request) -> int:
    wanted = desired(request.manifests, stack=request.stack)
    chosen = choose(request.name, list(published(wanted)))
    async with flow.connect() as connection:
        found = await credentials(connection.cloud, chosen)
        if request.write:
            context = with_vaults(surroundings(request.output_format), connection)
            results = await outputs.write(found, chosen.origin.outputs, context)
            return _written(flow, request, chosen, results)
    try:
        _show(request, found)
    except SinkError as error:
        raise Failed(error.problem) from error
    return ExitCode.DONE


def _show(request: _Request, found: EndpointCredentials) -> None:
    if request.export:
        click.echo(shell_lines(found), nl=False)
    elif request.output_format != "text":
        document = {"name": found.name, "model": found.model.short, "url": found.url}
        if request.key:
            document["key"] = secret_of(found).reveal()
        print_document(document, request.output_format)
    else:
        click.echo(secret_of(found).reveal() if request.key else found.url)


def _written(
    flow: Flow, request: _Request, chosen: Published, results: Sequence[outputs.SinkResult]
) -> int:
    failed = [result for result in results if result.status is Status.FAILED]
    show([result.problem for result in failed if result.problem], flow.session)
    if request.output_format == "text":
        for result in results:
            click.echo(clean(f"{result.status}: {result.target} ({result.sink})"))
        if not results:
            click.echo(f"{chosen.origin.name} names no outputs.")
    else:
        written = [
            {"sink": result.sink, "target": result.target, "status": str(result.status)}
            for result in results
        ]
        print_document({"name": request.name, "outputs": written}, request.output_format)
    if not failed:
        return ExitCode.DONE
    return ExitCode.PARTIAL if len(failed) < len(results) else ExitCode.FAILED
