"""One module per command, imported when the command is run."""

from __future__ import annotations
