"""`provision doctor`: everything that preflight checks, read-only, in one report."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import click

from provisioner import manifest, pipeline
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
from provisioner.cli.render.findings import (
    findings_document,
    findings_markdown,
    findings_sarif,
    findings_text,
)
from provisioner.cli.session import Session, width
from provisioner.cli.wishes import wish_of, wish_options, wish_values
from provisioner.errors import ExitCode, InvalidManifest, Problem
from provisioner.pipeline import Wish
from provisioner.preflight import blocking


@dataclass(frozen=True, slots=True)
class _Request:
    manifests: manifest.Manifests
    wish: Wish
    output_format: str


@click.command(cls=Command)
@manifest_options
@format_option("text", "json", "yaml", "markdown", "sarif")
@wish_options
@stack_option
@azure_options
@screen_options
@click.pass_context
def doctor(ctx: click.Context, /, **options: object) -> int:
    """Check everything that an apply depends on; changes nothing.

    Read rights suffice. What is live already is looked at, too. Leaves with 3 when an apply would
    be refused, 65 when a manifest is wrong.
    """
    session, output_format = session_of(ctx), str(options["output_format"])
    try:
        manifests = load(options["filenames"], options["labels"])  # type: ignore[arg-type]
    except InvalidManifest as error:
        _print(session, output_format, error.problems, "Manifests")
        return ExitCode.INVALID_MANIFEST
    given = wish_of(str(options["stack"]), wish_values(options))
    wish = replace(given, checks=replace(given.checks, thorough=True))
    request = _Request(manifests, wish, output_format)
    return loop.run(lambda interrupts: _doctor(Flow(session, interrupts), request))


async def _doctor(flow: Flow, request: _Request) -> int:
    async with flow.connect() as connection, flow.view() as emit:
        prepared = await pipeline.prepare(
            request.manifests, connection.cloud, request.wish, connection.clock, emit
        )
    findings = prepared.findings
    subject = _subject(len(prepared.desired.origins), len(prepared.desired.workspaces))
    files = request.manifests.files
    _print(flow.session, request.output_format, findings, subject, files)
    return ExitCode.REFUSED if blocking(findings) else ExitCode.DONE


def _subject(deployments: int, workspaces: int) -> str:
    def count(number: int, noun: str) -> str:
        return f"{number} {noun}{'' if number == 1 else 's'}"

    return f"{count(deployments, 'deployment')} in {count(workspaces, 'workspace')}"


def _print(
    session: Session,
    output_format: str,
    findings: Sequence[Problem],
    subject: str,
    files: Sequence[str] = (),
) -> None:
    match output_format:
        case "text":
            color = session.color(sys.stdout)
            text = findings_text(findings, subject, width=width(sys.stdout), color=color)
            click.echo(text, nl=False, color=color)
        case "markdown":
            click.echo(findings_markdown(findings, subject))
        case "sarif":
            click.echo(findings_sarif(findings, files), nl=False)
        case _:
            print_document(findings_document(findings, subject), output_format)
