"""A plan as a JSON document with a published schema, and its digest. Pure.

`schemaVersion` grows when a reader of older documents would misunderstand a newer one; fields
may be added without that. Values that may be secret read `(hidden)`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Final, assert_never

from provisioner.errors import Position, Problem
from provisioner.plan import words
from provisioner.plan.guard import destructive
from provisioner.plan.steps import (
    Await,
    Change,
    Create,
    Delete,
    Plan,
    Replace,
    Rollout,
    SetTraffic,
    Step,
    Subscribe,
    Unchanged,
    Update,
    action,
)
from provisioner.resources import (
    TAG_EXPIRES,
    TAG_TERMS,
    TARGET_DELETION,
    ModelRef,
    Resource,
    ResourceId,
    instant_text,
)

SCHEMA_VERSION: Final = 1

Json = dict[str, object]


def document(plan: Plan) -> Json:
    """The plan as plain data, keys in a fixed order; valid under `plan.schema.schema()`."""
    return {
        "schemaVersion": SCHEMA_VERSION,
        "stack": plan.stack,
        "plannedAt": instant_text(plan.now),
        "summary": {
            **plan.counts(),
            "unchanged": len(words.quiet(plan)),
            "refused": len(plan.refusals),
            "text": words.summary(plan),
        },
        "steps": [_step(step) for step in plan.steps],
        "destructive": [step.id for step in destructive(plan)],
        "unchanged": [_unchanged(one) for one in words.quiet(plan)],
        "expiries": [
            {**_id(one.id), "instant": instant_text(one.instant), "byAzure": one.by_azure}
            for one in plan.expiries
        ],
        "outputs": [
            {"deployment": one.name, "sink": one.sink, "target": one.target} for one in plan.outputs
        ],
        "refusals": [_problem(problem) for problem in plan.refusals],
        "notices": [_problem(problem) for problem in plan.notices],
    }


def digest(plan: Plan) -> str:
    """A SHA-256 (hex) of what the plan would do, for comparing a saved plan with a fresh one.

    Left out is what differs between two plans of one situation: instants that were counted from
    `now`, positions in manifests, notices. Hidden values count, by their own digest.
    """
    counted = {one.id for one in plan.expiries if one.counted}
    steps = [_essence(step, counted=step.target in counted) for step in plan.steps]
    steps.sort(key=lambda step: str(step["id"]))
    refusals = sorted((one.code.id, one.resource or "") for one in plan.refusals)
    canonical = json.dumps(
        {"version": SCHEMA_VERSION, "stack": plan.stack, "steps": steps, "refusals": refusals},
        sort_keys=True,
        separators=(",", ":"),
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


def _step(step: Step) -> Json:
    return {
        "id": step.id,
        "type": _TYPES[type(step)],
        "action": action(step),
        **_id(step.target),
        "title": step.title,
        "reason": step.reason,
        "needs": list(step.needs),
        "position": _position(step.position),
        "manifests": list(step.names),
        "changes": [_change(change) for change in words.changes_of(step)],
        **_own(step),
    }


_TYPES: Final[Mapping[type[Step], str]] = {
    Subscribe: "subscribe",
    Create: "create",
    Update: "update",
    Replace: "replace",
    SetTraffic: "setTraffic",
    Rollout: "rollout",
    Delete: "delete",
    Await: "await",
}


def _own(step: Step) -> Json:
    """What only this type of step has."""
    match step:
        case Subscribe():
            return {
                "resource": resource_document(step.resource),
                "offer": _plain(step.plan),
                "terms": {
                    "accepted": step.consent is not None,
                    "by": step.consent.by if step.consent is not None else None,
                },
            }
        case Create() | Replace():
            return {"resource": resource_document(step.resource)}
        case Update():
            return {"fields": sorted(words.camel(field) for field in step.fields)}
        case SetTraffic():
            return {"traffic": [{"before": dict(step.before), "after": dict(step.after)}]}
        case Rollout():
            return {
                "traffic": [
                    {"before": before, "after": after} for before, after in words.stages(step)
                ],
                "others": dict(step.others),
                "bakeSeconds": step.bake,
                "probe": step.probe,
            }
        case Delete():
            return {"because": str(step.because)}
        case Await():
            return {"until": str(step.until), "state": str(step.state)}
        case _:
            assert_never(step)


def resource_document(resource: Resource) -> Json:
    """A resource's settable fields in camelCase; values of environment variables are hidden."""
    found: Json = {}
    for part in fields(resource):
        if part.name == "id":
            continue
        value = getattr(resource, part.name)
        if part.name == "environment_variables" and value is not None:
            value = dict.fromkeys(value, words.HIDDEN)
        found[words.camel(part.name)] = _plain(value)
    return found


def _plain(value: object) -> object:
    match value:
        case ModelRef():
            return value.short
        case Enum():
            return str(value.value)
        case Mapping():
            return {str(name): _plain(one) for name, one in value.items()}
        case tuple() | list() | frozenset():
            return [_plain(one) for one in value]
        case _ if is_dataclass(value):
            return {
                words.camel(part.name): _plain(getattr(value, part.name)) for part in fields(value)
            }
        case _:
            return value


def _essence(step: Step, *, counted: bool) -> Json:
    """A step without instants that were counted from now; hidden values by digest."""
    found = _step(step)
    for name in ("position", "title", "reason"):
        found.pop(name)
    found["needs"] = sorted(step.needs)
    match step:
        case Create() | Replace() | Update():
            found["resource"] = _undated(step.resource, counted=counted)
            if counted:
                found["changes"] = (
                    [_change(one) for one in step.changes if one.field != f"tags.{TAG_EXPIRES}"]
                    if not isinstance(step, Create)
                    else []
                )
        case _:
            pass
    return found


def _undated(resource: Resource, *, counted: bool) -> Json:
    found = resource_document(resource)
    dropped = {TAG_TERMS, TARGET_DELETION} | ({TAG_EXPIRES} if counted else set())
    for field in ("tags", "properties"):
        bag = found.get(field)
        if isinstance(bag, dict):
            found[field] = {name: value for name, value in bag.items() if name not in dropped}
    variables = getattr(resource, "environment_variables", None)
    if variables is not None:
        found["environmentVariables"] = {
            name: hashlib.sha256(value.encode()).hexdigest() for name, value in variables.items()
        }
    return found


def _id(id: ResourceId) -> Json:
    return {
        "resourceId": id.arm_id,
        "kind": id.kind.value,
        "name": id.name,
        "endpoint": id.parent,
        "workspace": id.workspace.name,
    }


def _change(change: Change) -> Json:
    return {
        "field": words.camel(change.field),
        "old": words.HIDDEN if change.hidden and change.old is not None else change.old,
        "new": words.HIDDEN if change.hidden and change.new is not None else change.new,
        "effect": str(change.effect),
    }


def _unchanged(one: Unchanged) -> Json:
    return {**_id(one.id), "reason": one.reason, "manifests": list(one.names)}


def _position(position: Position | None) -> Json | None:
    if position is None:
        return None
    return {"file": position.file, "line": position.line, "column": position.column}


def _problem(problem: Problem) -> Json:
    return {
        "code": problem.code.id,
        "severity": str(problem.severity),
        "what": problem.what,
        "hint": problem.hint,
        "who": str(problem.mender),
        "position": _position(problem.position),
        "resource": problem.resource,
    }
