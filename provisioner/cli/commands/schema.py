"""`provision schema`: the manifest's JSON Schema."""

from __future__ import annotations

import click

from provisioner import manifest
from provisioner.cli.groups import Command
from provisioner.cli.options import screen_options
from provisioner.cli.render.documents import print_document


@click.command(cls=Command)
@screen_options
def schema() -> None:
    """Print the JSON Schema of the manifest, for editors.

    With the YAML extension of VS Code, begin a manifest with
    "# yaml-language-server: $schema=provision.schema.json".
    """
    print_document(manifest.json_schema(), "json")
