"""Azure subscriptions, resource providers and tagged resources, by Microsoft's own clients.

azure-mgmt-resource and azure-mgmt-resource-subscriptions (asynchronous) run on this adapter's
pipeline; they are imported at their first use.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from azure.core.exceptions import AzureError, HttpResponseError

from provisioner.azure.client import Arm, lost
from provisioner.azure.faults import fault_of
from provisioner.azure.marketplace import absent_or_raise
from provisioner.azure.values import text
from provisioner.cloud import Placed, ProviderFacts, SubscriptionFacts
from provisioner.errors.cloud import CloudError
from provisioner.resources import Kind, ResourceId, normal_region, workspace_of

T = TypeVar("T")

_OURS: Final = frozenset(
    kind.value.lower()
    for kind in (Kind.SERVERLESS_ENDPOINT, Kind.ONLINE_ENDPOINT, Kind.ONLINE_DEPLOYMENT)
)


_COLLECTIONS: Final = {
    "serverlessendpoints": Kind.SERVERLESS_ENDPOINT,
    "onlineendpoints": Kind.ONLINE_ENDPOINT,
}


def _resource_of(arm_id: str) -> ResourceId | None:
    """An endpoint's or a deployment's ARM id taken apart; None for anything else."""
    workspace = workspace_of(arm_id)
    tail = arm_id.strip("/").split("/")[8:]
    kind = _COLLECTIONS.get(tail[0].lower()) if len(tail) in (2, 4) else None
    if workspace is None or kind is None:
        return None
    if len(tail) == 2:
        return ResourceId(workspace, kind, tail[1])
    return ResourceId(workspace, Kind.ONLINE_DEPLOYMENT, tail[3], tail[1])


class Management:
    """Facts above the workspace."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm
        self._resources: dict[str, Any] = {}
        self._subscriptions: Any = None

    async def subscription(self, id: str) -> SubscriptionFacts:
        found = await _one(
            f"GET /subscriptions/{id}", lambda: self._subscription_client().subscriptions.get(id)
        )
        return _subscription(found, id)

    async def subscriptions(self) -> list[SubscriptionFacts]:
        """All that the caller can see."""
        found = await _all("GET /subscriptions", self._subscription_client().subscriptions.list)
        return [_subscription(item, "") for item in found]

    async def provider(self, subscription: str, namespace: str) -> ProviderFacts:
        """Registration of a resource provider, and where each of its types is offered."""
        operation = f"GET /subscriptions/{subscription}/providers/{namespace}"
        found = await _one(
            operation, lambda: self._resource_client(subscription).providers.get(namespace)
        )
        locations: dict[str, frozenset[str]] = {}
        for kind in getattr(found, "resource_types", None) or ():
            name = text(getattr(kind, "resource_type", None))
            if name is not None:
                places = getattr(kind, "locations", None) or ()
                locations[name.lower()] = frozenset(normal_region(str(place)) for place in places)
        return ProviderFacts(
            namespace=text(getattr(found, "namespace", None)) or namespace,
            registration=text(getattr(found, "registration_state", None)) or "Unknown",
            locations=locations,
        )

    async def tagged(self, subscription: str, tag: str) -> list[str]:
        """ARM ids of our kinds that carry `tag`. The index behind it lags (AZURE.md §19)."""
        quoted = tag.replace("'", "''")
        found = await _all(
            f"GET /subscriptions/{subscription}/resources",
            lambda: self._resource_client(subscription).resources.list(
                filter=f"tagName eq '{quoted}'"
            ),
        )
        return [
            item.id
            for item in found
            if text(getattr(item, "id", None)) and str(item.type or "").lower() in _OURS
        ]

    async def placed(self, subscription: str, kinds: Sequence[Kind]) -> list[Placed]:
        """The resources of those kinds, in whatever workspace."""
        wanted = " or ".join(f"resourceType eq '{kind.value}'" for kind in kinds)
        found = await _all(
            f"GET /subscriptions/{subscription}/resources",
            lambda: self._resource_client(subscription).resources.list(filter=wanted),
        )
        places = ((_resource_of(text(getattr(item, "id", None)) or ""), item) for item in found)
        return [
            Placed(id, normal_region(text(getattr(item, "location", None)) or ""))
            for id, item in places
            if id is not None and id.kind in kinds
        ]

    def _subscription_client(self) -> Any:
        if self._subscriptions is None:
            from azure.mgmt.resource.subscriptions.aio import SubscriptionClient  # noqa: PLC0415 - imported when needed, as it takes 40 ms

            self._subscriptions = SubscriptionClient(self._arm.credential, **self._shared())
        return self._subscriptions

    def _resource_client(self, subscription: str) -> Any:
        found = self._resources.get(subscription)
        if found is None:
            from azure.mgmt.resource.resources.aio import ResourceManagementClient  # noqa: PLC0415 - imported when needed, as it takes 60 ms

            found = ResourceManagementClient(self._arm.credential, subscription, **self._shared())
            self._resources[subscription] = found
        return found

    def _shared(self) -> dict[str, Any]:
        return {
            "base_url": self._arm.settings.arm,
            "policies": self._arm.policies(),
            "transport": self._arm.transport,
        }


def _subscription(raw: Any, id: str) -> SubscriptionFacts:
    policies = getattr(raw, "subscription_policies", None)
    return SubscriptionFacts(
        id=text(getattr(raw, "subscription_id", None)) or id,
        name=text(getattr(raw, "display_name", None)) or "",
        state=_word(getattr(raw, "state", None)) or "Unknown",
        quota_id=text(getattr(policies, "quota_id", None)),
        spending_limit=_word(getattr(policies, "spending_limit", None)),
        tenant=text(getattr(raw, "tenant_id", None)),
    )


def _word(value: object) -> str | None:
    """An enumeration member of the generated clients, or the plain text of an unknown one."""
    plain = getattr(value, "value", value)
    return text(plain)


async def _after_others() -> None:
    """Let whoever asks at the same time send first: making a client imports for up to 60 ms, in
    which nothing else goes on."""
    for _ in range(5):
        await asyncio.sleep(0)


async def _one(operation: str, call: Callable[[], Awaitable[T]]) -> T:
    await _after_others()
    try:
        return await call()
    except HttpResponseError as error:
        raise _translated(error, operation) from error
    except (AzureError, OSError) as error:
        raise lost(operation, error) from error


async def _all(operation: str, call: Callable[[], AsyncIterable[T]]) -> list[T]:
    async def collect() -> list[T]:
        return [item async for item in call()]

    return await _one(operation, collect)


def _translated(error: HttpResponseError, operation: str) -> CloudError:
    try:
        absent_or_raise(error, operation)
    except CloudError as translated:
        return translated
    response: Any = error.response
    return CloudError(
        fault_of(
            status=404,
            headers=response.headers,
            body=response.content,
            operation=operation,
        )
    )
