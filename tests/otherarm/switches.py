"""Legal behaviours in which one ARM differs from another; each is off unless a test turns it on.

Durations are in seconds and short: what takes minutes in Azure takes tenths here.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Switches:
    """The defaults are the plainest ARM that keeps the documented promises."""

    host: str = "localhost"
    delay: float = 0.3
    """How long a created or changed resource is not terminal."""

    # Long-running operations (AZURE.md §6, §17).
    put_answer: str = "operation"
    """operation: 201 + Azure-AsyncOperation · location · bare: no header · done: 200, at once."""
    retry_after: str | None = None
    """None, seconds, or date."""
    delete_status: int = 202
    states: dict[str, str | None] = field(default_factory=dict)
    """Another word for a provisioningState; None leaves the property out."""

    # Lists and reads.
    page: int = 0
    """Entries a page, an empty page after each; 0: one page."""
    link: str = "absolute"
    """absolute · relative · shouting (host and scheme in capitals)."""
    list_lag: float = 0.0
    stale: float = 0.0
    """How long GET and lists show the old definition, as Succeeded, after a PUT was taken."""
    id_case: str = "canonical"
    """canonical · lower · resourcegroups."""
    nulls: bool = False
    extras: bool = False
    tags_null: bool = False
    shout_traffic: bool = False
    model_suffix: str = ""

    # Marketplace.
    plan_late: float = 0.0
    pending: float = 0.0
    foreign_subscription: bool = False
    agreements: int = 200

    # Constraints.
    subscription_permissions: int = 200
    vm_sizes: int = 200
    locks: int = 200
    provider: int = 200
    registry: int = 404

    # Trouble.
    hold_name: float = 0.0
    hold_status: int = 409
    throttle: int = 0
    """Every n-th request is answered 429; `retry_after` says how, None: in words only."""
    refuse_puts: bool = False
    """No PUT is taken, and the next one not wanted for two minutes."""
    gateway: int = 0
    """Every n-th request is answered by a gateway's HTML page, 502."""
    reset: bool = False
    """The first PUT of each resource acts, then breaks the connection."""
    busy: bool = False
    """The first write on each resource meets another operation."""
    slow_deleting: float = 0.0
    """How long after a DELETE the resource still shows its state of before."""
    claims_after: int = 0
    """After so many requests, tokens without the claims are challenged."""
    token_life: int = 3600
    fails: str = ""
    """Name of a deployment that ends as Failed the first time it is made."""
    keys_null: bool = False
