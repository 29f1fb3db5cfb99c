"""Checks of deadlines: not in the past, not longer than Azure lets an endpoint live. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from provisioner.desired import SHARED_QUOTA_LIFETIME, Lifetime
from provisioner.errors import Problem, Severity, Who, define
from provisioner.plan import Step, duration
from provisioner.preflight.case import Case
from provisioner.reap import USUAL_WINDOW
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
DEADLINE_NEAR = define(
    "preflight.deadline-near",
    "the next reap takes the endpoint down",
    "`provision reap` takes down what expires within 24 hours unless --within says otherwise. An "
    "endpoint whose lifetime is no longer goes at the next run; with onExpiry: renew it is made "
    "anew at every run. `provision watch` looks three of its cycles ahead; nothing else reaps.",
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
        elif lifetime is not None and instant <= now + USUAL_WINDOW:
            yield _near(case, step, lifetime)


def _near(case: Case, step: Step, lifetime: Lifetime) -> Problem:
    window = duration(USUAL_WINDOW.total_seconds())
    anew = ", and makes it anew each time" if lifetime.renew else ""
    return Problem(
        DEADLINE_NEAR,
        f"{step.target.name} lives for no longer than the {window} that `provision reap` looks "
        f"ahead: its next run takes it down{anew}",
        "nothing to do where nothing reaps; otherwise a shorter --within for reap, or a longer ttl",
        severity=Severity.NOTE,
        position=case.at(step, "spec", "lifetime"),
        resource=step.target.arm_id,
    )


def _wish(case: Case, id: ResourceId) -> tuple[Lifetime | None, bool]:
    serverless = case.serverless.get(id)
    if serverless is not None:
        return serverless.lifetime, False
    wanted = case.endpoints.get(id)
    return (wanted.lifetime, wanted.shared_quota) if wanted is not None else (None, False)
