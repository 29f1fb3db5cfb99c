"""Files, folders and standard input → texts, within limits."""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, TextIO

from provisioner.errors import Problem
from provisioner.manifest import codes
from provisioner.manifest.loaded import Source

MAX_BYTES: Final = 5 * 1024 * 1024
STDIN: Final = "<stdin>"
_SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})
_NOT_OURS: Final = frozenset({"kustomization.yaml", "kustomization.yml"})
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ufffe\uffff]")


def _too_large(name: str) -> Problem:
    return Problem(
        codes.TOO_LARGE,
        f"{name} is larger than {MAX_BYTES // (1024 * 1024)} MiB",
        "manifests are small; split it, or give the right file",
    )


def _unreadable(name: str, error: OSError) -> Problem:
    return Problem(
        codes.UNREADABLE,
        f"{name} cannot be read: {error.strerror or error}",
        f"look at its permissions: ls -l {shlex.quote(name)}",
    )


def _folder(root: Path, problems: list[Problem]) -> Iterator[Path]:
    """Manifest files below `root`, sorted; hidden ones and links to folders are passed over."""

    def refuse(error: OSError) -> None:
        problems.append(_unreadable(str(error.filename or root), error))

    found, before = 0, len(problems)
    for folder, folders, files in os.walk(root, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(folder, name)
            if name.startswith(".") or path.suffix.lower() not in _SUFFIXES or name in _NOT_OURS:
                continue
            if _endless(path):
                continue
            found += 1
            if not _strays(path, root, problems):
                yield path
    if not found and len(problems) == before:
        problems.append(
            Problem(
                codes.EMPTY,
                f'the folder "{root}" holds no .yaml, .yml or .json file',
                "give another folder, or write a manifest with: provision init",
            )
        )


def _endless(path: Path) -> bool:
    """Whether reading it may never end: a pipe, socket or device, which nobody named himself."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False  # told when it is read
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _paths(given: str, problems: list[Problem]) -> Iterator[Path]:
    if not given:  # an unset variable must not become the whole current folder
        problems.append(
            Problem(
                codes.NOT_FOUND,
                "the path given with -f is empty",
                "name a file or a folder; . is the current folder. Is a variable unset?",
            )
        )
        return
    path = Path(given)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):
        problems.append(
            Problem(
                codes.NOT_FOUND,
                f'there is no file or folder "{given}"',
                "look at the path given with -f; it is taken from the current directory",
            )
        )
        return
    except OSError as error:
        problems.append(_unreadable(given, error))
        return
    if _strays(path, path, problems):
        return
    if stat.S_ISDIR(mode):
        yield from _folder(path, problems)
    else:
        yield path


def _strays(path: Path, given: Path, problems: list[Problem]) -> bool:
    """Whether a link takes `path` out of the place that it seems to be in: the current directory
    and the git checkout around it, else what was given. The links of a checkout are as trustworthy
    as whoever proposed them, and so are the files that they lead to within it."""
    here, real = Path.cwd(), Path(os.path.realpath(path))
    lexical = Path(os.path.abspath(path))  # noqa: PTH100 - resolves no link
    inside = lexical.is_relative_to(here) and here != Path("/")  # in which everything is
    home = _checkout(here) if inside else Path(os.path.realpath(given))
    if real.is_relative_to(home):
        return False
    problems.append(
        Problem(
            codes.LINK,
            f'"{path}" is a link that leads out of {home if inside else given}',
            "replace the link by a copy, or name with -f the file that is meant",
        )
    )
    return True


def _checkout(here: Path) -> Path:
    """The root of the git checkout that a folder is in; the folder itself where it is in none."""
    return next((one for one in (here, *here.parents) if (one / ".git").exists()), here)


def decode(name: str, data: bytes) -> Source | Problem:
    """The text of `data`, or why it is none."""
    if len(data) > MAX_BYTES:
        return _too_large(name)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Problem(codes.NOT_TEXT, f"{name} is UTF-16 text", "save it as UTF-8 and try again")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        lines = Source(name, data[: error.start].decode("utf-8", "replace")).lines
        whole = Source(name, data.decode("utf-8", "replace"))
        return Problem(
            codes.NOT_TEXT,
            f"{name} is not UTF-8 text: it has the byte 0x{data[error.start]:02x}",
            "save it as UTF-8 and try again",
            position=whole.position(len(lines), len(lines[-1]) + 1),
        )
    source = Source(name, text)
    bad = _CONTROL.search(text)
    if bad is None:
        return source
    lines = Source(name, text[: bad.start()]).lines
    return Problem(
        codes.NOT_TEXT,
        f"{name} has the control character U+{ord(bad[0]):04X}",
        "remove it; is this a text file?",
        position=source.position(len(lines), len(lines[-1]) + 1),
    )


def _file(path: Path) -> Source | Problem:
    name = str(path)
    try:
        with path.open("rb") as stream:
            if os.fstat(stream.fileno()).st_size > MAX_BYTES:
                return _too_large(name)
            return decode(name, stream.read(MAX_BYTES + 1))
    except OSError as error:
        return _unreadable(name, error)


def _stdin(stream: TextIO | None) -> Source | Problem:
    if stream is None:  # so does Python call one that was closed before it began
        return Problem(
            codes.UNREADABLE,
            f"{STDIN} cannot be read: it is closed",
            "pipe a manifest into it, or name a file with -f",
        )
    try:
        buffer = getattr(stream, "buffer", None)
        if buffer is not None:
            return decode(STDIN, buffer.read(MAX_BYTES + 1))
        return decode(STDIN, stream.read(MAX_BYTES + 1).encode("utf-8", "surrogatepass"))
    except OSError as error:
        return _unreadable(STDIN, error)


def files(sources: Sequence[str]) -> tuple[str, ...]:
    """The names of the files that `read` would read, without reading them."""
    names = {os.path.realpath(path): str(path) for given in sources for path in _paths(given, [])}
    return tuple(names.values())


def read(
    sources: Sequence[str], stdin: TextIO | None, problems: list[Problem]
) -> tuple[Source, ...]:
    """The texts of all sources in the order given, each file once."""
    texts: list[Source] = []
    seen: set[str] = set()
    for given in sources:
        if given == "-":
            if STDIN not in seen:
                seen.add(STDIN)
                _keep(_stdin(stdin), texts, problems)
            continue
        for path in _paths(given, problems):
            real = os.path.realpath(path)
            if real not in seen:
                seen.add(real)
                _keep(_file(path), texts, problems)
    return tuple(texts)


def _keep(result: Source | Problem, texts: list[Source], problems: list[Problem]) -> None:
    if isinstance(result, Problem):
        problems.append(result)
    else:
        texts.append(result)
