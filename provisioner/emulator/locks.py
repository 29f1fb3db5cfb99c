"""Management locks at any scope: read, set and removed; what they stop is in rights.py."""

from __future__ import annotations

from provisioner.emulator.errors import ArmError, JsonObject
from provisioner.emulator.rights import Lock, covers
from provisioner.emulator.validation import Arr, Obj, clean
from provisioner.emulator.wire import Call, Reply

_LOCK = Obj(
    {
        "properties": Obj(
            {"level": "string", "notes": "string", "owners": Arr(Obj({"applicationId": "string"}))},
            required=("level",),
        )
    },
    required=("properties",),
)


def _lock(lock: Lock) -> JsonObject:
    return {
        "properties": {"level": lock.level, "notes": lock.notes},
        "id": f"{lock.scope.rstrip('/')}/providers/Microsoft.Authorization/locks/{lock.name}",
        "type": "Microsoft.Authorization/locks",
        "name": lock.name,
    }


def _lock_key(call: Call) -> str:
    return f"{call.params['scope']}/{call.params['name']}".lower()


def list_locks(call: Call) -> Reply:
    scope = call.params["scope"]
    found = [
        _lock(k) for k in call.tenant.locks() if covers(scope, k.scope) or covers(k.scope, scope)
    ]
    return Reply(200, {"value": found})


def get_lock(call: Call) -> Reply:
    for lock in call.tenant.locks():
        if f"{lock.scope}/{lock.name}".lower() == _lock_key(call):
            return Reply(200, _lock(lock))
    raise ArmError(404, "LockNotFound", f"The lock '{call.params['name']}' could not be found.")


def put_lock(call: Call) -> Reply:
    body = clean(call.json_object(), _LOCK)["properties"]
    levels = {"cannotdelete": "CanNotDelete", "readonly": "ReadOnly"}
    level = levels.get(str(body["level"]).lower())
    if level is None:
        raise ArmError(400, "InvalidLockLevel", f"The lock level '{body['level']}' is invalid.")
    document = call.tenant.store.document("locks")
    created = document.setdefault("created", {})
    key = _lock_key(call)
    known = any(f"{k.scope}/{k.name}".lower() == key for k in call.tenant.locks())
    if key not in created and known:
        document.setdefault("removed", []).append(key)
    created[key] = {
        "name": call.params["name"],
        "level": level,
        "scope": call.params["scope"],
        "notes": str(body.get("notes") or ""),
    }
    call.tenant.store.touch("locks")
    return Reply(200 if known else 201, _lock(Lock(**created[key])))


def delete_lock(call: Call) -> Reply:
    document = call.tenant.store.document("locks")
    key = _lock_key(call)
    made = document.setdefault("created", {}).pop(key, None)
    if made is None:
        if not any(f"{k.scope}/{k.name}".lower() == key for k in call.tenant.locks()):
            return Reply(204)
        document.setdefault("removed", []).append(key)
    call.tenant.store.touch("locks")
    return Reply(200)
