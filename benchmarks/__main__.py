"""Run all benchmarks, or those named: `python -m benchmarks [name …]`."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import benchmarks


def main(names: list[str]) -> int:
    """Print every figure; 1 when one of them misses its limit."""
    missed = False
    for module in pkgutil.iter_modules(benchmarks.__path__):
        if module.name.startswith("_") or (names and module.name not in names):
            continue
        run = getattr(importlib.import_module(f"benchmarks.{module.name}"), "run", None)
        if run is None:
            continue
        for row in run():
            print(row, flush=True)
            missed = missed or not getattr(row, "met", True)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
