"""Saved plans on disk: writing one, and planning again from what one names."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from provisioner.cli import codes
from provisioner.cli.commands.validate import load
from provisioner.cli.wishes import wish_of
from provisioner.errors import Problem, UsageError
from provisioner.manifest import Manifests, files
from provisioner.manifest.selector import Selector
from provisioner.pipeline import Wish
from provisioner.plan import Plan, saved
from provisioner.wiring import Connection

_LARGEST = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Chosen:
    """Manifests and wish, from the command line or from a saved plan."""

    manifests: Manifests
    wish: Wish
    sources: tuple[str, ...]
    options: Mapping[str, object]
    promise: saved.SavedPlan | None = None

    def basis(self, connection: Connection) -> saved.Basis:
        """What this plan rests on, for saving it or comparing it with a saved one."""
        return saved.Basis(
            cloud=connection.label or "the public cloud",
            stack=self.wish.stack,
            sources=self.sources,
            files={name: _digest(name) for name in self.manifests.files},
            options=self.options,
        )

    def require_same(self, connection: Connection) -> None:
        """Raises Refused when a saved plan was made for something else."""
        if self.promise is not None:
            saved.require_same(self.promise, self.basis(connection))

    def require_fresh(self, plan: Plan) -> None:
        """Raises Refused when planning anew gives something else than what was saved."""
        if self.promise is not None:
            saved.require_fresh(self.promise, plan)


def choose(
    filenames: Sequence[str],
    labels: Selector,
    stack: str,
    values: Mapping[str, object],
) -> Chosen:
    """What the command line asks for. Raises InvalidManifest."""
    if labels and values.get("prune"):
        raise click.UsageError(
            "--prune with -l would delete every deployment that the label leaves out."
        )
    options = {**values, "labels": labels.text}
    return Chosen(load(filenames, labels), wish_of(stack, values), tuple(filenames), options)


def open_plan(path: str) -> Chosen:
    """What a saved plan asks for. Raises UsageError, Refused or InvalidManifest."""
    if Path(path).is_dir():
        raise UsageError(saved.not_a_plan(path, f"{path} is a folder, not a saved plan"))
    try:
        if Path(path).stat().st_size > _LARGEST:
            raise OSError("it is too large for a saved plan")
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(
            Problem(
                saved.NOT_A_PLAN,
                f"the saved plan {path} cannot be read: {why}",
                "name a file that plan --out wrote",
            )
        ) from error
    plan = saved.load(text, path)
    found = files(plan.basis.sources)
    known = plan.basis.files  # a file that the plan does not know is not even read
    saved.require_unchanged(
        plan, {name: _digest(name) if name in known else "new" for name in found}
    )
    manifests = load(plan.basis.sources, _selector(plan))
    wish = wish_of(plan.basis.stack, plan.basis.options)
    return Chosen(manifests, wish, plan.basis.sources, plan.basis.options, plan)


def require_no_file(path: str) -> None:
    """Raises UsageError when saving a plan as `path` would overwrite something else."""
    try:
        text = Path(path).read_text("utf-8")
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError):
        text = ""
    if not saved.is_plan(text):
        raise UsageError(
            Problem(
                codes.FILE_EXISTS,
                f"{path} exists, and is not a saved plan.",
                "name another file, or remove it first",
            )
        )


def _selector(plan: saved.SavedPlan) -> Selector:
    text = plan.basis.options.get("labels")
    return Selector.of([text]) if isinstance(text, str) and text else Selector()


def write_plan(path: str, plan: Plan, basis: saved.Basis) -> None:
    """Save a plan, readable by its owner only, whole or not at all. Raises UsageError."""
    if "-" in basis.sources:
        raise UsageError(
            Problem(
                codes.STDIN_NOT_SAVED,
                "A plan of manifests from stdin cannot be saved: they could not be read again.",
                "write the manifests to a file and name it with -f",
            )
        )
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(saved.save(plan, basis))
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UsageError(
            Problem(
                codes.SYSTEM,
                f"The plan cannot be saved as {path}: {error.strerror}.",
                "name a file in a folder that you may write to",
            )
        ) from error


def _digest(name: str) -> str:
    try:
        return saved.sha256(Path(name).read_bytes())
    except OSError:
        return "absent"
