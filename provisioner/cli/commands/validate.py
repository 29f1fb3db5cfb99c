"""`provision validate`: the manifests alone, offline."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from provisioner import manifest
from provisioner.cli.groups import Command
from provisioner.cli.options import format_option, manifest_options, screen_options, session_of
from provisioner.cli.render.documents import print_document
from provisioner.cli.render.problems import problem_document, summary
from provisioner.cli.report import show
from provisioner.errors import ExitCode, InvalidManifest, Problem
from provisioner.manifest.selector import Selector


@click.command(cls=Command)
@manifest_options
@format_option("text", "json", "yaml")
@screen_options
@click.pass_context
def validate(
    ctx: click.Context, filenames: tuple[str, ...], labels: Selector, output_format: str
) -> int:
    """Check manifests, offline.

    All problems of all files are reported at once. Leaves with 65 when there is an error.
    """
    loaded: manifest.Manifests | None = None
    problems: Sequence[Problem]
    try:
        loaded = load(filenames, labels)
        problems = loaded.warnings
    except InvalidManifest as error:
        problems = error.problems
    if output_format == "text":
        show(problems, session_of(ctx))
        _say(loaded, problems)
    else:
        print_document(_document(loaded, problems), output_format)
    return ExitCode.DONE if loaded is not None else ExitCode.INVALID_MANIFEST


def load(filenames: Sequence[str], labels: Selector) -> manifest.Manifests:
    """The manifests of a command line, narrowed by its labels. Raises InvalidManifest."""
    manifests = manifest.load(filenames, stdin=sys.stdin)
    return manifests.select(labels) if labels else manifests


def _say(loaded: manifest.Manifests | None, problems: Sequence[Problem]) -> None:
    counted = summary(problems)
    if loaded is None:
        click.echo(f"\n{counted}.", err=True)
        return
    also = f", {counted}" if counted else ""
    click.echo(
        f"Valid: {_count(len(loaded.deployments), 'deployment')} and "
        f"{_count(len(loaded.workspaces), 'workspace')} in "
        f"{_count(len(loaded.files), 'file')}{also}."
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _document(loaded: manifest.Manifests | None, problems: Sequence[Problem]) -> object:
    return {
        "valid": loaded is not None,
        "files": list(loaded.files) if loaded else [],
        "workspaces": [one.name for one in loaded.workspaces] if loaded else [],
        "deployments": [one.name for one in loaded.deployments] if loaded else [],
        "problems": [problem_document(problem) for problem in problems],
    }
