"""`provision init`: a starter manifest."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from provisioner.cli import codes
from provisioner.cli.groups import Command
from provisioner.cli.options import screen_options
from provisioner.errors import Problem, UsageError
from provisioner.manifest.starter import starter


@click.command(cls=Command)
@click.argument(
    "file", default="manifests/provision.yaml", metavar="[FILE]", type=click.Path(allow_dash=True)
)
@click.option("--force", is_flag=True, help="Overwrite FILE if it exists.")
@screen_options
def init(file: str, force: bool) -> None:
    """Write a commented starter manifest.

    FILE is manifests/provision.yaml when left out; - prints it.
    """
    text = starter()
    if file == "-":
        click.echo(text, nl=False)
        return
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    # O_EXCL decides, not a look beforehand: nobody's file is lost in between.
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | (os.O_TRUNC if force else os.O_EXCL)
    try:
        with os.fdopen(os.open(path, flags, 0o644), "w", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise UsageError(
            Problem(codes.FILE_EXISTS, f"{path} exists.", "name another file, or use --force")
        ) from None
    except OSError as error:  # a full disk names no file
        error.filename = error.filename or str(path)
        raise
    quoted = shlex.quote(str(path))
    click.echo(f"Wrote {path}. Next:")
    click.echo(f"  provision validate -f {quoted}")
    # The starter accepts no terms: that is the reader's to write. The emulator's bind nobody.
    click.echo(f"  provision apply --emulator --accept-terms -f {quoted}")
