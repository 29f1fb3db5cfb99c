"""What every child of a workspace has in common, and the shape that each kind fills in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic

from provisioner.azure.values import Json, instant, mapping, text, without_nulls
from provisioner.resources import Kind, Live, R, ResourceId, State, WorkspaceId

_READ_ONLY_TOP: Final = frozenset({"id", "name", "type", "systemData", "etag"})
_WRITABLE_IDENTITY: Final = frozenset({"type", "userAssignedIdentities"})
_STATES: Final = {state.value.lower(): state for state in State} | {"cancelled": State.CANCELED}


def patch_tags(wish: Any, fields: frozenset[str]) -> Json | None:
    """A PATCH changes tags alone (AZURE.md §2, §4); None when there is more to change."""
    return {"tags": dict(wish.tags)} if fields == {"tags"} else None


@dataclass(frozen=True, slots=True)
class Shape(Generic[R]):
    """How one kind is written and read.

    `read_only` are the names under `properties` that the specification (2024-10-01) marks
    readOnly: they are never sent. `patch` gives the body of a PATCH that makes exactly the named
    changes, or None where only a whole PUT can.
    """

    kind: Kind
    body: Callable[[R], Json]
    parse: Callable[[Json, ResourceId], Live[R]]
    overlay: Callable[[Json, R, frozenset[str]], Json]
    read_only: frozenset[str]
    patch: Callable[[R, frozenset[str]], Json | None] = patch_tags

    @property
    def collection(self) -> str:
        return self.kind.value.split("/")[-1]

    def live(
        self, raw: object, workspace: WorkspaceId, parent: str | None = None
    ) -> Live[R] | None:
        """One entry of a list, or None where it has no name to call it by."""
        entry = mapping(raw)
        name = text(entry.get("name")) or (text(entry.get("id")) or "").rpartition("/")[2]
        if not name:
            return None
        return self.parse(entry, ResourceId(workspace, self.kind, name, parent))

    def writable(self, raw: Json) -> Json:
        """`raw` as it may be sent back: without what only the service sets, and without nulls."""
        properties = {
            key: value
            for key, value in mapping(raw.get("properties")).items()
            if key not in self.read_only and value is not None
        }
        top = {key: value for key, value in raw.items() if key not in _READ_ONLY_TOP}
        identity = _writable_identity(raw.get("identity"))
        return without_nulls({**top, "identity": identity, "properties": properties})


def live_state(properties: Json) -> State:
    """provisioningState as a `State`; open enumeration, so any other word is UNKNOWN.

    A resource without one is ready: so ARM's contract has it, and so azure-core's poller reads it
    (AZURE.md §6). Waiting for a word that never comes would be waiting for ever.
    """
    word = text(properties.get("provisioningState"))
    return State.SUCCEEDED if word is None else _STATES.get(word.lower(), State.UNKNOWN)


def header_of(raw: Json) -> datetime | None:
    """When the resource was created, from its systemData."""
    return instant(mapping(raw.get("systemData")).get("createdAt"))


def _writable_identity(raw: object) -> Json | None:
    identity = {key: item for key, item in mapping(raw).items() if key in _WRITABLE_IDENTITY}
    users = identity.get("userAssignedIdentities")
    if isinstance(users, dict):
        identity["userAssignedIdentities"] = {name: {} for name in users}
    return without_nulls(identity) or None
