"""Checks of the workspaces: there, ready, where the manifests say, able to host. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provisioner.cloud import Workspace
from provisioner.desired import WantedWorkspace
from provisioner.errors import Problem, Severity, Who, define
from provisioner.plan.steps import Step
from provisioner.preflight.case import Case
from provisioner.resources import Kind, WorkspaceId, normal_region

WORKSPACE_MISSING = define(
    "preflight.workspace-missing",
    "a workspace does not exist",
    "No workspace of that name is in the resource group, or it is not visible to you: ARM answers "
    "404 for both.",
    Who.AUTHOR,
)
REGION_DIFFERS = define(
    "preflight.region-differs",
    "the workspace is in another region",
    "The region of a deployment is its workspace's; the manifest names another one.",
    Who.AUTHOR,
)
WORKSPACE_NOT_READY = define(
    "preflight.workspace-not-ready",
    "a workspace is not ready",
    "An operation on the workspace itself is running or has failed. In one that is being deleted "
    "nothing can be created; one whose last change failed may serve its endpoints all the same.",
    Who.WORKSPACE_OWNER,
)
WORKSPACE_KIND = define(
    "preflight.workspace-kind",
    "a workspace of this kind hosts no endpoints",
    "Endpoints live in Azure Machine Learning workspaces, hubs and projects; a feature store is "
    "a workspace too, but hosts none.",
    Who.AUTHOR,
)
NETWORK_NOT_READY = define(
    "preflight.managed-network",
    "the workspace's managed network is not provisioned",
    "A workspace with an isolated managed network must provision it before the first managed "
    "online deployment.",
    Who.WORKSPACE_OWNER,
)

_HOSTS: Final = frozenset({"default", "hub", "project", ""})


def hosts(live: Workspace) -> bool:
    """Whether endpoints can be made in a workspace, as far as its kind and state say."""
    return live.kind.lower() in _HOSTS and live.state.lower() != "deleting"


def check_workspaces(case: Case) -> Iterator[Problem]:
    """What is wrong with a wanted workspace blocks only where the plan writes to it."""
    for wanted in case.desired.workspaces.values():
        writes = wanted.id in case.written
        judged = writes or case.options.thorough
        view = case.observed.get(wanted.id)
        live = view.workspace if view is not None else None
        if live is None:
            if judged:
                yield _missing(wanted)
            continue
        if live.region and normal_region(live.region) != wanted.region:
            yield _elsewhere(wanted, live, writes)
        if judged:
            yield from _condition(wanted, live)
            yield from _network(case, wanted.id, live)


def _missing(wanted: WantedWorkspace) -> Problem:
    return Problem(
        WORKSPACE_MISSING,
        f"the workspace {wanted.id.name} does not exist in resource group "
        f"{wanted.id.resource_group}",
        f"check the name, or create it: az ml workspace create --name {wanted.id.name} "
        f"--resource-group {wanted.id.resource_group} "
        f"--subscription {wanted.id.subscription} --location {wanted.region}",
        position=wanted.position,
        resource=wanted.id.arm_id,
    )


def _elsewhere(wanted: WantedWorkspace, live: Workspace, writes: bool) -> Problem:
    return Problem(
        REGION_DIFFERS,
        f"the workspace {wanted.id.name} is in {live.region}, the manifest says {wanted.region}",
        f"write region: {live.region}, or name a workspace in {wanted.region}",
        severity=Severity.ERROR if writes else Severity.WARNING,
        position=wanted.position,
        resource=wanted.id.arm_id,
    )


def _condition(wanted: WantedWorkspace, live: Workspace) -> Iterator[Problem]:
    state = live.state.lower()
    if state not in ("succeeded", "unknown", ""):
        yield Problem(
            WORKSPACE_NOT_READY,
            f"the workspace {wanted.id.name} is {live.state}",
            "look at the workspace in the Azure portal, or wait for its operation to end",
            severity=Severity.ERROR if state == "deleting" else Severity.WARNING,
            position=wanted.position,
            resource=wanted.id.arm_id,
        )
    if live.kind.lower() not in _HOSTS:
        yield Problem(
            WORKSPACE_KIND,
            f"the workspace {wanted.id.name} is a {live.kind} and hosts no endpoints",
            "name a workspace of kind Default, Hub or Project: az ml workspace list "
            f"--resource-group {wanted.id.resource_group} --subscription "
            f"{wanted.id.subscription}",
            severity=Severity.ERROR if live.kind.lower() == "featurestore" else Severity.WARNING,
            position=wanted.position,
            resource=wanted.id.arm_id,
        )


def _network(case: Case, id: WorkspaceId, live: Workspace) -> Iterator[Problem]:
    isolated = (live.isolation_mode or "Disabled").lower() != "disabled"
    status = live.managed_network_status
    if not isolated or status is None or status.lower() == "active":
        return
    step = next((step for step in case.new() if _is_managed(step, id)), None)
    if step is not None:
        yield Problem(
            NETWORK_NOT_READY,
            f"the managed network of the workspace {id.name} ({live.isolation_mode}) is {status}",
            f"az ml workspace provision-network --name {id.name} --resource-group "
            f"{id.resource_group} --subscription {id.subscription}",
            position=case.at(step, "spec", "workspace"),
            resource=id.arm_id,
        )


def _is_managed(step: Step, id: WorkspaceId) -> bool:
    return step.target.kind is Kind.ONLINE_DEPLOYMENT and step.target.workspace == id
