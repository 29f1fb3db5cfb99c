"""Checks of the region: where a model is served, and where the provider works. Pure.

The region of the workspace decides. The country of the billing account is another test, which
only the purchase itself can answer (CATALOG.md, "Region table").
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provisioner.catalog import load
from provisioner.errors import Problem, Severity, Who, define
from provisioner.plan.steps import Create, Replace
from provisioner.preflight.case import Case, known_model, listed
from provisioner.preflight.constraints import Unread
from provisioner.preflight.subscription import MACHINE_LEARNING
from provisioner.resources import Kind, ServerlessEndpoint

MODEL_REGION = define(
    "preflight.model-region",
    "the model is not served in the workspace's region",
    "Serverless APIs are offered per model in some regions only, and the workspace's region "
    "decides. Where the offer may be bought is another test: the country of the billing account.",
    Who.AUTHOR,
)
PROVIDER_REGION = define(
    "preflight.provider-region",
    "Azure Machine Learning does not offer this in the region",
    "The resource provider reports, per resource type, the regions where it works; this one is "
    "not among them.",
    Who.AUTHOR,
)

_TYPE: Final = {
    Kind.SERVERLESS_ENDPOINT: "workspaces/serverlessendpoints",
    Kind.ONLINE_ENDPOINT: "workspaces/onlineendpoints",
    Kind.ONLINE_DEPLOYMENT: "workspaces/onlineendpoints/deployments",
}


def check_regions(case: Case) -> Iterator[Problem]:
    """Every new endpoint in a region that its model or its kind is not offered in."""
    for step in case.new():
        region = case.region(step.target.workspace)
        if isinstance(step.resource, ServerlessEndpoint):
            yield from _serverless(case, step, step.resource, region)
        yield from _provider(case, step, region)


def _serverless(
    case: Case, step: Create | Replace, wanted: ServerlessEndpoint, region: str
) -> Iterator[Problem]:
    known = known_model(wanted.model)
    facts = known.serverless if known is not None else None
    if known is None or facts is None or facts.regions is None or region in facts.regions:
        return
    regions = sorted(facts.regions)
    ignored = case.options.ignore_regions
    yield Problem(
        MODEL_REGION,
        f"{wanted.model.name} is not served in {region}, where the workspace "
        f"{wanted.id.workspace.name} is",
        _elsewhere(case, regions)
        + ("" if ignored else f"; or, where Azure serves it in {region} by now: --ignore-regions"),
        severity=Severity.WARNING if ignored else Severity.ERROR,
        position=case.at(step, "spec", "workspace"),
        resource=wanted.id.workspace.arm_id,
        details=(
            f"it is served in {listed(regions, 20)}, as of {known.dated}",
            "the country of the billing account is another test, made when the offer is bought",
        ),
    )


def _elsewhere(case: Case, regions: list[str]) -> str:
    """The user's own workspaces that would do, else the regions."""
    fits = sorted(
        f"{wanted.id.name} ({case.region(wanted.id)})"
        for wanted in case.desired.workspaces.values()
        if case.region(wanted.id) in regions
    )
    if fits:
        return f"deploy to {listed(fits, 3)}, or to another workspace in {listed(regions, 20)}"
    return f"use a workspace in {listed(regions, 20)}"


def _provider(case: Case, step: Create | Replace, region: str) -> Iterator[Problem]:
    answer = case.facts.providers.get((step.target.workspace.subscription, MACHINE_LEARNING))
    if answer is None or isinstance(answer, Unread):
        return
    regions = answer.locations.get(_TYPE.get(step.target.kind, ""))
    if not regions or region in regions:
        return
    names = load().regions
    yield Problem(
        PROVIDER_REGION,
        f"Azure Machine Learning does not offer {step.target.kind.noun}s in {region}",
        f"use a workspace in {listed(sorted(r for r in regions if r in names) or sorted(regions))}",
        position=case.at(step, "spec", "workspace"),
        resource=step.target.workspace.arm_id,
    )
