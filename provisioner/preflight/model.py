"""Checks of the model: alive, on a target and a machine that it can run on. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from provisioner.catalog import Lifecycle, Stage, furthest
from provisioner.errors import Position, Problem, Severity, Who, define
from provisioner.plan import Step
from provisioner.plan.steps import Create, Replace
from provisioner.preflight.case import Case, known_model, listed, unread
from provisioner.preflight.constraints import Unread
from provisioner.preflight.sizes import allow_list, allowed_sizes, minimum, size_of, too_small
from provisioner.resources import ModelRef, OnlineDeployment, ServerlessEndpoint

MODEL_TARGET = define(
    "preflight.model-target",
    "the model is not known to run on this target",
    "Not every model is offered both as a serverless API and on managed compute.",
    Who.AUTHOR,
)
MODEL_RETIRED = define(
    "preflight.model-retired",
    "the model takes no new deployments",
    "A deprecated model takes no new deployments; existing ones live until it is retired. A "
    "retired one is gone.",
    Who.AUTHOR,
)
MODEL_LEGACY = define(
    "preflight.model-legacy",
    "the model is on its way out",
    "A legacy model can still be deployed, but a date is set from which it cannot.",
    Who.AUTHOR,
)
SIZE_NOT_ALLOWED = define(
    "preflight.instance-type",
    "the model does not run on this instance type",
    "A model lists the VM sizes that it may be deployed on, or the least that it needs.",
    Who.AUTHOR,
)
SIZE_MISSING = define(
    "preflight.instance-type-missing",
    "the region has no such instance type",
    "Azure Machine Learning does not offer the VM size in the workspace's region.",
    Who.AUTHOR,
)
SHARED_CAPACITY = define(
    "preflight.shared-quota",
    "the model cannot use shared quota",
    "Only some models may run on shared quota; the registry says which.",
    Who.AUTHOR,
)

_SIZE = ("spec", "target", "managedCompute", "instanceType")


def check_models(case: Case) -> Iterator[Problem]:
    """Everything about the models of new endpoints and deployments."""
    for step in case.new():
        resource = step.resource
        if not isinstance(resource, ServerlessEndpoint | OnlineDeployment):
            continue
        model = resource.model
        if not model.registry:
            continue
        yield from _target(case, step, model)
        lifecycle = _lifecycle(case, model, serverless=isinstance(resource, ServerlessEndpoint))
        if lifecycle is not None:
            yield from _stage(case, model, lifecycle, case.at(step, "spec", "model"), new=True)
        if isinstance(resource, OnlineDeployment):
            yield from _size(case, step, resource)
            yield from _shared(case, step, resource)
    for (_, region), answer in case.facts.sizes.items():
        if isinstance(answer, Unread):
            yield unread(answer, f"the VM sizes of {region}")
    if case.options.thorough:
        yield from _running(case)


def _target(case: Case, step: Step, model: ModelRef) -> Iterator[Problem]:
    known = known_model(model)
    if known is None:
        return
    registered = case.facts.registry_model(model)
    if isinstance(getattr(step, "resource", None), ServerlessEndpoint):
        if known.serverless is None:
            yield _off_target(case, step, model, "as a serverless API", "managedCompute")
    elif known.managed is None and not (registered and (registered.skus or registered.min_sku)):
        yield _off_target(case, step, model, "on managed compute", "serverless")


def _off_target(case: Case, step: Step, model: ModelRef, how: str, other: str) -> Problem:
    """A warning: the catalogue may be behind the service."""
    known = known_model(model)
    dated = f" as of {known.dated}" if known is not None else ""
    return Problem(
        MODEL_TARGET,
        f"{model.name} is not known to be offered {how}{dated}",
        f"use the target {other}, or another model: provision models list",
        severity=Severity.WARNING,
        position=case.at(step, "spec", "target"),
    )


def _lifecycle(case: Case, model: ModelRef, *, serverless: bool) -> Lifecycle | None:
    """What the registry model says of itself, where it was asked; for serverless the published
    schedule too, whichever of the two is further on."""
    known = known_model(model)
    published = known.lifecycle if known is not None else None
    replacements = published.replacements if published is not None else ()
    found = case.facts.registry_model(model)
    own = None
    if found is not None and (found.legacy or found.deprecation or found.retirement):
        own = Lifecycle(Stage.GA, found.legacy, found.deprecation, found.retirement, replacements)
    return furthest((own, published if serverless else None), case.today)


def _stage(
    case: Case, model: ModelRef, lifecycle: Lifecycle, position: Position | None, *, new: bool
) -> Iterator[Problem]:
    stage = lifecycle.stage(case.today)
    replacement = listed([f"{model.registry}/{name}" for name in lifecycle.replacements], 2)
    instead = f"deploy {replacement} instead" if replacement else "deploy another model"
    if stage in (Stage.DEPRECATED, Stage.RETIRED):
        blocks = new and not case.options.ignore_lifecycle
        yield Problem(
            MODEL_RETIRED,
            f"{model.name} is {stage}{_since(lifecycle, stage)}"
            + ("; it takes no new deployments" if new else "; a deployment of it is still live"),
            f"{instead}; see provision models list"
            + ("; or try all the same with --ignore-lifecycle" if blocks else ""),
            severity=Severity.ERROR if blocks else Severity.WARNING,
            position=position,
        )
    elif stage is Stage.LEGACY:
        until = lifecycle.deprecation or lifecycle.retirement
        when = f" until {until}" if until is not None else ""
        yield Problem(
            MODEL_LEGACY,
            f"{model.name} is legacy: it can be deployed{when}",
            instead,
            severity=Severity.WARNING,
            position=position,
        )


def _since(lifecycle: Lifecycle, stage: Stage) -> str:
    def told(day: date | None, word: str) -> str:
        return f" {word} {day}" if day is not None else ""

    if stage is Stage.RETIRED:
        return told(lifecycle.retirement, "since")
    return told(lifecycle.deprecation, "since") + told(lifecycle.retirement, "and retires on")


def _size(case: Case, step: Step, one: OnlineDeployment) -> Iterator[Problem]:
    key = (one.id.workspace.subscription, case.region(one.id.workspace))
    offered = case.sizes.get(key)
    position = case.at(step, *_SIZE)
    if offered and one.instance_type.lower() not in offered:
        yield Problem(
            SIZE_MISSING,
            f"{one.instance_type} is not offered in {key[1]}",
            _other_sizes(case, key, one),
            position=position,
        )
        return
    names, said = allow_list(case.facts, one.model)
    if names:
        if one.instance_type.lower() not in {name.lower() for name in names}:
            yield Problem(
                SIZE_NOT_ALLOWED,
                f"{one.model.name} does not run on {one.instance_type}",
                f"use one of {listed(names, 10)}",
                severity=Severity.ERROR if said else Severity.WARNING,
                position=position,
            )
        return
    least, size = minimum(case.facts, one.model), size_of(case, key, one.instance_type)
    lacks = too_small(size, least) if size is not None and least is not None else []
    if lacks:
        yield Problem(
            SIZE_NOT_ALLOWED,
            f"{one.instance_type} is too small for {one.model.name}: it has {listed(lacks)}",
            _other_sizes(case, key, one),
            position=position,
        )


def _other_sizes(case: Case, key: tuple[str, str], one: OnlineDeployment) -> str:
    offered = case.sizes.get(key, {})
    fits = [
        size.name
        for size in allowed_sizes(case, key, one)
        if not offered or size.name.lower() in offered
    ]
    if fits:
        return f"use one of {listed(fits, 6)}"
    return (
        f"list what the region has: az ml compute list-sizes --location {key[1]} "
        f"--subscription {key[0]}"
    )


def _shared(case: Case, step: Step, one: OnlineDeployment) -> Iterator[Problem]:
    if not case.shared_quota(one.id.endpoint):
        return
    found = case.facts.registry_model(one.model)
    if found is None or found.shared_capacity:
        return
    refused = found.shared_capacity is False
    yield Problem(
        SHARED_CAPACITY,
        f"{one.model.name} may not use shared quota"
        if refused
        else f"the registry does not say that {one.model.name} may use shared quota",
        "remove sharedQuota and use a quota of your own, or deploy another model",
        severity=Severity.ERROR if refused else Severity.WARNING,
        position=case.at(step, "spec", "target", "managedCompute", "sharedQuota"),
    )


def _running(case: Case) -> Iterator[Problem]:
    """What the plan leaves as it is, and whose model is going."""
    changing = {step.target for step in case.plan.steps if isinstance(step, Create | Replace)}
    for one in case.desired.deployed:
        model, serverless = one.resource.model, isinstance(one.resource, ServerlessEndpoint)
        lifecycle = _lifecycle(case, model, serverless=serverless)
        if one.resource.id not in changing and lifecycle is not None:
            yield from _stage(case, model, lifecycle, one.origin.at("spec", "model"), new=False)
