"""The command tree. Commands are imported when they are run, not when they are listed."""

from __future__ import annotations

import importlib
import keyword
from typing import Final, NamedTuple, cast

import click

import provisioner
from provisioner.cli.groups import Group


class Lazy(NamedTuple):
    """A command and its line in the list; its module under cli.commands has its name."""

    name: str
    summary: str

    @property
    def module(self) -> str:
        return f"{self.name}_" if keyword.iskeyword(self.name) else self.name


SECTIONS: Final[dict[str, tuple[Lazy, ...]]] = {
    "Manifests": (
        Lazy("init", "Write a commented starter manifest."),
        Lazy("validate", "Check manifests, offline."),
        Lazy("schema", "Print the JSON Schema of the manifest, for editors."),
        Lazy("import", "Write manifests from a live workspace, or from files of `az ml`."),
    ),
    "Before an apply": (
        Lazy("models", "List and show models: versions, targets, regions, offer, sizes."),
        Lazy("doctor", "Check everything that an apply depends on; changes nothing."),
        Lazy("role", "Print the smallest custom role that these manifests need."),
        Lazy("plan", "Show what would change; changes nothing."),
    ),
    "Deployments": (
        Lazy("apply", "Make Azure as the manifests say; write URLs and keys."),
        Lazy("status", "List deployments: state, traffic, URL, expiry."),
        Lazy("destroy", "Remove what the manifests name."),
        Lazy("reap", "Take down endpoints before their deadline; needs no manifest."),
        Lazy("watch", "Keep Azure as the manifests say: apply and reap in a loop."),
    ),
    "Deployed models": (
        Lazy("output", "Show or write one deployment's URL and key."),
        Lazy("keys", "Show or rotate an endpoint's keys."),
        Lazy("invoke", "Call a deployed model."),
        Lazy("snippet", "Print code that calls a deployed model."),
    ),
    "Local Azure": (Lazy("emulator", "Run the local Azure of this folder."),),
}
COMMANDS: Final = {lazy.name: lazy for section in SECTIONS.values() for lazy in section}


class LazyGroup(Group):
    """A group that knows its commands by name and imports one only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        lazy = COMMANDS.get(cmd_name)
        if lazy is None:
            return None
        module = importlib.import_module(f"provisioner.cli.commands.{lazy.module}")
        return cast(click.Command, getattr(module, lazy.module))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, section in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{lazy.name:<8}", lazy.summary) for lazy in section])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(provisioner.__version__, "--version", message="provision %(version)s")
def cli() -> None:
    """Deploy language models on Azure Machine Learning from manifests.

    \b
      provision init                            write a starter manifest
      provision plan --emulator -f manifests    try it on the local Azure
      provision apply -f manifests              do it on Azure
    """
