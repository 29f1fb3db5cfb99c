"""A plan as plain data, for `-o json` and `-o yaml`."""

from __future__ import annotations

from typing import Final

from provisioner.cli.render.plans import facts, field_name
from provisioner.cli.render.problems import problem_document
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
from provisioner.resources import ResourceId

FORMAT: Final = 1
"""Raised when a field changes its meaning; fields may be added without."""


def plan_document(plan: Plan) -> dict[str, object]:
    """The whole plan; absent fields are left out."""
    return {
        "formatVersion": FORMAT,
        "stack": plan.stack,
        "now": plan.now.isoformat(),
        "changes": {name: count for name, count in plan.counts().items() if count},
        "steps": [step_document(step) for step in plan.steps],
        "unchanged": [_unchanged(one) for one in plan.unchanged],
        "expiries": [
            {**_target(one.id), "instant": one.instant.isoformat(), "byAzure": one.by_azure}
            for one in plan.expiries
        ],
        "problems": [problem_document(one) for one in (*plan.refusals, *plan.notices)],
    }


def step_document(step: Step) -> dict[str, object]:
    """One step with what it needs and, for a change, the fields that differ."""
    document: dict[str, object] = {
        "id": step.id,
        "action": action(step),
        **_target(step.target),
        "reason": step.reason,
        "needs": list(step.needs),
        "manifests": list(step.names),
    }
    if step.position is not None:
        document["position"] = str(step.position)
    return document | _details(step)


def _details(step: Step) -> dict[str, object]:
    match step:
        case Subscribe():
            return {
                "settings": dict(facts(step.resource)),
                "offer": str(step.plan) if step.plan else None,
                "termsAcceptedBy": step.consent.by if step.consent else None,
            }
        case Create():
            return {"settings": dict(facts(step.resource))}
        case Update() | Replace():
            return {"changes": [_change(change) for change in step.changes]}
        case SetTraffic():
            return {"trafficBefore": dict(step.before), "trafficAfter": dict(step.after)}
        case Rollout():
            return {
                "from": step.old,
                "to": step.new,
                "shares": list(step.shares),
                "bakeSeconds": step.bake,
                "probe": step.probe,
            }
        case Delete():
            return {"because": str(step.because)}
        case Await():
            return {"state": step.state, "until": str(step.until)}


def _change(change: Change) -> dict[str, object]:
    return {
        "field": field_name(change.field),
        "old": change.old,
        "new": change.new,
        "effect": str(change.effect),
    }


def _target(id: ResourceId) -> dict[str, object]:
    return {"kind": id.kind.noun, "name": id.name, "resourceId": id.arm_id}


def _unchanged(one: Unchanged) -> dict[str, object]:
    return {**_target(one.id), "reason": one.reason, "manifests": list(one.names)}
