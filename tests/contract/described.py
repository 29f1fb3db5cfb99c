"""Which of the emulator's routes the saved specifications describe, and at which api-versions."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from provisioner.emulator.routing import Route, Router
from tests.contract.recorder import Exchange

# Served, but in no saved specification; everything else that is unknown is an error.
UNDESCRIBED = {
    "operations.status": "the specifications leave the URL of an operation to the service",
    "RegistryManagement*": "described in OpenAPI 3, which oav does not read; judged below",
    "operations.result": "the specifications leave the URL of an operation to the service",
    "locks.*": "Microsoft.Authorization/locks is not among the saved files",
    "entra.*": "Microsoft Entra is no resource provider",
    "graph.*": "Microsoft Graph is no resource provider",
    "metadata": "the cloud's metadata is no resource provider's",
    "emulator.*": "the emulator's own",
}


# The permissions operation one scope up is not described; AZURE.md §15 says why it is asked.
UNDESCRIBED_PATHS = re.compile(
    r"/subscriptions/[^/]+/providers/Microsoft\.Authorization/permissions", re.IGNORECASE
)

# Api-versions that were not saved, each with its nearest neighbour that was.
STAND_INS = {"2025-04-01": "2024-07-01"}
WORKSPACE_STAND_INS = {
    "2023-08-01-preview": "2023-04-01-preview",
    "2024-01-01-preview": "2024-10-01",
}


@dataclass(frozen=True, slots=True)
class Served:
    """One operation at one api-version, as the emulator's route table has it."""

    operation: str
    method: str
    template: str
    version: str

    def __str__(self) -> str:
        return f"{self.operation} {self.version} ({self.method} {self.template})"


def described_versions(specs: Path) -> dict[str, set[str]]:
    """Api-versions with a saved specification, by the route's namespace."""
    found: dict[str, set[str]] = {}
    for file in specs.rglob("*.json"):
        parts = file.relative_to(specs).parts
        if "examples" not in parts and "resource-manager" in parts and "Microsoft." in parts[3]:
            kind = "subscriptions" if file.stem == "subscriptions" else ""
            found.setdefault(f"{parts[3]}{kind}".lower(), set()).add(parts[5])
    found["microsoft.resources"] |= STAND_INS.keys()
    return found


def is_undescribed(operation: str) -> bool:
    return any(fnmatch.fnmatchcase(operation, glob) for glob in UNDESCRIBED)


def stand_in(exchange: Exchange) -> str:
    """The saved api-version that comes nearest to the one of the call."""
    parts = exchange.path.lower().rstrip("/").split("/")
    is_workspace = "microsoft.machinelearningservices" in parts and "workspaces" in parts[-2:]
    if is_workspace and exchange.version in WORKSPACE_STAND_INS:
        return WORKSPACE_STAND_INS[exchange.version]
    return STAND_INS.get(exchange.version, exchange.version)


def served(routes: Iterable[Route], versions: dict[str, set[str]]) -> list[Served]:
    """What must be validated: every described operation at every described version it answers."""
    found = []
    for route in routes:
        if is_undescribed(route.operation):
            continue
        for version in route.versions:
            if version in versions.get(_namespace(route), ()):
                found.append(Served(route.operation, route.method, route.template, version))
    return found


def _namespace(route: Route) -> str:
    namespace = route.resource_type[0].lower()
    if namespace != "microsoft.resources":
        return namespace if not namespace.startswith("{") else "microsoft.resources"
    tenants = ("subscriptions.", "locations.", "tenants.")
    return namespace + ("subscriptions" if route.operation.startswith(tenants) else "")


def route_of(router: Router, exchange: Exchange) -> Route | None:
    match = router.match(exchange.path)
    return match.methods.get(exchange.method) if match is not None else None


def to_judge(router: Router, exchanges: Iterable[Exchange]) -> list[Exchange]:
    """All but those on routes that are named as not described; unknown routes stay in."""
    return [
        exchange
        for exchange in exchanges
        if not UNDESCRIBED_PATHS.fullmatch(exchange.path)
        and ((route := route_of(router, exchange)) is None or not is_undescribed(route.operation))
    ]
