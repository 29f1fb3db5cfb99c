"""Results as JSON or YAML on stdout."""

from __future__ import annotations

import json

import click


def print_document(document: object, output_format: str) -> None:
    """Print plain data as `json` or `yaml`, keys in the order given."""
    if output_format == "json":
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    import yaml  # noqa: PLC0415 - YAML is asked for now and then

    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=4096)
    click.echo(text, nl=False)
