"""Wishes and observations → steps in order; the guard; the readers of a plan. All pure."""

from __future__ import annotations

from provisioner.plan.build import destroy, ordered, plan, resolve, unresolved
from provisioner.plan.draft import Options
from provisioner.plan.expired import Removal, remove
from provisioner.plan.guard import destructive, guard
from provisioner.plan.steps import Plan, Step, action
from provisioner.plan.words import duration

__all__ = [
    "Options",
    "Plan",
    "Removal",
    "Step",
    "action",
    "destroy",
    "destructive",
    "duration",
    "guard",
    "ordered",
    "plan",
    "remove",
    "resolve",
    "unresolved",
]
