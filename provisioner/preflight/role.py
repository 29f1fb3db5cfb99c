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


@dataclass(frozen=True, slots=True)
class Errands:
    """What the role is for besides applying: calling every model (`apply --verify`), removing what
    no manifest names any more (`apply --prune`), removing what they do name (`destroy`), and with
    either the workspaces' subscriptions (`--prune-subscriptions`)."""

    verify: bool = False
    prune: bool = False
    destroy: bool = False
    prune_subscriptions: bool = False


APPLYING: Final = Errands()


def smallest_role(
    plan: Plan, desired: Desired, name: str = ROLE_NAME, errands: Errands = APPLYING
) -> CustomRole:
    """One role for everything, assigned at the widest scope that an action of it needs.

    `roles` gives the same split by scope, which grants less.
    """
    wanted = _all(plan, desired, errands)
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
    plan: Plan, desired: Desired, name: str = ROLE_NAME, errands: Errands = APPLYING
) -> tuple[CustomRole, ...]:
    """One role per kind of scope, each with only the actions needed there."""
    wanted = _all(plan, desired, errands)
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


def _all(plan: Plan, desired: Desired, errands: Errands) -> list[Need]:
    wanted = needs(plan, desired, verify=errands.verify)
    reads, removals = _reads(plan, desired), _removals(desired, errands)
    return list(dict.fromkeys((*wanted, *reads, *removals)))


_SERVERLESS: Final = ("serverlessEndpoints/read", "serverlessEndpoints/delete")
_MANAGED: Final = (
    "onlineEndpoints/read",
    "onlineEndpoints/write",  # what is deleted must carry no traffic
    "onlineEndpoints/delete",
    "onlineEndpoints/deployments/read",
    "onlineEndpoints/deployments/delete",
)


def _removals(desired: Desired, errands: Errands) -> Iterator[Need]:
    """What removing takes, whatever is live today: a pruning looks everywhere and removes any kind,
    destroying only what the manifests name."""
    serverless = {wish.resource.id.workspace for wish in desired.serverless}
    managed = {wanted.resource.id.workspace for wanted in desired.endpoints}
    for workspace in (*desired.workspaces, *(desired.idle if errands.prune else ())):
        actions: list[str] = []
        if errands.prune or (errands.destroy and workspace in serverless):
            actions += [f"{_W}/{action}" for action in _SERVERLESS]
            actions.append(f"{DOCUMENTED}/read")
            if errands.prune_subscriptions:
                actions.append(f"{DOCUMENTED}/delete")
        if errands.prune or (errands.destroy and workspace in managed):
            actions += [f"{_W}/{action}" for action in _MANAGED]
        if errands.prune:
            actions += [f"{_W}/read", _LOCKS]
        for action in actions:
            yield Need(Level.WORKSPACE, workspace.arm_id, (action,))


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
    shared = {wanted.resource.id for wanted in desired.endpoints if wanted.shared_quota}
    for step in plan.steps:
        if step.target.kind is not Kind.ONLINE_DEPLOYMENT or isinstance(step, Delete):
            continue
        scope = step.target.workspace.subscription_scope
        yield Need(Level.SUBSCRIPTION, scope, (f"{_ML}/locations/vmSizes/read",))
        if step.target.endpoint not in shared:
            yield Need(Level.SUBSCRIPTION, scope, (f"{_ML}/locations/usages/read",))
