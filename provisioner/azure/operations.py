"""Long-running operations, where no resource shows how they ended (AZURE.md §6, §17)."""

from __future__ import annotations

from typing import Final

from provisioner.azure.client import Answer, Arm
from provisioner.azure.faults import fault_of, operation_fault, retry_after
from provisioner.azure.values import Json, text
from provisioner.errors.cloud import CloudError, ServiceFault

STATUS: Final = "Azure-AsyncOperation"
_ENDED_BADLY: Final = frozenset({"failed", "canceled", "cancelled"})
_LONGEST_WAIT: Final = 10.0
_PATIENCE: Final = 600.0


async def settle(arm: Arm, answer: Answer) -> None:
    """Wait until the operation behind a 202 has ended; CloudError when it failed.

    `Azure-AsyncOperation` answers with a status, of which everything but Succeeded, Failed and
    Canceled means running; `Location` answers 202 until it is done. A 202 that names neither on
    ARM's own host cannot be followed, and counts as done.
    """
    status_url = arm.own(answer.headers.get(STATUS))
    url = status_url or arm.own(answer.headers.get("Location"))
    if url is None:
        return
    end = arm.clock.monotonic() + _PATIENCE
    latest = answer
    while arm.clock.monotonic() < end:
        await arm.clock.sleep(_wait(latest, arm))
        latest = await arm.send("GET", url)
        if latest.status != 202 and (status_url is None or _ended(latest.json, answer.operation)):
            return
    raise CloudError(
        ServiceFault(
            status=408,
            code="OperationTimeout",
            message=f"The operation has not ended after {_PATIENCE:.0f} s.",
            operation=answer.operation,
        )
    )


async def reason(arm: Arm, url: str, operation: str) -> str | None:
    """What the operation at `url` says went wrong; None where it is gone or says nothing."""
    try:
        answer = await arm.send("GET", url)
    except CloudError as error:
        if error.fault.status == 404:
            return None
        raise
    if not answer.body.strip():
        return None
    fault = operation_fault(answer.json, operation)
    return None if fault is None else f"{fault.code}: {fault.message}"


def _ended(status: Json, operation: str) -> bool:
    word = (text(status.get("status")) or "").lower()
    if word in _ENDED_BADLY:
        fault = operation_fault(status, operation)
        raise CloudError(fault or fault_of(status=200, headers={}, body=b"", operation=operation))
    return word == "succeeded"


def _wait(answer: Answer, arm: Arm) -> float:
    """Seconds until the next look; a Retry-After of 0 is no advice (AZURE.md §6)."""
    asked = retry_after(answer.headers, arm.clock.now())
    return min(asked, _LONGEST_WAIT) if asked else 1.0
