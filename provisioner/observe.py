"""CloudReader → what is live, and, for a plan that changes something, what limits it.

The first look costs the workspace and at most three lists per workspace, plus one list per
managed endpoint that matters. The second look is taken only for what the plan changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from provisioner.cloud import CloudReader, Observed, Workspace, WorkspaceSeen
from provisioner.desired import Desired
from provisioner.errors.cloud import CloudError
from provisioner.plan import Plan
from provisioner.plan.steps import Create, Delete, Replace, Step, Subscribe, Update
from provisioner.preflight.constraints import Constraints, Unread, key_of
from provisioner.resources import (
    TAG_STACK,
    AgreementId,
    Kind,
    Live,
    ModelRef,
    OnlineDeployment,
    OnlineEndpoint,
    ResourceId,
    WorkspaceId,
    workspace_of,
)

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

PROVIDERS = (
    "Microsoft.MachineLearningServices",
    "Microsoft.SaaS",
    "Microsoft.MarketplaceOrdering",
)


async def observe(cloud: CloudReader, desired: Desired, *, whole: bool = False) -> Observed:
    """The live state of every workspace that `desired` names.

    Only the collections that the wishes need are listed; `whole` lists all of them and every
    deployment, which pruning and reports need. Raises CloudError.
    """
    needs_serverless = {wish.resource.id.workspace for wish in desired.serverless}
    managed: dict[WorkspaceId, set[ResourceId]] = {}
    for wanted in desired.endpoints:
        managed.setdefault(wanted.resource.id.workspace, set()).add(wanted.resource.id)
    seen = await asyncio.gather(
        *(
            observe_workspace(
                cloud,
                id,
                serverless=whole or id in needs_serverless,
                managed=whole or id in managed,
                relevant=_relevant(desired.stack, managed.get(id, set()), whole=whole),
            )
            for id in desired.workspaces
        )
    )
    return {view.id: view for view in seen}


async def observe_everything(cloud: CloudReader, workspaces: Iterable[WorkspaceId]) -> Observed:
    """All endpoints and deployments of the given workspaces. Raises CloudError."""
    seen = await asyncio.gather(
        *(
            observe_workspace(cloud, id, serverless=True, managed=True, relevant=lambda _: True)
            for id in workspaces
        )
    )
    return {view.id: view for view in seen}


async def tagged_workspaces(
    cloud: CloudReader, subscriptions: Sequence[str] = ()
) -> Sequence[WorkspaceId]:
    """The workspaces in which something carries our tags; of all visible subscriptions if none
    is named. Raises CloudError."""
    chosen = list(subscriptions)
    if not chosen:
        facts = await cloud.subscriptions()
        chosen = [fact.id for fact in facts if fact.state.lower() not in ("disabled", "deleted")]
    found = await asyncio.gather(*(cloud.tagged(id, TAG_STACK) for id in chosen))
    ids = (workspace_of(arm_id) for arm_ids in found for arm_id in arm_ids)
    return sorted({id for id in ids if id is not None})


def _relevant(
    stack: str, wanted: set[ResourceId], *, whole: bool
) -> Callable[[Live[OnlineEndpoint]], bool]:
    def relevant(live: Live[OnlineEndpoint]) -> bool:
        return live.id in wanted or (whole and live.resource.tags.get(TAG_STACK) == stack)

    return relevant


async def observe_workspace(
    cloud: CloudReader,
    id: WorkspaceId,
    *,
    serverless: bool,
    managed: bool,
    relevant: Callable[[Live[OnlineEndpoint]], bool],
) -> WorkspaceSeen:
    """One workspace; `relevant` picks the online endpoints whose deployments are listed."""
    workspace, subscriptions, endpoints, online = await asyncio.gather(
        cloud.workspace(id),
        _unless_gone(cloud.marketplace_subscriptions(id) if serverless else _nothing()),
        _unless_gone(cloud.serverless_endpoints(id) if serverless else _nothing()),
        _unless_gone(cloud.online_endpoints(id) if managed else _nothing()),
    )
    if workspace is None:
        return WorkspaceSeen(id, None)
    chosen = [live for live in online if relevant(live)]
    parts = await asyncio.gather(*(cloud.online_deployments(live.id) for live in chosen))
    deployments = {live.id: found for live, found in zip(chosen, parts, strict=True)}
    return WorkspaceSeen(id, workspace, subscriptions, endpoints, online, deployments)


async def _nothing() -> Sequence[V]:
    return ()


async def _unless_gone(listing: Awaitable[Sequence[V]]) -> Sequence[V]:
    """A list below a workspace that does not exist is a 404; the workspace's own GET says so."""
    try:
        return await listing
    except CloudError as error:
        if error.fault.status == 404:
            return ()
        raise


async def constraints(cloud: CloudReader, plan: Plan, observed: Observed) -> Constraints:
    """The facts that limit what `plan` changes; nothing is asked for a plan without steps.

    An answer that does not come is kept as `Unread`: preflight then says what it did not judge.
    """
    changed = [step for step in plan.steps if isinstance(step, Subscribe | Create | Replace)]
    grown = [step for step in plan.steps if isinstance(step, Update)]
    doomed = [step for step in plan.steps if isinstance(step, Delete | Replace)]
    workspaces = {step.target.workspace for step in plan.steps}
    regions = {
        (step.target.workspace.subscription, step.resource.location)
        for step in (*changed, *grown)
        if isinstance(step.resource, OnlineDeployment)
    }
    tenants = {workspace.subscription for workspace in workspaces}
    agreements = {
        AgreementId(step.target.workspace.subscription, step.plan)
        for step in changed
        if isinstance(step, Subscribe) and step.plan is not None
    }
    facts = asyncio.gather(
        _ask({key_of(model): model for model in _models(changed)}, cloud.model, "model"),
        _ask({id: id for id in agreements}, cloud.agreement, "agreement"),
        _ask({scope: scope for scope in _scopes(plan, workspaces)}, cloud.permissions, "rights"),
        _ask({id: id for id in tenants}, cloud.subscription, "subscription"),
    )
    limits = asyncio.gather(
        _ask(
            {(id, name): (id, name) for id in tenants for name in PROVIDERS if changed},
            lambda pair: cloud.provider(*pair),
            "provider",
        ),
        _ask({key: key for key in regions}, lambda key: cloud.usages(*key), "quota"),
        _ask({key: key for key in regions}, lambda key: cloud.vm_sizes(*key), "VM sizes"),
        _ask(
            {step.target.workspace.arm_id: step.target.workspace.arm_id for step in doomed},
            cloud.locks,
            "locks",
        ),
    )
    models, signed, rights, subscriptions = await facts
    providers, usages, sizes, locks = await limits
    return Constraints(
        workspaces=_workspaces(observed),
        models=models,
        agreements=signed,
        permissions=rights,
        subscriptions=subscriptions,
        providers=providers,
        usages=usages,
        sizes=sizes,
        locks=locks,
    )


def _workspaces(observed: Observed) -> dict[WorkspaceId, Workspace | None]:
    return {id: view.workspace for id, view in observed.items()}


def _scopes(plan: Plan, workspaces: set[WorkspaceId]) -> list[str]:
    """Where rights are asked: each workspace that changes; group and subscription to subscribe."""
    scopes = [workspace.arm_id for workspace in workspaces]
    for step in plan.steps:
        if isinstance(step, Subscribe):
            scopes.append(step.target.workspace.group_scope)
            scopes.append(step.target.workspace.subscription_scope)
    return list(dict.fromkeys(scopes))


def _models(changed: Sequence[Step]) -> list[ModelRef]:
    found: dict[str, ModelRef] = {}
    for step in changed:
        match step:
            case Create() | Replace() if step.target.kind is not Kind.ONLINE_ENDPOINT:
                model = getattr(step.resource, "model", None)
            case Subscribe():
                model = step.resource.model
            case _:
                model = None
        if isinstance(model, ModelRef) and model.registry:
            found[key_of(model)] = model
    return list(found.values())


async def _ask(
    subjects: dict[K, V], question: Callable[[V], Awaitable[T]], name: str
) -> dict[K, T | Unread]:
    async def answer(subject: V) -> T | Unread:
        try:
            return await question(subject)
        except CloudError as error:
            return Unread(f"{name} {subject}", error.fault)

    answers = await asyncio.gather(*(answer(subject) for subject in subjects.values()))
    return dict(zip(subjects, answers, strict=True))
