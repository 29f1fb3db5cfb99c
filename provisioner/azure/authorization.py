"""The caller's effective rights, and management locks (AZURE.md §10, §15)."""

from __future__ import annotations

from typing import Final

from provisioner.azure.client import ABSENT, Arm
from provisioner.azure.values import Json, mapping, text, texts
from provisioner.cloud import Lock, Permission
from provisioner.errors.cloud import CloudError

PERMISSIONS_VERSION: Final = "2022-04-01"
LOCKS_VERSION: Final = "2020-05-01"

_NOT_SERVED: Final = frozenset({400, ABSENT, 405, 501})
_LOCKS: Final = "/providers/microsoft.authorization/locks/"


async def permissions(arm: Arm, scope: str) -> list[Permission] | None:
    """The caller's rights at `scope`, an ARM id.

    The form for a whole Azure subscription is not documented (AZURE.md §15): None where the
    service does not serve it. At any other scope, absence is an error.
    """
    path = f"{scope.rstrip('/')}/providers/Microsoft.Authorization/permissions"
    try:
        entries = await arm.entries(path, version=PERMISSIONS_VERSION, required=True)
    except CloudError as error:
        if _is_subscription(scope) and error.fault.status in _NOT_SERVED:
            return None
        raise
    return [parse_permission(mapping(entry)) for entry in entries]


async def locks(arm: Arm, scope: str) -> list[Lock]:
    """Locks at, above and below `scope`; none where the scope does not exist."""
    path = f"{scope.rstrip('/')}/providers/Microsoft.Authorization/locks"
    entries = await arm.entries(path, version=LOCKS_VERSION, absent_ok=True)
    return [lock for entry in entries if (lock := parse_lock(mapping(entry))) is not None]


def parse_permission(raw: Json) -> Permission:
    return Permission(
        actions=texts(raw.get("actions")),
        not_actions=texts(raw.get("notActions")),
        data_actions=texts(raw.get("dataActions")),
        not_data_actions=texts(raw.get("notDataActions")),
    )


def parse_lock(raw: Json) -> Lock | None:
    """One lock; its scope is its id up to `/providers/Microsoft.Authorization/locks/`."""
    id = text(raw.get("id")) or ""
    at = id.lower().find(_LOCKS)
    level = text(mapping(raw.get("properties")).get("level"))
    if at < 0 or level is None:
        return None
    return Lock(name=text(raw.get("name")) or id[at + len(_LOCKS) :], level=level, scope=id[:at])


def _is_subscription(scope: str) -> bool:
    return len(scope.strip("/").split("/")) == 2
