"""How often Python looks for cyclic garbage: seldom, since a command is short.

CPython's default looks after every 700 new objects, which suits no program that imports many
thousand objects and keeps them: imports then cost a third more, and the last look, when the
process ends, about 0.1 s (measured 2026-11-25, Python 3.11). What is freed by reference counting,
nearly everything here, is freed as before; `watch`, which runs for weeks, still collects.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_NEW: Final = 50_000
"""New objects until the youngest are looked at: a few MiB of them at most."""


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Collect seldom within this block, and not at all when the process ends after it."""
    before = gc.get_threshold()
    gc.set_threshold(_NEW, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.freeze()
