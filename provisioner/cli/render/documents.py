"""Results as JSON or YAML on stdout."""

from __future__ import annotations

import click

from provisioner.errors.harmless import json_text, plain_in_yaml, yaml_text


def print_document(document: object, output_format: str) -> None:
    """Print plain data as `json` or `yaml`, keys in the order given."""
    if output_format == "json":
        click.echo(json_text(document, indent=2))
        return
    click.echo(_yaml(document), nl=False)


def _yaml(document: object) -> str:
    import yaml  # noqa: PLC0415 - YAML is asked for now and then

    class Dumper(yaml.SafeDumper):
        pass

    def represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
        style = None if plain_in_yaml(text) else '"'
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Dumper.add_representer(str, represent)
    dumped = yaml.dump(
        document, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=float("inf")
    )
    return yaml_text(dumped)
