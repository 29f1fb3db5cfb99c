"""Server-sent events, read byte for byte as the WHATWG HTML standard (§9.2) says.

Only the data of events is of use here: their names, ids and retry times are read over.
"""

from __future__ import annotations

import re
from typing import Final

LONGEST_EVENT: Final = 16 * 1024 * 1024
"""Bytes of one event; more is no answer of a model."""

_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_BOM: Final = b"\xef\xbb\xbf"


class EventTooLong(ValueError):
    """An event exceeds LONGEST_EVENT."""


class EventStream:
    """Feeds on bytes in whatever pieces they come; what it gives does not depend on the pieces."""

    def __init__(self) -> None:
        self._partial = bytearray()
        self._data: list[str] = []
        self._size = 0
        self._after_cr = False
        self._first = True

    def feed(self, piece: bytes) -> list[str]:
        """The data of every event that `piece` completes. Raises EventTooLong.

        An event that is still open at the end of the stream is none, as the standard has it.
        """
        if self._after_cr and piece:
            piece = piece.removeprefix(b"\n")  # of a CR LF that came in two pieces
            self._after_cr = False
        if not piece:
            return []
        first, *rest = _LINE_END.split(piece)
        self._after_cr = piece.endswith(b"\r")
        self._partial += first
        self._guard(len(self._partial))
        events = []
        for line in rest:
            event = self._line(bytes(self._partial))
            if event is not None:
                events.append(event)
            self._partial = bytearray(line)
        return events

    def _line(self, line: bytes) -> str | None:
        """Take a whole line in; the event's data when the line ends one."""
        if self._first:
            line = line.removeprefix(_BOM)
            self._first = False
        if not line:
            data, self._data, self._size = self._data, [], 0
            return "\n".join(data) if data else None
        name, _, value = line.partition(b":")
        if name == b"data":
            self._size += len(value) + 1
            self._guard(self._size)
            self._data.append(value.removeprefix(b" ").decode("utf-8", "replace"))
        return None

    @staticmethod
    def _guard(size: int) -> None:
        if size > LONGEST_EVENT:
            raise EventTooLong(f"an event of more than {LONGEST_EVENT} bytes")
