"""Checks of management locks on what the plan deletes or writes. Pure.

A lock holds for its scope and all below. CanNotDelete stops deletes; ReadOnly stops writes too,
and POST actions such as listKeys. A lock below a scope stops the delete of that scope.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provisioner.cloud import Lock
from provisioner.errors import Problem, Who, define
from provisioner.plan import Step
from provisioner.plan.steps import Await, Delete, Replace, Subscribe
from provisioner.preflight.case import Case, listed, plural, unread
from provisioner.preflight.constraints import Unread

LOCKED = define(
    "preflight.locked",
    "a management lock is in the way",
    "A lock at the resource, the workspace, its resource group or the subscription forbids what "
    "the plan does there.",
    Who.SUBSCRIPTION_OWNER,
)

_KINDS: Final = {
    "subscriptions": "subscription",
    "resourcegroups": "resource group",
    "workspaces": "workspace",
    "serverlessendpoints": "serverless endpoint",
    "onlineendpoints": "online endpoint",
    "deployments": "deployment",
}


def check_locks(case: Case) -> Iterator[Problem]:
    """One finding per lock that stops a step."""
    asked = {scope.lower(): answer for scope, answer in case.facts.locks.items()}
    stopped: dict[Lock, list[Step]] = {}
    silent: dict[str, tuple[Unread, Step]] = {}
    for step in case.plan.steps:
        scope = step.target.workspace.key
        answer = asked.get(scope)
        if isinstance(answer, Unread):
            silent.setdefault(step.target.workspace.name, (answer, step))
        elif answer is not None:
            for lock in answer:
                if stops(lock, step):
                    stopped.setdefault(lock, []).append(step)
    if silent:
        answer, step = next(iter(silent.values()))
        yield unread(answer, f"management locks on {listed(list(silent), 4)}", case.at(step))
    for lock, steps in stopped.items():
        yield _finding(case, lock, steps)


def stops(lock: Lock, step: Step) -> bool:
    """Whether `lock` forbids the step."""
    if isinstance(step, Await):
        return False
    scope, target = f"{lock.scope.lower().rstrip('/')}/", f"{step.target.key}/"
    deletes = isinstance(step, Delete | Replace) or (isinstance(step, Subscribe) and step.recovers)
    if deletes and (target.startswith(scope) or scope.startswith(target)):
        return True
    return lock.level.lower() == "readonly" and target.startswith(scope)


def _finding(case: Case, lock: Lock, steps: list[Step]) -> Problem:
    first, rest = steps[0], len(steps) - 1
    more = f", and {plural(rest, 'more step')}" if rest else ""
    return Problem(
        LOCKED,
        f'the lock "{lock.name}" ({lock.level}) on {_short(lock.scope)} does not allow: '
        f"{first.title}{more}",
        f"have it removed: az lock delete --ids {lock.scope}/providers/Microsoft.Authorization/"
        f"locks/{lock.name}",
        position=case.at(first),
        resource=lock.scope,
        details=tuple(step.title for step in steps[1:10]),
    )


def _short(scope: str) -> str:
    parts = scope.strip("/").split("/")
    kind = _KINDS.get(parts[-2].lower() if len(parts) > 1 else "", "resource")
    return f"the {kind} {parts[-1]}"
