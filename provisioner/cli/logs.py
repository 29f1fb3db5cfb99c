"""Requests and answers on stderr, for `-vv`."""

from __future__ import annotations

import logging
from typing import Final

from provisioner.cli.masking import mask
from provisioner.cli.session import Session

_REQUESTS: Final = "azure.core.pipeline.policies.http_logging_policy"
"""Azure's own log of requests: headers that are not known to be harmless are redacted in it."""


class _Masked(logging.Formatter):
    """Masks once more what the libraries may have let through."""

    def format(self, record: logging.LogRecord) -> str:
        return mask(super().format(record))


def show_requests(session: Session) -> None:
    """With -vv, log every request and answer; bodies, and so keys, are never logged."""
    if session.verbose < 2:
        return
    handler = logging.StreamHandler()
    handler.setFormatter(_Masked("%(asctime)s %(message)s"))
    for name in (_REQUESTS, "azure.identity"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
        logger.propagate = False
