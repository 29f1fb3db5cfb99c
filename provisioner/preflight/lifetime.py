"""Checks of deadlines: not in the past, not longer than Azure lets an endpoint live. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from provisioner.desired import SHARED_QUOTA_LIFETIME, Lifetime
from provisioner.errors import Problem, Severity, Who, define
from provisioner.preflight.case import Case
from provisioner.resources import Kind, ResourceId, instant_text

DEADLINE_PAST = define(
    "preflight.deadline-past",
    "the deadline has passed",
    "The endpoint would be created after the instant at which it is to be removed.",
    Who.AUTHOR,
)
DEADLINE_BEYOND = define(
    "preflight.deadline-beyond",
    "Azure deletes the endpoint before its deadline",
    "An endpoint on shared quota is deleted by Azure 168 hours after its creation, whatever its "
    "manifest says; that cannot be extended.",
    Who.AUTHOR,
)


def check_lifetimes(case: Case) -> Iterator[Problem]:
    """Deadlines of the endpoints that the plan creates."""
    now = case.plan.now
    for step in case.new():
        if step.target.kind is Kind.ONLINE_DEPLOYMENT:
            continue
        lifetime, shared = _wish(case, step.target)
        instant = lifetime.instant(now) if lifetime is not None else None
        if instant is None:
            continue
        if instant <= now:
            yield Problem(
                DEADLINE_PAST,
                f"{step.target.name} is to expire at {instant_text(instant)}, which has passed",
                "write a later expiresAt, or a ttl such as 72h",
                position=case.at(step, "spec", "lifetime", "expiresAt"),
                resource=step.target.arm_id,
            )
        elif shared and instant > now + SHARED_QUOTA_LIFETIME:
            yield Problem(
                DEADLINE_BEYOND,
                f"{step.target.name} is on shared quota: Azure deletes it 168 h after its "
                f"creation, before {instant_text(instant)}",
                "write a ttl of at most 168h, or use a quota of your own",
                severity=Severity.WARNING,
                position=case.at(step, "spec", "lifetime"),
                resource=step.target.arm_id,
            )


def _wish(case: Case, id: ResourceId) -> tuple[Lifetime | None, bool]:
    serverless = case.serverless.get(id)
    if serverless is not None:
        return serverless.lifetime, False
    wanted = case.endpoints.get(id)
    return (wanted.lifetime, wanted.shared_quota) if wanted is not None else (None, False)
