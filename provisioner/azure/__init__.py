"""The Azure adapter: `provisioner.cloud.Cloud` over Azure Resource Manager.

    async with connect(Settings(…)) as cloud:
        await cloud.serverless_endpoints(workspace)

One module per kind knows its paths, bodies and parsing; no other package knows a URL or an
api-version. `client.py` is the pipeline, `budget.py` and `retry.py` its manners, `faults.py` reads
refusals, `credentials.py` says who we are. Nothing of Azure's packages is imported before
`connect` is called.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from provisioner.azure.settings import PUBLIC_ARM, Patience, Settings

if TYPE_CHECKING:
    from datetime import datetime

    from provisioner.azure.adapter import AzureCloud
    from provisioner.clock import Clock

__all__ = ["PUBLIC_ARM", "Patience", "Settings", "connect"]


@asynccontextmanager
async def connect(
    settings: Settings,
    clock: Clock | None = None,
    heard: Callable[[datetime], None] | None = None,
) -> AsyncIterator[AzureCloud]:
    """A cloud with a token in hand; closes every connection at the end.

    `heard` is told the service's time whenever an answer tells it.

    Raises `Failed` with a designed problem when there is no credential, it is refused, the login
    service cannot be reached, or the CA bundle cannot be used; `UsageError` for an address that is
    not https.
    """
    from provisioner.azure.opening import open_cloud  # noqa: PLC0415 - see the docstring above

    async with open_cloud(settings, clock, heard) as cloud:
        yield cloud
