"""What a registry holds, listed by azure-ai-ml (AZURE.md §7).

azure-ai-ml takes 1.5 s to import and is synchronous; it is imported at its first use, and this is
the only place of the adapter where threads are used: everything else here is asynchronous, and a
blocking call in the event loop would stop all of it. A single model is read by registry.py.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from provisioner.azure.client import lost
from provisioner.azure.credentials import RETRIES, Blocking, Tokens
from provisioner.azure.faults import fault_of
from provisioner.azure.retry import body_of, is_loss
from provisioner.azure.settings import PUBLIC_AUTHORITY, Settings
from provisioner.azure.values import text
from provisioner.errors.cloud import CloudError, ServiceFault

T = TypeVar("T")

_AT_ONCE: Final = 8
_CONNECT_TIMEOUT: Final = 5.0
_READ_TIMEOUT: Final = 15.0
"""Seconds; short, because a thread cannot be cancelled and Ctrl-C has to wait for it."""
_CLOUD_VARIABLE: Final = "AZUREML_CURRENT_CLOUD"
_construction: Final = threading.Lock()


class MlClients:
    """Registries by name, each through an `MLClient` of its own."""

    def __init__(self, settings: Settings, authority: str | None, tokens: Tokens) -> None:
        self._settings = settings
        self._authority = authority or PUBLIC_AUTHORITY
        self._tokens = tokens
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def models(self, registry: str, address: str) -> list[str]:
        """Names of the registry's models, each once, in its order; `address` is where the registry
        is, the one host beside discovery that is asked. Raises CloudError."""
        loop = asyncio.get_running_loop()

        def names() -> list[str]:
            from provisioner.azure.mltransport import HomeTransport  # noqa: PLC0415 - imports requests

            homes = (self._settings.machine_learning.discovery, address)
            with HomeTransport(homes, **self._connection()) as transport:
                return [item.name for item in self._make(registry, transport, loop).models.list()]

        found = await self._run(f"GET azureml://registries/{registry}/models", names)
        return list(dict.fromkeys(name for name in found if text(name)))

    def _make(self, registry: str, transport: Any, loop: asyncio.AbstractEventLoop) -> Any:
        """Runs in a thread; asks registry discovery in the constructor."""
        with warnings.catch_warnings():
            # Its dependencies announce their own deprecations: nothing that our user can mend.
            warnings.simplefilter("ignore")
            from azure.ai.ml import MLClient  # noqa: PLC0415 - 1.5 s of import

        options: dict[str, Any] = {
            "enable_telemetry": False,
            "show_progress": False,
            "permit_redirects": False,
            "user_agent": self._settings.application,
            "transport": transport,
            **self._connection(),
            **RETRIES,
            "retry_total": 1,
        }
        if not self._settings.public:
            options |= self._cloud()
        with _construction, _own_cloud_variable(), _quiet():
            return MLClient(Blocking(self._tokens, loop), registry_name=registry, **options)

    def _connection(self) -> dict[str, Any]:
        patience, bundle = self._settings.patience, self._settings.ca_bundle
        return {
            "read_timeout": min(patience.read, _READ_TIMEOUT),
            "connection_timeout": min(patience.connect, _CONNECT_TIMEOUT),
            **({"connection_verify": str(bundle)} if bundle is not None else {}),
        }

    def _cloud(self) -> dict[str, Any]:
        """azure-ai-ml's description of a cloud that is not the public one (AZURE.md §14)."""
        arm, ml = self._settings.arm, self._settings.machine_learning
        return {
            "cloud": f"provisioner-{urlsplit(arm).netloc}-{urlsplit(arm).path}",
            "cloud_metadata": {
                "azure_portal": arm,
                "resource_manager": f"{arm}/",
                "active_directory": f"{self._authority.rstrip('/')}/",
                "aml_resource_id": f"{ml.audience}/",
                "storage_endpoint": "core.windows.net",
                "registry_discovery_endpoint": f"{ml.discovery}/",
            },
        }

    async def _run(self, operation: str, call: Callable[[], T]) -> T:
        """`call` in a thread, its errors in the port's terms."""
        async with self._slots:
            try:
                return await asyncio.to_thread(call)
            except CloudError:
                raise
            except HttpResponseError as error:
                raise _translated(error, operation) from error
            except Exception as error:
                if is_loss(error) or isinstance(error, OSError):
                    raise lost(operation, error) from error
                # azure-ai-ml raises its own, and plain AttributeError and KeyError where an
                # answer lacks what it expects (AZURE.md §7).
                raise CloudError(
                    ServiceFault(
                        status=200,
                        code="UnreadableAnswer",
                        message=f"azure-ai-ml could not read the registry's answer: {error}"[:800],
                        operation=operation,
                    )
                ) from error


def _translated(error: HttpResponseError, operation: str) -> CloudError:
    response: Any = error.response
    if response is None:
        return lost(operation, error)
    status = 404 if isinstance(error, ResourceNotFoundError) else response.status_code
    return CloudError(
        fault_of(
            status=status, headers=response.headers, body=body_of(response), operation=operation
        )
    )


@contextmanager
def _own_cloud_variable() -> Iterator[None]:
    """MLClient sets AZUREML_CURRENT_CLOUD for the whole process; put back what was there."""
    before = os.environ.get(_CLOUD_VARIABLE)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_CLOUD_VARIABLE, None)
        else:
            os.environ[_CLOUD_VARIABLE] = before


@contextmanager
def _quiet() -> Iterator[None]:
    """The constructor warns about experimental classes that are not used here."""
    logger = logging.getLogger("azure.ai.ml")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
