"""Microsoft.Authorization: permissions, role definitions, deny assignments (AZURE.md §10).

Role assignments are in role_assignments.py.
"""

from __future__ import annotations

import re
import uuid

from provisioner.emulator.errors import ArmError, JsonObject
from provisioner.emulator.rights import (
    BUILT_IN,
    DenyAssignment,
    RoleDefinition,
    covers,
)
from provisioner.emulator.validation import Arr, Obj, clean
from provisioner.emulator.wire import Call, Reply

PROVIDER = "providers/Microsoft.Authorization"
_STRINGS = Arr("string")
_DEFINITION = Obj(
    {
        "properties": Obj(
            {
                "roleName": "string",
                "description": "string",
                "type": "string",
                "permissions": Arr(
                    Obj(
                        {
                            "actions": _STRINGS,
                            "notActions": _STRINGS,
                            "dataActions": _STRINGS,
                            "notDataActions": _STRINGS,
                        }
                    )
                ),
                "assignableScopes": _STRINGS,
            }
        )
    },
    required=("properties",),
)
_FILTER = re.compile(r"\s*(\w+)(?:\(\s*'?([^')]*)'?\s*\)|\s+eq\s+'([^']*)')\s*", re.IGNORECASE)


def join(scope: str, rest: str) -> str:
    return f"{scope.rstrip('/')}/{rest}"


def guid_of(text: str, code: str, what: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        raise ArmError(
            400, code, f"The {what} '{text}' is not valid. It must be a GUID."
        ) from error


BY_SCOPE_OR_PRINCIPAL = ("atscope", "principalid", "assignedto")


def conditions(call: Call, known: tuple[str, ...]) -> dict[str, str]:
    """The parts of the `$filter`; raises ARM's 400 for one that names anything else."""
    text = call.query.get("$filter", "").strip()
    found: dict[str, str] = {}
    for clause in re.split(r"\s+and\s+", text, flags=re.IGNORECASE) if text else []:
        match = _FILTER.fullmatch(clause)
        if match is None or match[1].lower() not in known:
            raise ArmError(400, "InvalidFilter", f"The filter '{text}' is not supported.")
        found[match[1].lower()] = match[2] if match[2] is not None else match[3]
    return found


# -- permissions ---------------------------------------------------------------------------


def permissions(call: Call) -> Reply:
    """The caller's own effective permissions at a scope; deny assignments are not in it."""
    scope = call.params["scope"]
    if "subscriptionId" in call.params:
        call.tenant.subscription(call.params["subscriptionId"])
    found = call.tenant.rights.permissions(call.caller.object_id, scope, call.now)
    return Reply(200, {"value": [entry.wire() for entry in found]})


def definition_id(scope: str, guid: str) -> str:
    parts = scope.strip("/").split("/")
    root = f"/subscriptions/{parts[1]}" if parts[0].lower() == "subscriptions" else ""
    return f"{root}/{PROVIDER}/roleDefinitions/{guid}"


# -- role definitions ----------------------------------------------------------------------


def _definition(scope: str, role: RoleDefinition) -> JsonObject:
    return {
        "properties": {
            "roleName": role.name,
            "type": "BuiltInRole" if role.built_in else "CustomRole",
            "description": role.description,
            "assignableScopes": list(role.assignable_scopes),
            "permissions": [entry.wire() for entry in role.permissions],
            "createdOn": "2015-02-02T21:55:09.8806423Z",
            "updatedOn": "2021-11-11T20:13:28.6061853Z",
            "createdBy": None,
            "updatedBy": None,
        },
        "id": definition_id(scope, role.id),
        "type": "Microsoft.Authorization/roleDefinitions",
        "name": role.id,
    }


def _all_definitions(call: Call) -> list[RoleDefinition]:
    own = call.tenant.rights.definitions
    return [*(role for key, role in BUILT_IN.items() if key not in own), *own.values()]


def list_definitions(call: Call) -> Reply:
    wanted = conditions(call, ("atscopeandbelow", "atscope", "rolename", "type"))
    name, kind = wanted.get("rolename"), wanted.get("type", "").lower()
    scope = call.params["scope"]
    value = [
        _definition(scope, role)
        for role in _all_definitions(call)
        if (name is None or role.name.lower() == name.lower())
        and (not kind or kind == ("builtinrole" if role.built_in else "customrole"))
        and any(s == "/" or covers(s, scope) or covers(scope, s) for s in role.assignable_scopes)
    ]
    return Reply(200, {"value": value})


def get_definition(call: Call) -> Reply:
    role = call.tenant.rights.definition(call.params["name"])
    if role is None or role.id.lower() != call.params["name"].lower():
        raise ArmError(
            404,
            "RoleDefinitionDoesNotExist",
            f"The specified role definition with ID '{call.params['name']}' does not exist.",
        )
    return Reply(200, _definition(call.params["scope"], role))


def put_definition(call: Call) -> Reply:
    body = clean(call.json_object(), _DEFINITION)["properties"]
    guid = guid_of(call.params["name"], "InvalidRoleDefinitionId", "role definition ID")
    _refuse_built_in(guid)
    for name in ("roleName", "permissions", "assignableScopes"):
        if not body.get(name):
            raise ArmError(
                400,
                "BadRequestFormat",
                f"The request was incorrectly formatted: 'properties.{name}' must not be empty.",
            )
    document = call.tenant.store.document("authorization").setdefault("definitions", {})
    for other in _all_definitions(call):
        if other.id.lower() != guid and other.name.lower() == str(body.get("roleName")).lower():
            raise ArmError(
                409,
                "RoleDefinitionWithSameNameExists",
                "A custom role with the same name already exists in this directory. Use a "
                "different name.",
            )
    document[guid] = {
        "id": guid,
        "name": str(body["roleName"]),
        "description": str(body.get("description") or ""),
        "permissions": body["permissions"],
        "assignableScopes": body["assignableScopes"],
    }
    call.tenant.rights_changed()
    role = call.tenant.rights.definitions[guid]
    return Reply(201, _definition(call.params["scope"], role))


def _refuse_built_in(guid: str) -> None:
    if guid in BUILT_IN:
        raise ArmError(403, "RoleDefinitionCannotBeModified", "Built-in roles cannot be modified.")


def delete_definition(call: Call) -> Reply:
    guid = call.params["name"].lower()
    _refuse_built_in(guid)
    document = call.tenant.store.document("authorization").setdefault("definitions", {})
    if guid not in document:
        return Reply(204)
    shown = _definition(call.params["scope"], call.tenant.rights.definitions[guid])
    if any(a.role_definition_id == guid for a in call.tenant.rights.assignments):
        raise ArmError(
            400,
            "RoleDefinitionHasAssignments",
            "There are existing role assignments referencing role.",
        )
    del document[guid]
    call.tenant.rights_changed()
    return Reply(200, shown)


# -- deny assignments ----------------------------------------------------------------------


def _denial(denial: DenyAssignment) -> JsonObject:
    def principals(ids: tuple[str, ...]) -> list[JsonObject]:
        return [{"id": each, "type": "ServicePrincipal"} for each in ids]

    everyone = [{"id": str(uuid.UUID(int=0)), "type": "SystemDefined"}]
    return {
        "properties": {
            "denyAssignmentName": denial.deny_assignment_name,
            "description": denial.description,
            "permissions": [denial.permission.wire()],
            "scope": denial.scope,
            "doNotApplyToChildScopes": False,
            "principals": principals(denial.principal_ids) or everyone,
            "excludePrincipals": principals(denial.excluded_principal_ids),
            "isSystemProtected": True,
        },
        "id": join(denial.scope, f"{PROVIDER}/denyAssignments/{denial.name}"),
        "type": "Microsoft.Authorization/denyAssignments",
        "name": denial.name,
    }


def list_denials(call: Call) -> Reply:
    scope = call.params["scope"]
    conditions(call, (*BY_SCOPE_OR_PRINCIPAL, "denyassignmentname", "gdprexportprincipalid"))
    found = call.tenant.rights.denials
    return Reply(200, {"value": [_denial(d) for d in found if covers(d.scope, scope)]})


def get_denial(call: Call) -> Reply:
    for denial in call.tenant.rights.denials:
        if denial.name.lower() == call.params["name"].lower():
            return Reply(200, _denial(denial))
    raise ArmError(404, "DenyAssignmentNotFound", "The deny assignment is not found.")
