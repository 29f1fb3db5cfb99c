"""Terms are signed only with somebody's explicit word. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from provisioner.errors import Problem, Who, define
from provisioner.plan import Plan
from provisioner.plan.steps import Subscribe

CONSENT_MISSING = define(
    "preflight.consent-missing",
    "nobody accepted the Marketplace terms",
    "The plan would subscribe a workspace to a paid offer, which is an acceptance of its terms; "
    "neither the manifest nor the command line gave that consent.",
    Who.AUTHOR,
)


def check_consent(plan: Plan) -> Iterator[Problem]:
    """One finding per subscription that nobody consented to."""
    for step in plan.steps:
        if isinstance(step, Subscribe) and step.consent is None:
            offer = f" ({step.plan})" if step.plan is not None else ""
            yield Problem(
                CONSENT_MISSING,
                f"{step.title}{offer} accepts the offer's terms and prices, and nobody did",
                "read the terms in the model catalogue, then write marketplace: "
                "{acceptTerms: true} in the manifest or pass --accept-terms",
                position=step.position,
                resource=step.target.arm_id,
            )
