"""The deployed model's API: calling it, probing it, and code that calls it.

Parameters are checked before anything is sent; what the service refuses becomes a problem with
its own text. The key is sent to the endpoint and appears nowhere else.
"""

from __future__ import annotations

from provisioner.inference.answers import Chunk, Piece, Usage, joined
from provisioner.inference.client import CallFailed, Client, Endpoint
from provisioner.inference.images import data_url
from provisioner.inference.parameters import Parameters
from provisioner.inference.probe import Prober, admits, answers, base_url
from provisioner.inference.requests import Api, Call

__all__ = [
    "Api",
    "Call",
    "CallFailed",
    "Chunk",
    "Client",
    "Endpoint",
    "Parameters",
    "Piece",
    "Prober",
    "Usage",
    "admits",
    "answers",
    "base_url",
    "data_url",
    "joined",
]
