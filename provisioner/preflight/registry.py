"""What the registries say of the plan's models: that there is one, or nothing at all. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from provisioner.catalog import CatalogModel, load
from provisioner.desired import Desired
from provisioner.errors import Position, Problem, Severity, Who, define
from provisioner.manifest.codes import UNKNOWN_MODEL
from provisioner.plan.steps import Create, Replace
from provisioner.preflight.case import UNSERVED, Case, known_model, listed, unread
from provisioner.preflight.constraints import Constraints, Unread, key_of
from provisioner.preflight.findings import Findings
from provisioner.resources import ModelRef, OnlineDeployment, ServerlessEndpoint

MODEL_MISSING = define(
    "preflight.model-missing",
    "the registry has no such model",
    "The registry was asked for the model, or for the version of it, and has none.",
    Who.AUTHOR,
)
VERSION_UNKNOWN = define(
    "preflight.model-version-unknown",
    "the model's latest version could not be found out",
    "A deployment on managed compute runs one version of its model. The manifest leaves it to the "
    "registry, and the registry did not tell.",
    Who.AUTHOR,
)
_NOT_ASKED = object()


def check_registries(case: Case) -> Iterator[Problem]:
    """Models and versions that a registry does not have, and registries that did not tell."""
    yield from _unasked(case)
    for step in case.new():
        resource = step.resource
        if isinstance(resource, ServerlessEndpoint | OnlineDeployment) and resource.model.registry:
            yield from _existence(case, step, resource.model)


def _judged(case: Case) -> Iterator[tuple[ModelRef, bool, Position | None]]:
    """The models that are judged: whether the registry must tell their version, and where they are
    written."""
    for step in case.new():
        one = step.resource
        if isinstance(one, ServerlessEndpoint | OnlineDeployment):
            unsent = one.model.version is None and isinstance(one, OnlineDeployment)
            yield one.model, unsent, case.at(step, "spec", "model")
    if case.options.thorough:
        for wanted in case.desired.deployed:
            yield wanted.resource.model, False, wanted.origin.at("spec", "model")


def _unasked(case: Case) -> Iterator[Problem]:
    """What the registries did not tell. Of models that nothing is known of for the same reason, one
    note tells, whatever their registries: as a rule none of these is reached from here."""
    blocking: dict[str, Problem] = {}
    silent: dict[tuple[int, str], dict[str, tuple[Unread, ModelRef, Position | None]]] = {}
    for model, unsent, position in _judged(case):
        key = key_of(model)
        answer = case.facts.models.get(key)
        if not isinstance(answer, Unread):
            continue
        if unsent:
            blocking.setdefault(key, _version_unknown(answer, model, position))
            continue
        why = (answer.fault.status, answer.fault.code)
        silent.setdefault(why, {}).setdefault(key, (answer, model, position))
    yield from blocking.values()
    for found in silent.values():
        told = [entry for key, entry in found.items() if key not in blocking]
        if not told:
            continue
        answer, _, position = told[0]
        names = listed([model.short for _, model, _ in told], 5)
        subject = f"the model{'s' if len(told) > 1 else ''} {names}"
        yield _registry_silent(answer, subject, [model for _, model, _ in told], position)


def _registry_silent(
    answer: Unread, what: str, models: Sequence[ModelRef], position: Position | None
) -> Problem:
    """A note that `what` was not judged, as of a registry: whom it does not let in is not helped by
    a role in the workspace, and not every Azure has registries."""
    note = unread(answer, what, position)
    excuse, remedy = _mend(answer, models)
    hint = f"nothing to do, if {excuse}; else {remedy}" if excuse else note.hint
    several = len({model.registry.lower() for model in models}) > 1
    return replace(note, hint=hint, resource=None if several else note.resource)


def _mend(answer: Unread, models: Sequence[ModelRef]) -> tuple[str, str]:
    """When an answer that did not come is in order, and how to get it otherwise; both empty where
    a registry is as any other service."""
    named = list(dict.fromkeys(model.registry for model in models))
    names = f"the {'registries' if len(named) > 1 else 'registry'} {listed(named, 5)}"
    status = answer.fault.status
    if status in (401, 403):
        return "Azure's own registry is meant", f"have reading granted on {names}"
    if status in UNSERVED:
        return "this Azure has no model registries", f"check the spelling of {names}"
    if status == 0:
        only = "a firewall lets only Azure Resource Manager through"
        return only, "check the network and the proxy (HTTPS_PROXY)"
    return "", ""


def _existence(case: Case, step: Create | Replace, model: ModelRef) -> Iterator[Problem]:
    key = key_of(model)
    if case.facts.models.get(key, _NOT_ASKED) is not None:
        return
    position = case.at(step, "spec", "model")
    latest = case.facts.registry_model(model)
    if latest is not None:
        yield Problem(
            MODEL_MISSING,
            f"{model.name} has no version {model.version}; the latest is {latest.ref.version}",
            f"write model: {latest.ref.versioned_id}",
            position=position,
        )
        return
    known = known_model(model)
    yield _unknown(model, position) if known is None else _withdrawn(case, step, known, position)


def _unknown(model: ModelRef, position: Position | None) -> Problem:
    near = [name for name in load().near(model.id) if name.lower() != model.short.lower()]
    return Problem(
        MODEL_MISSING,
        f"the registry {model.registry} has no model {model.short.partition('/')[2]}",
        (f"did you mean {near[0]}? " if near else "")
        + f"list them: provision models list --search {model.name[:20]}",
        position=position,
    )


def _withdrawn(
    case: Case, step: Create | Replace, known: CatalogModel, position: Position | None
) -> Problem:
    """The catalogue is a copy, the registry is not. A serverless model needs nothing from it but to
    be there, so that whoever knows better can go on."""
    serverless = isinstance(step.resource, ServerlessEndpoint)
    ignored = serverless and case.options.ignore_lifecycle
    return Problem(
        MODEL_MISSING,
        f"the registry {known.registry} has no model {known.name} now; it had one in the catalogue "
        f"of {known.dated}",
        "deploy another model: provision models list"
        + ("; or try all the same with --ignore-lifecycle" if serverless and not ignored else ""),
        severity=Severity.WARNING if ignored else Severity.ERROR,
        position=position,
    )


def _version_unknown(answer: Unread, model: ModelRef, position: Position | None) -> Problem:
    """Conclusive: without a version there is nothing that could be sent."""
    note = unread(answer, f"the latest version of {model.short}", position)
    _, remedy = _mend(answer, [model])
    return replace(
        note,
        code=VERSION_UNKNOWN,
        hint=f"name the version, model: {model.id}/versions/N; or {remedy or note.hint}",
        severity=Severity.ERROR,
    )


def unanswered(doubts: Findings, desired: Desired, facts: Constraints) -> Findings:
    """Without the catalogue's doubts whether a registry has a model, where that has answered."""
    if not any(one.code is UNKNOWN_MODEL for one in doubts):
        return doubts
    answered = {
        wanted.origin.at("spec", "model")
        for wanted in desired.deployed
        if (key := key_of(wanted.resource.model)) in facts.models
        and not isinstance(facts.models[key], Unread)
    }
    return tuple(
        one for one in doubts if one.code is not UNKNOWN_MODEL or one.position not in answered
    )
