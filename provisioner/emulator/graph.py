"""As much of Microsoft Graph as `az role assignment` asks for: who a principal is.

Lookups by id, by application id and by name; nothing is written. Everybody who is signed in may
read the directory.
"""

from __future__ import annotations

import re

from provisioner.emulator.errors import ArmError, JsonObject
from provisioner.emulator.scenario_types import Principal
from provisioner.emulator.wire import Call, Reply

_EQUALS = re.compile(
    r"(?:(?P<name>\w+)|servicePrincipalNames/any\((\w+):\s*\2)\s+eq\s+'(?P<value>[^']*)'\)?", re.I
)


def by_ids(call: Call) -> Reply:
    """`directoryObjects/getByIds`: those of the ids that exist."""
    ids = call.json_object().get("ids")
    if not isinstance(ids, list):
        raise ArmError(400, "Request_BadRequest", "'ids' must be a collection of ids.")
    wanted = {str(each).lower() for each in ids}
    found = [p for p in call.tenant.scenario.principals if p.object_id.lower() in wanted]
    return Reply(200, {"value": [_shown(principal, typed=True) for principal in found]})


def service_principals(call: Call) -> Reply:
    """The service principals that a `$filter` of one equality names; all without one."""
    return _listed(call, users=False)


def users(call: Call) -> Reply:
    """Likewise the users."""
    return _listed(call, users=True)


def one(call: Call) -> Reply:
    """A service principal or user by object id. Raises Graph's 404."""
    wanted = call.params["id"].lower()
    for principal in call.tenant.scenario.principals:
        if principal.object_id.lower() == wanted:
            return Reply(200, _shown(principal))
    raise ArmError(
        404,
        "Request_ResourceNotFound",
        f"Resource '{call.params['id']}' does not exist or one of its queried reference-property "
        "objects are not present.",
    )


def _listed(call: Call, *, users: bool) -> Reply:
    every = [p for p in call.tenant.scenario.principals if p.is_user == users]
    text = call.query.get("$filter", "")
    if text:
        match = _EQUALS.fullmatch(text.strip())
        if match is None:
            raise ArmError(
                400,
                "Request_UnsupportedQuery",
                f"The emulator's directory reads a filter of one equality, not '{text[:200]}'.",
            )
        name, value = (match["name"] or "appId").lower(), match["value"].lower()
        every = [p for p in every if _value(p, name) == value]
    return Reply(200, {"value": [_shown(principal) for principal in every]})


def _value(principal: Principal, name: str) -> str:
    return {
        "appid": principal.client_id,
        "id": principal.object_id,
        "displayname": principal.name,
        "userprincipalname": principal.name,
    }.get(name, "").lower()


def _shown(principal: Principal, *, typed: bool = False) -> JsonObject:
    kind = "user" if principal.is_user else "servicePrincipal"
    shown: JsonObject = {"@odata.type": f"#microsoft.graph.{kind}"} if typed else {}
    shown |= {"id": principal.object_id, "displayName": principal.name}
    if principal.is_user:
        return shown | {"userPrincipalName": principal.name}
    return shown | {
        "appId": principal.client_id,
        "servicePrincipalNames": [principal.client_id],
        "servicePrincipalType": "Application",
    }
