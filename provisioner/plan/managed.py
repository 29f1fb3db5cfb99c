"""Planning for online endpoints, their deployments and their traffic. Pure.

The order is fixed by the service: endpoint, deployments, traffic; and back: traffic to 0,
deployments, endpoint (design, "How each kind behaves").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.utils import format_datetime

from provisioner.desired import SHARED_QUOTA_LIFETIME, WantedDeployment, WantedEndpoint
from provisioner.errors import Problem
from provisioner.plan.diff import diff, replaces
from provisioner.plan.draft import NOT_OURS, Draft, Item, claim, converge
from provisioner.plan.steps import (
    Await,
    Because,
    Expiry,
    Rollout,
    SetTraffic,
    Until,
)
from provisioner.resources import (
    SHARED_CAPACITY,
    TAG_NAME,
    TARGET_DELETION,
    Kind,
    Live,
    OnlineDeployment,
    OnlineEndpoint,
    R,
    ResourceId,
    State,
    describe,
    tags_of,
)

_NAME_LIMIT = 32
"""Longest name of an online deployment (AZURE.md §4)."""

Traffic = Mapping[str, int]


def other_slot(name: str) -> str:
    """The second name of a deployment that rolls out blue/green: `x` and `x-2` take turns."""
    return f"{name[: _NAME_LIMIT - 2]}-2"


@dataclass(slots=True)
class _Scene:
    """One endpoint while it is planned. `traffic` is what it will be after the steps so far."""

    wanted: WantedEndpoint
    live: Live[OnlineEndpoint] | None
    deployments: Mapping[str, Live[OnlineDeployment]]
    fresh: bool
    root: tuple[str, ...]
    traffic: dict[str, int]
    final: dict[str, int] = field(default_factory=dict)
    ready: list[str] = field(default_factory=list)
    superseded: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    """Steps that write the endpoint's traffic: they go one after the other."""

    @property
    def id(self) -> ResourceId:
        return self.wanted.resource.id


def plan_endpoint(
    draft: Draft,
    wanted: WantedEndpoint,
    live: Live[OnlineEndpoint] | None,
    deployments: Sequence[Live[OnlineDeployment]],
) -> None:
    """Plan one online endpoint with all its wanted deployments."""
    resource = _shared(wanted, draft)
    item = Item(
        wanted=resource,
        live=live,
        position=wanted.position,
        names=tuple(one.origin.name for one in wanted.deployments),
        lifetime=wanted.lifetime,
        created=_without_traffic,
    )
    if not claim(draft, item):
        return
    if live is not None and _will_replace(resource, live):
        item = replace(item, needs=_cleared(draft, wanted, live, deployments))
    step = converge(draft, item)
    fresh = live is None or (step is not None and step.startswith(("create:", "replace:")))
    if wanted.shared_quota and fresh:
        draft.expiries.append(Expiry(resource.id, draft.now + SHARED_QUOTA_LIFETIME, by_azure=True))
    scene = _Scene(
        wanted=wanted,
        live=live,
        deployments={} if fresh else {one.id.name.lower(): one for one in deployments},
        fresh=fresh,
        root=(step,) if step is not None else (),
        traffic={} if fresh or live is None else _nonzero(live.resource.traffic),
    )
    for one in wanted.deployments:
        _deployment(draft, scene, one)
    _traffic(draft, scene)
    for name, needs in scene.superseded:
        draft.delete(
            _deployment_id(scene.id, name),
            Because.SUPERSEDED,
            "its successor has taken over",
            needs=needs,
        )


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
    reason = "its endpoint is replaced"
    return tuple(remove_deployments(draft, live, deployments, Because.SUPERSEDED, reason))


def _without_traffic(resource: OnlineEndpoint) -> OnlineEndpoint:
    """A new endpoint has no deployment yet that could take traffic."""
    return replace(resource, traffic={})


def _shared(wanted: WantedEndpoint, draft: Draft) -> OnlineEndpoint:
    if not wanted.shared_quota:
        return wanted.resource
    bag = {**wanted.resource.properties, **shared_bag(draft.now)}
    return replace(wanted.resource, properties=bag)


def shared_bag(now: datetime) -> dict[str, str]:
    """The properties of shared quota, which only creation can set (AZURE.md §16)."""
    deadline = now.replace(microsecond=0) + SHARED_QUOTA_LIFETIME
    return {SHARED_CAPACITY: "true", TARGET_DELETION: format_datetime(deadline, usegmt=True)}


def _deployment(draft: Draft, scene: _Scene, one: WantedDeployment) -> None:
    if one.rollout is not None and _roll(draft, scene, one):
        return
    name = one.resource.id.name
    live = scene.deployments.get(name.lower())
    item = _item(scene, one, one.resource, live)
    if not claim(draft, item):
        return
    if live is not None and _will_replace(one.resource, live):
        item = replace(item, needs=(*item.needs, *_drain(draft, scene, live)))
    step = converge(draft, item)
    _stand(scene, name, one.traffic, step)


def _stand(scene: _Scene, name: str, share: int, step: str | None) -> None:
    scene.final[name] = share
    if step is not None:
        scene.ready.append(step)


def _item(
    scene: _Scene,
    one: WantedDeployment,
    resource: OnlineDeployment,
    live: Live[OnlineDeployment] | None,
) -> Item[OnlineDeployment]:
    return Item(
        wanted=resource,
        live=live,
        position=one.origin.position,
        names=(one.origin.name,),
        needs=scene.root,
    )


def _will_replace(wanted: R, live: Live[R]) -> bool:
    return live.state.broken or replaces(diff(wanted, live.resource))


def _drain(draft: Draft, scene: _Scene, live: Live[OnlineDeployment]) -> tuple[str, ...]:
    """A deployment that carries traffic cannot be deleted: take its share away first.

    What the others carry is scaled up to 100, since the service accepts a sum of 100 or 0.
    """
    name = live.id.name
    if not scene.traffic.get(name):
        return ()
    rest = {other: share for other, share in scene.traffic.items() if other != name}
    return (
        _set_traffic(
            draft, scene, scaled(rest), f"{name} is about to be replaced", (), f"drain:{name}"
        ),
    )


def _roll(draft: Draft, scene: _Scene, one: WantedDeployment) -> bool:
    """Blue/green for one deployment; False where nothing has to move (first creation)."""
    members = _members(draft, scene, one)
    if not members:
        return False
    fits = [live for live in members if not _forced(one.resource, live)]
    new = next((live for live in fits if not live.state.broken), fits[0] if fits else None)
    if new is not None and len(members) == 1:
        _settle_slot(draft, scene, one, new)
        return True
    old = next(live for live in members if live is not new)
    if new is None:
        slots = (one.resource.id.name, other_slot(one.resource.id.name))
        name = next(slot for slot in slots if slot.lower() != old.id.name.lower())
        new = next((live for live in members if live.id.name.lower() == name.lower()), None)
    else:
        name = new.id.name
    _hand_over(draft, scene, one, (old, new, name))
    return True


def _members(draft: Draft, scene: _Scene, one: WantedDeployment) -> list[Live[OnlineDeployment]]:
    """Our live deployments in either slot, the one that carries most traffic first."""
    name = one.resource.id.name
    slots = (name.lower(), other_slot(name).lower())
    found = [
        scene.deployments[slot]
        for slot in slots
        if slot in scene.deployments
        and draft.owns(scene.deployments[slot])
        and tags_of(scene.deployments[slot].resource).get(TAG_NAME, name) == name
    ]
    return sorted(found, key=lambda live: -scene.traffic.get(live.id.name, 0))


def _forced(wanted: OnlineDeployment, live: Live[OnlineDeployment]) -> bool:
    return replaces(diff(_in_slot(wanted, live.id.name), live.resource))


def _in_slot(wanted: OnlineDeployment, name: str) -> OnlineDeployment:
    return replace(wanted, id=_deployment_id(wanted.id.endpoint, name))


def _settle_slot(
    draft: Draft, scene: _Scene, one: WantedDeployment, live: Live[OnlineDeployment]
) -> None:
    """The right definition is live in one slot: change it in place where it stands."""
    item = _item(scene, one, _in_slot(one.resource, live.id.name), live)
    if live.state.broken:
        item = replace(item, needs=(*item.needs, *_drain(draft, scene, live)))
    step = converge(draft, item)
    _stand(scene, live.id.name, one.traffic, step)


def _hand_over(
    draft: Draft,
    scene: _Scene,
    one: WantedDeployment,
    slots: tuple[Live[OnlineDeployment], Live[OnlineDeployment] | None, str],
) -> None:
    """Bring `name` up beside `old`, move the traffic over, remove `old`."""
    old, new, name = slots
    if one.rollout is None:
        raise TypeError("a hand-over without a rollout")
    item = _item(scene, one, _in_slot(one.resource, name), new)
    step = converge(draft, item)
    needs = (*scene.root, *((step,) if step is not None else ()))
    others = {
        other: share for other, share in scene.traffic.items() if other not in (old.id.name, name)
    }
    weight = 100 - sum(others.values()) if scene.traffic else one.traffic
    move = f"rollout:{scene.id.key}/{name.lower()}"
    draft.add(
        Rollout(
            id=move,
            reason=f"{old.id.name} runs another definition",
            needs=(*needs, *scene.writes),
            position=one.origin.position,
            names=(one.origin.name,),
            endpoint=scene.id,
            old=old.id.name,
            new=name,
            shares=one.rollout.steps,
            weight=weight,
            others=others,
            bake=one.rollout.bake,
            probe=one.rollout.probe,
        )
    )
    scene.traffic = {**others, name: weight}
    scene.final[name] = one.traffic
    scene.ready.append(move)
    scene.writes.append(move)
    scene.superseded.append((old.id.name, (move,)))


def _traffic(draft: Draft, scene: _Scene) -> None:
    final = _nonzero(scene.final)
    if final == scene.traffic:
        return
    _set_traffic(
        draft,
        scene,
        final,
        "differs from its manifest" if scene.live is not None and not scene.fresh else "is new",
        (*scene.root, *scene.ready),
        "traffic",
    )


def _set_traffic(
    draft: Draft,
    scene: _Scene,
    after: Traffic,
    reason: str,
    needs: tuple[str, ...],
    tag: str,
) -> str:
    step = SetTraffic(
        id=f"{tag}:{scene.id.key}",
        reason=reason,
        needs=tuple(dict.fromkeys((*scene.root, *needs, *scene.writes))),
        position=scene.wanted.position,
        names=tuple(one.origin.name for one in scene.wanted.deployments),
        endpoint=scene.id,
        before=dict(scene.traffic),
        after=dict(after),
    )
    scene.traffic = dict(after)
    scene.writes.append(step.id)
    return draft.add(step)


def scaled(traffic: Traffic) -> dict[str, int]:
    """The same proportions with a sum of exactly 100, or nothing at all."""
    total = sum(traffic.values())
    if total == 0:
        return {}
    if total == 100:
        return dict(traffic)
    exact = {name: share * 100 / total for name, share in traffic.items()}
    whole = {name: int(share) for name, share in exact.items()}
    missing = 100 - sum(whole.values())
    for name in sorted(exact, key=lambda one: (whole[one] - exact[one], one))[:missing]:
        whole[name] += 1
    return _nonzero(whole)


def _nonzero(traffic: Traffic) -> dict[str, int]:
    return {name: share for name, share in traffic.items() if share}


def _deployment_id(endpoint: ResourceId, name: str) -> ResourceId:
    return ResourceId(endpoint.workspace, Kind.ONLINE_DEPLOYMENT, name, endpoint.name)


def remove_deployments(
    draft: Draft,
    live: Live[OnlineEndpoint],
    doomed: Sequence[Live[OnlineDeployment]],
    because: Because,
    reason: str,
) -> list[str]:
    """Plan the removal of some deployments of an endpoint that stays or goes; ids of the steps."""
    names = {one.id.name for one in doomed}
    carried = _nonzero(live.resource.traffic)
    needs: tuple[str, ...] = ()
    if any(name in carried for name in names):
        rest = scaled({name: share for name, share in carried.items() if name not in names})
        needs = (
            draft.add(
                SetTraffic(
                    id=f"drain:{live.id.key}",
                    reason="what is about to be deleted must carry no traffic",
                    endpoint=live.id,
                    before=carried,
                    after=rest,
                )
            ),
        )
    return [
        _wait_gone(draft, one)
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
) -> None:
    """Plan the removal of an online endpoint with everything in it."""
    if live.state is State.DELETING:
        _wait_gone(draft, live)
        return
    needs = remove_deployments(draft, live, deployments, because, reason)
    draft.delete(live.id, because, reason, needs=needs)


def _wait_gone(draft: Draft, live: Live[OnlineEndpoint] | Live[OnlineDeployment]) -> str:
    return draft.add(
        Await(
            id=f"await:{live.id.key}",
            reason="is being deleted already",
            resource_id=live.id,
            until=Until.ABSENT,
            state=live.state,
        )
    )
