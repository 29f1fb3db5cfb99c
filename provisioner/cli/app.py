"""The command tree. Commands are imported when they are run, not when they are listed."""

from __future__ import annotations

import importlib
from difflib import get_close_matches
from typing import Final, NamedTuple, cast

import click

import provisioner


class Lazy(NamedTuple):
    """Where a command lives (`module` under cli.commands) and its line in the list."""

    module: str
    attribute: str
    summary: str


COMMANDS: Final[dict[str, Lazy]] = {
    "init": Lazy("init", "init", "Write a commented starter manifest."),
    "validate": Lazy("validate", "validate", "Check manifests, offline."),
    "schema": Lazy("schema", "schema", "Print the JSON Schema of the manifest, for editors."),
    "doctor": Lazy(
        "doctor", "doctor", "Check everything that an apply depends on; changes nothing."
    ),
    "plan": Lazy("plan", "plan", "Show what would change; changes nothing."),
    "apply": Lazy("apply", "apply", "Make Azure as the manifests say; write URLs and keys."),
    "destroy": Lazy("destroy", "destroy", "Remove what the manifests name."),
    "status": Lazy("status", "status", "List deployments: state, traffic, URL, expiry."),
    "reap": Lazy("reap", "reap", "Take down endpoints before their deadline; needs no manifest."),
    "watch": Lazy("watch", "watch", "Keep Azure as the manifests say: apply and reap in a loop."),
    "output": Lazy("output", "output", "Show or write one deployment's URL and key."),
    "models": Lazy(
        "models",
        "models",
        "List and show models: versions, targets, regions, offer, lifecycle, sizes.",
    ),
    "role": Lazy("role", "role", "Print the smallest custom role that these manifests need."),
    "import": Lazy("import_", "import_", "Write manifests of the endpoints that a workspace has."),
    "invoke": Lazy("invoke", "invoke", "Call a deployed model."),
    "snippet": Lazy("snippet", "snippet", "Print code that calls a deployed model."),
    "keys": Lazy("keys", "keys", "Show or rotate an endpoint's keys."),
    "emulator": Lazy("emulator", "emulator", "Run the local Azure of this folder."),
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        lazy = COMMANDS.get(cmd_name)
        if lazy is None:
            return None
        module = importlib.import_module(f"provisioner.cli.commands.{lazy.module}")
        return cast(click.Command, getattr(module, lazy.attribute))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.summary) for name, lazy in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in COMMANDS:
            near = get_close_matches(name, COMMANDS, n=1)
            advice = f' Did you mean "{near[0]}"?' if near else ""
            raise click.UsageError(f'There is no command "{name}".{advice}', ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(provisioner.__version__, "--version", message="provision %(version)s")
def cli() -> None:
    """Deploy language models on Azure Machine Learning from manifests.

    \b
      provision init                        write a starter manifest
      provision apply --emulator -f FILE    try it on the local Azure
      provision apply -f FILE               do it on Azure
    """
