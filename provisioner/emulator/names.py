"""Names: their patterns, and whether one is free in the region.

Patterns are those of AZURE.md §2 to §4. The names of endpoints are part of a host name, so they
are unique in a region across workspaces and subscriptions, and one can stay taken for minutes
after its endpoint was deleted (AZURE.md §16).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from provisioner.emulator.refusals import Refusal

Kind = Literal["serverlessEndpoints", "marketplaceSubscriptions", "onlineEndpoints", "deployments"]

_PATTERNS: dict[Kind, str] = {
    "serverlessEndpoints": r"^[a-zA-Z][a-zA-Z0-9-]{0,51}$",
    "marketplaceSubscriptions": r"^[a-zA-Z0-9][a-zA-Z0-9\-_]{0,254}$",
    "onlineEndpoints": r"^[a-zA-Z][a-zA-Z0-9-]{1,30}[a-zA-Z0-9]$",
    "deployments": r"^[a-zA-Z][a-zA-Z0-9-]{1,30}[a-zA-Z0-9]$",
}
_REGIONAL: tuple[Kind, ...] = ("serverlessEndpoints", "onlineEndpoints")


@dataclass(frozen=True, slots=True)
class Claim:
    """A name in use; `released` is when its resource was gone (s), None while it lives."""

    kind: Kind
    region: str
    name: str
    resource_id: str
    released: float | None = None

    def holds(self, now: float, hold: float) -> bool:
        """Whether the name is still taken."""
        return self.released is None or now < self.released + hold


def pattern_refusal(kind: Kind, name: str) -> Refusal | None:
    """The 400 for a name that the kind does not allow."""
    if re.fullmatch(_PATTERNS[kind], name):
        return None
    return Refusal(
        400,
        "UserError",
        f"The name '{name}' is not valid for {kind}: it must match the pattern "
        f"'{_PATTERNS[kind]}'.",
        inner=("BadArgument", "InvalidName"),
    )


def taken_refusal(
    wanted: Claim, claims: Iterable[Claim], now: float, hold: float
) -> Refusal | None:
    """The 400 for a name that something else in the region has, or had until a moment ago.

    `hold` (s) is how long a name stays taken after a delete, for its former owner too.
    """
    if wanted.kind not in _REGIONAL:
        return None
    for claim in claims:
        same = (
            claim.kind == wanted.kind
            and claim.region.lower() == wanted.region.lower()
            and claim.name.lower() == wanted.name.lower()
        )
        own = claim.resource_id.lower() == wanted.resource_id.lower() and claim.released is None
        if same and not own and claim.holds(now, hold):
            # The text as published in 2026-04 for an endpoint of the same provider.
            return Refusal(
                400,
                "UserError",
                f"The specified endpoint name '{wanted.name}' is not available. Endpoint names "
                "must be unique within the region. Please choose a different name and try again.",
                inner=("BadArgument", "EndpointNameNotAvailable"),
            )
    return None
