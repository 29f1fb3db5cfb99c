"""Images for vision models: read from a file or taken as a data: URL, never fetched."""

from __future__ import annotations

import base64
import binascii
import re
import stat
from pathlib import Path
from typing import Final

from provisioner.errors import Problem, UsageError
from provisioner.inference.codes import BAD_IMAGE

MOST_BYTES: Final = 10 * 1024 * 1024
"""Of one image before its encoding; services take requests of up to about 20 MB."""

_DATA_URL: Final = re.compile(r"data:image/(png|jpeg|gif|webp);base64,", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


def data_url(given: str) -> str:
    """The data: URL for a path or for a data: URL. Raises UsageError naming what is wrong."""
    if given[:5].lower() == "data:":
        return _checked(given)
    if _ADDRESS.match(given) and not _exists(given):
        raise _bad(
            f"--image {given[:80]} is an address, and nothing is fetched.",
            "download it yourself and name the file",
        )
    content = _read(Path(given))
    kind = kind_of(content)
    if kind is None:
        raise _bad(f"--image {given} is no PNG, JPEG, GIF or WebP.", "convert it to one of these")
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # too long to be one
        return False


def kind_of(content: bytes) -> str | None:
    """The image's subtype by its first bytes; file names say nothing for sure."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if content.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    return None


def _read(path: Path) -> bytes:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise _bad(f"--image {path} is not a file.", "name an image file")
        if found.st_size > MOST_BYTES:
            raise _too_large(str(path), found.st_size)
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise _bad(f"--image {path} cannot be read: {reason}.", "check the path") from error


def _checked(url: str) -> str:
    match = _DATA_URL.match(url)
    if match is None:
        raise _bad(
            f"--image {url[:40]}… is no data: URL of a PNG, JPEG, GIF or WebP in base64.",
            "write data:image/png;base64,… or name a file",
        )
    try:
        content = base64.b64decode(url[match.end() :].encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise _bad(f"--image {url[:40]}… is not base64.", "encode it again") from error
    if len(content) > MOST_BYTES:
        raise _too_large("data:…", len(content))
    return url


def _too_large(name: str, size: int) -> UsageError:
    return _bad(
        f"--image {name} has {size / 1e6:.1f} MB; at most {MOST_BYTES / 1e6:.1f} MB are sent.",
        "make it smaller; models scale images down anyway",
    )


def _bad(what: str, hint: str) -> UsageError:
    return UsageError(Problem(BAD_IMAGE, what, hint))
