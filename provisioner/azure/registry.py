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
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from provisioner.azure.budget import Budget
from provisioner.azure.client import ABSENT, Answer, Arm, values
from provisioner.azure.faults import denies, fault_of, unanswered, unreadable
from provisioner.azure.policies import MICROSOFT, foreign, is_within, origin
from provisioner.azure.settings import Patience
from provisioner.azure.values import Json, integer, mapping, text
from provisioner.cloud import RegistryModel
from provisioner.errors.cloud import CloudError
from provisioner.resources import ModelRef

_DISCOVERY_VERSION: Final = "v1.0"
_MODELS_VERSION: Final = "2021-10-01-dataplanepreview"
_DATA_PLANE: Final = "mferp/managementfrontend"
_NEWEST: Final = "$orderBy=createdtime%20desc&$top=1"
_PATIENCE: Final = Patience(attempts=3, throttled=10.0, connect=5.0, read=15.0)
"""Short, because a run may do without: a firewall that lets only ARM through is common."""
_LONGEST: Final = 15.0
"""Seconds for one question with all its attempts and pages: a server that sends a byte now and then
keeps every other limit."""
_ABOVE: Final = frozenset(
    {
        "registrynotfound",
        "resourcegroupnotfound",
        "subscriptionnotfound",
        "invalidsubscriptionid",
        "invalidresourcetype",
        "invalidresourcenamespace",
        "noregisteredproviderfound",
    }
)
"""Codes of a 404 that speak of what a model is in; an absent registry is a UserError besides."""
_NO_REGISTRY: Final = re.compile(
    r"\s*(?:the )?registry\b.{0,100}\bnot\b", re.IGNORECASE | re.DOTALL
)
_MICROSOFT: Final = (
    *MICROSOFT,
    *("azureml.ms", "azureml.net", "ml.azure.com", "ml.azure.us", "ml.azure.cn"),
)
_SKU: Final = re.compile(r"\bStandard_\w+", re.IGNORECASE)


class Registries:
    """Registries by name; where each one is, is asked once."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm
        self._found: dict[str, asyncio.Task[_Registry]] = {}

    async def model(self, ref: ModelRef) -> RegistryModel | None:
        """A version, or the latest one; None where the registry says that it holds no such model.

        Raises CloudError, also where there is no such registry, or no telling.
        """
        if not ref.registry or any(
            _is_a_way(name) for name in (ref.registry, ref.name, ref.version)
        ):
            return None
        registry = await self._registry(ref.registry)
        async with _asking(ref.versioned_id if ref.version else ref.id) as asked:
            body = await (
                registry.version(ref.name, ref.version)
                if ref.version
                else registry.latest(ref.name)
            )
            if body is None:
                return None
            found = parse(body, ref)
            if found.ref.version is None or not any(map(body.get, ("id", "name", "properties"))):
                raise unreadable(asked, 200, "it describes no version of a model")
            return found

    async def address(self, name: str) -> str:
        """Where the registry's models are, without what follows the host. Raises CloudError."""
        return (await self._registry(name)).address

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
        async with _asking(f"azureml://registries/{name}"):
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
        return Arm(
            settings=replace(arm.settings, arm_endpoint=address, patience=_PATIENCE),
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
        self.address = origin(door.settings.arm)

    async def version(self, name: str, version: str) -> Json | None:
        answer = await self._ask(
            self._door.url(f"{self._base}/{name}/versions/{version}", _MODELS_VERSION)
        )
        return None if answer is None else answer.json

    async def latest(self, name: str) -> Json | None:
        """The version that was made last, which is what `labels/latest` means to Azure.

        One entry is asked for. A page of several shows that the service did not listen, maybe not
        to the order either: then all of them decide.
        """
        found: list[Any] = []
        seen: set[str] = set()
        url: str | None = self._door.url(f"{self._base}/{name}/versions", _MODELS_VERSION, _NEWEST)
        while url is not None and len(found) != 1:
            seen.add(url)
            answer = await self._ask(url)
            if answer is None:
                return None
            found += values(answer, required=True)
            url = None if len(found) == 1 else self._door.following(answer, seen)
        if not found:
            return None
        newest = max(map(mapping, found), key=_made)
        number = text(newest.get("name"))
        if number is None or mapping(newest.get("properties")):
            return newest
        whole = await self.version(name, number)  # a list may be of names alone
        return whole if whole and mapping(whole.get("properties")) else newest

    async def _ask(self, url: str) -> Answer | None:
        """None where the registry says that it does not have what was asked for."""
        answer = await self._door.send("GET", url, absent_ok=True)
        if answer.status != ABSENT:
            return answer
        fault = fault_of(
            status=ABSENT, headers=answer.headers, body=answer.body, operation=answer.operation
        )
        above = fault.code.lower() in _ABOVE or _NO_REGISTRY.match(fault.message)
        if denies(answer.body) and not above:
            return None
        raise CloudError(fault)


def _made(version: Json) -> tuple[str, int]:
    """When a version was made; where that is not said, its number."""
    made = text(mapping(version.get("systemData")).get("createdAt"))
    return made or "", integer(version.get("name"), -1)


@asynccontextmanager
async def _asking(what: str) -> AsyncIterator[str]:
    """A question that may take so long and no longer. Errors speak of the registry or model that
    was asked for, not of the path to it; what is yielded names the question."""
    operation = f"GET {what}"
    try:
        async with asyncio.timeout(_LONGEST):
            yield operation
    except TimeoutError as error:
        late = unanswered(operation, "ConnectionLost", f"no whole answer in {_LONGEST:.0f} seconds")
        raise CloudError(replace(late.fault, resource=what)) from error
    except CloudError as error:
        fault = error.fault
        message = fault.message.replace(fault.operation or operation, operation)
        raise CloudError(
            replace(fault, operation=operation, resource=what, message=message)
        ) from error


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
    if not usable or "@" in parts.netloc or parts.query or parts.fragment:
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
            named.name if named.name.lower() == ref.name.lower() else ref.name,
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
