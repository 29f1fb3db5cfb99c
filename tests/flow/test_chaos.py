"""Two hundred endpoints, three kills at random moments, one call in twenty failing: one of each.

The run is random but its seed is fixed and printed; PROVISIONER_CHAOS_SEED gives another one.
"""

from __future__ import annotations

import json
import os
import random
import ssl
import urllib.request
from collections import Counter
from typing import Any

import pytest

from benchmarks.fleet import Fleet, scenario
from benchmarks.fleet import manifests as fleet_manifests
from provisioner.emulator.control import Record
from tests.flow.conftest import Folder

FLEET = Fleet(10, 4, 5)
SCENE = """\
durations: {subscription: 500ms, serverlessEndpoint: 1s}
behaviour: {latency: 5ms, onePerModel: false, throttling: false}
faults:
  - {rate: 0.02, seed: 1, fail: {status: 503}}
  - {rate: 0.01, seed: 2, fail: {status: 502, html: true}}
  - {rate: 0.01, seed: 3, drop: before}
  - {rate: 0.01, seed: 4, drop: after}
"""


def served(record: Record, path: str) -> Any:
    context = ssl.create_default_context(cafile=str(record.ca_bundle))
    with urllib.request.urlopen(f"{record.url}{path}", context=context) as answer:
        return json.loads(answer.read())


def made(record: Record) -> dict[str, int]:
    """How many resources the service has created so far, by kind: a PUT that it answered 201."""
    counts = served(record, "/emulator/requests?limit=0")["counts"]
    kinds = ("serverlessEndpoints", "marketplaceSubscriptions")
    return {kind: counts.get(f"{kind}.put 201", 0) for kind in kinds}


@pytest.mark.slow
def test_a_fleet_converges_through_kills_and_faults(folder: Folder) -> None:
    seed = int(os.environ.get("PROVISIONER_CHAOS_SEED", "20261122"))
    chance = random.Random(seed)
    folder.write("scenario.yaml", scenario(FLEET, SCENE))
    folder.write("fleet.yaml", fleet_manifests(FLEET))
    folder.run("emulator", "start", "--scenario", "scenario.yaml")
    command = ("apply", "--emulator", "--yes", "-f", "fleet.yaml", "--ignore-limits")

    reached = []
    for _ in range(3):
        process = folder.start(*command)
        try:
            # Between the first write and the last one, wherever that is on this machine.
            process.communicate(timeout=chance.uniform(1.5, 5.0))
        except Exception:
            process.kill()
            process.communicate()
        reached.append(made(folder.emulator)["serverlessEndpoints"])

    codes = []
    for _ in range(4):
        codes.append(folder.run(*command, expect=None).code)
        if codes[-1] == 0:
            break
    assert codes[-1] == 0, f"seed {seed}: {codes}"

    plan = folder.run(
        *("plan", "--emulator", "-f", "fleet.yaml", "--detailed-exitcode", "--ignore-limits")
    )
    assert "No changes" in plan.out
    assert len(list((folder.path / "out").glob("*.json"))) == FLEET.endpoints
    status = json.loads(folder.run("status", "--emulator", "-f", "fleet.yaml", "-o", "json").out)[
        "deployments"
    ]
    assert Counter(row["state"] for row in status) == {"Succeeded": FLEET.endpoints}
    assert len({row["resourceId"].lower() for row in status}) == FLEET.endpoints
    # An answer that was dropped after the act is not counted as 201, so at most one each.
    created = made(folder.emulator)
    assert created["serverlessEndpoints"] <= FLEET.endpoints
    assert created["marketplaceSubscriptions"] <= FLEET.workspaces * FLEET.models
    counts = served(folder.emulator, "/emulator/requests?limit=0")["counts"]
    assert not [name for name in counts if ".delete" in name], "something was made twice"
    assert any(reached), f"no kill came after the first write: {reached}"
