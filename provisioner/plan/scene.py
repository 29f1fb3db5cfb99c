"""One online endpoint while it is planned: its deployments, its traffic, who writes it. Pure.

Azure takes names without regard to case, so traffic is kept under the names that the deployments
have where they are live, and under the manifest's otherwise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from provisioner.desired import WantedDeployment, WantedEndpoint
from provisioner.plan.diff import diff, replaces
from provisioner.plan.draft import Draft
from provisioner.plan.steps import SetTraffic
from provisioner.resources import (
    TAG_NAME,
    Kind,
    Live,
    OnlineDeployment,
    OnlineEndpoint,
    R,
    ResourceId,
    State,
    tag_of,
)

_NAME_LIMIT = 32
"""Longest name of an online deployment (AZURE.md §4)."""

Traffic = Mapping[str, int]


def other_slot(name: str) -> str:
    """The second name of a deployment that rolls out blue/green: `x` and `x-2` take turns."""
    if len(name) <= _NAME_LIMIT - 2:
        return f"{name}-2"
    digest = hashlib.sha256(name.lower().encode()).hexdigest()[:4]
    return f"{name[: _NAME_LIMIT - 7]}-{digest}-2"


def claimant(live: Live[OnlineDeployment], wanted: WantedEndpoint) -> WantedDeployment | None:
    """Whose a live deployment of our stack is: the wish of its name, unless it is the second slot
    of another one."""
    name, named = live.id.name.lower(), tag_of(live.resource.tags, TAG_NAME)
    first = None
    for one in wanted.deployments:
        own = one.resource.id.name
        if named == one.origin.name and name == other_slot(own).lower():
            return one
        if name == own.lower():
            first = one
    return first


@dataclass(slots=True)
class Scene:
    """`traffic` is what the endpoint will carry after the steps planned so far."""

    wanted: WantedEndpoint
    deployments: Mapping[str, Live[OnlineDeployment]]
    """By lower-cased name."""
    fresh: bool
    """Whether the endpoint is created: then it has no deployment and no traffic yet."""
    root: tuple[str, ...]
    traffic: dict[str, int]
    final: dict[str, int] = field(default_factory=dict)
    ready: list[str] = field(default_factory=list)
    superseded: list[tuple[Live[OnlineDeployment], tuple[str, ...]]] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    """Steps that write the endpoint's traffic: they go one after the other."""

    @property
    def id(self) -> ResourceId:
        return self.wanted.resource.id

    def find(self, name: str) -> Live[OnlineDeployment] | None:
        return self.deployments.get(name.lower())

    def ours(self, draft: Draft, live: Live[OnlineDeployment], one: WantedDeployment) -> bool:
        """Whether `live` is what our stack made for `one`."""
        return draft.owns(live) and claimant(live, self.wanted) is one

    def share(self, name: str) -> int:
        return self.traffic.get(name, 0)

    def stand(self, name: str, share: int, step: str | None) -> None:
        """`name` is to carry `share` percent in the end, once `step` is done."""
        live = self.find(name)
        self.final[live.id.name if live is not None else name] = share
        if step is not None:
            self.ready.append(step)

    def drain(self, draft: Draft, live: Live[OnlineDeployment], why: str) -> tuple[str, ...]:
        """A deployment that carries traffic cannot be deleted: take its share away first.

        What the others carry is scaled up to 100, since the service accepts a sum of 100 or 0.
        Where nothing else carries any, those that are to carry some in the end take it, once they
        are up; only an endpoint without such a one answers nobody for a while.
        """
        name = live.id.name
        if not self.share(name):
            return ()
        needs: tuple[str, ...] = ()
        rest = {
            other: share
            for other, share in self.traffic.items()
            if other != name and self._holds(other)
        }
        if not rest:
            rest = {other: share for other, share in self.final.items() if other != name}
            needs = tuple(self.ready)
        return (self.set_traffic(draft, scaled(rest), f"{name} {why}", needs, f"drain:{name}"),)

    def _holds(self, name: str) -> bool:
        """Whether a deployment may be given more traffic than it has, as far as its state says."""
        live = self.find(name)
        return live is None or not (
            live.state.broken or live.state in (State.CREATING, State.DELETING)
        )

    def set_traffic(
        self, draft: Draft, after: Traffic, reason: str, needs: tuple[str, ...], tag: str
    ) -> str:
        step = SetTraffic(
            id=f"{tag}:{self.id.key}",
            reason=reason,
            needs=tuple(dict.fromkeys((*self.root, *needs, *self.writes))),
            position=self.wanted.position,
            names=tuple(one.origin.name for one in self.wanted.deployments),
            endpoint=self.id,
            before=dict(self.traffic),
            after=dict(after),
        )
        self.traffic = dict(after)
        self.writes.append(step.id)
        return draft.add(step)


def will_replace(wanted: R, live: Live[R]) -> bool:
    return live.state.broken or replaces(diff(wanted, live.resource))


def carried(
    live: Live[OnlineEndpoint], deployments: Mapping[str, Live[OnlineDeployment]]
) -> dict[str, int]:
    """The live traffic without zeros, under the names of the deployments where they are known."""
    found = {}
    for name, share in live.resource.traffic.items():
        known = deployments.get(name.lower())
        if share:
            found[known.id.name if known is not None else name] = share
    return found


def scaled(traffic: Traffic, total: int = 100) -> dict[str, int]:
    """The same proportions with a sum of exactly `total`, or nothing at all."""
    have = sum(traffic.values())
    if have == 0 or total == 0:
        return {}
    if have == total:
        return nonzero(traffic)
    exact = {name: share * total / have for name, share in traffic.items()}
    whole = {name: int(share) for name, share in exact.items()}
    missing = total - sum(whole.values())
    for name in sorted(exact, key=lambda one: (whole[one] - exact[one], one))[:missing]:
        whole[name] += 1
    return nonzero(whole)


def nonzero(traffic: Traffic) -> dict[str, int]:
    return {name: share for name, share in traffic.items() if share}


def deployment_id(endpoint: ResourceId, name: str) -> ResourceId:
    return ResourceId(endpoint.workspace, Kind.ONLINE_DEPLOYMENT, name, endpoint.name)
