"""Planning for online endpoints: creation, traffic, removal. Pure.

The order is fixed by the service: endpoint, deployments, traffic; and back: traffic to 0,
deployments, endpoint (design, "How each kind behaves").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from email.utils import format_datetime

from provisioner.desired import SHARED_QUOTA_LIFETIME, WantedEndpoint
from provisioner.errors import Problem, Severity
from provisioner.plan.draft import NOT_OURS, Draft, Item, claim, converge, owner_of
from provisioner.plan.rollout import interrupts, plan_deployment
from provisioner.plan.scene import (
    Scene,
    carried,
    claimant,
    nonzero,
    other_slot,
    scaled,
    will_replace,
)
from provisioner.plan.steps import Because, SetTraffic, Unchanged
from provisioner.resources import (
    SHARED_CAPACITY,
    TARGET_DELETION,
    Live,
    OnlineDeployment,
    OnlineEndpoint,
    State,
    describe,
)

__all__ = [
    "other_slot",
    "plan_endpoint",
    "remove_deployments",
    "remove_endpoint",
    "scaled",
    "shared_bag",
]


def plan_endpoint(
    draft: Draft,
    wanted: WantedEndpoint,
    live: Live[OnlineEndpoint] | None,
    deployments: Sequence[Live[OnlineDeployment]],
) -> None:
    """Plan one online endpoint with all its wanted deployments."""
    item = Item(
        wanted=_shared(wanted),
        live=live,
        position=wanted.position,
        names=tuple(one.origin.name for one in wanted.deployments),
        lifetime=wanted.lifetime,
        created=lambda resource: _created(resource, draft.now),
        limit=SHARED_QUOTA_LIFETIME if wanted.shared_quota else None,
    )
    if not claim(draft, item):
        return
    if live is not None and live.state is not State.DELETING and will_replace(item.wanted, live):
        item = replace(item, needs=_cleared(draft, wanted, live, deployments))
    step = converge(draft, item)
    fresh = live is None or (step is not None and step.startswith(("create:", "replace:")))
    known = {} if fresh else {one.id.name.lower(): one for one in deployments}
    scene = Scene(
        wanted=wanted,
        deployments=known,
        fresh=fresh,
        root=(step,) if step is not None else (),
        traffic={} if fresh or live is None else _shares(live, known),
    )
    for one in sorted(wanted.deployments, key=lambda one: interrupts(scene, one)):
        plan_deployment(draft, scene, one)
    _traffic(draft, scene)
    for old, needs in scene.superseded:
        reason = "its successor has taken over"
        draft.delete(old.id, Because.SUPERSEDED, reason, needs=(*needs, *scene.writes))


def _shares(
    live: Live[OnlineEndpoint], known: Mapping[str, Live[OnlineDeployment]]
) -> dict[str, int]:
    """The live traffic of the deployments that exist: a share of one that is gone is nobody's."""
    return {name: share for name, share in carried(live, known).items() if name.lower() in known}


def _cleared(
    draft: Draft,
    wanted: WantedEndpoint,
    live: Live[OnlineEndpoint],
    deployments: Sequence[Live[OnlineDeployment]],
) -> tuple[str, ...]:
    """A replaced endpoint takes its deployments with it: they go first, if all are ours."""
    for one in deployments:
        if not draft.owns(one):
            draft.refusals.append(
                Problem(
                    NOT_OURS,
                    f"replacing the {describe(live.id)} would delete its deployment "
                    f"{one.id.name}, which was not made by this tool",
                    "remove that deployment first, or describe it in a manifest and use --adopt",
                    position=wanted.position,
                    resource=one.id.arm_id,
                )
            )
    ours = [one for one in deployments if draft.owns(one)]
    reason = "its endpoint is replaced"
    return tuple(remove_deployments(draft, live, ours, Because.SUPERSEDED, reason))


def _created(resource: OnlineEndpoint, now: datetime) -> OnlineEndpoint:
    """As it is to be created: no deployment yet that could take traffic, and Azure's deadline."""
    bag = shared_bag(now) if resource.shared_quota else {}
    return replace(resource, traffic={}, properties={**resource.properties, **bag})


def _shared(wanted: WantedEndpoint) -> OnlineEndpoint:
    """The endpoint as it compares: on shared quota or not. The instant belongs to its creation."""
    if not wanted.shared_quota:
        return wanted.resource
    bag = {**wanted.resource.properties, SHARED_CAPACITY: "true"}
    return replace(wanted.resource, properties=bag)


def shared_bag(now: datetime) -> dict[str, str]:
    """The properties of shared quota, which only creation can set (AZURE.md §16)."""
    deadline = now.replace(microsecond=0) + SHARED_QUOTA_LIFETIME
    return {SHARED_CAPACITY: "true", TARGET_DELETION: format_datetime(deadline, usegmt=True)}


def _traffic(draft: Draft, scene: Scene) -> None:
    """The wanted shares, after everything that they need.

    Where the manifests leave something over (a part of them was selected, or all ask for 0), the
    deployments that no manifest here names keep it in their proportions.
    """
    final = nonzero(scene.final)
    left = 100 - sum(final.values())
    if left:
        gone = {live.id.name for live, _ in scene.superseded} | _doomed(draft, scene)
        bystanders = {
            name: share
            for name, share in scene.traffic.items()
            if name not in scene.final and name not in gone
        }
        final = {**final, **scaled(bystanders, left)}
        final = scaled(final)
    if final == scene.traffic:
        return
    reason = (
        "the end of its creation, after its deployments"
        if scene.fresh
        else "differs from its manifest"
    )
    scene.set_traffic(draft, final, reason, tuple(scene.ready), "traffic")


def _doomed(draft: Draft, scene: Scene) -> set[str]:
    """The names of the deployments that pruning removes."""
    if not draft.options.prune:
        return set()
    return {live.id.name for live in orphans(draft, scene.wanted, scene.deployments.values())}


def orphans(
    draft: Draft, wanted: WantedEndpoint, deployments: Iterable[Live[OnlineDeployment]]
) -> list[Live[OnlineDeployment]]:
    """Our live deployments that no manifest of their endpoint names."""
    return [live for live in deployments if draft.owns(live) and claimant(live, wanted) is None]


def remove_deployments(
    draft: Draft,
    live: Live[OnlineEndpoint],
    doomed: Sequence[Live[OnlineDeployment]],
    because: Because,
    reason: str,
) -> list[str]:
    """Plan the removal of some deployments of an endpoint that stays or goes; ids of the steps.

    Whatever operation runs on the endpoint is waited for first.
    """
    names = {one.id.name for one in doomed}
    traffic = carried(live, {one.id.name.lower(): one for one in doomed})
    needs: tuple[str, ...] = ()
    if names & traffic.keys():
        rest = scaled({name: share for name, share in traffic.items() if name not in names})
        needs = (
            draft.add(
                SetTraffic(
                    id=f"drain:{live.id.key}",
                    reason="what is about to be deleted must carry no traffic",
                    needs=(f"await:{live.id.key}",),
                    endpoint=live.id,
                    before=traffic,
                    after=rest,
                )
            ),
        )
    return [
        draft.wait_gone(one)
        if one.state is State.DELETING
        else draft.delete(one.id, because, reason, needs=needs)
        for one in doomed
    ]


def remove_endpoint(
    draft: Draft,
    live: Live[OnlineEndpoint],
    deployments: Sequence[Live[OnlineDeployment]],
    because: Because,
    reason: str,
) -> bool:
    """Plan the removal of an online endpoint with everything in it; whether all of it goes.

    A deployment of somebody else in it is not ours to take down: then only ours go, and the
    endpoint stays.
    """
    if live.state is State.DELETING:
        draft.wait_gone(live)
        return True
    owner = owner_of(live)
    ours = [one for one in deployments if owner_of(one) == owner or one.state is State.DELETING]
    needs = remove_deployments(draft, live, ours, because, reason)
    others = sorted(one.id.name for one in deployments if one not in ours)
    if not others:
        draft.delete(live.id, because, reason, needs=needs)
        return True
    draft.unchanged.append(Unchanged(live.id, f"still serves {', '.join(others)}"))
    draft.notices.append(
        Problem(
            NOT_OURS,
            f"the {describe(live.id)} stays: its deployments {', '.join(others)} were not made by "
            "this tool",
            "remove them with the tool that made them, then repeat",
            severity=Severity.WARNING,
            resource=live.id.arm_id,
        )
    )
    return False
