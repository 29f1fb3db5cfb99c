"""Checks of names: the pattern of each kind, and clashes in a region. Pure.

Endpoint names become part of a host name and are unique in a region, whoever has them (MISSION,
"Deploying to serverless"). Whether a stranger has one cannot be asked; what the caller's own
workspaces hold can be seen, those of the same Azure subscription that no manifest names included.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from provisioner.errors import Problem, Who, define
from provisioner.plan.steps import Create, Delete, Replace, Subscribe
from provisioner.preflight.case import Case
from provisioner.preflight.constraints import Unread
from provisioner.resources import Kind, ResourceId

NAME_PATTERN = define(
    "preflight.name-pattern",
    "the name is not allowed for its kind",
    "Azure has a pattern for the names of each kind of resource.",
    Who.AUTHOR,
)
NAME_CLASH = define(
    "preflight.name-clash",
    "the endpoint name is taken in the region",
    "Endpoint names are unique in an Azure region. Another workspace of this run, or of the Azure "
    "subscription, has or wants the name in the same region.",
    Who.AUTHOR,
)

_ONLINE: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9-]{1,30}[a-zA-Z0-9]")
_PATTERNS: Final = {
    Kind.SERVERLESS_ENDPOINT: re.compile(r"[a-zA-Z][a-zA-Z0-9-]{0,51}"),
    Kind.MARKETPLACE_SUBSCRIPTION: re.compile(r"[a-zA-Z0-9][a-zA-Z0-9\-_]{0,254}"),
    Kind.ONLINE_ENDPOINT: _ONLINE,
    Kind.ONLINE_DEPLOYMENT: _ONLINE,
}
"""AZURE.md §2, §3 and §4."""
_RULES: Final = {
    Kind.SERVERLESS_ENDPOINT: "1 to 52 letters, digits and hyphens, a letter first",
    Kind.MARKETPLACE_SUBSCRIPTION: "up to 255 letters, digits, hyphens and underscores",
    Kind.ONLINE_ENDPOINT: "3 to 32 letters, digits and hyphens, a letter first, no hyphen last",
    Kind.ONLINE_DEPLOYMENT: "3 to 32 letters, digits and hyphens, a letter first, no hyphen last",
}
_TARGET: Final = {
    Kind.SERVERLESS_ENDPOINT: ("spec", "target", "serverless", "endpointName"),
    Kind.ONLINE_ENDPOINT: ("spec", "target", "managedCompute", "endpointName"),
    Kind.ONLINE_DEPLOYMENT: ("metadata", "name"),
}

_Taken = dict[tuple[Kind, str, str], ResourceId]


def check_names(case: Case) -> Iterator[Problem]:
    """Names that do not fit, and endpoint names that two workspaces of one region want."""
    taken = _live(case)
    held = {step.target: other for step, other in rivals(case) if other in case.facts.holders}
    for step in case.plan.steps:
        if not isinstance(step, Create | Replace | Subscribe):
            continue
        id = step.target
        pattern = _PATTERNS.get(id.kind)
        path = _TARGET.get(id.kind, ("metadata", "name"))
        if pattern is not None and not pattern.fullmatch(id.name):
            yield Problem(
                NAME_PATTERN,
                f"{id.name} cannot be the name of a {id.kind.noun}",
                f"it takes {_RULES[id.kind]}",
                position=case.at(step, *path),
                resource=id.arm_id,
            )
        if not isinstance(step, Create) or id.kind not in (
            Kind.SERVERLESS_ENDPOINT,
            Kind.ONLINE_ENDPOINT,
        ):
            continue
        holder = taken.setdefault(_key(case, id), id)
        if holder == id:
            holder = held.get(id, id)
        if holder != id:
            yield Problem(
                NAME_CLASH,
                f"the {id.kind.noun} name {id.name} is taken in {case.region(id.workspace)} by "
                f"the workspace {holder.workspace.name}",
                f"choose another endpointName, such as {id.name[:40]}-{id.workspace.name}"[:120],
                position=case.at(step, *path),
                resource=holder.arm_id,
            )


def rivals(case: Case) -> Iterator[tuple[Create, ResourceId]]:
    """Each new endpoint with the one that has its name in its region, in another workspace of the
    same Azure subscription, and not among what this run has listed: of a workspace it lists only
    the kinds that it needs. As the index has it, which lags."""
    wanted = {
        _key(case, step.target): step
        for step in case.plan.steps
        if isinstance(step, Create)
        and step.target.kind in (Kind.SERVERLESS_ENDPOINT, Kind.ONLINE_ENDPOINT)
    }
    seen = {live.id for view in case.observed.values() for live in view.serverless}
    seen |= {live.id for view in case.observed.values() for live in view.endpoints}
    for answer in case.facts.placed.values():
        for one in () if isinstance(answer, Unread) else answer:
            step = wanted.get((one.id.kind, one.region, one.id.name.lower()))
            elsewhere = step is not None and one.id.workspace != step.target.workspace
            if step is not None and elsewhere and one.id not in seen:
                yield step, one.id


def _live(case: Case) -> _Taken:
    """Who holds which name today. What the plan deletes is not counted: who takes its name waits
    until it is free."""
    taken: _Taken = {}
    own = {step.target for step in case.plan.steps if isinstance(step, Delete)}
    for view in case.observed.values():
        ids = [live.id for live in view.serverless] + [live.id for live in view.endpoints]
        for id in ids:
            if id not in own:
                taken[_key(case, id)] = id
    return taken


def _key(case: Case, id: ResourceId) -> tuple[Kind, str, str]:
    return id.kind, case.region(id.workspace), id.name.lower()
