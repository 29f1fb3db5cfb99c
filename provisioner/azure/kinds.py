"""What every child of a workspace has in common, and the shape that each kind fills in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic

from provisioner.azure.values import Json, instant, mapping, text, without_nulls
from provisioner.resources import Kind, Live, R, ResourceId, State, WorkspaceId

_SKU: Final = frozenset({"name", "tier", "size", "family", "capacity"})
_WRITABLE_IDENTITY: Final = frozenset({"type", "userAssignedIdentities"})
_STATES: Final = {state.value.lower(): state for state in State} | {"cancelled": State.CANCELED}


def patch_tags(wish: Any, fields: frozenset[str]) -> Json | None:
    """A PATCH changes tags alone (AZURE.md §2, §4); None when there is more to change."""
    return {"tags": dict(wish.tags)} if fields == {"tags"} else None


@dataclass(frozen=True, slots=True)
class Shape(Generic[R]):
    """How one kind is written and read.

    `settings` are the names under `properties` that a request may hold by the specification
    (2024-10-01), each with those below it, or None where all of it may go back as it came. `patch`
    gives the body of a PATCH that makes exactly the named changes, or None where only a whole PUT
    can.
    """

    kind: Kind
    body: Callable[[R], Json]
    parse: Callable[[Json, ResourceId], Live[R]]
    overlay: Callable[[Json, R, frozenset[str]], Json]
    settings: Mapping[str, frozenset[str] | None]
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
        """`raw` as it may be sent back: only what a request may hold, and no nulls.

        Answers carry more than the specification knows (AZURE.md §17), and who checks requests
        against it refuses that. A typed client, such as Azure's own, leaves it out as well.
        """
        found = mapping(raw.get("properties"))
        properties = {
            name: _setting(found.get(name), below) for name, below in self.settings.items()
        }
        return without_nulls(
            {
                "location": raw.get("location"),
                "tags": raw.get("tags"),
                "kind": raw.get("kind"),
                "sku": _setting(raw.get("sku"), _SKU),
                "identity": _writable_identity(raw.get("identity")),
                "properties": without_nulls(properties),
            }
        )


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


def _setting(value: object, names: frozenset[str] | None) -> object:
    """`value` without what is not among `names`, and without nulls beside them."""
    if names is None or not isinstance(value, dict):
        return value
    return without_nulls({name: item for name, item in value.items() if name in names})


def _writable_identity(raw: object) -> Json | None:
    identity = {key: item for key, item in mapping(raw).items() if key in _WRITABLE_IDENTITY}
    users = identity.get("userAssignedIdentities")
    if isinstance(users, dict):
        identity["userAssignedIdentities"] = {name: {} for name in users}
    return without_nulls(identity) or None
