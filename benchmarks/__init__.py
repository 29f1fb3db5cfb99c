"""What performance claims rest on: `make bench` runs every module here that has a `run()`."""

from __future__ import annotations
