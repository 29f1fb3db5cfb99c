"""Checks of Azure's counts: endpoints, deployments, one endpoint per model. Pure.

The limits are the documented defaults (the catalogue's LIMITS, with their source). Support raises
some of them, and then `--ignore-limits` turns these findings into warnings. Counts are of the
workspaces of this run, so that they can only be too low. The instances of a deployment are
limited by the manifest's schema already.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from provisioner.catalog import LIMITS
from provisioner.errors import Position, Problem, Severity, Who, define
from provisioner.plan import Step
from provisioner.plan.steps import Create, Delete, Rollout
from provisioner.preflight.case import Case, listed
from provisioner.resources import (
    Kind,
    ResourceId,
    ServerlessEndpoint,
    State,
    WorkspaceId,
)

ONE_PER_MODEL = define(
    "preflight.one-per-model",
    "a second serverless endpoint of one model",
    "A workspace can have one serverless deployment per model.",
    Who.AUTHOR,
)
TOO_MANY = define(
    "preflight.too-many",
    "a limit of Azure is exceeded",
    "Azure limits the online endpoints and deployments of a subscription in a region, and the "
    "deployments of an endpoint.",
    Who.SUBSCRIPTION_OWNER,
)

_REQUEST = (
    "open a support request of type Service and subscription limits (quotas), Machine Learning "
    "endpoint limits; where the limit is raised already: --ignore-limits"
)


def check_limits(case: Case) -> Iterator[Problem]:
    """Every count that would be exceeded."""
    yield from _one_per_model(case)
    yield from _per_endpoint(case)
    yield from _per_region(case)


def _severity(case: Case) -> Severity:
    return Severity.WARNING if case.options.ignore_limits else Severity.ERROR


def _gone(case: Case) -> set[ResourceId]:
    return {step.target for step in case.plan.steps if isinstance(step, Delete)}


def _one_per_model(case: Case) -> Iterator[Problem]:
    """One finding per workspace and model, however many endpoints want it.

    One whose creation failed serves nobody; that it stands in the way is not known.
    """
    gone = _gone(case)
    holders: dict[_Place, dict[ResourceId, Step | None]] = {}
    for view in case.observed.values():
        for live in view.serverless:
            if live.id not in gone and live.state is not State.FAILED:
                holders.setdefault(_place_of(live.resource), {})[live.id] = None
    for step in case.new():
        if isinstance(step.resource, ServerlessEndpoint):
            # A live endpoint that is replaced by one of the same model adds none.
            holders.setdefault(_place_of(step.resource), {}).setdefault(step.target, step)
    for (workspace, _, _), members in holders.items():
        new = [step for step in members.values() if step is not None]
        if len(members) < 2 or not new:
            continue
        keeper = next(iter(members))
        intruder = next((step for step in new if step.target != keeper), new[0])
        names = [id.name for id in members]
        yield Problem(
            ONE_PER_MODEL,
            f"the workspace {workspace.name} would have {len(names)} serverless endpoints of "
            f"{_model(intruder)}: {listed(names, 4)}",
            f"let all callers use {keeper.name}, or deploy to another workspace; where Azure "
            "allows you more: --ignore-limits",
            severity=_severity(case),
            position=case.at(intruder, "spec", "model"),
            resource=keeper.arm_id,
        )


_Place = tuple[WorkspaceId, str, str]


def _place_of(endpoint: ServerlessEndpoint) -> _Place:
    model = endpoint.model
    return endpoint.id.workspace, model.registry.lower(), model.name.lower()


def _model(step: Step) -> str:
    resource = getattr(step, "resource", None)
    return resource.model.name if isinstance(resource, ServerlessEndpoint) else ""


@dataclass(slots=True)
class _Tally:
    """A count: what is live, what of it goes in time, and what comes."""

    live: int = 0
    gone: int = 0
    new: list[Step] = field(default_factory=list)

    def over(self, limit: int) -> tuple[Step, bool] | None:
        """The step that goes beyond the limit, and whether it does so whatever the order.

        More live than the limit allows is proof that the limit was raised.
        """
        if self.live > limit:
            return None
        for sure, count in ((True, self.live - self.gone), (False, self.live)):
            if count + len(self.new) > limit:
                return self.new[limit - count], sure
        return None


def _in_time(case: Case) -> set[ResourceId]:
    """What is deleted before or while the new ones come; an old deployment of a rollout is not."""
    rollouts = {step.id for step in case.plan.steps if isinstance(step, Rollout)}
    return {
        step.target
        for step in case.plan.steps
        if isinstance(step, Delete) and rollouts.isdisjoint(step.needs)
    }


def _per_endpoint(case: Case) -> Iterator[Problem]:
    gone, limit = _in_time(case), LIMITS.deployments_per_endpoint
    tallies: defaultdict[ResourceId, _Tally] = defaultdict(_Tally)
    for view in case.observed.values():
        for endpoint, parts in view.deployments.items():
            tallies[endpoint].live += len(parts)
            tallies[endpoint].gone += sum(one.id in gone for one in parts)
    for step in _created(case, Kind.ONLINE_DEPLOYMENT):
        tallies[step.target.endpoint].new.append(step)
    for endpoint, tally in tallies.items():
        if (over := tally.over(limit)) is not None:
            position = case.at(over[0], "spec", "target", "managedCompute", "endpointName")
            what = f"the online endpoint {endpoint.name} would have more than {limit} deployments"
            yield _too_many(case, position, what, sure=over[1])


def _per_region(case: Case) -> Iterator[Problem]:
    gone = _in_time(case)
    for kind, limit in (
        (Kind.ONLINE_ENDPOINT, LIMITS.endpoints),
        (Kind.ONLINE_DEPLOYMENT, LIMITS.deployments),
    ):
        tallies: defaultdict[tuple[str, str], _Tally] = defaultdict(_Tally)
        for view in case.observed.values():
            live = (
                view.endpoints
                if kind is Kind.ONLINE_ENDPOINT
                else [one for parts in view.deployments.values() for one in parts]
            )
            tally = tallies[_place(case, view.id)]
            tally.live += len(live)
            tally.gone += sum(one.id in gone for one in live)
        for step in _created(case, kind):
            tallies[_place(case, step.target.workspace)].new.append(step)
        for place, tally in tallies.items():
            if (over := tally.over(limit)) is not None:
                what = (
                    f"the Azure subscription would have more than {limit} {kind.noun}s in "
                    f"{place[1]}"
                )
                yield _too_many(case, case.at(over[0]), what, sure=over[1])


def _created(case: Case, kind: Kind) -> Iterator[Step]:
    for step in case.plan.steps:
        if isinstance(step, Create) and step.target.kind is kind:
            yield step


def _place(case: Case, workspace: WorkspaceId) -> tuple[str, str]:
    return workspace.subscription.lower(), case.region(workspace)


def _too_many(case: Case, position: Position | None, what: str, *, sure: bool) -> Problem:
    return Problem(
        TOO_MANY,
        what if sure else f"{what}; it fits only if what this plan removes is gone first",
        f"remove some that are not needed, or spread them over regions; or {_REQUEST}",
        severity=_severity(case) if sure else Severity.WARNING,
        position=position,
    )
