"""Sinks: where a deployment's URL and key go, and nowhere else.

Every sink is independent: one that fails is a result, not the end of the others.
"""

from __future__ import annotations

from provisioner.outputs.types import (
    Context,
    EndpointCredentials,
    SecretStore,
    SinkResult,
    Status,
)
from provisioner.outputs.write import check_writable, clashes, prepare, write

__all__ = [
    "Context",
    "EndpointCredentials",
    "SecretStore",
    "SinkResult",
    "Status",
    "check_writable",
    "clashes",
    "prepare",
    "write",
]
