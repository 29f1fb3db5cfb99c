"""Azure role-based access control, as pure functions of assignments, definitions and the time.

Rules (AZURE.md §10): an action is allowed if any role held at the scope or above it has a pattern
in `actions` that matches and none in the same entry's `notActions` that does; `*` stands for any
text, slashes included, and case does not matter. So a notAction of one role takes nothing away
that another role gives. A deny assignment does, and it is not part of the permissions operation.
A new assignment works only after a delay. Not emulated: groups, conditions, privileged-identity
schedules, management groups other than the root.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from provisioner.emulator.refusals import Refusal

LockLevel = Literal["CanNotDelete", "ReadOnly"]
Access = Literal["read", "write", "delete", "action"]


@dataclass(frozen=True, slots=True)
class Permission:
    """One entry of a role's permissions; the patterns may hold `*`."""

    actions: tuple[str, ...] = ()
    not_actions: tuple[str, ...] = ()
    data_actions: tuple[str, ...] = ()
    not_data_actions: tuple[str, ...] = ()

    def allows(self, action: str) -> bool:
        """Whether this entry alone grants a control-plane action."""
        granted = any(matches(pattern, action) for pattern in self.actions)
        return granted and not any(matches(pattern, action) for pattern in self.not_actions)

    def wire(self) -> dict[str, list[str]]:
        """The entry as the permissions and roleDefinitions operations show it."""
        return {
            "actions": list(self.actions),
            "notActions": list(self.not_actions),
            "dataActions": list(self.data_actions),
            "notDataActions": list(self.not_data_actions),
        }


@dataclass(frozen=True, slots=True)
class RoleDefinition:
    """A role; `id` is the bare GUID."""

    id: str
    name: str
    permissions: tuple[Permission, ...]
    description: str = ""
    assignable_scopes: tuple[str, ...] = ("/",)
    built_in: bool = False


@dataclass(frozen=True, slots=True)
class RoleAssignment:
    """A role given to a principal at a scope.

    `role_definition_id` is the bare GUID, `principal_id` the object id, `created` seconds since
    the epoch, or None for one that is older than anything the emulator knows.
    """

    name: str
    principal_id: str
    role_definition_id: str
    scope: str
    created: float | None = None
    updated: float | None = None
    description: str | None = None
    condition: str | None = None
    condition_version: str | None = None


@dataclass(frozen=True, slots=True)
class DenyAssignment:
    """Takes actions away at a scope whatever the roles say; no principals means everybody."""

    name: str
    scope: str
    permission: Permission
    principal_ids: tuple[str, ...] = ()
    excluded_principal_ids: tuple[str, ...] = ()
    deny_assignment_name: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Lock:
    """A management lock at the scope of a subscription, resource group or resource."""

    name: str
    level: LockLevel
    scope: str
    notes: str = ""


@lru_cache(maxsize=4096)
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(
        "".join(".*" if part == "*" else re.escape(part) for part in re.split(r"(\*)", pattern)),
        re.IGNORECASE | re.DOTALL,
    )


@lru_cache(maxsize=65536)
def matches(pattern: str, action: str) -> bool:
    """Whether an action pattern covers an action; `*` is any text, also none."""
    return _pattern(pattern).fullmatch(action) is not None


@lru_cache(maxsize=65536)
def segments(scope: str) -> tuple[str, ...]:
    """A scope's parts in lower case; doubled and trailing slashes do not count."""
    return tuple(part for part in scope.lower().split("/") if part)


def covers(holder: str, scope: str) -> bool:
    """Whether what is held at `holder` is inherited at `scope`, by whole path segments."""
    outer, inner = segments(holder), segments(scope)
    return inner[: len(outer)] == outer


@dataclass(frozen=True, slots=True)
class Rights:
    """Who may do what at one moment of the tenant; `delay` (s) is how long a new role sleeps."""

    assignments: tuple[RoleAssignment, ...]
    definitions: Mapping[str, RoleDefinition] = field(default_factory=dict)
    denials: tuple[DenyAssignment, ...] = ()
    delay: float = 0.0

    def definition(self, role: str) -> RoleDefinition | None:
        """A role by GUID, by full id or by name; the tenant's own roles and the built-in ones."""
        key = role.rsplit("/", 1)[-1].lower()
        found = self.definitions.get(key) or BUILT_IN.get(key)
        if found is not None:
            return found
        everything = (*self.definitions.values(), *BUILT_IN.values())
        return next((each for each in everything if each.name.lower() == key), None)

    def held(self, principal_id: str, scope: str, now: float) -> tuple[RoleAssignment, ...]:
        """The assignments of a principal that work at a scope now, inherited ones included."""
        who = principal_id.lower()
        return tuple(
            each
            for each in self.assignments
            if each.principal_id.lower() == who
            and covers(each.scope, scope)
            and (each.created is None or now >= each.created + self.delay)
        )

    def permissions(self, principal_id: str, scope: str, now: float) -> tuple[Permission, ...]:
        """What the permissions operation answers: one entry per entry of each role held."""
        roles = [self.definition(a.role_definition_id) for a in self.held(principal_id, scope, now)]
        return tuple(entry for role in roles if role is not None for entry in role.permissions)

    def denied(self, principal_id: str, action: str, scope: str) -> bool:
        """Whether a deny assignment takes the action away."""
        who = principal_id.lower()
        return any(
            covers(each.scope, scope)
            and (not each.principal_ids or who in _lower(each.principal_ids))
            and who not in _lower(each.excluded_principal_ids)
            and each.permission.allows(action)
            for each in self.denials
        )

    def allowed(self, principal_id: str, action: str, scope: str, now: float) -> bool:
        """Whether the principal may do `action` at `scope` now."""
        if not any(p.allows(action) for p in self.permissions(principal_id, scope, now)):
            return False
        return not self.denied(principal_id, action, scope)


def _lower(values: Iterable[str]) -> set[str]:
    return {value.lower() for value in values}


def refusal(client_id: str, object_id: str, action: str, scope: str) -> Refusal:
    """The 403 in ARM's words (AZURE.md §16 and the quoted error)."""
    return Refusal(
        403,
        "AuthorizationFailed",
        f"The client '{client_id}' with object id '{object_id}' does not have authorization to "
        f"perform action '{action}' over scope '{scope}' or the scope is invalid. If access was "
        "recently granted, please refresh your credentials.",
    )


def locked(locks: Iterable[Lock], access: Access, scope: str) -> Refusal | None:
    """The 409 of a management lock, or None.

    A lock at a scope or above it stops deletes; one that is ReadOnly stops writes and POST actions
    too. A lock below stops only the delete of what contains it.
    """
    if access == "read":
        return None
    holding = [
        lock.scope
        for lock in locks
        if (covers(lock.scope, scope) and (access == "delete" or lock.level == "ReadOnly"))
        or (access == "delete" and covers(scope, lock.scope))
    ]
    if not holding:
        return None
    verb = "delete" if access == "delete" else "write"
    where = ",".join(dict.fromkeys(holding))
    return Refusal(
        409,
        "ScopeLocked",
        f"The scope '{scope}' cannot perform {verb} operation because following scope(s) are "
        f"locked: '{where}'. Please remove the lock and try again.",
    )


def read_only_subscription(subscription_id: str) -> Refusal:
    """The 409 for a write or action in a subscription that is warned or disabled."""
    return Refusal(
        409,
        "ReadOnlyDisabledSubscription",
        f"The subscription '{subscription_id}' is disabled and therefore marked as read only. You "
        "cannot perform any write actions on this subscription until it is re-enabled.",
    )


_ML = "Microsoft.MachineLearningServices/workspaces"
_ML_CHILDREN = (f"{_ML}/*/read", f"{_ML}/*/action", f"{_ML}/*/delete", f"{_ML}/*/write")
_ML_KINDS = tuple(
    f"{_ML}/{kind}/{verb}" for kind in ("hubs", "featurestores") for verb in ("write", "delete")
)


def _built_in(guid: str, name: str, description: str, permission: Permission) -> RoleDefinition:
    return RoleDefinition(guid, name, (permission,), description, ("/",), built_in=True)


# The documented built-in roles with their real GUIDs; permissions as published on 2026-07-01.
BUILT_IN: Mapping[str, RoleDefinition] = {
    role.id: role
    for role in (
        _built_in(
            "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
            "Owner",
            "Grants full access to manage all resources, and to assign roles.",
            Permission(("*",)),
        ),
        _built_in(
            "b24988ac-6180-42a0-ab88-20f7382dd24c",
            "Contributor",
            "Grants full access to manage all resources, but not to assign roles.",
            Permission(
                ("*",),
                (
                    "Microsoft.Authorization/*/Delete",
                    "Microsoft.Authorization/*/Write",
                    "Microsoft.Authorization/elevateAccess/Action",
                    "Microsoft.Blueprint/blueprintAssignments/write",
                    "Microsoft.Blueprint/blueprintAssignments/delete",
                    "Microsoft.Compute/galleries/share/action",
                    "Microsoft.Purview/consents/write",
                    "Microsoft.Purview/consents/delete",
                    "Microsoft.Resources/deploymentStacks/manageDenySetting/action",
                ),
            ),
        ),
        _built_in(
            "acdd72a7-3385-48ef-bd42-f606fba81ae7",
            "Reader",
            "View all resources, but does not allow any changes.",
            Permission(("*/read",)),
        ),
        _built_in(
            "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
            "User Access Administrator",
            "Manages who has access to Azure resources.",
            Permission(("*/read", "Microsoft.Authorization/*", "Microsoft.Support/*")),
        ),
        _built_in(
            "f6c7c914-8db3-469d-8ca1-694a8f32e121",
            "AzureML Data Scientist",
            "Everything inside a workspace but its computes and the workspace itself.",
            Permission(
                _ML_CHILDREN,
                (
                    f"{_ML}/delete",
                    f"{_ML}/write",
                    f"{_ML}/computes/*/write",
                    f"{_ML}/computes/*/delete",
                    f"{_ML}/computes/listKeys/action",
                    f"{_ML}/listKeys/action",
                    *_ML_KINDS,
                ),
            ),
        ),
        _built_in(
            "64702f94-c441-49e6-a78b-ef80e0188fee",
            "Azure AI Developer",
            "Everything inside an Azure AI resource but the management of the resource itself.",
            Permission(
                (
                    *_ML_CHILDREN,
                    "Microsoft.MachineLearningServices/locations/*/read",
                    "Microsoft.Authorization/*/read",
                    "Microsoft.Resources/deployments/*",
                ),
                (
                    f"{_ML}/delete",
                    f"{_ML}/write",
                    f"{_ML}/listKeys/action",
                    *_ML_KINDS,
                    f"{_ML}/evaluations/results/labels/read",
                    f"{_ML}/evaluations/results/reasonings/read",
                    f"{_ML}/simulations/results/images/read",
                ),
                tuple(
                    f"Microsoft.CognitiveServices/accounts/{area}/*"
                    for area in ("OpenAI", "SpeechServices", "ContentSafety", "MaaS")
                ),
            ),
        ),
    )
}
