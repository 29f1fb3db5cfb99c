"""The smallest custom role for a set of manifests, and how to assign it. Pure.

Besides what the plan writes, the role reads what planning and preflight read; every action in it
is one whose lack is noticed.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from provisioner.desired import Desired
from provisioner.plan import Plan
from provisioner.plan.steps import Delete
from provisioner.preflight.rights import DOCUMENTED, Level, Need, needs
from provisioner.resources import Kind

_ML: Final = "Microsoft.MachineLearningServices"
_W: Final = f"{_ML}/workspaces"
_LOCKS: Final = "Microsoft.Authorization/locks/read"
ROLE_NAME: Final = "Provisioner deployment"


@dataclass(frozen=True, slots=True)
class CustomRole:
    """A role: `scopes` are where it is assigned, `assignable` what Azure lets a custom role name
    (subscriptions and resource groups, no single resource)."""

    name: str
    actions: tuple[str, ...]
    scopes: tuple[str, ...]
    assignable: tuple[str, ...]

    def document(self) -> dict[str, object]:
        """As `az role definition create --role-definition` takes it."""
        return {
            "Name": self.name,
            "IsCustom": True,
            "Description": "What provision needs to apply a set of manifests, and no more.",
            "Actions": list(self.actions),
            "NotActions": [],
            "DataActions": [],
            "NotDataActions": [],
            "AssignableScopes": list(self.assignable),
        }

    def commands(self, assignee: str = "<object id>") -> tuple[str, ...]:
        """The az commands that define the role and assign it, each complete in itself."""
        document = json.dumps(self.document(), separators=(",", ":"))
        return (
            f"az role definition create --role-definition {shlex.quote(document)}",
            *(
                f"az role assignment create --assignee {shlex.quote(assignee)} "
                f"--role {shlex.quote(self.name)} --scope {shlex.quote(scope)}"
                for scope in self.scopes
            ),
        )


def smallest_role(
    plan: Plan, desired: Desired, name: str = ROLE_NAME, *, verify: bool = False
) -> CustomRole:
    """One role for everything, assigned at the widest scope that an action of it needs; `verify`:
    and for calling every model.

    `roles` gives the same split by scope, which grants less.
    """
    wanted = _all(plan, desired, verify=verify)
    wide = {need.scope for need in wanted if need.level is Level.SUBSCRIPTION}
    groups = {need.scope for need in wanted if need.level is Level.GROUP and not _in(need, wide)}
    rest = {
        need.scope
        for need in wanted
        if need.level is Level.WORKSPACE and not _in(need, wide | groups)
    }
    scopes = tuple(sorted({*wide, *groups, *rest}))
    return CustomRole(name, _actions(wanted), scopes, _assignable(scopes))


def roles(
    plan: Plan, desired: Desired, name: str = ROLE_NAME, *, verify: bool = False
) -> tuple[CustomRole, ...]:
    """One role per kind of scope, each with only the actions needed there."""
    wanted = _all(plan, desired, verify=verify)
    found = []
    for level in Level:
        mine = [need for need in wanted if need.level is level]
        if mine:
            scopes = tuple(sorted({need.scope for need in mine}))
            title = f"{name} ({level})"
            found.append(CustomRole(title, _actions(mine), scopes, _assignable(scopes)))
    return tuple(found)


def _actions(wanted: list[Need]) -> tuple[str, ...]:
    return tuple(sorted({need.action for need in wanted}))


def _in(need: Need, scopes: set[str]) -> bool:
    return any(need.scope.lower().startswith(f"{scope.lower()}/") for scope in scopes)


def _assignable(scopes: tuple[str, ...]) -> tuple[str, ...]:
    """A custom role is offered on subscriptions and resource groups, not on single resources."""
    cut = (scope.split("/providers/")[0] for scope in scopes)
    return tuple(dict.fromkeys(cut))


def _all(plan: Plan, desired: Desired, *, verify: bool) -> list[Need]:
    wanted = needs(plan, desired, verify=verify)
    return list(dict.fromkeys((*wanted, *_reads(plan, desired))))


def _reads(plan: Plan, desired: Desired) -> Iterator[Need]:
    """What observing and preflight ask, per workspace and, for quota, on the subscription."""
    serverless = {wish.resource.id.workspace for wish in desired.serverless}
    managed = {wanted.resource.id.workspace for wanted in desired.endpoints}
    for workspace in desired.workspaces:
        actions = [f"{_W}/read", _LOCKS]
        if workspace in serverless:
            actions += [f"{_W}/serverlessEndpoints/read", f"{DOCUMENTED}/read"]
        if workspace in managed:
            actions += [f"{_W}/onlineEndpoints/read", f"{_W}/onlineEndpoints/deployments/read"]
        for action in actions:
            yield Need(Level.WORKSPACE, workspace.arm_id, (action,))
    for scope in dict.fromkeys(
        step.target.workspace.subscription_scope
        for step in plan.steps
        if step.target.kind is Kind.ONLINE_DEPLOYMENT and not isinstance(step, Delete)
    ):
        for action in (f"{_ML}/locations/usages/read", f"{_ML}/locations/vmSizes/read"):
            yield Need(Level.SUBSCRIPTION, scope, (action,))
