"""Run all benchmarks, or those named: `python -m benchmarks [--write] [name …]`.

What is printed is Markdown; `--write` puts it into docs/performance.md as well.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import benchmarks
from benchmarks.results import Line

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def main(arguments: list[str]) -> int:
    """Print every figure; 1 when one of them misses its limit."""
    write = "--write" in arguments
    names = [one for one in arguments if one != "--write"]
    lines = [f"Measured on {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, by `make bench`."]
    missed = False
    for module in pkgutil.iter_modules(benchmarks.__path__):
        run = _runnable(module.name) if not names or module.name in names else None
        for line in run() if run is not None else ():
            text = line if isinstance(line, str) else f"- {line}"
            print(text, flush=True)
            lines.append(text)
            missed = missed or not getattr(line, "met", True)
    if write:
        before, rest = PAGE.read_text("utf-8").split(BEGIN)
        after = rest.split(END)[1]
        figures = re.sub(r"\n{3,}", "\n\n", "\n".join(lines).strip())
        PAGE.write_text(f"{before}{BEGIN}\n{figures}\n{END}{after}", "utf-8")
    return int(missed)


def _runnable(name: str) -> Callable[[], Iterable[Line]] | None:
    """The `run` of a module of benchmarks; None for one that only helps."""
    if name.startswith("_"):
        return None
    return getattr(importlib.import_module(f"benchmarks.{name}"), "run", None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
