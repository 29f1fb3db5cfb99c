"""`provision --help` beside a bare click program that prints the same amount of help.

Both are run as new processes, in turns, so that what else the machine does strikes both.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks.results import Line, Ratio

BARE = """
import sys
import click

@click.group()
def main():
    "A bare program."

for name in ("init validate schema plan apply destroy status output emulator").split():
    main.command(name, help="A command that does one thing or another.")(lambda: None)
sys.argv = ["bare", "--help"]
main()
"""
OURS = """
import sys
sys.argv = ["provision", "--help"]
from provisioner.cli import main
main()
"""
LIMIT = 1.5


def _once(program: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def measure(rounds: int = 30) -> tuple[float, float]:
    """Median wall seconds of the bare program and of ours."""
    pairs = [(_once(BARE), _once(OURS)) for _ in range(rounds)]
    return (
        statistics.median(bare for bare, _ in pairs),
        statistics.median(ours for _, ours in pairs),
    )


def run() -> Iterator[Line]:
    yield "\n### `provision --help`\n"
    bare, ours = measure()
    yield Ratio("`provision --help`", "a bare click program", 1000 * bare, 1000 * ours, LIMIT, "ms")


if __name__ == "__main__":
    for line in run():
        print(line)
