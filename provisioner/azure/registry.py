"""One model of a registry: version, sizes, least machine, lifecycle (AZURE.md §7).

Two hosts beside ARM: discovery says where a registry's data plane is, and that answers for its
models. Both take ARM's token, as Microsoft's documentation asks them with curl ("Deploy models that
use deployment templates", 2026-05-12); azure-ai-ml asks discovery with a token of Azure Machine
Learning's own, which is the second try where the first is refused.

azure-ai-ml asks the same (tests compare), but its import costs 1.5 s of CPU, more than the rest of
an apply: docs/decisions/0051-registry-on-our-own-pipeline.md.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from typing import Final
from urllib.parse import urlsplit

from provisioner.azure.budget import Budget
from provisioner.azure.client import ABSENT, Answer, Arm
from provisioner.azure.faults import unreadable
from provisioner.azure.policies import MICROSOFT, foreign, is_within
from provisioner.azure.settings import Patience
from provisioner.azure.values import Json, mapping, sequence, text
from provisioner.cloud import RegistryModel
from provisioner.errors.cloud import CloudError
from provisioner.resources import ModelRef

_DISCOVERY_VERSION: Final = "v1.0"
_MODELS_VERSION: Final = "2021-10-01-dataplanepreview"
_DATA_PLANE: Final = "mferp/managementfrontend"
_NEWEST: Final = "$orderBy=createdtime%20desc&$top=1"
_PATIENCE: Final = Patience(attempts=3, throttled=20.0, connect=5.0, read=15.0)
"""Short, because a run may do without: a firewall that lets only ARM through is common."""
_MICROSOFT: Final = (*MICROSOFT, "azureml.ms", "azureml.net", "ml.azure.us", "ml.azure.cn")
_SKU: Final = re.compile(r"\bStandard_\w+", re.IGNORECASE)


class Registries:
    """Registries by name; where each one is, is asked once."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm
        self._found: dict[str, asyncio.Task[_Registry]] = {}

    async def model(self, ref: ModelRef) -> RegistryModel | None:
        """A version, or the latest one; None where the registry holds no such model.

        Raises CloudError, also where there is no such registry.
        """
        if not ref.registry or any(
            _is_a_way(name) for name in (ref.registry, ref.name, ref.version)
        ):
            return None
        registry = await self._registry(ref.registry)
        with _asking(ref.versioned_id if ref.version else ref.id):
            body = await (registry.version(ref) if ref.version else registry.latest(ref))
        return None if body is None else parse(body, ref)

    async def _registry(self, name: str) -> _Registry:
        """Many may ask at once: one question answers them all. A failure is not kept."""
        key = name.lower()
        task = self._found.get(key)
        if task is None:
            task = self._found[key] = asyncio.create_task(self._discover(name))
            task.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(task)

    def _forget(self, key: str, done: asyncio.Task[_Registry]) -> None:
        if done.cancelled() or done.exception() is not None:
            self._found.pop(key, None)

    async def _discover(self, name: str) -> _Registry:
        with _asking(f"azureml://registries/{name}"):
            return await self._found_at(name)

    async def _found_at(self, name: str) -> _Registry:
        own = self._arm.settings.machine_learning
        path = f"/registrymanagement/v1.0/registries/{name}/discovery"
        door = self._at(own.discovery, self._arm.scope)
        try:
            answer = await door.send("GET", door.url(path, _DISCOVERY_VERSION))
        except CloudError as error:
            if error.fault.status != 401:
                raise
            door = self._at(own.discovery, f"{own.audience}/.default")
            answer = await door.send("GET", door.url(path, _DISCOVERY_VERSION))
        where, subscription, group = _place(answer)
        return _Registry(
            self._at(data_plane(where, own.discovery), self._arm.scope),
            f"/subscriptions/{subscription}/resourceGroups/{group}"
            f"/providers/Microsoft.MachineLearningServices/registries/{name}/models",
        )

    def _at(self, address: str, scope: str) -> Arm:
        """The same pipeline to another host, with a budget of its own."""
        arm = self._arm
        patience = replace(
            _PATIENCE, attempts=min(_PATIENCE.attempts, arm.settings.patience.attempts)
        )
        return Arm(
            settings=replace(arm.settings, arm_endpoint=address, patience=patience),
            clock=arm.clock,
            credential=arm.credential,
            scope=scope,
            transport=arm.transport,
            budget=Budget(arm.clock),
            chance=arm.chance,
        )


class _Registry:
    """A registry's data plane; `base` is the path of its models."""

    def __init__(self, door: Arm, base: str) -> None:
        self._door = door
        self._base = base

    async def version(self, ref: ModelRef) -> Json | None:
        answer = await self._door.get(
            f"{self._base}/{ref.name}/versions/{ref.version}", version=_MODELS_VERSION
        )
        return None if answer is None else answer.json

    async def latest(self, ref: ModelRef) -> Json | None:
        """The version that was made last, which is what `labels/latest` means to Azure.

        The first page is all that is read: its nextLink goes on with older versions, whatever
        `$top` says, and a service that knows no `$top` sorts all the same.
        """
        url = self._door.url(f"{self._base}/{ref.name}/versions", _MODELS_VERSION, _NEWEST)
        answer = await self._door.send("GET", url, absent_ok=True)
        if answer.status == ABSENT:
            return None
        found = sequence(answer.json.get("value"))
        return mapping(found[0]) if found else None


@contextmanager
def _asking(what: str) -> Iterator[None]:
    """Errors speak of the registry or model that was asked for, not of the path to it."""
    try:
        yield
    except CloudError as error:
        fault = replace(error.fault, operation=f"GET {what}", resource=what)
        raise CloudError(fault) from error


def _is_a_way(name: str | None) -> bool:
    """Whether a name is `.` or `..`, which a path would take for itself or the folder above."""
    return name is not None and not name.strip(".")


def data_plane(where: str, discovery: str) -> str:
    """The base address of a registry's models: discovery at `discovery` has named `where`.

    Raises CloudError where Microsoft's discovery names a host that is not Microsoft's: our token
    goes there. Any other cloud may have its registries where it likes, as it has our token already.
    """
    if is_within(discovery, _MICROSOFT) and not is_within(where, _MICROSOFT):
        raise foreign(where, discovery)
    return f"{where.rstrip('/')}/{_DATA_PLANE}"


def _place(answer: Answer) -> tuple[str, str, str]:
    """The data plane's address, and the Azure subscription and resource group of the registry."""
    body = answer.json
    where, subscription, group = (
        text(body.get(name))
        for name in ("primaryRegionResourceProviderUri", "subscriptionId", "resourceGroup")
    )
    if where is None or subscription is None or group is None:
        raise unreadable(answer.operation, answer.status, "it does not say where the registry is")
    try:
        parts = urlsplit(where)
        usable = parts.scheme == "https" and parts.hostname and (parts.port or 443) > 0
    except ValueError:  # a port that is none, half an IPv6 address
        usable = False
    if not usable or "@" in parts.netloc:
        raise unreadable(answer.operation, answer.status, f"{where!r} is no https:// address")
    return where, subscription, group


def parse(body: Json, ref: ModelRef) -> RegistryModel:
    """A version's body as the port's. Names are looked up in properties and tags alike, whatever
    their case: publishers use both (CATALOG: azureml-assets' specifications)."""
    inner = mapping(body.get("properties"))
    named = ModelRef.parse(text(body.get("id")) or "")
    properties, tags = _strings(inner.get("properties")), _strings(inner.get("tags"))
    facts = {name.lower(): value for name, value in {**tags, **properties}.items()}
    recommended = _SKU.findall(facts.get("inference-recommended-sku", ""))
    return RegistryModel(
        ref=ModelRef(
            ref.registry,
            named.name if named.registry else ref.name,
            text(body.get("name")) or named.version or ref.version,
        ),
        description=text(inner.get("description")) or "",
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
