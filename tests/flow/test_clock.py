"""Deadlines are Azure's: a machine whose clock differs reaps by the service's time, and says so."""

from __future__ import annotations

import json
import ssl
import urllib.request
from datetime import UTC, datetime, timedelta

from provisioner.clock import TOLERANCE, ServiceClock
from tests.flow.conftest import Folder

ENDLESS_BUT_TWO_DAYS = """\
apiVersion: provisioner.azureml/v1
kind: ModelDeployment
metadata: {name: two-days}
spec:
  workspace:
    subscriptionId: 11111111-1111-1111-1111-111111111111
    resourceGroup: rg-ml-prod
    workspaceName: mlw-prod
    region: eastus2
  model: azureml/Phi-4-mini-instruct
  target: {serverless: {}}
  lifetime: {ttl: 48h}
"""


def test_a_small_difference_is_the_network_s() -> None:
    clock = ServiceClock()
    clock.heard(datetime.now(UTC) + TOLERANCE / 2)
    assert clock.skew == timedelta(0)


def test_a_large_difference_is_corrected_and_forgotten_when_it_ends() -> None:
    clock = ServiceClock()
    clock.heard(datetime.now(UTC) - timedelta(hours=5))
    assert abs(datetime.now(UTC) - timedelta(hours=5) - clock.now()) < timedelta(seconds=5)
    clock.heard(datetime.now(UTC))
    assert clock.skew == timedelta(0)


def test_reaping_goes_by_the_service_s_time(folder: Folder) -> None:
    manifest = folder.write("m.yaml", ENDLESS_BUT_TWO_DAYS)
    folder.run("apply", "--emulator", "--yes", "-f", manifest)
    assert "Nothing expires" in folder.run("reap", "--emulator", "--dry-run").out

    move = urllib.request.Request(
        f"{folder.emulator.url}/emulator/clock", data=b'{"advance": "30h"}', method="POST"
    )
    context = ssl.create_default_context(cafile=folder.ca)
    urllib.request.urlopen(move, context=context).close()

    reaped = folder.run("reap", "--emulator", "--yes", "-o", "json")
    assert "clock is 30h behind the service's" in reaped.err.replace("29h59m59s", "30h")
    document = json.loads(reaped.out)
    assert [one["name"] for one in document["expiring"]] == ["two-days"]
    assert 0 < document["expiring"][0]["secondsLeft"] <= 18 * 3600
    status = json.loads(folder.run("status", "--emulator", "-f", manifest, "-o", "json").out)
    assert [one["state"] for one in status["deployments"]] == ["absent"]


def test_a_watch_tells_what_it_took_down(folder: Folder) -> None:
    manifest = folder.write("m.yaml", ENDLESS_BUT_TWO_DAYS)
    folder.run("apply", "--emulator", "--yes", "-f", manifest)
    watched = folder.run("watch", "--emulator", "--once", "--within", "72h", "-f", manifest)
    assert watched.code == 0
    assert "Reaped in" in watched.err
    assert "1 deleted" in watched.err
    assert "as the manifests say" not in watched.err, "one is gone"
