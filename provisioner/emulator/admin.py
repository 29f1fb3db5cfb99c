"""Operations of the emulator's own, under `/emulator/`: loopback only, no token.

health, requests (log and counters), clock, faults, reset, memory; and the texts that terms link to.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime

from provisioner.emulator.clock import iso_z
from provisioner.emulator.errors import ArmError, JsonObject
from provisioner.emulator.faults import FaultState
from provisioner.emulator.scenario import ScenarioError, parse_faults
from provisioner.emulator.scenario_yaml import duration
from provisioner.emulator.wire import Call, Reply

PRODUCT = "provisioner-emulator"


def health(call: Call) -> Reply:
    tenant = call.tenant
    return Reply(
        200,
        {
            "product": PRODUCT,
            "status": "ok",
            "pid": os.getpid(),
            "tenantId": tenant.scenario.tenant_id,
            "now": iso_z(call.now),
            "operationsInFlight": tenant.engine.in_flight,
        },
    )


def requests(call: Call) -> Reply:
    """The log, newest last; `since` is a count of requests to leave out, `limit` the most shown."""
    tenant = call.tenant
    lines = list(tenant.log)
    limit = call.query.get("limit", "")
    if re.fullmatch("[0-9]{1,9}", limit):
        lines = lines[-int(limit) :] if int(limit) else []
    return Reply(
        200,
        {
            "total": sum(tenant.counts.values()),
            "counts": dict(tenant.counts),
            "requests": [line.wire() for line in lines],
        },
    )


def forget_requests(call: Call) -> Reply:
    call.tenant.log.clear()
    call.tenant.counts.clear()
    return Reply(204)


def get_clock(call: Call) -> Reply:
    return Reply(200, {"now": iso_z(call.now), "speed": call.tenant.clock.speed})


def move_clock(call: Call) -> Reply:
    """`{"advance": "168h"}` or `{"now": "2026-12-01T00:00:00Z"}`; only forward."""
    body = call.json_object()
    clock = call.tenant.clock
    try:
        if "advance" in body:
            value = body["advance"]
            number = isinstance(value, int | float) and not isinstance(value, bool)
            clock.advance(float(value) if number else duration(str(value)))
        elif "now" in body:
            text = re.sub(r"(\.\d{6})\d+", r"\1", str(body["now"]))
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            clock.move_to(moment.timestamp())
        else:
            raise ValueError("Name either 'advance' (such as 168h) or 'now' (an instant).")
    except (ValueError, OverflowError) as error:
        raise ArmError(400, "InvalidClock", str(error)) from error
    call.tenant.save_clock()
    call.tenant.engine.settle(clock.now())
    return Reply(200, {"now": iso_z(clock.now()), "speed": clock.speed})


def get_faults(call: Call) -> Reply:
    state = call.tenant.faults
    shown: list[JsonObject] = [
        {
            "operation": fault.operation,
            "matched": state.counters.matched.get(index, 0),
            "struck": state.counters.struck.get(index, 0),
        }
        for index, fault in enumerate(state.faults)
    ]
    return Reply(200, {"faults": shown})


def add_faults(call: Call) -> Reply:
    """The scenario file's `faults`, in JSON or YAML, on top of those in force."""
    try:
        added = parse_faults(call.body.decode("utf-8", "replace"), "request")
    except ScenarioError as error:
        raise ArmError(400, "InvalidFaults", str(error)) from error
    call.tenant.faults = call.tenant.faults.adding(*added)
    return get_faults(call)


def clear_faults(call: Call) -> Reply:
    call.tenant.faults = FaultState()
    return Reply(204)


def reset(call: Call) -> Reply:
    """Back to the scenario: resources, clock, faults, log. Keys of the token signer stay."""
    call.tenant.reset()
    return Reply(204)


def terms(call: Call) -> Reply:
    p = call.params
    text = (
        f"{p['document']} of plan {p['plan']} of offer {p['offer']} by {p['publisher']}.\n"
        "This text comes from the emulator. Nothing is sold here and nothing is agreed.\n"
    )
    return Reply(200, text.encode(), content_type="text/plain; charset=utf-8")


def aliases(call: Call) -> Reply:
    """Azure CLI asks a cloud for its image aliases; this one has none."""
    return Reply(200, {"outputs": {"aliases": {"value": {}}}})
