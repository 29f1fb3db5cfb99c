"""What limits a plan that changes something: rights, quota, offers, locks, registry facts.

Nothing is asked for a plan without steps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from provisioner.cloud import CloudReader, Observed
from provisioner.desired import Desired
from provisioner.errors.cloud import CloudError
from provisioner.plan import Plan
from provisioner.plan.steps import Await, Create, Delete, Replace, Subscribe, Update
from provisioner.preflight.case import Case, Options
from provisioner.preflight.constraints import Constraints, RegionKey, Unread, key_of
from provisioner.preflight.names import rivals
from provisioner.preflight.quota import shortages
from provisioner.preflight.rights import needs
from provisioner.preflight.subscription import MACHINE_LEARNING, SAAS
from provisioner.resources import (
    AgreementId,
    Kind,
    ModelRef,
    OnlineDeployment,
    ResourceId,
    ServerlessEndpoint,
    State,
    normal_region,
)

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


async def constraints(
    cloud: CloudReader,
    plan: Plan,
    observed: Observed,
    desired: Desired | None = None,
    options: Options | None = None,
) -> Constraints:
    """The facts that limit what `plan` changes; nothing is asked for a plan without steps.

    Reads go by workspace, Azure subscription and region, never by manifest; registries are asked
    once per model. `options.thorough` asks for what stays as it is, too. An answer that does not
    come is kept as `Unread`: preflight then says what it did not judge.
    """
    wanted = desired or Desired(plan.stack, {}, (), ())
    chosen = options or Options()
    if plan.empty and not chosen.thorough:
        return Constraints()
    questions = _questions(plan, wanted, chosen)
    facts = await _answers(cloud, questions, observed)
    known = await _latest(cloud, questions, facts)
    case = Case.build(plan, wanted, observed, known, chosen)
    holders, seen = await asyncio.gather(_holders(cloud, case), _elsewhere(cloud, case))
    return replace(seen, holders=holders)


async def _holders(cloud: CloudReader, case: Case) -> frozenset[ResourceId]:
    """Who has a name that the plan wants, elsewhere in the Azure subscription. The index that told
    of it lags, so each is asked for itself; one that is leaving will be waited for."""
    found = await _ask({id: id for _, id in rivals(case)}, cloud.get, "endpoint")
    return frozenset(
        id
        for id, live in found.items()
        if live is not None and not isinstance(live, Unread) and live.state is not State.DELETING
    )


@dataclass(frozen=True, slots=True)
class _Questions:
    """What is to be asked, each once."""

    models: dict[str, ModelRef]
    agreements: list[AgreementId]
    scopes: list[str]
    subscriptions: list[str]
    providers: list[tuple[str, str]]
    quotas: list[RegionKey]
    sizes: list[RegionKey]
    locks: list[str]
    placed: dict[str, tuple[Kind, ...]]


def _questions(plan: Plan, desired: Desired, options: Options) -> _Questions:
    new = [step for step in plan.steps if isinstance(step, Create | Replace)]
    bought = [step for step in plan.steps if isinstance(step, Subscribe)]
    workspaces = {step.target.workspace for step in plan.steps}
    if options.thorough:
        workspaces |= set(desired.workspaces)
    subscriptions = sorted({workspace.subscription for workspace in workspaces})
    makers = {
        step.target.workspace.subscription
        for step in plan.steps
        if not isinstance(step, Delete | Await)
    }
    if options.thorough:
        makers |= set(subscriptions)
    buyers = {step.target.workspace.subscription for step in bought}
    scopes = [need.scope for need in needs(plan, desired, verify=options.verify) if need.scope]
    if options.thorough:
        scopes += [workspace.arm_id for workspace in sorted(workspaces)]
    return _Questions(
        models=_models(new, desired, options),
        agreements=list(
            dict.fromkeys(
                AgreementId(step.target.workspace.subscription, step.plan)
                for step in bought
                if step.plan is not None
            )
        ),
        scopes=_once(scopes),
        subscriptions=subscriptions,
        providers=[
            *((id, MACHINE_LEARNING) for id in sorted(makers)),
            *((id, SAAS) for id in sorted(buyers)),
        ],
        quotas=_regions(plan, desired, growing=True),
        sizes=_regions(plan, desired, growing=False),
        locks=_once(step.target.workspace.arm_id for step in plan.steps),
        placed=_crowds(plan),
    )


_CROWDED = (Kind.SERVERLESS_ENDPOINT, Kind.ONLINE_ENDPOINT, Kind.ONLINE_DEPLOYMENT)


def _crowds(plan: Plan) -> dict[str, tuple[Kind, ...]]:
    """Per Azure subscription, the kinds of which the plan makes more: others may have the names,
    and Azure counts all of them."""
    found: dict[str, set[Kind]] = {}
    for step in plan.steps:
        if isinstance(step, Create) and step.target.kind in _CROWDED:
            found.setdefault(step.target.workspace.subscription, set()).add(step.target.kind)
    return {id: tuple(kind for kind in _CROWDED if kind in kinds) for id, kinds in found.items()}


def _once(scopes: Iterable[str]) -> list[str]:
    """Each scope once, whatever its case, in the order given."""
    return list({scope.lower(): scope for scope in scopes}.values())


def _regions(plan: Plan, desired: Desired, *, growing: bool) -> list[RegionKey]:
    """Where managed deployments are made; or, `growing`, where they take cores of the own quota."""
    shared = {wanted.resource.id for wanted in desired.endpoints if wanted.shared_quota}
    found: dict[RegionKey, None] = {}
    for step in plan.steps:
        if not isinstance(step, Create | Replace | Update):
            continue
        one = step.resource
        if not isinstance(one, OnlineDeployment):
            continue
        scales = isinstance(step, Update) and "instance_count" in step.fields
        if isinstance(step, Update) and not scales:
            continue
        if growing and one.id.endpoint in shared:
            continue
        found[(one.id.workspace.subscription, one.location)] = None
    return list(found)


def _models(
    new: Sequence[Create | Replace], desired: Desired, options: Options
) -> dict[str, ModelRef]:
    """The models whose registry is asked, each once: of what is made new, or of everything.

    Managed compute needs the version and the sizes that only the registry holds; a serverless model
    may have reached the end of its life there since the catalogue was dated.
    """
    resources = [step.resource for step in new]
    if options.thorough:
        resources += [wanted.resource for wanted in desired.deployed]
    models = [
        resource.model
        for resource in resources
        if isinstance(resource, ServerlessEndpoint | OnlineDeployment)
    ]
    return {key_of(model): model for model in models if model.registry}


async def _answers(cloud: CloudReader, asked: _Questions, observed: Observed) -> Constraints:
    facts = asyncio.gather(
        _ask(asked.models, cloud.model, "model"),
        _ask({id: id for id in asked.agreements}, cloud.agreement, "agreement"),
        _ask({scope: scope for scope in asked.scopes}, cloud.permissions, "rights"),
        _ask({id: id for id in asked.subscriptions}, cloud.subscription, "subscription"),
    )
    limits = asyncio.gather(
        _ask(
            {pair: pair for pair in asked.providers}, lambda one: cloud.provider(*one), "provider"
        ),
        _ask({key: key for key in asked.quotas}, lambda key: cloud.usages(*key), "quota"),
        _ask({key: key for key in asked.sizes}, lambda key: cloud.vm_sizes(*key), "VM sizes"),
        _ask({scope: scope for scope in asked.locks}, cloud.locks, "locks"),
        _ask(
            {id: (id, kinds) for id, kinds in asked.placed.items()},
            lambda one: cloud.placed(*one),
            "endpoints",
        ),
    )
    models, signed, rights, subscriptions = await facts
    providers, usages, sizes, locks, placed = await limits
    return Constraints(
        workspaces={id: view.workspace for id, view in observed.items()},
        models=models,
        agreements=signed,
        permissions=rights,
        subscriptions=subscriptions,
        providers=providers,
        usages=usages,
        sizes=sizes,
        locks=locks,
        placed=placed,
    )


async def _latest(cloud: CloudReader, asked: _Questions, facts: Constraints) -> Constraints:
    """Where a version was asked for that is not there: the latest one, to name it."""
    absent = [asked.models[key] for key, found in facts.models.items() if found is None]
    unversioned = {
        model.id.lower(): replace(model, version=None) for model in absent if model.version
    }
    more = {key: model for key, model in unversioned.items() if key not in facts.models}
    if not more:
        return facts
    found = await _ask(more, cloud.model, "model")
    return replace(facts, models={**facts.models, **found})


_MOST_REGIONS = 8


async def _elsewhere(cloud: CloudReader, case: Case) -> Constraints:
    """Where cores are short: the quota in the other regions in which the caller has workspaces."""
    facts = case.facts
    short = {one.key[0] for one in shortages(case)}
    if not short:
        return facts
    found = await _ask({id: id for id in short}, cloud.workspaces, "workspaces")
    places = {id: tuple(seen) for id, seen in found.items() if not isinstance(seen, Unread)}
    keys = [
        key
        for id, seen in places.items()
        for key in sorted({(id, normal_region(one.region)) for one in seen})[:_MOST_REGIONS]
        if key not in facts.usages
    ]
    more = await _ask({key: key for key in keys}, lambda key: cloud.usages(*key), "quota")
    return replace(facts, usages={**facts.usages, **more}, elsewhere=places)


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
