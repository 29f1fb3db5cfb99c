"""Wishes and observations → a plan. Pure: `now` is an argument, nothing is asked of anybody."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from heapq import heapify, heappop, heappush

from provisioner.cloud import Observed, WorkspaceSeen
from provisioner.desired import Desired, WantedEndpoint
from provisioner.errors import Problem
from provisioner.plan.draft import NOT_OURS, OTHER_STACK, Draft, Options, owner_of
from provisioner.plan.managed import (
    orphans,
    plan_endpoint,
    remove_deployments,
    remove_endpoint,
)
from provisioner.plan.scene import claimant
from provisioner.plan.serverless import (
    plan_serverless,
    remove_idle_subscriptions,
    remove_serverless,
)
from provisioner.plan.steps import Because, Create, Delivery, Plan, Replace, Step, Unchanged
from provisioner.plan.vacate import vacated
from provisioner.resources import (
    Live,
    ModelRef,
    OnlineDeployment,
    OnlineEndpoint,
    R,
    ResourceId,
    ServerlessEndpoint,
    State,
    WorkspaceId,
    describe,
)

UNNAMED = "no manifest names it any more"


def plan(
    desired: Desired, observed: Observed, now: datetime, options: Options | None = None
) -> Plan:
    """What would make `desired` true, given what was `observed`.

    A workspace that does not exist plans as an empty one: preflight says that it is missing.
    """
    draft = Draft(desired.stack, now, options or Options())
    seen = _viewer(observed)
    plan_serverless(draft, desired.serverless, seen)
    live = _endpoints(observed)
    for wanted in desired.endpoints:
        id = wanted.resource.id
        parts = seen(id.workspace).deployments.get(id, ())
        plan_endpoint(draft, wanted, live.get(id), parts)
    if draft.options.prune:
        _prune(draft, desired, observed)
    return replace(_finish(draft, observed), outputs=_outputs(desired))


def _outputs(desired: Desired) -> tuple[Delivery, ...]:
    return tuple(
        Delivery(origin.name, output.kind, output.target)
        for origin in desired.origins
        for output in origin.outputs
    )


def destroy(
    desired: Desired, observed: Observed, now: datetime, options: Options | None = None
) -> Plan:
    """What would remove everything that `desired` names, and nothing else."""
    draft = Draft(desired.stack, now, options or Options())
    seen = _viewer(observed)
    doomed: dict[WorkspaceId, list[Live[ServerlessEndpoint]]] = {}
    serverless = {one.id: one for view in observed.values() for one in view.serverless}
    for wish in desired.serverless:
        id = wish.resource.id
        live = serverless.get(id)
        if _removable(draft, id, live, wish.origin.name) and live is not None:
            doomed.setdefault(id.workspace, []).append(live)
    for workspace, group in doomed.items():
        why = "named by the manifests"
        remove_serverless(draft, group, seen(workspace), Because.DESTROYED, why)
    for workspace in dict.fromkeys(wish.resource.id.workspace for wish in desired.serverless):
        wishes = (wish.resource for wish in desired.serverless)
        models = [one.model for one in wishes if one.id.workspace == workspace]
        remove_idle_subscriptions(draft, models, seen(workspace), Because.DESTROYED)
    endpoints = _endpoints(observed)
    for wanted in desired.endpoints:
        id = wanted.resource.id
        parts = seen(id.workspace).deployments.get(id, ())
        _destroy_endpoint(draft, wanted, endpoints.get(id), parts)
    return _finish(draft, observed)


def resolve(plan: Plan, versions: Mapping[str, str]) -> Plan:
    """The plan with the latest versions filled in. `versions`: version per lower-cased model id."""

    def pinned(model: ModelRef) -> ModelRef:
        found = versions.get(model.id.lower())
        return replace(model, version=found) if model.version is None and found else model

    def settled(step: Step) -> Step:
        match step:
            case (
                Create(resource=OnlineDeployment() as one)
                | Replace(resource=OnlineDeployment() as one)
            ):
                return replace(step, resource=replace(one, model=pinned(one.model)))
            case _:
                return step

    return replace(plan, steps=tuple(settled(step) for step in plan.steps))


def unresolved(plan: Plan) -> tuple[ModelRef, ...]:
    """The models whose version a registry must still tell."""
    found: dict[str, ModelRef] = {}
    for step in plan.steps:
        match step:
            case (
                Create(resource=OnlineDeployment() as one)
                | Replace(resource=OnlineDeployment() as one)
            ) if one.model.version is None and one.model.registry:
                found[one.model.id.lower()] = one.model
            case _:
                pass
    return tuple(found.values())


def ordered(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps so that each comes after all that it needs; otherwise in the order given.

    A need that names no step of the plan is met already and dropped. Raises ValueError for two
    steps of one id and for needs that go in a circle: faults of the planner.
    """
    place = {step.id: number for number, step in enumerate(steps)}
    if len(place) != len(steps):
        raise ValueError("two steps of a plan have one id")
    needs = [tuple(dict.fromkeys(n for n in step.needs if n in place)) for step in steps]
    waiting = [len(one) for one in needs]
    followers: list[list[int]] = [[] for _ in steps]
    for number, one in enumerate(needs):
        for need in one:
            followers[place[need]].append(number)
    free = [number for number, count in enumerate(waiting) if not count]
    heapify(free)
    found: list[Step] = []
    while free:
        number = heappop(free)
        found.append(replace(steps[number], needs=needs[number]))
        for follower in followers[number]:
            waiting[follower] -= 1
            if not waiting[follower]:
                heappush(free, follower)
    if len(found) != len(steps):
        raise ValueError("the needs of a plan's steps go in a circle")
    return tuple(found)


def _endpoints(observed: Observed) -> dict[ResourceId, Live[OnlineEndpoint]]:
    return {one.id: one for view in observed.values() for one in view.endpoints}


def _viewer(observed: Observed) -> Callable[[WorkspaceId], WorkspaceSeen]:
    def seen(id: WorkspaceId) -> WorkspaceSeen:
        return observed.get(id) or WorkspaceSeen(id, None)

    return seen


def _finish(draft: Draft, observed: Observed) -> Plan:
    owned = sum(
        sum(map(draft.owns, view.serverless)) + sum(map(draft.owns, view.endpoints))
        for view in observed.values()
    )
    touched = {step.target for step in draft.steps}
    return Plan(
        stack=draft.stack,
        now=draft.now,
        steps=ordered(vacated(draft.steps, observed)),
        unchanged=tuple(one for one in draft.unchanged if one.id not in touched),
        refusals=tuple(draft.refusals),
        notices=tuple(draft.notices),
        expiries=tuple(draft.expiries),
        owned=owned,
    )


def _removable(draft: Draft, id: ResourceId, live: Live[R] | None, name: str) -> bool:
    """Whether `live` is there and ours; notes why not."""
    if live is None:
        draft.unchanged.append(Unchanged(id, "does not exist", (name,)))
        return False
    owner = owner_of(live)
    if owner == draft.stack:
        return True
    draft.refusals.append(
        Problem(
            NOT_OURS,
            f"the {describe(id)} was not made by this tool, so it is not destroyed",
            "delete it with the tool that made it, or take it over first with apply --adopt",
            resource=id.arm_id,
        )
        if owner is None
        else Problem(
            OTHER_STACK,
            f'the {describe(id)} belongs to stack "{owner}", not to "{draft.stack}"',
            f"work on that stack with --stack {owner}",
            resource=id.arm_id,
        )
    )
    return False


def _destroy_endpoint(
    draft: Draft,
    wanted: WantedEndpoint,
    live: Live[OnlineEndpoint] | None,
    parts: Sequence[Live[OnlineDeployment]],
) -> None:
    """Remove the named deployments, and the endpoint with them when nothing else is in it."""
    id = wanted.resource.id
    names = " and ".join(one.origin.name for one in wanted.deployments)
    if not _removable(draft, id, live, names) or live is None:
        return
    doomed = [one for one in parts if claimant(one, wanted) is not None]
    foreign = [one for one in doomed if not _removable(draft, one.id, one, names)]
    if foreign:
        return
    reason = "named by the manifests"
    rest = [one for one in parts if one not in doomed and one.state is not State.DELETING]
    if not rest or live.state is State.DELETING:
        remove_endpoint(draft, live, parts, Because.DESTROYED, reason)
        return
    remove_deployments(draft, live, doomed, Because.DESTROYED, reason)
    others = ", ".join(sorted(one.id.name for one in rest))
    draft.unchanged.append(Unchanged(id, f"still serves {others}"))


def _prune(draft: Draft, desired: Desired, observed: Observed) -> None:
    """Remove what this stack owns and no manifest names any more."""
    kept = {wish.resource.id for wish in desired.serverless}
    managed = {wanted.resource.id: wanted for wanted in desired.endpoints}
    planned: dict[ResourceId, list[str]] = {}
    for step in draft.steps:
        planned.setdefault(step.target, []).append(step.id)
    for view in observed.values():
        unnamed = [one for one in view.serverless if draft.owns(one) and one.id not in kept]
        if unnamed:
            remove_serverless(draft, unnamed, view, Because.PRUNED, UNNAMED)
        for live in view.endpoints:
            if not draft.owns(live):
                continue
            parts = view.deployments.get(live.id, ())
            wanted = managed.get(live.id)
            if wanted is None:
                remove_endpoint(draft, live, parts, Because.PRUNED, UNNAMED)
            else:
                left = [one for one in orphans(draft, wanted, parts) if one.id not in planned]
                _prune_deployments(draft, left, planned.get(live.id, []))


def _prune_deployments(
    draft: Draft, left: Sequence[Live[OnlineDeployment]], after_traffic: Sequence[str]
) -> None:
    for one in left:
        if one.state is State.DELETING:
            draft.wait_gone(one)
        else:
            draft.delete(one.id, Because.PRUNED, UNNAMED, needs=after_traffic)
