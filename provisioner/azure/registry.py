"""Model registries, through azure-ai-ml: versions, labels, SKUs, lifecycle (AZURE.md §7).

azure-ai-ml takes 1.5 s to import and is synchronous; it is imported at its first use, and this is
the only place of the adapter where threads are used: everything else here is asynchronous, and a
blocking call in the event loop would stop all of it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from provisioner.azure.client import lost
from provisioner.azure.credentials import RETRIES, Blocking, Tokens
from provisioner.azure.faults import fault_of
from provisioner.azure.retry import body_of, is_loss
from provisioner.azure.settings import PUBLIC_AUTHORITY, Settings
from provisioner.azure.values import text
from provisioner.cloud import RegistryModel
from provisioner.errors.cloud import CloudError, ServiceFault
from provisioner.resources import ModelRef

T = TypeVar("T")

_AT_ONCE: Final = 8
_READ_TIMEOUT: Final = 30.0
"""Seconds; short, because a thread cannot be cancelled and Ctrl-C has to wait for it."""
_CLOUD_VARIABLE: Final = "AZUREML_CURRENT_CLOUD"
_SKU: Final = re.compile(r"\bStandard_\w+", re.IGNORECASE)
_construction: Final = threading.Lock()


class Registries:
    """Registries by name; one azure-ai-ml client for each, made when first asked."""

    def __init__(self, settings: Settings, authority: str | None, tokens: Tokens) -> None:
        self._settings = settings
        self._authority = authority or PUBLIC_AUTHORITY
        self._tokens = tokens
        self._clients: dict[str, asyncio.Future[Any]] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def model(self, ref: ModelRef) -> RegistryModel | None:
        """A version, or the latest one; None where the registry holds no such model."""
        if not ref.registry:
            return None
        client = await self._client(ref.registry)
        wanted = {"version": ref.version} if ref.version else {"label": "latest"}
        operation = f"GET {ref.id}"
        try:
            found = await self._run(operation, lambda: client.models.get(ref.name, **wanted))
        except CloudError as error:
            if error.fault.status == 404:
                return None
            raise
        return parse(found, ref)

    async def models(self, registry: str) -> list[str]:
        """Names of the registry's models, each once, in its order."""
        client = await self._client(registry)
        operation = f"GET azureml://registries/{registry}/models"
        found = await self._run(operation, lambda: [item.name for item in client.models.list()])
        return list(dict.fromkeys(name for name in found if text(name)))

    async def _client(self, registry: str) -> Any:
        """The registry's client. Many may ask at once; one of them makes it."""
        key = registry.lower()
        known = self._clients.get(key)
        if known is None:
            loop = asyncio.get_running_loop()
            known = self._clients[key] = loop.create_future()
            known.add_done_callback(_seen)
            try:
                operation = f"GET azureml://registries/{registry}"
                made = await self._run(operation, lambda: self._make(registry, loop))
            except BaseException as error:
                self._clients.pop(key, None)
                if isinstance(error, CloudError):
                    known.set_exception(error)
                else:
                    known.cancel()
                raise
            known.set_result(made)
        return await asyncio.shield(known)

    def _make(self, registry: str, loop: asyncio.AbstractEventLoop) -> Any:
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
            "read_timeout": min(self._settings.patience.read, _READ_TIMEOUT),
            "connection_timeout": self._settings.patience.connect,
            **RETRIES,
        }
        if self._settings.ca_bundle is not None:
            options["connection_verify"] = str(self._settings.ca_bundle)
        if not self._settings.public:
            options |= self._cloud()
        with _construction, _own_cloud_variable(), _quiet():
            return MLClient(Blocking(self._tokens, loop), registry_name=registry, **options)

    def _cloud(self) -> dict[str, Any]:
        """azure-ai-ml's description of a cloud that is not the public one (AZURE.md §14)."""
        arm = self._settings.arm
        return {
            "cloud": f"provisioner-{urlsplit(arm).netloc}-{urlsplit(arm).path}",
            "cloud_metadata": {
                "azure_portal": arm,
                "resource_manager": f"{arm}/",
                "active_directory": f"{self._authority.rstrip('/')}/",
                "aml_resource_id": "https://ml.azure.com/",
                "storage_endpoint": "core.windows.net",
                "registry_discovery_endpoint": f"{self._settings.discovery or arm}/",
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


def parse(found: Any, ref: ModelRef) -> RegistryModel:
    """azure-ai-ml's `Model` as the port's. Names are looked up in properties and tags alike,
    whatever their case: publishers use both (CATALOG: azureml-assets' specifications)."""
    properties = _strings(getattr(found, "properties", None))
    tags = _strings(getattr(found, "tags", None))
    facts = {name.lower(): value for name, value in {**tags, **properties}.items()}
    recommended = _SKU.findall(facts.get("inference-recommended-sku", ""))
    return RegistryModel(
        ref=ModelRef(ref.registry, text(getattr(found, "name", None)) or ref.name, _version(found)),
        description=text(getattr(found, "description", None)) or "",
        skus=tuple(dict.fromkeys(_SKU.findall(facts.get("inference_compute_allow_list", "")))),
        recommended_sku=recommended[0] if recommended else None,
        min_sku=_min_sku(facts.get("inference-min-sku-spec")),
        shared_capacity=_flag(facts.get("sharedcomputecapacityenabled")),
        legacy=_date(facts, "inferencelegacydate", "inferencelegacy"),
        deprecation=_date(facts, "inferencedeprecationdate", "inferencedeprecation"),
        retirement=_date(facts, "inferenceretirementdate", "inferenceretirement"),
        task=text(facts.get("task")),
        license=text(facts.get("license")),
        properties=properties,
        tags=tags,
    )


def _version(found: Any) -> str | None:
    version = getattr(found, "version", None)
    return None if version is None else str(version)


def _strings(value: object) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        return {}
    return {str(key): "" if item is None else str(item) for key, item in value.items()}


def _min_sku(value: str | None) -> tuple[int, int, int, int] | None:
    """`cores|GPUs|GB of memory|GB of disk`."""
    parts = (value or "").split("|")
    if len(parts) != 4 or not all(part.strip().isdecimal() for part in parts):
        return None
    cores, gpus, memory, disk = (int(part) for part in parts)
    return cores, gpus, memory, disk


def _flag(value: str | None) -> bool | None:
    """A tag that is present without a value is a yes."""
    return None if value is None else value.strip().lower() not in ("false", "no", "0")


def _date(facts: Mapping[str, str], *names: str) -> date | None:
    for name in names:
        value = facts.get(name, "").strip()
        for reading in (lambda t: date.fromisoformat(t[:10]), _american):
            try:
                return reading(value)
            except ValueError:
                continue
    return None


def _american(value: str) -> date:
    return datetime.strptime(value.partition(" ")[0], "%m/%d/%Y").date()


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


def _seen(future: asyncio.Future[Any]) -> None:
    """Nobody may be waiting besides the maker, who raises by itself."""
    if not future.cancelled():
        future.exception()
