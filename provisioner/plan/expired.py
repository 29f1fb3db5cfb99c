"""Planning what takes down endpoints whose time is up, and what brings renewed ones back. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from provisioner.cloud import Observed, WorkspaceSeen
from provisioner.plan.build import ordered
from provisioner.plan.draft import Draft
from provisioner.plan.managed import remove_endpoint, shared_bag
from provisioner.plan.serverless import remove_serverless
from provisioner.plan.steps import Because, Create, Expiry, Plan, SetTraffic
from provisioner.resources import (
    TAG_EXPIRES,
    Live,
    OnlineDeployment,
    OnlineEndpoint,
    Resource,
    ResourceId,
    ServerlessEndpoint,
    instant_text,
)

ALL_STACKS = "*"

Endpoint = TypeVar("Endpoint", ServerlessEndpoint, OnlineEndpoint)


@dataclass(frozen=True, slots=True)
class Removal:
    """An endpoint to take down, the deadline that says so (UTC), and how long it lives again."""

    id: ResourceId
    deadline: datetime
    reason: str
    renew_for: timedelta | None = None


def remove(
    removals: Iterable[Removal], observed: Observed, now: datetime, stack: str = ALL_STACKS
) -> Plan:
    """What removes the given endpoints with everything in them, and creates renewed ones again."""
    draft = Draft(stack, now)
    for removal in removals:
        view = observed[removal.id.workspace]
        for serverless in view.serverless:
            if serverless.id == removal.id:
                _serverless(draft, removal, serverless, view)
        for online in view.endpoints:
            if online.id == removal.id:
                _online(draft, removal, online, view.deployments.get(online.id, ()))
    return Plan(
        stack=stack,
        now=now,
        steps=ordered(draft.steps),
        expiries=tuple(draft.expiries),
        notices=tuple(draft.notices),
    )


def _serverless(
    draft: Draft, removal: Removal, live: Live[ServerlessEndpoint], view: WorkspaceSeen
) -> None:
    begin = len(draft.steps)
    remove_serverless(draft, [live], view, Because.EXPIRED, removal.reason)
    gone = _condemn(draft, begin, removal)
    if removal.renew_for is not None:
        fresh = _renewed(live.resource, draft, removal.renew_for)
        _create(draft, fresh, gone, removal.deadline)


def _online(
    draft: Draft,
    removal: Removal,
    live: Live[OnlineEndpoint],
    parts: Iterable[Live[OnlineDeployment]],
) -> None:
    deployments = list(parts)
    begin = len(draft.steps)
    whole = remove_endpoint(draft, live, deployments, Because.EXPIRED, removal.reason)
    gone = _condemn(draft, begin, removal)
    if removal.renew_for is None or not whole:
        return
    fresh = _renewed(live.resource, draft, removal.renew_for)
    root = _create(draft, replace(fresh, traffic={}), gone, removal.deadline)
    made = [_create(draft, one.resource, (root,)) for one in deployments]
    traffic = {name: share for name, share in live.resource.traffic.items() if share}
    if traffic:
        draft.add(
            SetTraffic(
                id=f"traffic:{live.id.key}",
                reason="is renewed",
                needs=(root, *made),
                endpoint=live.id,
                before={},
                after=traffic,
            )
        )


def _condemn(draft: Draft, begin: int, removal: Removal) -> tuple[str, ...]:
    """Give the deadline to the steps planned since `begin`; the ids of all those steps.

    All of them, not the endpoint's delete alone: two reapers may run at once, and the slower one
    must not drain and empty what the other has brought back.
    """
    planned = draft.steps[begin:]
    draft.steps[begin:] = [replace(step, expires=removal.deadline) for step in planned]
    if removal.renew_for is None:
        draft.expiries.append(Expiry(removal.id, removal.deadline))
    return tuple(step.id for step in planned)


def _create(
    draft: Draft, resource: Resource, needs: tuple[str, ...], expires: datetime | None = None
) -> str:
    return draft.add(
        Create(
            id=f"create:{resource.id.key}",
            reason="is renewed under the same name",
            needs=needs,
            expires=expires,
            resource=resource,
        )
    )


def _renewed(resource: Endpoint, draft: Draft, span: timedelta) -> Endpoint:
    """The same endpoint with a deadline of its own, counted from now."""
    instant = draft.now + span
    draft.expiries.append(Expiry(resource.id, instant, counted=True))
    tags = {name: value for name, value in resource.tags.items() if name.lower() != TAG_EXPIRES}
    tags[TAG_EXPIRES] = instant_text(instant)
    if isinstance(resource, OnlineEndpoint) and resource.shared_quota:
        return replace(resource, tags=tags, properties=shared_bag(draft.now))
    return replace(resource, tags=tags)
