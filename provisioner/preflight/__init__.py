"""Say no before the first write: (plan, constraints) → findings. Pure.

Everything is reported at once. Only what is certain to fail blocks; what could not be read is a
note that says so.
"""

from __future__ import annotations

from typing import Final

from provisioner.cloud import Observed
from provisioner.desired import Desired
from provisioner.plan import Plan
from provisioner.preflight.arrange import arranged
from provisioner.preflight.case import Case, Check, Options
from provisioner.preflight.consent import check_consent
from provisioner.preflight.constraints import Constraints, Unread
from provisioner.preflight.findings import Findings, blocking, sorted_findings
from provisioner.preflight.lifetime import check_lifetimes
from provisioner.preflight.limits import check_limits
from provisioner.preflight.locks import check_locks
from provisioner.preflight.model import check_models
from provisioner.preflight.names import check_names
from provisioner.preflight.quota import check_quota
from provisioner.preflight.region import check_regions
from provisioner.preflight.registry import check_registries, unanswered
from provisioner.preflight.rights import check_rights
from provisioner.preflight.role import CustomRole, Errands, roles, smallest_role
from provisioner.preflight.subscription import check_providers, check_subscriptions
from provisioner.preflight.workspace import check_workspaces

__all__ = [
    "CHECKS",
    "Constraints",
    "CustomRole",
    "Errands",
    "Findings",
    "Options",
    "Unread",
    "arranged",
    "blocking",
    "check",
    "roles",
    "smallest_role",
    "unanswered",
]

CHECKS: Final[tuple[Check, ...]] = (
    check_workspaces,
    check_subscriptions,
    check_providers,
    check_regions,
    check_registries,
    check_models,
    check_quota,
    check_limits,
    check_rights,
    check_consent,
    check_names,
    check_locks,
    check_lifetimes,
)


def check(
    plan: Plan,
    desired: Desired,
    observed: Observed,
    constraints: Constraints,
    options: Options | None = None,
) -> Findings:
    """Everything that is wrong, at once: the plan's own refusals and every check's findings."""
    case = Case.build(plan, desired, observed, constraints, options)
    found = (problem for one in CHECKS for problem in one(case))
    return sorted_findings((*plan.refusals, *plan.notices, *found))
