"""Role assignments (AZURE.md §10): who holds which role where."""

from __future__ import annotations

import uuid
from dataclasses import asdict, replace

from provisioner.emulator.authorization import (
    BY_SCOPE_OR_PRINCIPAL,
    PROVIDER,
    conditions,
    definition_id,
    guid_of,
    join,
)
from provisioner.emulator.clock import iso_z
from provisioner.emulator.errors import ArmError, JsonObject
from provisioner.emulator.rights import RoleAssignment, covers
from provisioner.emulator.validation import Obj, clean
from provisioner.emulator.wire import Call, Reply

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


def _assignment(call: Call, assignment: RoleAssignment) -> JsonObject:
    scope = assignment.scope
    made = assignment.created or 0.0
    principal = call.tenant.principal_by_object(assignment.principal_id)
    kind = "User" if principal is not None and principal.is_user else "ServicePrincipal"
    return {
        "properties": {
            "roleDefinitionId": definition_id(scope, assignment.role_definition_id),
            "principalId": assignment.principal_id,
            "principalType": kind,
            "scope": scope,
            "condition": assignment.condition,
            "conditionVersion": assignment.condition_version,
            "createdOn": iso_z(made),
            "updatedOn": iso_z(assignment.updated or made),
            "createdBy": "",
            "updatedBy": "",
            "delegatedManagedIdentityResourceId": None,
            "description": assignment.description,
        },
        "id": join(scope, f"{PROVIDER}/roleAssignments/{assignment.name}"),
        "type": "Microsoft.Authorization/roleAssignments",
        "name": assignment.name,
    }


def list_assignments(call: Call) -> Reply:
    """At, above and below the scope; `atScope()`, `principalId eq`, `assignedTo()` narrow it."""
    scope = call.params["scope"]
    wanted = conditions(call, BY_SCOPE_OR_PRINCIPAL)
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
    """201 for a new one; 200 for the same again, which may change its description or condition."""
    body = clean(call.json_object(), _ASSIGNMENT)["properties"]
    name = guid_of(call.params["name"], "InvalidRoleAssignmentId", "role assignment ID")
    role = call.tenant.rights.definition(str(body["roleDefinitionId"]))
    if role is None:
        guid = str(body["roleDefinitionId"]).rsplit("/", 1)[-1]
        raise ArmError(
            404,
            "RoleDefinitionDoesNotExist",
            f"The specified role definition with ID '{guid}' does not exist.",
        )
    made = RoleAssignment(
        name,
        _principal(call, str(body["principalId"]), body.get("principalType")),
        role.id,
        call.params["scope"],
        created=call.now,
        updated=call.now,
        description=body.get("description"),
        condition=body.get("condition"),
        condition_version=body.get("conditionVersion"),
    )
    known = _existing(call, made)
    if known is not None:
        made = replace(made, created=known.created, scope=known.scope)
        _forget(call, known)
    document = call.tenant.store.document("authorization").setdefault("assignments", {})
    document[name] = asdict(made)
    call.tenant.rights_changed()
    return Reply(200 if known is not None else 201, _assignment(call, made))


def _existing(call: Call, made: RoleAssignment) -> RoleAssignment | None:
    """The assignment that is to be made once more; raises 409 where another one is in the way."""

    def grant(each: RoleAssignment) -> tuple[str, str, str]:
        return each.principal_id.lower(), each.role_definition_id, each.scope.lower()

    for other in call.tenant.rights.assignments:
        if other.name.lower() == made.name:
            if grant(other) == grant(made):
                return other
            raise ArmError(
                409,
                "RoleAssignmentUpdateNotPermitted",
                "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.",
            )
        if grant(other) == grant(made):
            raise ArmError(
                409,
                "RoleAssignmentExists",
                "The role assignment already exists. The ID of the conflicting role assignment is "
                f"{other.name.replace('-', '')}.",
            )
    return None


def _principal(call: Call, principal_id: str, kind: str | None) -> str:
    """The principal's id. Raises 400 for one that is malformed, of another type than was said, or
    unknown; a type that is given spares the directory's look-up, as new principals lag there."""
    try:
        wanted = str(uuid.UUID(principal_id))
    except ValueError as error:
        raise ArmError(
            400,
            "InvalidPrincipalId",
            f"A valid principal ID must be provided for role assignment, not '{principal_id}'.",
        ) from error
    known = call.tenant.principal_by_object(wanted)
    actual = "User" if known is not None and known.is_user else "ServicePrincipal"
    if known is not None and kind and kind.lower() != actual.lower():
        raise ArmError(
            400,
            "UnmatchedPrincipalType",
            f"The PrincipalId '{wanted}' has type '{actual}', which is different from the "
            f"specified principalType '{kind}'.",
        )
    if known is None and not kind and not _is_identity(call, wanted):
        raise ArmError(
            400,
            "PrincipalNotFound",
            f"Principal {wanted.replace('-', '')} does not exist in the directory "
            f"{call.tenant.scenario.tenant_id}. If it has just been created, set principalType, "
            "such as to ServicePrincipal.",
        )
    return wanted


def _is_identity(call: Call, principal_id: str) -> bool:
    """Whether a resource's managed identity has that id."""
    for resource in call.tenant.store.all():
        if resource.kind != "resourceGroups":
            shown = call.tenant.render(resource, call).get("identity") or {}
            if shown.get("principalId") == principal_id:
                return True
    return False


def _forget(call: Call, assignment: RoleAssignment) -> None:
    """Take out an assignment, be it from the scenario or made since."""
    document = call.tenant.store.document("authorization")
    if document.setdefault("assignments", {}).pop(assignment.name.lower(), None) is None:
        document.setdefault("removed", []).append(assignment.name)


def delete_assignment(call: Call) -> Reply:
    found = _find(call)
    if found is None:
        return Reply(204)
    shown = _assignment(call, found)
    _forget(call, found)
    call.tenant.rights_changed()
    return Reply(200, shown)
