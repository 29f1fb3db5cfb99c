"""On a real (pseudo) terminal of 80 columns: questions, live progress, Ctrl-C as a key."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from tests.flow.conftest import MODULE, WORKSPACE, Folder, managed, serverless

EMULATED = ("--emulator", "-f", "m.yaml")
MANIFEST = WORKSPACE + serverless("llama") + managed("phi")


class Terminal:
    """A program on a pseudo-terminal."""

    def __init__(self, process: subprocess.Popen[bytes], handle: int) -> None:
        self._process, self._handle, self.screen = process, handle, ""

    def until(self, text: str | None, seconds: float = 60.0) -> str:
        """Read until `text` is on the screen (None: until the end)."""
        deadline = time.monotonic() + seconds
        while text is None or text not in click.unstyle(self.screen):
            ready, _, _ = select.select([self._handle], [], [], 0.2)
            try:
                data = os.read(self._handle, 65536) if ready else b""
            except OSError:  # the other side is closed
                data, ready = b"", [0]
            self.screen += data.decode("utf-8", "replace")
            if ready and not data:
                assert text is None, f"{text!r} never came:\n{self.screen}"
                break
            assert time.monotonic() < deadline, self.screen
        return click.unstyle(self.screen)

    def type(self, text: str) -> None:
        os.write(self._handle, text.encode())

    def code(self) -> int:
        self.until(None)
        return self._process.wait(30)


@contextmanager
def terminal(folder: Folder, *arguments: str, term: str = "xterm-256color") -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        [*MODULE, *arguments],
        cwd=folder.path,
        env={**folder.environment(), "TERM": term, "LANG": "C.UTF-8"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no threads here
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _wide(screen: str) -> list[str]:
    """Lines over 80 columns that hold no word (URL, id) longer than a line allows."""
    lines = re.split(r"[\r\n]+", screen)
    return [line for line in lines if len(line) > 80 and max(map(len, line.split())) < 70]


def test_a_yes_is_asked_for_and_the_screen_reads_well(folder: Folder) -> None:
    folder.write("m.yaml", MANIFEST)
    with terminal(folder, "apply", *EMULATED) as screen:
        before = screen.until("Apply these changes?")
        assert "Plan: 4 to create" in before
        screen.type("yes\n")
        assert screen.code() == 0
    text = click.unstyle(screen.screen)
    assert "✓ create serverless endpoint llama in mlw-prod" in text
    assert "out/llama.env" in text
    assert re.search(r"Applied in \d+(\.\d)?s: 4 created\.", text)
    assert screen.screen.rindex("\x1b[?25h") > screen.screen.rindex("\x1b[?25l"), "cursor is back"
    assert _wide(text) == []
    key = folder.variables("out/llama.env")["AZURE_INFERENCE_CREDENTIAL"]
    assert key not in screen.screen


def test_who_is_asked_needs_no_option_besides(folder: Folder) -> None:
    folder.write("m.yaml", WORKSPACE + managed("phi"))
    folder.run("apply", *EMULATED, "--yes")
    bigger = (WORKSPACE + managed("phi")).replace("NC24ads", "NC48ads")
    folder.write("m.yaml", bigger)
    assert "repeat with --allow-destroy" in folder.run("plan", *EMULATED).err
    with terminal(folder, "apply", *EMULATED) as screen:
        text = screen.until("Apply these changes?")
        assert "a yes is enough" in text
        assert "--allow-destroy" not in text
        screen.type("yes\n")
        assert screen.code() == 0
    assert "1 replaced" in click.unstyle(screen.screen)


def test_anything_but_yes_changes_nothing(folder: Folder) -> None:
    folder.write("m.yaml", MANIFEST)
    with terminal(folder, "apply", *EMULATED) as screen:
        screen.until("Apply these changes?")
        screen.type("y\n")
        assert screen.code() == 3
    assert "cli.declined" in screen.screen
    folder.run("plan", *EMULATED, "--detailed-exitcode", expect=2)


def test_ctrl_c_at_the_question(folder: Folder) -> None:
    folder.write("m.yaml", MANIFEST)
    with terminal(folder, "apply", *EMULATED) as screen:
        screen.until("Apply these changes?")
        screen.type("\x03")
        assert screen.code() == 130
    assert "Traceback" not in screen.screen
    assert "nothing was changed" in screen.screen


def test_ctrl_c_during_the_work(folder: Folder) -> None:
    folder.write("m.yaml", MANIFEST)
    with terminal(folder, "apply", *EMULATED, "--yes") as screen:
        screen.until("create online endpoint phi in mlw-prod  Creating")
        screen.type("\x03")
        assert screen.code() == 130
    text = click.unstyle(screen.screen)
    assert "Ctrl-C again leaves at once" in text
    assert "left running" in text
    assert "Traceback" not in text
    assert screen.screen.rindex("\x1b[?25h") > screen.screen.rindex("\x1b[?25l"), "cursor is back"


def test_watching_says_once_what_does_not_change(folder: Folder) -> None:
    folder.write("m.yaml", WORKSPACE + serverless("llama"))
    with terminal(folder, "watch", *EMULATED, "--every", "1s") as screen:
        screen.until("Applied in")
        text = screen.until("1 deployment is as the manifests say. Looking again every 1s.")
        assert text.count("using the emulator at") == 1
        screen.type("\x03")
        assert screen.code() == 0


def test_a_terminal_that_moves_no_cursor_gets_lines(folder: Folder) -> None:
    folder.write("m.yaml", WORKSPACE + serverless("llama"))
    with terminal(folder, "apply", *EMULATED, "--yes", term="dumb") as screen:
        assert screen.code() == 0
    assert "\x1b" not in screen.screen
    assert "create serverless endpoint llama in mlw-prod: started" in screen.screen


def test_no_colour(folder: Folder) -> None:
    folder.write("m.yaml", "kind: Nothing\n")
    with terminal(folder, "validate", "-f", "m.yaml") as screen:
        assert screen.code() == 65
    assert "\x1b[" in screen.screen
    with terminal(folder, "validate", "-f", "m.yaml", "--no-color") as plain:
        assert plain.code() == 65
    assert "\x1b[" not in plain.screen
