"""Say no before the first write: (plan, constraints) → findings. Pure."""

from __future__ import annotations

from provisioner.cloud import Observed
from provisioner.desired import Desired
from provisioner.plan import Plan
from provisioner.preflight.consent import check_consent
from provisioner.preflight.constraints import Constraints, Unread
from provisioner.preflight.findings import Findings, blocking, sorted_findings
from provisioner.preflight.workspace import check_workspaces

__all__ = ["Constraints", "Findings", "Unread", "blocking", "check"]


def check(plan: Plan, desired: Desired, observed: Observed, constraints: Constraints) -> Findings:
    """Everything that is wrong, at once: the plan's own refusals and every check's findings."""
    return sorted_findings(
        (
            *plan.refusals,
            *plan.notices,
            *check_workspaces(desired, observed),
            *check_consent(plan),
        )
    )
