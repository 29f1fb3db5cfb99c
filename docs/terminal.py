"""Make docs/terminal.svg: what three commands really print, on the emulator, in a new folder.

    python docs/terminal.py [FILE]

The port of the emulator is the one thing that differs between two runs; it is written as 43369.
"""

from __future__ import annotations

import io
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 104
FILES = ("workspaces.yaml", "serverless.yaml")
COMMANDS = (
    ("plan", "--emulator", "-f", "manifests/"),
    ("apply", "--emulator", "--yes", "-f", "manifests/"),
    ("invoke", "--emulator", "-f", "manifests/", "llama-33-70b", "Who are you?"),
    ("plan", "--emulator", "-f", "manifests/"),
)
_FONT = re.compile(r"@font-face \{\{.*?\}\}\s*", re.DOTALL)


def on_a_terminal(arguments: tuple[str, ...], folder: Path) -> str:
    """What the command prints on a terminal of WIDTH columns; progress, on stderr, is left out."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(WIDTH), "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(  # noqa: S603 - this very program
        [sys.executable, "-m", "provisioner", *arguments],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=subprocess.DEVNULL,
    )
    os.close(follower)
    chunks = []
    while True:
        try:
            chunk = os.read(leader, 1 << 16)
        except OSError:  # how Linux tells that the other side is gone
            break
        if not chunk:
            break
        chunks.append(chunk)
    os.close(leader)
    if process.wait() != 0:
        raise SystemExit(f"provision {' '.join(arguments)} left with {process.returncode}")
    text = b"".join(chunks).decode().replace("\r\n", "\n")
    return re.sub(r"localhost:\d+", "localhost:43369", text)


def main(target: Path) -> None:
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "manifests").mkdir()
        for file in FILES:
            shutil.copy(ROOT / "manifests" / file, folder / "manifests")
        try:
            for arguments in COMMANDS:
                console.print(Text(f"$ provision {shlex.join(arguments)}", style="bold"))
                console.print(Text.from_ansi(on_a_terminal(arguments, folder).strip("\n")))
                console.print()
        finally:
            subprocess.run(
                [sys.executable, "-m", "provisioner", "emulator", "stop"],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=subprocess.DEVNULL,
                check=False,
            )
    from rich._export_format import CONSOLE_SVG_FORMAT  # noqa: PLC0415

    image = console.export_svg(
        title="provision",
        theme=MONOKAI,
        code_format=_FONT.sub("", CONSOLE_SVG_FORMAT),  # no font from elsewhere
        unique_id="terminal",
    )
    target.write_text(re.sub(r"[ \t]+\n", "\n", image), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "terminal.svg")
