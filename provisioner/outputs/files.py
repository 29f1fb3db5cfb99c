"""Writing a secret to a file so that nobody else reads it and no crash leaves half of it.

The folder is opened component by component without following links, and everything below works
relative to that handle: what was checked is what is written to.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from provisioner.errors import Problem
from provisioner.outputs import codes
from provisioner.outputs.types import Context, SinkError

_LIMIT: Final = 1 << 20
"""Bytes of an existing file that is merged into; a dotenv file has a few hundred."""

_HINTS: Final = {
    errno.ENOSPC: "free some space on that disk",
    errno.EDQUOT: "free some of your disk quota",
    errno.EROFS: "the file system is read-only: choose another path",
    errno.EACCES: "give yourself the right to write there, or choose another path",
    errno.EPERM: "give yourself the right to write there, or choose another path",
    errno.ENOTDIR: "a file is where a folder should be: remove it, or choose another path",
    errno.EISDIR: "a folder is where the file should be: remove it, or choose another path",
    errno.ENAMETOOLONG: "choose a shorter path",
}


def replace_text(
    path: str, render: Callable[[str | None], str], context: Context, *, dry: bool = False
) -> bool:
    """Make the file at `path` hold `render(its present text)`; return whether it changed.

    Mode 0600 whatever the umask, atomic (a new file in the same folder, then a rename; no fsync),
    missing folders made with 0700, serialised against other runs by a lock on the folder. `dry`
    checks all that can be checked without writing the file. Raises SinkError.
    """
    try:
        target = locate(path, context)
        with _folder(target.parent, create=not dry) as folder:
            old = _present(target, folder)
            new = render(old)
            if dry:
                _probe(folder)
                return False
            if new == old:
                return False
            _swap(folder, target.name, new)
            return True
    except FileNotFoundError as error:
        if dry:
            _dry_parent(target.parent)
            return False
        raise SinkError(_unwritable(path, error)) from error
    except OSError as error:
        raise SinkError(_unwritable(path, error)) from error


def locate(path: str, context: Context) -> Path:
    """The resolved place of `path`, its last part unresolved. Raises SinkError for a link that
    leads out of the current directory, and for a path outside of it."""
    cwd = os.path.realpath(context.cwd)
    given = Path(cwd, path)
    resolved = os.path.join(os.path.realpath(given.parent), given.name)  # noqa: PTH118 - a hot path
    if context.allow_outside or _within(resolved, cwd):
        return Path(resolved)
    if _within(os.path.normpath(given), cwd):
        raise SinkError(
            Problem(
                codes.SYMLINK,
                f"{path} leads through a symbolic link to {resolved}, outside the current "
                "directory.",
                "replace the link by a folder, or name another path",
            )
        )
    raise SinkError(
        Problem(
            codes.OUTSIDE,
            f"{path} is outside the current directory.",
            "use a path below the directory in which the command runs",
        )
    )


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


@contextmanager
def _folder(path: Path, *, create: bool) -> Iterator[int]:
    """An open, locked handle of a folder whose path holds no link any more."""
    handle = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in path.parts[1:]:
            if create:
                with suppress(FileExistsError):
                    os.mkdir(part, 0o700, dir_fd=handle)
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            inner = os.open(part, flags, dir_fd=handle)
            os.close(handle)
            handle = inner
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


def _present(target: Path, folder: int) -> str | None:
    """The text of the file, or None when there is none. Tightens its mode on the way."""
    try:
        found = os.stat(target.name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(found.st_mode):
        raise SinkError(
            Problem(
                codes.SYMLINK,
                f"{target} is a symbolic link; a key is never written through one.",
                "remove the link, or name the file that it points to",
            )
        )
    if not stat.S_ISREG(found.st_mode) or found.st_size > _LIMIT:
        raise SinkError(_foreign(target, "is not an ordinary small file"))
    # Not blocking: a pipe that was put there meanwhile must not hold us.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    handle = os.open(target.name, flags, dir_fd=folder)
    with os.fdopen(handle, "rb") as file:
        data = file.read()
        if found.st_mode & 0o077:
            os.fchmod(file.fileno(), 0o600)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SinkError(_foreign(target, "is not UTF-8 text")) from error


def _swap(folder: int, name: str, text: str) -> None:
    """Write `text` beside `name` and rename it over; on any failure nothing is left behind, and
    what a kill left behind goes with the next write: the name beside is always the same.

    There is no fsync: what a power cut could take is in Azure, and the next run sees the
    difference and writes it again; syncing hundreds of files would cost more than all the rest.
    """
    temporary = f".{name[:100]}.provision.tmp"
    with suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=folder)  # of a run that was killed: we hold the folder's lock
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    handle = os.open(temporary, flags, 0o600, dir_fd=folder)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            os.fchmod(file.fileno(), 0o600)  # the umask can only have taken bits away
            file.write(text)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise


def _probe(folder: int) -> None:
    """Whether a file can be made here: permissions alone do not tell (quota, read-only mounts)."""
    name = f".provision-probe.{secrets.token_hex(6)}.tmp"
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
    os.close(handle)
    os.unlink(name, dir_fd=folder)


def _dry_parent(folder: Path) -> None:
    """For a folder that is yet to be made: its nearest existing ancestor must take one."""
    ancestor = folder
    while not ancestor.exists():
        ancestor = ancestor.parent
    if not ancestor.is_dir():
        raise SinkError(_unwritable(str(folder), NotADirectoryError(errno.ENOTDIR, "")))
    if not os.access(ancestor, os.W_OK | os.X_OK):
        raise SinkError(_unwritable(str(folder), PermissionError(errno.EACCES, "")))


def _unwritable(path: str, error: OSError) -> Problem:
    code = error.errno or 0
    if code == errno.ELOOP:
        return Problem(
            codes.SYMLINK,
            f"{path} leads through a symbolic link.",
            "replace the link by a folder, or name another path",
        )
    return Problem(
        codes.UNWRITABLE,
        f"{path} cannot be written: {os.strerror(code).lower() if code else error}.",
        _HINTS.get(code, "see what is at that path, or choose another"),
    )


def _foreign(target: Path, what: str) -> Problem:
    return Problem(
        codes.FOREIGN,
        f"{target} {what}.",
        "move it away, or name another path",
    )
