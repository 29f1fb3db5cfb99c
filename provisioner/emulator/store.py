"""State: plain objects in memory, written through to one SQLite file.

Every change of one request is written in one transaction before its answer is sent, so a SIGKILL
at any moment leaves either all of it or nothing. The file is opened exclusively: a second process
gets `StateInUseError` instead of a second opinion. Without a file the state lives in memory only.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from provisioner.emulator.errors import JsonObject

SCHEMA_VERSION = 1

# One transaction, the version with it: a file has all of it or is still empty.
_TABLES = f"""
BEGIN;
CREATE TABLE resources (key TEXT PRIMARY KEY, seq INTEGER NOT NULL, data TEXT);
CREATE TABLE operations (id TEXT PRIMARY KEY, data TEXT NOT NULL);
CREATE TABLE documents (name TEXT PRIMARY KEY, data TEXT NOT NULL);
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""


class StateInUseError(Exception):
    """The state file belongs to another running emulator."""


class StateUnreadableError(Exception):
    """The state file is not one of ours, or comes from another version."""


class StateUnwritableError(OSError):
    """The state file cannot be written now, such as on a full disk; what changed is kept."""


@dataclass(slots=True)
class Resource:
    """One ARM resource. `body` holds what the client defined, filled with the service's defaults.

    `state` is the provisioningState; `pending` the running operation's id. `facts` holds what no
    client may write: keys' owner facts, offer, logs, deadline, endpoint state.
    """

    id: str
    kind: str
    name: str
    parent: str
    subscription: str
    group: str
    workspace: str
    location: str
    body: JsonObject
    state: str
    created: float
    created_by: str
    changed: float
    seq: int = 0
    pending: str = ""
    keys: list[str] = field(default_factory=list)
    facts: JsonObject = field(default_factory=dict)
    stale: JsonObject | None = None

    @property
    def key(self) -> str:
        return self.id.lower()


@dataclass(slots=True)
class Operation:
    """One long-running operation; it ends by itself when the clock reaches `due`."""

    id: str
    verb: str
    target: str
    scope: str
    subscription: str
    location: str
    api_version: str
    started: float
    due: float
    failure: JsonObject | None = None
    result: Any = None
    done: bool = False


_RESOURCE_FIELDS = tuple(f.name for f in fields(Resource))
_OPERATION_FIELDS = tuple(f.name for f in fields(Operation))


def _dump(item: Resource | Operation, names: tuple[str, ...]) -> str:
    return json.dumps({name: getattr(item, name) for name in names}, separators=(",", ":"))


class Store:
    """All resources, operations and named documents. Not thread-safe: one event loop owns it."""

    def __init__(self, path: Path | None = None) -> None:
        self._resources: dict[str, Resource] = {}
        self._children: dict[tuple[str, str], dict[str, Resource]] = {}
        self._kinds: dict[str, dict[str, Resource]] = {}
        self._named: dict[tuple[str, str, str], dict[str, Resource]] = {}
        self._operations: dict[str, Operation] = {}
        self._documents: dict[str, JsonObject] = {}
        self._dirty_resources: dict[str, Resource | None] = {}
        self._dirty_operations: dict[str, Operation | None] = {}
        self._dirty_documents: set[str] = set()
        self._seq = 0
        self._db = _open(path) if path is not None else None
        if self._db is not None:
            try:
                self._load(self._db)
            except (sqlite3.Error, ValueError, TypeError) as error:
                self._db.close()
                raise StateUnreadableError(
                    f"{path} is damaged, or was not written by the emulator ({error}). Move it "
                    "away to start from the scenario again."
                ) from error

    # -- reading ---------------------------------------------------------------------------

    def get(self, resource_id: str) -> Resource | None:
        return self._resources.get(resource_id.lower())

    def children(self, parent: str, kind: str) -> dict[str, Resource]:
        """Resources of one kind under a parent, in order of creation."""
        return self._children.get((parent.lower(), kind), {})

    def all(self) -> Iterator[Resource]:
        return iter(self._resources.values())

    def of_kind(self, kind: str) -> Iterable[Resource]:
        """All resources of one kind, in order of creation."""
        return self._kinds.get(kind, {}).values()

    def named(self, kind: str, location: str, name: str) -> Iterable[Resource]:
        """Whoever has a name in a region, in any workspace and subscription."""
        return self._named.get((kind, location, name.lower()), {}).values()

    def operation(self, operation_id: str) -> Operation | None:
        return self._operations.get(operation_id.lower())

    def operations(self) -> Iterator[Operation]:
        return iter(self._operations.values())

    def document(self, name: str) -> JsonObject:
        """A named document; change it in place, then call `touch(name)`."""
        return self._documents.setdefault(name, {})

    # -- writing ---------------------------------------------------------------------------

    def put(self, resource: Resource) -> None:
        key = resource.key
        if key not in self._resources:
            self._seq += 1
            resource.seq = self._seq
            self._index(resource)
        self._dirty_resources[key] = resource

    def remove(self, resource: Resource) -> None:
        key = resource.key
        for index in (self._resources, *self._indexes(resource)):
            index.pop(key, None)
        self._dirty_resources[key] = None

    def put_operation(self, operation: Operation) -> None:
        key = operation.id.lower()
        self._operations[key] = operation
        self._dirty_operations[key] = operation

    def drop_operation(self, operation: Operation) -> None:
        key = operation.id.lower()
        self._operations.pop(key, None)
        self._dirty_operations[key] = None

    def touch(self, name: str) -> None:
        self._dirty_documents.add(name)

    def clear(self) -> None:
        """Forget everything, on disk too."""
        self._resources.clear()
        self._children.clear()
        self._kinds.clear()
        self._named.clear()
        self._operations.clear()
        self._documents.clear()
        self._forget_dirty()
        if self._db is not None:
            with self._db:
                for table in ("resources", "operations", "documents"):
                    self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - fixed names

    def flush(self) -> None:
        """Write what changed, in one transaction. Cheap when nothing did.

        Raises StateUnwritableError; then nothing of it is on disk, and the next flush tries again.
        """
        if not (self._dirty_resources or self._dirty_operations or self._dirty_documents):
            return
        if self._db is not None:
            try:
                with self._db:
                    self._write(self._db)
            except sqlite3.Error as error:
                raise StateUnwritableError(f"The state cannot be written: {error}.") from error
        self._forget_dirty()

    def close(self) -> None:
        """Write what changed and let go of the file, even when it cannot be written."""
        try:
            self.flush()
        finally:
            if self._db is not None:
                self._db.close()
                self._db = None

    # -- SQLite ----------------------------------------------------------------------------

    def _write(self, db: sqlite3.Connection) -> None:
        for key, resource in self._dirty_resources.items():
            if resource is None:
                db.execute("DELETE FROM resources WHERE key = ?", (key,))
            else:
                row = (key, resource.seq, _dump(resource, _RESOURCE_FIELDS))
                db.execute("INSERT OR REPLACE INTO resources VALUES (?, ?, ?)", row)
        for key, operation in self._dirty_operations.items():
            if operation is None:
                db.execute("DELETE FROM operations WHERE id = ?", (key,))
            else:
                pair = (key, _dump(operation, _OPERATION_FIELDS))
                db.execute("INSERT OR REPLACE INTO operations VALUES (?, ?)", pair)
        for name in self._dirty_documents:
            text = json.dumps(self._documents.get(name, {}), separators=(",", ":"))
            db.execute("INSERT OR REPLACE INTO documents VALUES (?, ?)", (name, text))

    def _load(self, db: sqlite3.Connection) -> None:
        for (data,) in db.execute("SELECT data FROM resources ORDER BY seq"):
            resource = Resource(**json.loads(data))
            self._seq = max(self._seq, resource.seq)
            self._index(resource)
        for key, data in db.execute("SELECT id, data FROM operations"):
            self._operations[key] = Operation(**json.loads(data))
        for name, data in db.execute("SELECT name, data FROM documents"):
            self._documents[name] = json.loads(data)

    def _index(self, resource: Resource) -> None:
        key = resource.key
        for index in (self._resources, *self._indexes(resource)):
            index[key] = resource

    def _indexes(self, resource: Resource) -> tuple[dict[str, Resource], ...]:
        kind = resource.kind
        return (
            self._children.setdefault((resource.parent.lower(), kind), {}),
            self._kinds.setdefault(kind, {}),
            self._named.setdefault((kind, resource.location, resource.name.lower()), {}),
        )

    def _forget_dirty(self) -> None:
        self._dirty_resources.clear()
        self._dirty_operations.clear()
        self._dirty_documents.clear()


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    db = sqlite3.connect(path, timeout=0.5)
    try:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("BEGIN EXCLUSIVE")  # in this mode the lock outlives the transaction
        db.execute("COMMIT")
        _check_schema(db, path)
    except StateUnreadableError:
        db.close()
        raise
    except sqlite3.Error as error:
        db.close()
        if error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise StateInUseError(f"{path} is in use by another emulator ({error}).") from error
        raise StateUnreadableError(f"{path} cannot be used as a state file ({error}).") from error
    return db


def _check_schema(db: sqlite3.Connection, path: Path) -> None:
    """Make the tables of an empty file; raises StateUnreadableError for somebody else's."""
    # Nothing of a foreign file may change, so its kind is looked at before WAL is switched on.
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version not in (0, SCHEMA_VERSION):
        raise StateUnreadableError(f"{path} was written by another version of the emulator.")
    foreign = db.execute("SELECT name FROM sqlite_master LIMIT 1").fetchone()
    if version == 0 and foreign is not None:
        raise StateUnreadableError(
            f"{path} is somebody else's database: it has the table '{foreign[0]}'."
        )
    db.execute("PRAGMA journal_mode = WAL")
    # NORMAL survives a killed process (not a power cut), which is the promise made here.
    db.execute("PRAGMA synchronous = NORMAL")
    if version == 0:
        db.executescript(_TABLES)
