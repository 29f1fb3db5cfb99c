"""A plan can refuse itself: what destroys something live needs an explicit yes. Pure."""

from __future__ import annotations

from provisioner.errors import Problem, Who, define
from provisioner.plan.steps import Because, Delete, Plan, Replace, Step
from provisioner.resources import Kind, describe

DESTROYS_LIVE = define(
    "plan.destroys-live",
    "the plan replaces or deletes a live endpoint",
    "Callers of the endpoint would fail until it is back, and its keys change. An apply does that "
    "only when it was told to.",
    Who.OPERATOR,
)
PRUNES_MUCH = define(
    "plan.prunes-much",
    "the plan prunes more than a third of the stack",
    "So many resources without a manifest are more often a wrong folder or a wrong --stack than a "
    "wish.",
    Who.OPERATOR,
)

PRUNE_SHARE = 3
"""One in so many of a stack's endpoints may be pruned without a further yes."""


def destructive(plan: Plan) -> tuple[Step, ...]:
    """The steps that take away something that works today.

    An endpoint that failed, but with deployments in it, counts: those may well serve.
    """
    cleared = {
        step.target.endpoint
        for step in plan.steps
        if isinstance(step, Delete) and step.because is Because.SUPERSEDED
    }
    return tuple(
        step
        for step in plan.steps
        if _destroys(step) or (isinstance(step, Replace) and step.target in cleared)
    )


def guard(plan: Plan) -> tuple[Problem, ...]:
    """Why an apply of this plan needs `--allow-destroy` or a person's yes, if it does."""
    found = [
        Problem(
            DESTROYS_LIVE,
            f"{step.title}: {step.reason}",
            "read the plan; if that is meant, repeat with --allow-destroy",
            position=step.position,
            resource=step.target.arm_id,
        )
        for step in destructive(plan)
    ]
    pruned = [
        step
        for step in plan.steps
        if isinstance(step, Delete)
        and step.because is Because.PRUNED
        and step.target.kind in (Kind.SERVERLESS_ENDPOINT, Kind.ONLINE_ENDPOINT)
    ]
    if plan.owned and len(pruned) * PRUNE_SHARE > plan.owned:
        names = ", ".join(describe(step.target) for step in pruned[:5])
        found.append(
            Problem(
                PRUNES_MUCH,
                f'{len(pruned)} of the {plan.owned} endpoints of stack "{plan.stack}" would be '
                f"pruned: {names}{' …' if len(pruned) > 5 else ''}",
                "check -f and --stack; if that is meant, repeat with --allow-destroy",
            )
        )
    return tuple(found)


def _destroys(step: Step) -> bool:
    match step:
        case Replace(recovers=False):
            return True
        case Delete(because=Because.PRUNED):
            return step.target.kind is not Kind.MARKETPLACE_SUBSCRIPTION
        case _:
            return False
