"""The rights that a plan needs, and whether the caller has them. Pure.

Only what this plan does counts: subscribing a workspace to an offer needs rights on the Azure
subscription, creating a second endpoint of the same offer does not (MISSION, "Prerequisites").
An entry of the caller's permissions allows an action if one of its patterns covers it and none
of its notActions does; one allowing entry is enough (AZURE.md §10). Deny assignments are not in
those entries, so a yes is not a promise; a no is conclusive.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from typing import Final

from provisioner.cloud import Permission
from provisioner.desired import Desired
from provisioner.errors import Position, Problem, Severity, Who, define
from provisioner.plan import Plan, Step
from provisioner.plan.steps import (
    Await,
    Because,
    Create,
    Delete,
    Replace,
    Rollout,
    SetTraffic,
    Subscribe,
    Update,
)
from provisioner.preflight.case import Case, listed, plural, unread
from provisioner.preflight.constraints import Unread
from provisioner.resources import Kind, ResourceId, WorkspaceId

RIGHTS_MISSING = define(
    "preflight.rights-missing",
    "the caller lacks rights that the plan needs",
    "The role assignments of whoever signed in do not cover every action of the plan at its "
    "scope. The missing ones are listed.",
    Who.SUBSCRIPTION_OWNER,
)
RIGHTS_INFERRED = define(
    "preflight.rights-inferred",
    "rights on the subscription are inferred",
    "Azure did not answer for the whole subscription, so the rights there were inferred from those "
    "at the resource group, which include them.",
    Who.SUBSCRIPTION_OWNER,
)
RIGHTS_DOUBTFUL = define(
    "preflight.rights-doubtful",
    "one of two spellings of a right is taken away",
    "Microsoft's documents name the action that subscribes a workspace to an offer otherwise than "
    "the resource type is named. The caller's role takes one of the two away and leaves the other; "
    "which of them Azure goes by only the apply tells.",
    Who.SUBSCRIPTION_OWNER,
)


class Level(StrEnum):
    """The kinds of scope, widest first."""

    SUBSCRIPTION = "subscription"
    GROUP = "resource group"
    WORKSPACE = "workspace"


_ML: Final = "Microsoft.MachineLearningServices"
_W: Final = f"{_ML}/workspaces"
_COLLECTION: Final = {
    Kind.SERVERLESS_ENDPOINT: f"{_W}/serverlessEndpoints",
    Kind.ONLINE_ENDPOINT: f"{_W}/onlineEndpoints",
    Kind.ONLINE_DEPLOYMENT: f"{_W}/onlineEndpoints/deployments",
    Kind.MARKETPLACE_SUBSCRIPTION: f"{_W}/marketplaceSubscriptions",
}
DOCUMENTED: Final = f"{_W}/marketplaceModelSubscriptions"
"""The documentation's name of the action; the resource type has another (AZURE.md §10). This is the
one to put into a role: Microsoft's own examples of one have it, and Azure takes no role with an
action that no provider has."""

SUBSCRIBE_ON_SUBSCRIPTION: Final = (
    "Microsoft.MarketplaceOrdering/agreements/offers/plans/read",
    "Microsoft.MarketplaceOrdering/agreements/offers/plans/sign/action",
    "Microsoft.MarketplaceOrdering/offerTypes/publishers/offers/plans/agreements/read",
    "Microsoft.Marketplace/offerTypes/publishers/offers/plans/agreements/read",
    "Microsoft.SaaS/register/action",
)
SUBSCRIBE_ON_GROUP: Final = ("Microsoft.SaaS/resources/read", "Microsoft.SaaS/resources/write")
"""What subscribing a workspace to an offer takes above it (MISSION, "Prerequisites")."""


@dataclass(frozen=True, slots=True)
class Need:
    """An action at a scope. Any of `actions` will do: they are spellings of one."""

    level: Level
    scope: str
    actions: tuple[str, ...]

    @property
    def action(self) -> str:
        return self.actions[0]


@dataclass(slots=True)
class _Needs:
    """Needs in the making: each once, with the first step that has it and all manifest names."""

    found: dict[Need, Step | None] = field(default_factory=dict)
    names: dict[Need, dict[str, None]] = field(default_factory=dict)

    def add(self, need: Need, step: Step | None, names: Iterable[str] = ()) -> None:
        self.found.setdefault(need, step)
        self.names.setdefault(need, {}).update(dict.fromkeys(names))


def needs(plan: Plan, desired: Desired, *, verify: bool = False) -> tuple[Need, ...]:
    """What the plan's writes, probe calls and outputs take, each action once per scope; `verify`:
    and the call to every model."""
    return tuple(_needs(plan, desired, verify=verify).found)


def _needs(plan: Plan, desired: Desired, *, verify: bool) -> _Needs:
    found = _Needs()
    for step in plan.steps:
        for need in _of_step(step):
            found.add(need, step, step.names)
    for endpoint, name in _called(desired, plan, everything=verify):
        found.add(_keys(endpoint), None, (name,))
    return found


def _keys(endpoint: ResourceId) -> Need:
    """Reading an endpoint's keys: to publish them, or to call it."""
    collection = _COLLECTION[endpoint.kind]
    return _at_workspace(endpoint.workspace, f"{collection}/listKeys/action")


def _of_step(step: Step) -> Iterator[Need]:
    """The actions of a step; reading is one, since every step watches what it does."""
    target = step.target
    yield _on(target, "read")
    match step:
        case Subscribe():
            yield from _subscribing(target.workspace)
            if step.recovers:
                yield _on(target, "delete")
        case Create() | Update() | SetTraffic():
            yield _on(target, "write")
        case Rollout():
            yield _on(target, "write")
            if step.probe:
                yield _keys(step.endpoint)
        case Replace():
            yield _on(target, "delete")
            yield _on(target, "write")
        case Delete():
            yield _on(target, "delete")
        case Await():
            pass


def _on(target: ResourceId, verb: str) -> Need:
    if target.kind is Kind.MARKETPLACE_SUBSCRIPTION:
        return _marketplace(target.workspace, verb)
    return _at_workspace(target.workspace, f"{_COLLECTION[target.kind]}/{verb}")


def _subscribing(workspace: WorkspaceId) -> Iterator[Need]:
    yield _marketplace(workspace, "write")
    for action in SUBSCRIBE_ON_GROUP:
        yield Need(Level.GROUP, workspace.group_scope, (action,))
    for action in SUBSCRIBE_ON_SUBSCRIPTION:
        yield Need(Level.SUBSCRIPTION, workspace.subscription_scope, (action,))


def _marketplace(workspace: WorkspaceId, verb: str) -> Need:
    actions = (f"{DOCUMENTED}/{verb}", f"{_COLLECTION[Kind.MARKETPLACE_SUBSCRIPTION]}/{verb}")
    return Need(Level.WORKSPACE, workspace.arm_id, actions)


def _at_workspace(workspace: WorkspaceId, action: str) -> Need:
    return Need(Level.WORKSPACE, workspace.arm_id, (action,))


def _called(desired: Desired, plan: Plan, *, everything: bool) -> Iterator[tuple[ResourceId, str]]:
    """Endpoints whose keys will be read, unless the plan takes them away: those with outputs, or
    all of them."""
    gone = {step.target for step in plan.steps if isinstance(step, Delete)}
    for wanted in desired.deployed:
        endpoint = wanted.resource.id.endpoint
        if (everything or wanted.origin.outputs) and endpoint not in gone:
            yield endpoint, wanted.origin.name


def check_rights(case: Case) -> Iterator[Problem]:
    """One finding per scope that lists the actions which the caller does not have there."""
    found = _needs(case.plan, case.desired, verify=case.options.verify)
    scopes: dict[str, list[Need]] = {}
    for need in found.found:
        scopes.setdefault(need.scope.lower(), []).append(need)
    asked = {scope.lower(): answer for scope, answer in case.facts.permissions.items()}
    silent: dict[str, tuple[Unread, Position | None]] = {}
    for scope, wanted in scopes.items():
        if scope not in asked:
            continue
        answer, inferred = _answer(asked, scope, wanted[0].level, case)
        first = next((step for need in wanted if (step := found.found[need])), None)
        position = case.at(first) if first is not None else None
        if isinstance(answer, Unread):
            silent.setdefault(_short(wanted[0].scope), (answer, position))
        elif answer is not None:
            missing = [need for need in wanted if not allowed(answer, need)]
            if missing:
                names = dict.fromkeys(name for need in missing for name in found.names[need])
                problem = _missing(missing, tuple(names), position, _role_command(case))
                lags = case.options.rights_may_lag
                yield replace(problem, severity=Severity.WARNING) if lags else problem
            elif inferred:
                yield _inferred(wanted[0])
            yield from _doubts(answer, wanted, position)
        elif wanted[0].level is Level.SUBSCRIPTION:
            yield _inferred(wanted[0])
    if silent:
        answer, position = next(iter(silent.values()))
        yield unread(answer, f"rights on {listed(list(silent), 4)}", position)


def _answer(
    asked: Mapping[str, Sequence[Permission] | Unread | None],
    scope: str,
    level: Level,
    case: Case,
) -> tuple[Sequence[Permission] | Unread | None, bool]:
    """The permissions at `scope`, and whether they were inferred from a resource group below.

    What is granted on a subscription holds in its groups too, so an action that no group of the
    plan has is not granted on the subscription either; the reverse proves nothing.
    """
    answer = asked[scope]
    if answer is not None or level is not Level.SUBSCRIPTION:
        return answer, False
    for step in case.plan.steps:
        group = step.target.workspace.group_scope.lower()
        if isinstance(step, Subscribe) and group.startswith(f"{scope}/"):
            below = asked.get(group)
            if below is not None:
                return below, True
    return None, True


def allowed(permissions: Iterable[Permission], need: Need) -> bool:
    """Whether one entry grants any spelling of the action."""
    return any(
        _covers(entry.actions, action) and not _covers(entry.not_actions, action)
        for action in need.actions
        for entry in permissions
    )


def _doubts(
    permissions: Sequence[Permission], wanted: Iterable[Need], position: Position | None
) -> Iterator[Problem]:
    """Actions of which notActions take one spelling away while another one is allowed. A role that
    simply does not list one of them is as the documents have it."""
    lost: list[str] = []
    for need in wanted:
        if not allowed(permissions, need):
            continue
        for action in need.actions:
            granted = any(_covers(entry.actions, action) for entry in permissions)
            if granted and not allowed(permissions, replace(need, actions=(action,))):
                lost.append(action)
                scope = need.scope
    if lost:
        yield Problem(
            RIGHTS_DOUBTFUL,
            f"a role of yours takes away {listed(lost, 2)} on the workspace {_short(scope)}, and "
            "leaves the other spelling of it: whether you may subscribe it cannot be told",
            "have notActions of that role name both marketplaceModelSubscriptions and "
            "marketplaceSubscriptions, or neither",
            severity=Severity.WARNING,
            position=position,
            resource=scope,
        )


@lru_cache(maxsize=65536)
def _covers(patterns: tuple[str, ...], action: str) -> bool:
    return any(_pattern(pattern).fullmatch(action) for pattern in patterns)


@lru_cache(maxsize=4096)
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.IGNORECASE | re.DOTALL)


_BUILT_IN: Final = {
    Level.WORKSPACE: "AzureML Data Scientist",
    Level.GROUP: "Contributor",
    Level.SUBSCRIPTION: "Contributor",
}
_WHO: Final = {
    Level.WORKSPACE: Who.WORKSPACE_OWNER,
    Level.GROUP: Who.SUBSCRIPTION_OWNER,
    Level.SUBSCRIPTION: Who.SUBSCRIPTION_OWNER,
}


def _missing(
    missing: Sequence[Need], names: Sequence[str], position: Position | None, command: str | None
) -> Problem:
    level, scope = missing[0].level, missing[0].scope
    actions = tuple(need.action for need in missing)
    for_whom = f", needed by {listed(names, 5)}" if names else ""
    what = (
        f"you may not do {actions[0]} on the {level} {_short(scope)}"
        if len(actions) == 1
        else f"you lack {plural(len(actions), 'action')} on the {level} {_short(scope)}"
    )
    return Problem(
        RIGHTS_MISSING,
        f"{what}{for_whom}",
        (
            f"{command} prints the smallest role that will do and the commands that assign it; "
            "or use a built-in one: "
            if command is not None
            else ""
        )
        + "az role assignment create --assignee <your object id> --role "
        f'"{_BUILT_IN[level]}" --scope {scope}',
        position=position,
        resource=scope,
        who=_WHO[level],
        details=actions if len(actions) > 1 else (),
    )


def _role_command(case: Case) -> str | None:
    """The command that prints a role for what this run does; None for a reaping, which has no
    manifests."""
    deletes = [step for step in case.plan.steps if isinstance(step, Delete)]
    reasons = {step.because for step in deletes}
    if Because.EXPIRED in reasons:
        return None
    subscriptions = any(step.target.kind is Kind.MARKETPLACE_SUBSCRIPTION for step in deletes)
    options = {
        "--verify": case.options.verify,
        "--prune": Because.PRUNED in reasons,
        "--destroy": Because.DESTROYED in reasons,
        "--prune-subscriptions": subscriptions,
    }
    chosen = [name for name, given in options.items() if given]
    return " ".join(("provision role", *chosen, "--assign-command"))


def _inferred(need: Need) -> Problem:
    return Problem(
        RIGHTS_INFERRED,
        f"rights on the subscription {_short(need.scope)} were not shown by Azure; those at the "
        "resource group do not speak against the plan",
        "nothing to do, unless the apply is refused; then have the subscription's role granted: "
        "provision role --assign-command",
        severity=Severity.NOTE,
        resource=need.scope,
    )


def _short(scope: str) -> str:
    return scope.rstrip("/").rpartition("/")[2]
