"""Deletes that make room for a create: they come first. Pure.

The name of an endpoint is unique in its region, and a workspace has one serverless endpoint per
model. So an endpoint that moves to another workspace, or gets another name, can be made only after
what it takes the place of is gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from provisioner.cloud import Observed
from provisioner.plan.steps import Create, Delete, Step
from provisioner.resources import (
    Kind,
    ModelRef,
    OnlineEndpoint,
    ResourceId,
    ServerlessEndpoint,
    normal_region,
)

_Place = tuple[str, ...]


def vacated(steps: Sequence[Step], observed: Observed) -> list[Step]:
    """The steps, each create with the deletes among its needs that vacate its place."""
    holders: dict[_Place, list[str]] = {}
    models = {one.id: one.resource.model for view in observed.values() for one in view.serverless}
    for step in steps:
        if isinstance(step, Delete):
            for place in _places(step.target, models.get(step.target), observed):
                holders.setdefault(place, []).append(step.id)
    if not holders:
        return list(steps)
    return [_after(step, holders, observed) for step in steps]


def _after(step: Step, holders: dict[_Place, list[str]], observed: Observed) -> Step:
    if not isinstance(step, Create):
        return step
    resource = step.resource
    if not isinstance(resource, ServerlessEndpoint | OnlineEndpoint):
        return step
    model = resource.model if isinstance(resource, ServerlessEndpoint) else None
    first = [id for place in _places(step.target, model, observed) for id in holders.get(place, ())]
    return replace(step, needs=tuple(dict.fromkeys((*step.needs, *first)))) if first else step


def _places(id: ResourceId, model: ModelRef | None, observed: Observed) -> Iterator[_Place]:
    """What an endpoint occupies: its name in its region, and its model in its workspace."""
    if id.kind not in (Kind.SERVERLESS_ENDPOINT, Kind.ONLINE_ENDPOINT):
        return
    view = observed.get(id.workspace)
    if view is not None and view.workspace is not None:
        yield id.kind.value, normal_region(view.workspace.region), id.name.lower()
    if model is not None:
        yield id.workspace.key, model.registry.lower(), model.name.lower()
