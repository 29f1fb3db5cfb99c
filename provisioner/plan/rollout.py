"""Planning one wanted deployment, which may live in either of two slots. Pure.

Blue/green needs two names at a time: `x` and `x-2`. A deployment may therefore be live in either
slot, or, after a run that was cut short, in both; every such state leads on to the wanted one.
"""

from __future__ import annotations

from dataclasses import replace

from provisioner.desired import WantedDeployment
from provisioner.errors import Problem, Who, define
from provisioner.plan.draft import Draft, Item, claim, converge, owner_of
from provisioner.plan.scene import Scene, deployment_id, other_slot, will_replace
from provisioner.plan.steps import Because, Rollout
from provisioner.resources import Live, OnlineDeployment, ResourceId, State, describe

NAME_IN_USE = define(
    "plan.name-in-use",
    "a deployment's name, or its second one, is taken",
    "A blue/green rollout of x needs the names x and x-2 by turns. On this endpoint, one of them "
    "belongs to another manifest or to somebody else.",
    Who.AUTHOR,
)


def interrupts(scene: Scene, one: WantedDeployment) -> bool:
    """Whether a live deployment of `one` that carries traffic is to be replaced.

    Such wishes are planned last: the others can then take over the traffic meanwhile.
    """
    slots = (one.resource.id.name, other_slot(one.resource.id.name))
    found = (scene.find(slot) for slot in slots)
    return any(
        scene.share(live.id.name) > 0 and will_replace(_in_slot(one.resource, live.id.name), live)
        for live in found
        if live is not None
    )


def plan_deployment(draft: Draft, scene: Scene, one: WantedDeployment) -> None:
    """Plan what makes `one` live; its share of the final traffic is noted in the scene."""
    home = scene.find(one.resource.id.name)
    if home is not None and not scene.ours(draft, home, one):
        _take(draft, scene, one, home)
        return
    members = _members(draft, scene, one)
    alive = [live for live in members if live.state is not State.DELETING]
    if not alive:
        _settle(draft, scene, one, one.resource.id.name)
        _see_off(draft, members)
        return
    keep = _fitting(one, alive)
    if one.rollout is None:
        _recreate(draft, scene, one, (keep or alive[0], alive))
    elif keep is not None and len(alive) == 1:
        _settle(draft, scene, one, keep.id.name)
    else:
        _roll_out(draft, scene, one, (keep, alive))
    _see_off(draft, members)


def _take(draft: Draft, scene: Scene, one: WantedDeployment, home: Live[OnlineDeployment]) -> None:
    """The name is taken: adopt what is there, or be refused."""
    item = _item(scene, one, home.id.name)
    if owner_of(home) == draft.stack:
        _occupied(draft, one, home.id)
    elif claim(draft, item):
        scene.stand(home.id.name, one.traffic, converge(draft, item))


def _occupied(draft: Draft, one: WantedDeployment, id: ResourceId) -> None:
    draft.refusals.append(
        Problem(
            NAME_IN_USE,
            f"{one.origin.name} needs the {describe(id)}, which is somebody else's",
            "give one of the two another name, or remove that deployment",
            position=one.origin.position,
            resource=id.arm_id,
        )
    )


def _members(draft: Draft, scene: Scene, one: WantedDeployment) -> list[Live[OnlineDeployment]]:
    """Our live deployments in either slot: the one that carries most comes first."""
    name = one.resource.id.name
    found = [scene.find(slot) for slot in (name, other_slot(name))]
    ours = [live for live in found if live and scene.ours(draft, live, one)]
    return sorted(ours, key=lambda live: -scene.share(live.id.name))


def _fitting(
    one: WantedDeployment, alive: list[Live[OnlineDeployment]]
) -> Live[OnlineDeployment] | None:
    """The one that needs no replacement for its definition; a healthy one if there is one."""
    fits = [live for live in alive if not _forced(one.resource, live)]
    return next((live for live in fits if not live.state.broken), fits[0] if fits else None)


def _forced(wanted: OnlineDeployment, live: Live[OnlineDeployment]) -> bool:
    return will_replace(_in_slot(wanted, live.id.name), replace(live, state=State.SUCCEEDED))


def _in_slot(wanted: OnlineDeployment, name: str) -> OnlineDeployment:
    return replace(wanted, id=deployment_id(wanted.id.endpoint, name))


def _item(scene: Scene, one: WantedDeployment, slot: str) -> Item[OnlineDeployment]:
    return Item(
        wanted=_in_slot(one.resource, slot),
        live=scene.find(slot),
        position=one.origin.position,
        names=(one.origin.name,),
        needs=scene.root,
    )


def _bring_up(draft: Draft, scene: Scene, one: WantedDeployment, slot: str) -> str | None:
    """Plan what makes `slot` the wanted deployment, drained first if it is to be replaced."""
    item = _item(scene, one, slot)
    live = item.live
    if live is not None and live.state is not State.DELETING and will_replace(item.wanted, live):
        drained = scene.drain(draft, live, "is about to be replaced")
        item = replace(item, needs=(*item.needs, *drained))
    return converge(draft, item)


def _settle(draft: Draft, scene: Scene, one: WantedDeployment, slot: str) -> None:
    scene.stand(slot, one.traffic, _bring_up(draft, scene, one, slot))


def _recreate(
    draft: Draft,
    scene: Scene,
    one: WantedDeployment,
    slots: tuple[Live[OnlineDeployment], list[Live[OnlineDeployment]]],
) -> None:
    """Change or replace where it stands; what is left in the other slot goes."""
    keep, alive = slots
    step = _bring_up(draft, scene, one, keep.id.name)
    scene.stand(keep.id.name, one.traffic, step)
    for live in alive:
        if live is not keep:
            scene.superseded.append((live, (step,) if step is not None else ()))


def _roll_out(
    draft: Draft,
    scene: Scene,
    one: WantedDeployment,
    slots: tuple[Live[OnlineDeployment] | None, list[Live[OnlineDeployment]]],
) -> None:
    """Bring the new one up beside the old, move the traffic over, remove the old."""
    new, alive = slots
    if new is not None:
        old, slot = next(live for live in alive if live is not new), new.id.name
        step = _bring_up(draft, scene, one, slot)
    else:
        old = next((live for live in alive if not live.state.broken), alive[0])
        name = one.resource.id.name
        slot = other_slot(name) if old.id.name.lower() == name.lower() else name
        if not _free(draft, scene, one, slot):
            return
        step = _make_anew(draft, scene, one, slot)
    needs = (step,) if step is not None else ()
    if scene.share(old.id.name) and one.traffic:
        needs = (_move(draft, scene, one, (old.id.name, slot), needs),)
    scene.stand(slot, one.traffic, needs[0] if needs else None)
    scene.superseded.append((old, needs))


def _free(draft: Draft, scene: Scene, one: WantedDeployment, slot: str) -> bool:
    """Whether `slot` is one's own to use; a refusal is noted when not."""
    there = scene.find(slot)
    others = [other for other in scene.wanted.deployments if other is not one]
    if (there is None or scene.ours(draft, there, one)) and not any(
        other.resource.id.name.lower() == slot.lower() for other in others
    ):
        return True
    _occupied(draft, one, deployment_id(scene.id, slot))
    return False


def _make_anew(draft: Draft, scene: Scene, one: WantedDeployment, slot: str) -> str | None:
    """The new definition in `slot`; a third one that is still there makes way, without traffic."""
    there = scene.find(slot)
    if there is None or there.state.broken or there.state is State.DELETING:
        return _bring_up(draft, scene, one, slot)
    drained = scene.drain(draft, there, "makes way for a newer definition")
    reason = "makes way for a newer definition"
    gone = draft.delete(there.id, Because.SUPERSEDED, reason, needs=drained)
    item = _item(scene, one, slot)
    why = "follows one that was never rolled out"
    return converge(draft, replace(item, live=None, needs=(*item.needs, gone), why=why))


def _move(
    draft: Draft,
    scene: Scene,
    one: WantedDeployment,
    slots: tuple[str, str],
    needs: tuple[str, ...],
) -> str:
    """The rollout from `old` to `new`; what an earlier run has moved already stays moved."""
    old, new = slots
    if one.rollout is None:
        raise TypeError("a hand-over without a rollout")
    weight = scene.share(old) + scene.share(new)
    begun = scene.share(new) * 100 // weight
    others = {name: share for name, share in scene.traffic.items() if name not in slots}
    step = Rollout(
        id=f"rollout:{scene.id.key}/{new.lower()}",
        reason=f"{old} runs another definition",
        needs=tuple(dict.fromkeys((*scene.root, *needs, *scene.writes))),
        position=one.origin.position,
        names=(one.origin.name,),
        endpoint=scene.id,
        old=old,
        new=new,
        shares=tuple(share for share in one.rollout.steps if share > begun) or (100,),
        weight=weight,
        others=others,
        bake=one.rollout.bake,
        probe=one.rollout.probe,
        begun=begun,
    )
    scene.traffic = {**others, new: weight}
    scene.writes.append(step.id)
    return draft.add(step)


def _see_off(draft: Draft, members: list[Live[OnlineDeployment]]) -> None:
    """Wait until the remains in a slot that nobody uses any more are gone."""
    for live in (one for one in members if one.state is State.DELETING):
        draft.wait_gone(live)
