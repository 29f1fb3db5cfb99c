"""What a policy answers when it says no: enough to build Azure's error envelope from.

The policies (rights, quota, offers, names, throttle, locks) are pure: they return a `Refusal`
rather than raise, so that they compose with `or`, and `arm_error` turns it into what the wire
raises.
"""

from __future__ import annotations

from dataclasses import dataclass

from provisioner.emulator.errors import ArmError


@dataclass(frozen=True, slots=True)
class Detail:
    """One entry of the error's `details`."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that the service turns down.

    `retry_after` (seconds) is set only where Azure sends the header. `inner` holds the codes that
    the machine learning provider nests in `additionalInfo[InnerError]` (AZURE.md §13).
    """

    status: int
    code: str
    message: str
    details: tuple[Detail, ...] = ()
    inner: tuple[str, ...] = ()
    retry_after: int | None = None


def arm_error(refusal: Refusal) -> ArmError:
    """The same as an exception of the wire."""
    return ArmError(
        refusal.status,
        refusal.code,
        refusal.message,
        details=[{"code": d.code, "message": d.message} for d in refusal.details] or None,
        inner=refusal.inner,
        headers={} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)},
    )
