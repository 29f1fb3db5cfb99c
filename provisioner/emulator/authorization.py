"""Microsoft.Authorization: effective permissions, role assignments and definitions, deny
assignments (AZURE.md §10)."""

from __future__ import annotations

import re
import uuid

from provisioner.emulator.clock import iso_z
from provisioner.emulator.errors import ArmError, JsonObject
from provisioner.emulator.rights import (
    BUILT_IN,
    DenyAssignment,
    RoleAssignment,
    RoleDefinition,
    covers,
)
from provisioner.emulator.validation import Arr, Obj, clean
from provisioner.emulator.wire import Call, Reply

_PROVIDER = "providers/Microsoft.Authorization"
_ASSIGNMENT = Obj(
    {
        "properties": Obj(
            {
                "roleDefinitionId": "string",
                "principalId": "string",
                "principalType": "string",
                "description": "string",
                "condition": "string",
                "conditionVersion": "string",
                "delegatedManagedIdentityResourceId": "string",
            },
            required=("roleDefinitionId", "principalId"),
        )
    },
    required=("properties",),
)
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


def _join(scope: str, rest: str) -> str:
    return f"{scope.rstrip('/')}/{rest}"


def _guid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        raise ArmError(
            400,
            "InvalidRoleAssignmentId",
            f"The ID '{text}' is not valid. It must be a GUID.",
        ) from error


def _conditions(call: Call) -> dict[str, str]:
    text = call.query.get("$filter", "").strip()
    found: dict[str, str] = {}
    for clause in re.split(r"\s+and\s+", text, flags=re.IGNORECASE) if text else []:
        match = _FILTER.fullmatch(clause)
        if match is None:
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


# -- role assignments ----------------------------------------------------------------------


def _definition_id(scope: str, guid: str) -> str:
    parts = scope.strip("/").split("/")
    root = f"/subscriptions/{parts[1]}" if parts[0].lower() == "subscriptions" else ""
    return f"{root}/{_PROVIDER}/roleDefinitions/{guid}"


def _assignment(call: Call, assignment: RoleAssignment) -> JsonObject:
    scope = assignment.scope
    made = iso_z(assignment.created or 0.0)
    principal = call.tenant.principal_by_object(assignment.principal_id)
    kind = "User" if principal is not None and principal.is_user else "ServicePrincipal"
    return {
        "properties": {
            "roleDefinitionId": _definition_id(scope, assignment.role_definition_id),
            "principalId": assignment.principal_id,
            "principalType": kind,
            "scope": scope,
            "condition": None,
            "conditionVersion": None,
            "createdOn": made,
            "updatedOn": made,
            "createdBy": "",
            "updatedBy": "",
            "delegatedManagedIdentityResourceId": None,
            "description": None,
        },
        "id": _join(scope, f"{_PROVIDER}/roleAssignments/{assignment.name}"),
        "type": "Microsoft.Authorization/roleAssignments",
        "name": assignment.name,
    }


def list_assignments(call: Call) -> Reply:
    """At, above and below the scope; `atScope()`, `principalId eq`, `assignedTo()` narrow it."""
    scope = call.params["scope"]
    wanted = _conditions(call)
    who = (wanted.get("principalid") or wanted.get("assignedto") or "").lower()
    value = [
        _assignment(call, a)
        for a in call.tenant.rights.assignments
        if (covers(a.scope, scope) or ("atscope" not in wanted and covers(scope, a.scope)))
        and (not who or a.principal_id.lower() == who)
    ]
    return Reply(200, {"value": value})


def _find(call: Call) -> RoleAssignment | None:
    name, scope = call.params["name"].lower(), call.params["scope"]
    for assignment in call.tenant.rights.assignments:
        if assignment.name.lower() == name and covers(assignment.scope, scope):
            return assignment
    return None


def get_assignment(call: Call) -> Reply:
    found = _find(call)
    if found is None:
        raise ArmError(
            404,
            "RoleAssignmentNotFound",
            f"The role assignment '{call.params['name']}' is not found.",
        )
    return Reply(200, _assignment(call, found))


def put_assignment(call: Call) -> Reply:
    body = clean(call.json_object(), _ASSIGNMENT)["properties"]
    name, scope = _guid(call.params["name"]), call.params["scope"]
    role = call.tenant.rights.definition(str(body["roleDefinitionId"]))
    if role is None:
        guid = str(body["roleDefinitionId"]).rsplit("/", 1)[-1]
        raise ArmError(
            404,
            "RoleDefinitionDoesNotExist",
            f"The specified role definition with ID '{guid}' does not exist.",
        )
    for other in call.tenant.rights.assignments:
        if other.name.lower() == name:
            raise ArmError(
                409,
                "RoleAssignmentUpdateNotPermitted"
                if other.principal_id != body["principalId"]
                else "RoleAssignmentExists",
                f"The role assignment already exists. The ID of the conflicting role assignment "
                f"is {name.replace('-', '')}.",
            )
        same = (other.principal_id.lower(), other.role_definition_id, other.scope.lower())
        if same == (str(body["principalId"]).lower(), role.id, scope.lower()):
            raise ArmError(409, "RoleAssignmentExists", "The role assignment already exists.")
    made = RoleAssignment(name, str(body["principalId"]).lower(), role.id, scope, call.now)
    document = call.tenant.store.document("authorization").setdefault("assignments", {})
    document[name] = {
        "name": made.name,
        "principal_id": made.principal_id,
        "role_definition_id": made.role_definition_id,
        "scope": made.scope,
        "created": made.created,
    }
    call.tenant.rights_changed()
    return Reply(201, _assignment(call, made))


def delete_assignment(call: Call) -> Reply:
    found = _find(call)
    if found is None:
        return Reply(204)
    shown = _assignment(call, found)
    document = call.tenant.store.document("authorization")
    if document.setdefault("assignments", {}).pop(found.name.lower(), None) is None:
        document.setdefault("removed", []).append(found.name)
    call.tenant.rights_changed()
    return Reply(200, shown)


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
        "id": _definition_id(scope, role.id),
        "type": "Microsoft.Authorization/roleDefinitions",
        "name": role.id,
    }


def _all_definitions(call: Call) -> list[RoleDefinition]:
    own = call.tenant.rights.definitions
    return [*(role for key, role in BUILT_IN.items() if key not in own), *own.values()]


def list_definitions(call: Call) -> Reply:
    wanted = _conditions(call)
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
    guid = _guid(call.params["name"])
    if guid in BUILT_IN:
        raise ArmError(403, "RoleDefinitionCannotBeModified", "Built-in roles cannot be modified.")
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
        "name": str(body.get("roleName") or guid),
        "description": str(body.get("description") or ""),
        "permissions": body.get("permissions") or [],
        "assignableScopes": body.get("assignableScopes") or [call.params["scope"]],
    }
    call.tenant.rights_changed()
    role = call.tenant.rights.definitions[guid]
    return Reply(201, _definition(call.params["scope"], role))


def delete_definition(call: Call) -> Reply:
    guid = call.params["name"].lower()
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
        "id": _join(denial.scope, f"{_PROVIDER}/denyAssignments/{denial.name}"),
        "type": "Microsoft.Authorization/denyAssignments",
        "name": denial.name,
    }


def list_denials(call: Call) -> Reply:
    scope = call.params["scope"]
    found = call.tenant.rights.denials
    return Reply(200, {"value": [_denial(d) for d in found if covers(d.scope, scope)]})


def get_denial(call: Call) -> Reply:
    for denial in call.tenant.rights.denials:
        if denial.name.lower() == call.params["name"].lower():
            return Reply(200, _denial(denial))
    raise ArmError(404, "DenyAssignmentNotFound", "The deny assignment is not found.")
