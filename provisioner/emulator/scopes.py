"""Scopes, as roles, locks and tags are set at: what one may look like, and what it names."""

from __future__ import annotations

from provisioner.emulator.errors import ArmError


def check_scope(scope: str) -> None:
    """Raise what ARM says to a scope that can name nothing: the tenant, a subscription, a resource
    group, or a resource in one of these is what there is."""
    parts = _parts(scope)
    if parts[:1] == ["subscriptions"] and len(parts) > 1:
        parts = parts[2:]
        if parts[:1] == ["resourcegroups"] and len(parts) > 1:
            parts = parts[2:]
    elif parts and parts[0] != "providers":
        raise ArmError(
            404,
            "MissingSubscription",
            "The request did not have a subscription or a valid tenant level resource provider.",
        )
    while parts[:1] == ["providers"] and len(parts) > 3:
        end = next((n for n in range(2, len(parts), 2) if parts[n] == "providers"), len(parts))
        if end % 2:
            break
        parts = parts[end:]
    if parts:
        raise ArmError(400, "InvalidResourceId", f"The scope '{scope}' names no resource.")


def group_of(scope: str) -> str:
    """The resource group that a scope names, or ""."""
    parts = [part for part in scope.split("/") if part]
    return parts[3] if len(parts) > 3 and parts[2].lower() == "resourcegroups" else ""


def is_resource(scope: str) -> bool:
    """Whether a scope names a resource rather than what holds resources."""
    return "providers" in _parts(scope)


def _parts(scope: str) -> list[str]:
    return [part for part in scope.lower().split("/") if part]
