"""Checks of the workspaces: there, ready, and where the manifests say. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from provisioner.cloud import Observed
from provisioner.desired import Desired
from provisioner.errors import Problem, Severity, Who, define
from provisioner.resources import normal_region

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
    "An operation on the workspace itself is running or has failed; endpoints in it cannot be "
    "created until that has ended well.",
    Who.WORKSPACE_OWNER,
)


def check_workspaces(desired: Desired, observed: Observed) -> Iterator[Problem]:
    """One finding per wanted workspace that is absent, elsewhere or not ready."""
    for wanted in desired.workspaces.values():
        view = observed.get(wanted.id)
        live = view.workspace if view is not None else None
        if live is None:
            yield Problem(
                WORKSPACE_MISSING,
                f"the workspace {wanted.id.name} does not exist in resource group "
                f"{wanted.id.resource_group}",
                f"check the name, or create it: az ml workspace create --name {wanted.id.name} "
                f"--resource-group {wanted.id.resource_group} "
                f"--subscription {wanted.id.subscription} --location {wanted.region}",
                position=wanted.position,
                resource=wanted.id.arm_id,
            )
            continue
        if normal_region(live.region) != wanted.region:
            yield Problem(
                REGION_DIFFERS,
                f"the workspace {wanted.id.name} is in {live.region}, the manifest says "
                f"{wanted.region}",
                f"write region: {live.region}, or name a workspace in {wanted.region}",
                position=wanted.position,
                resource=wanted.id.arm_id,
            )
        if live.state.lower() != "succeeded":
            failed = live.state.lower() in ("failed", "canceled", "deleting")
            yield Problem(
                WORKSPACE_NOT_READY,
                f"the workspace {wanted.id.name} is {live.state}",
                "look at the workspace in the Azure portal, or wait for its operation to end",
                severity=Severity.ERROR if failed else Severity.WARNING,
                position=wanted.position,
                resource=wanted.id.arm_id,
            )
