"""What every check looks at: the plan, the wishes, what is live, and the facts. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from provisioner.catalog import CatalogModel, load
from provisioner.cloud import Observed, VmSize, WorkspaceSeen
from provisioner.desired import Desired, Origin, WantedDeployment, WantedEndpoint, WantedServerless
from provisioner.errors import Position, Problem, Severity, Who, define
from provisioner.errors.decode import decode
from provisioner.errors.meanings import NO_SUCH_TYPE, NOT_FOUND, UNKNOWN
from provisioner.plan import Plan, Step
from provisioner.plan.steps import Await, Create, Delete, Replace
from provisioner.preflight.constraints import Constraints, RegionKey, Unread
from provisioner.resources import (
    Kind,
    Live,
    ModelRef,
    OnlineDeployment,
    ResourceId,
    WorkspaceId,
    normal_region,
)

NOT_CHECKED = define(
    "preflight.not-checked",
    "something could not be checked",
    "A question that a check depends on was not answered. Nothing is blocked for that: what was "
    "not read is not judged.",
    Who.OPERATOR,
)

UNSERVED = frozenset({404, 405, 501})
"""Statuses of a question that this Azure may not know at all, as one that is not Microsoft's."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the person chose. `ignore_lifecycle`, `ignore_regions` and `ignore_limits` turn those
    refusals into warnings, `rights_may_lag` those for missing rights: a role that was just assigned
    shows later, and the apply waits for it. `verify`: every model is called afterwards, which takes
    its keys. `thorough` judges also what the plan leaves as it is (doctor)."""

    ignore_lifecycle: bool = False
    ignore_regions: bool = False
    ignore_limits: bool = False
    rights_may_lag: bool = False
    verify: bool = False
    thorough: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """One plan under judgement. Indices are made once by `build`."""

    plan: Plan
    desired: Desired
    observed: Observed
    facts: Constraints
    options: Options
    serverless: Mapping[ResourceId, WantedServerless]
    deployments: Mapping[str, WantedDeployment]
    endpoints: Mapping[ResourceId, WantedEndpoint]
    sizes: Mapping[RegionKey, Mapping[str, VmSize]]
    """VM sizes by lower-cased name, per region whose list was read."""
    written: frozenset[WorkspaceId]
    """Workspaces in which the plan creates or changes something for a manifest."""

    @classmethod
    def build(
        cls,
        plan: Plan,
        desired: Desired,
        observed: Observed,
        facts: Constraints,
        options: Options | None = None,
    ) -> Case:
        return cls(
            plan=plan,
            desired=desired,
            observed=observed,
            facts=facts,
            options=options or Options(),
            serverless={wish.resource.id: wish for wish in desired.serverless},
            deployments={
                one.origin.name: one for wanted in desired.endpoints for one in wanted.deployments
            },
            endpoints={wanted.resource.id: wanted for wanted in desired.endpoints},
            sizes={
                key: {size.name.lower(): size for size in answer}
                for key, answer in facts.sizes.items()
                if not isinstance(answer, Unread)
            },
            written=frozenset(
                step.target.workspace
                for step in plan.steps
                if step.names and not isinstance(step, Delete | Await)
            ),
        )

    @property
    def today(self) -> date:
        return self.plan.now.date()

    def origin(self, step: Step) -> Origin | None:
        """The manifest behind a step, the first one where several share it."""
        wish = self.serverless.get(step.target)
        if wish is not None:
            return wish.origin
        for name in step.names:
            one = self.deployments.get(name)
            if one is not None:
                return one.origin
        for wish in self.desired.serverless:
            if wish.origin.name in step.names:
                return wish.origin
        return None

    def at(self, step: Step, *path: str) -> Position | None:
        """The finest position that is known for a key of the manifest behind a step; by default
        that of its name."""
        origin = self.origin(step)
        return origin.at(*(path or ("metadata", "name"))) if origin is not None else step.position

    def seen(self, workspace: WorkspaceId) -> WorkspaceSeen:
        return self.observed.get(workspace) or WorkspaceSeen(workspace, None)

    def region(self, workspace: WorkspaceId) -> str:
        """Where the workspace is; where the manifests say it is, if Azure does not."""
        live = self.seen(workspace).workspace
        if live is not None and live.region:
            return normal_region(live.region)
        wanted = self.desired.workspaces.get(workspace)
        return wanted.region if wanted is not None else ""

    def live_deployment(self, id: ResourceId) -> Live[OnlineDeployment] | None:
        parts = self.seen(id.workspace).deployments.get(id.endpoint, ())
        return next((live for live in parts if live.id == id), None)

    def live_below(self, id: ResourceId) -> tuple[Live[OnlineDeployment], ...]:
        """The live deployment of that id, or all of the online endpoint; those that are deleted
        with a step of their own count there."""
        if id.kind is Kind.ONLINE_DEPLOYMENT:
            live = self.live_deployment(id)
            return () if live is None else (live,)
        own = {step.target for step in self.plan.steps if isinstance(step, Delete | Await)}
        parts = self.seen(id.workspace).deployments.get(id, ())
        return tuple(live for live in parts if live.id not in own)

    def shared_quota(self, endpoint: ResourceId) -> bool:
        """Whether the endpoint's deployments draw on shared quota rather than the own one."""
        wanted = self.endpoints.get(endpoint)
        return wanted.shared_quota if wanted is not None else self.drew_on_shared_quota(endpoint)

    def drew_on_shared_quota(self, endpoint: ResourceId) -> bool:
        """Whether what is live of the endpoint draws on shared quota, whatever is wanted."""
        live = next(
            (one for one in self.seen(endpoint.workspace).endpoints if one.id == endpoint), None
        )
        return live is not None and live.resource.shared_quota

    def new(self) -> Iterator[Create | Replace]:
        """The steps after which something exists that did not before."""
        for step in self.plan.steps:
            if isinstance(step, Create | Replace):
                yield step


Check = Callable[[Case], Iterator[Problem]]


def known_model(model: ModelRef) -> CatalogModel | None:
    """The catalogue's entry of a registry model."""
    return load().models.get((model.registry.lower(), model.name.lower()))


def unread(answer: Unread, what: str, position: Position | None = None) -> Problem:
    """A note that `what` was not judged, with the reason that the service gave."""
    cause = decode(answer.fault)
    unserved = answer.fault.status in UNSERVED and cause.code in (NOT_FOUND, NO_SUCH_TYPE, UNKNOWN)
    return Problem(
        NOT_CHECKED,
        f"{what} could not be checked: {cause.what}",
        "nothing to do, if this Azure does not offer it; else read the service's message above"
        if unserved
        else cause.hint,
        severity=Severity.NOTE,
        position=position,
        resource=cause.resource,
        correlation_id=cause.correlation_id,
        who=cause.mender,
        details=cause.details,
    )


def listed(words: Sequence[str], most: int = 8) -> str:
    """`a, b and c`; a long list is cut."""
    shown = list(words[:most])
    if len(words) > most:
        return f"{', '.join(shown)} and {len(words) - most} more"
    if len(shown) < 2:
        return "".join(shown)
    return f"{', '.join(shown[:-1])} and {shown[-1]}"


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
