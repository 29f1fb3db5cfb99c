"""`provision snippet NAME --client …`: code that calls a deployed model."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from provisioner.cli import loop
from provisioner.cli.commands.validate import load
from provisioner.cli.flow import Flow
from provisioner.cli.groups import Command
from provisioner.cli.options import (
    azure_options,
    manifest_options,
    screen_options,
    session_of,
    stack_option,
)
from provisioner.cli.reach import choose, credentials, key_of, require_managed
from provisioner.cli.session import Session
from provisioner.desired import desired
from provisioner.errors import ExitCode
from provisioner.inference import Api
from provisioner.inference.snippets import Facts, Inline, Library
from provisioner.inference.snippets import snippet as code
from provisioner.manifest.sinks import Dotenv
from provisioner.outputs.content import VARIABLES
from provisioner.publish import Published, published
from provisioner.wiring import EMULATOR_FOLDER


@dataclass(frozen=True, slots=True)
class _Request:
    chosen: Published
    library: Library
    facts: Facts


@click.command(cls=Command)
@click.argument("name")
@manifest_options
@click.option("--client", "library", type=click.Choice([str(one) for one in Library]),
              default="curl", show_default=True, help="The client library.")  # fmt: skip
@click.option("--api", type=click.Choice([str(one) for one in Api]), default="chat",
              show_default=True, help="A conversation, or the continuation of a text.")  # fmt: skip
@click.option("--deployment", metavar="NAME",
              help="A deployment of a managed endpoint, whatever the traffic.")  # fmt: skip
@click.option("--inline-key", is_flag=True, help="Print URL and key in the code itself.")
@stack_option
@azure_options
@screen_options
@click.pass_context
def snippet(ctx: click.Context, /, **options: Any) -> int:
    """Print code that calls a deployed model.

    It calls the deployment NAME of the manifests and runs as printed.

    It reads URL and key from the environment, under the names that the manifest's dotenv output
    gives them; that needs no connection to Azure.
    """
    session = session_of(ctx)
    request = _request(options, session)
    if options["inline_key"]:
        request = loop.run(lambda interrupts: _inlined(Flow(session, interrupts), request))
    click.echo(code(request.library, request.facts), nl=False)
    return ExitCode.DONE


def _request(options: Mapping[str, Any], session: Session) -> _Request:
    manifests = load(options["filenames"], options["labels"])
    wanted = desired(manifests, stack=options["stack"])
    chosen = choose(options["name"], list(published(wanted)))
    require_managed(chosen, options["deployment"])
    names, command = _environment(chosen, options["filenames"], session)
    facts = Facts(
        title=f"{chosen.origin.name} ({chosen.model.short})",
        model=chosen.model.name,
        names=names,
        load=command,
        api=Api(options["api"]),
        deployment=options["deployment"],
        ca_bundle=_authority(session),
    )
    return _Request(chosen, Library(options["library"]), facts)


def _environment(
    chosen: Published, filenames: tuple[str, ...], session: Session
) -> tuple[tuple[str, str, str], str]:
    """The variables of URL, key and model, and the command that sets them: from the dotenv file
    of the manifest, or straight from Azure when it names none."""
    url, key, model = VARIABLES
    for output in chosen.origin.outputs:
        if isinstance(output.sink, Dotenv):
            prefix = output.sink.prefix or ""
            path = shlex.quote(str(Path(output.sink.path)))
            path = path if "/" in path else f"./{path}"
            return (prefix + url, prefix + key, prefix + model), f"set -a; . {path}; set +a"
    arguments = ["provision", "output", chosen.origin.name, "--export"]
    arguments += ["--emulator"] * session.emulator
    for name in filenames:
        arguments += ["-f", name]
    return VARIABLES, f'eval "$({shlex.join(arguments)})"'


def _authority(session: Session) -> str | None:
    """The CA file that clients must trust besides the public ones."""
    if session.emulator:
        return str((EMULATOR_FOLDER / "ca.pem").absolute())
    return str(Path(session.ca_bundle).absolute()) if session.ca_bundle else None


async def _inlined(flow: Flow, request: _Request) -> _Request:
    """The same with URL and key as Azure has them now. Raises Failed."""
    async with flow.connect() as connection:
        found = await credentials(connection.cloud, request.chosen)
    inline = Inline(found.url, key_of(found))
    return replace(request, facts=replace(request.facts, inline=inline))
