"""Runs a coroutine under signals: the first Ctrl-C asks it to stop, the second leaves at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

from provisioner.errors import ExitCode

T = TypeVar("T")
_STOP = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """What the first Ctrl-C does: cancel the run, or within `gently` only set an event."""

    def __init__(self) -> None:
        self._event: asyncio.Event | None = None
        self._say: Callable[[str], None] = _write

    @contextmanager
    def told(self, say: Callable[[str], None]) -> Iterator[None]:
        """Within this, `say` tells the person; what is drawn on the screen stays in one piece."""
        self._say = say
        try:
            yield
        finally:
            self._say = _write

    @contextmanager
    def gently(self, event: asyncio.Event) -> Iterator[None]:
        """The first Ctrl-C sets `event`; who waits on it ends the work in order."""
        self._event = event
        try:
            yield
        finally:
            self._event = None

    def strike(self, loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any] | None) -> None:
        if self._event is not None:
            loop.call_soon_threadsafe(self._event.set)
        elif task is not None:
            loop.call_soon_threadsafe(task.cancel)
        loop.call_soon_threadsafe(self._say, "Stopping; Ctrl-C again leaves at once.")


def run(
    main: Callable[[Interrupts], Coroutine[Any, Any, T]],
    *,
    leave: Callable[[int], object] = os._exit,
) -> T:
    """The result of `main`. A first SIGINT or SIGTERM lets it end in order (`Interrupts`), so
    that it may name what it leaves running; a second ends the process with 130 at once.

    Raises asyncio.CancelledError when it was cancelled, and whatever `main` raises.
    """

    async def supervised() -> T:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        interrupts = Interrupts()
        asked = False

        def stop(number: int, frame: FrameType | None) -> None:
            nonlocal asked
            if asked:
                _restore_terminal()
                leave(ExitCode.INTERRUPTED)
            asked = True
            interrupts.strike(loop, task)

        # signal.signal rather than loop.add_signal_handler: it works while the loop is busy too.
        before = {number: signal.signal(number, stop) for number in _STOP}
        try:
            return await main(interrupts)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    return asyncio.run(supervised())


def ask(question: str) -> str:
    """One line typed by the person, asked on stderr; Ctrl-C raises KeyboardInterrupt."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        sys.stderr.write(question)
        sys.stderr.flush()
        answer = sys.stdin.readline()
    finally:
        signal.signal(signal.SIGINT, before)
    if not answer:
        raise EOFError
    return answer.strip()


def _write(text: str) -> None:
    if os.isatty(2):
        os.write(2, f"\r\n{text}\r\n".encode())


def _restore_terminal() -> None:
    """Show the cursor again, which the live view had hidden."""
    if os.isatty(2):
        os.write(2, b"\x1b[?25h")
