"""Asks git, offline, which files it tracks."""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from provisioner.errors import Problem
from provisioner.outputs import codes
from provisioner.outputs.types import Context

_INERT: Final = (
    *("--literal-pathspecs", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"),
)
"""A repository's own settings can name programs; asking what is tracked must start none."""


async def learn(paths: Iterable[Path], context: Context) -> None:
    """Fill `context.tracked` for `paths`: one git process per folder, however many files.

    Where git is absent, or a folder is in no repository, nothing is tracked.
    """
    folders: dict[Path, list[Path]] = {}
    for path in paths:
        if path not in context.tracked:
            folders.setdefault(_existing(path.parent), []).append(path)
    for folder, members in folders.items():
        found = await _tracked(folder, members, context)
        context.tracked.update({path: path in found for path in members})


def problem(path: str) -> Problem:
    quoted = shlex.quote(path)
    return Problem(
        codes.TRACKED,
        f"{path} is tracked by git: the key would be committed.",
        f"git rm --cached -- {quoted} && echo {quoted} >> .gitignore",
    )


def _existing(folder: Path) -> Path:
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return folder


async def _tracked(folder: Path, paths: list[Path], context: Context) -> set[Path]:
    names = [str(path.relative_to(folder)) for path in paths]
    quiet = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    try:
        process = await asyncio.create_subprocess_exec(
            *("git", *_INERT, "-C", str(folder), "ls-files", "-z", "--", *names),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={**context.environment, **quiet},
        )
    except OSError:
        return set()
    try:
        listed, _ = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode != 0:
        return set()
    return {folder / os.fsdecode(name) for name in listed.split(b"\0") if name}
