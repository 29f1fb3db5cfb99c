"""Manifests → the resources that they wish for. Pure.

What cannot be known without Azure stays open here and is settled by the plan: the version of an
unpinned model (resolved once, at creation), the name of an existing marketplace subscription,
and the expiry instant, which is fixed when the endpoint is created.
"""

from __future__ import annotations

from provisioner.desired.build import desired
from provisioner.desired.values import (
    SHARED_QUOTA_LIFETIME,
    Consent,
    Desired,
    Lifetime,
    Origin,
    Rollout,
    WantedDeployment,
    WantedEndpoint,
    WantedServerless,
    WantedWorkspace,
)

__all__ = [
    "SHARED_QUOTA_LIFETIME",
    "Consent",
    "Desired",
    "Lifetime",
    "Origin",
    "Rollout",
    "WantedDeployment",
    "WantedEndpoint",
    "WantedServerless",
    "WantedWorkspace",
    "desired",
]
