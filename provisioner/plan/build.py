"""Wishes and observations → a plan. Pure: `now` is an argument, nothing is asked of anybody."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from graphlib import TopologicalSorter

from provisioner.cloud import Observed, WorkspaceSeen
from provisioner.desired import Desired, WantedEndpoint
from provisioner.errors import Problem
from provisioner.plan.draft import NOT_OURS, OTHER_STACK, Draft, Options
from provisioner.plan.managed import other_slot, plan_endpoint, remove_deployments, remove_endpoint
from provisioner.plan.serverless import plan_serverless, remove_serverless
from provisioner.plan.steps import Because, Create, Plan, Replace, Step, Unchanged
from provisioner.resources import (
    TAG_STACK,
    Live,
    ModelRef,
    OnlineDeployment,
    OnlineEndpoint,
    R,
    ResourceId,
    ServerlessEndpoint,
    WorkspaceId,
    describe,
    tags_of,
)


def plan(
    desired: Desired, observed: Observed, now: datetime, options: Options | None = None
) -> Plan:
    """What would make `desired` true, given what was `observed`.

    A workspace that does not exist plans as an empty one: preflight says that it is missing.
    """
    draft = Draft(desired.stack, now, options or Options())
    seen = _viewer(observed)
    plan_serverless(draft, desired.serverless, seen)
    for wanted in desired.endpoints:
        id = wanted.resource.id
        view = seen(id.workspace)
        live = next((one for one in view.endpoints if one.id == id), None)
        plan_endpoint(draft, wanted, live, view.deployments.get(id, ()))
    if draft.options.prune:
        _prune(draft, desired, observed)
    return _finish(draft, observed)


def destroy(
    desired: Desired, observed: Observed, now: datetime, options: Options | None = None
) -> Plan:
    """What would remove everything that `desired` names, and nothing else."""
    draft = Draft(desired.stack, now, options or Options())
    seen = _viewer(observed)
    doomed: dict[WorkspaceId, list[Live[ServerlessEndpoint]]] = {}
    for wish in desired.serverless:
        id = wish.resource.id
        live = next((one for one in seen(id.workspace).serverless if one.id == id), None)
        if _removable(draft, id, live, wish.origin.name) and live is not None:
            doomed.setdefault(id.workspace, []).append(live)
    for workspace, endpoints in doomed.items():
        remove_serverless(draft, endpoints, seen(workspace), Because.DESTROYED, "named to destroy")
    for wanted in desired.endpoints:
        _destroy_endpoint(draft, wanted, seen(wanted.resource.id.workspace))
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

    A need that names no step of the plan is met already and dropped.
    """
    by_id = {step.id: step for step in steps}
    graph = {step.id: [need for need in step.needs if need in by_id] for step in steps}
    sorter = TopologicalSorter(graph)
    return tuple(
        replace(by_id[id], needs=tuple(dict.fromkeys(graph[id]))) for id in sorter.static_order()
    )


def _viewer(observed: Observed) -> Callable[[WorkspaceId], WorkspaceSeen]:
    def seen(id: WorkspaceId) -> WorkspaceSeen:
        return observed.get(id) or WorkspaceSeen(id, None)

    return seen


def _finish(draft: Draft, observed: Observed) -> Plan:
    owned = sum(
        sum(map(draft.owns, view.serverless)) + sum(map(draft.owns, view.endpoints))
        for view in observed.values()
    )
    return Plan(
        stack=draft.stack,
        now=draft.now,
        steps=ordered(draft.steps),
        unchanged=tuple(draft.unchanged),
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
    owner = tags_of(live.resource).get(TAG_STACK)
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


def _destroy_endpoint(draft: Draft, wanted: WantedEndpoint, view: WorkspaceSeen) -> None:
    id = wanted.resource.id
    live = next((one for one in view.endpoints if one.id == id), None)
    names = " and ".join(one.origin.name for one in wanted.deployments)
    if not _removable(draft, id, live, names) or live is None:
        return
    slots = {
        slot.lower()
        for one in wanted.deployments
        for slot in (one.resource.id.name, other_slot(one.resource.id.name))
        if slot == one.resource.id.name or one.rollout is not None
    }
    parts = view.deployments.get(id, ())
    doomed = [one for one in parts if one.id.name.lower() in slots and draft.owns(one)]
    reason = "named to destroy"
    if len(doomed) == len(parts):
        remove_endpoint(draft, live, parts, Because.DESTROYED, reason)
        return
    remove_deployments(draft, live, doomed, Because.DESTROYED, reason)
    others = sorted(one.id.name for one in parts if one not in doomed)
    draft.unchanged.append(Unchanged(id, f"still serves {', '.join(others)}"))


def _prune(draft: Draft, desired: Desired, observed: Observed) -> None:
    """Remove what this stack owns and no manifest names any more."""
    kept = {wish.resource.id for wish in desired.serverless}
    managed = {wanted.resource.id: wanted for wanted in desired.endpoints}
    reason = "no manifest names it any more"
    for view in observed.values():
        orphans = [one for one in view.serverless if draft.owns(one) and one.id not in kept]
        if orphans:
            remove_serverless(draft, orphans, view, Because.PRUNED, reason)
        for live in view.endpoints:
            if draft.owns(live):
                _prune_endpoint(draft, view, live, managed.get(live.id))


def _prune_endpoint(
    draft: Draft, view: WorkspaceSeen, live: Live[OnlineEndpoint], wanted: WantedEndpoint | None
) -> None:
    parts = view.deployments.get(live.id, ())
    reason = "no manifest names it any more"
    if wanted is None:
        if all(draft.owns(one) for one in parts):
            remove_endpoint(draft, live, parts, Because.PRUNED, reason)
        return
    named = {
        slot.lower()
        for one in wanted.deployments
        for slot in (one.resource.id.name, other_slot(one.resource.id.name))
    }
    planned = {step.target for step in draft.steps}
    after_traffic = [step.id for step in draft.steps if step.target == live.id]
    for one in parts:
        if draft.owns(one) and one.id.name.lower() not in named and one.id not in planned:
            draft.delete(one.id, Because.PRUNED, reason, needs=after_traffic)
