"""How results, progress and problems look."""

from __future__ import annotations
