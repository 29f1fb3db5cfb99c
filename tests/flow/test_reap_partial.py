"""A deadline is not missed because of what is in the way of another endpoint."""

from __future__ import annotations

import json

import pytest

from tests.flow.conftest import Folder, folder

pytestmark = pytest.mark.slow
__all__ = ["folder"]

MANIFESTS = """\
apiVersion: provisioner.azureml/v1
kind: Workspace
metadata: {name: prod}
spec: {subscriptionId: 11111111-1111-1111-1111-111111111111, resourceGroup: rg-ml-prod,
       workspaceName: mlw-prod, region: eastus2}
---
apiVersion: provisioner.azureml/v1
kind: Workspace
metadata: {name: dev}
spec: {subscriptionId: 11111111-1111-1111-1111-111111111111, resourceGroup: rg-ml-dev,
       workspaceName: mlw-dev, region: westus3}
---
apiVersion: provisioner.azureml/v1
kind: ModelDeployment
metadata: {name: locked}
spec: {workspace: prod, model: azureml/Phi-4, target: {serverless: {}}, lifetime: {ttl: 2h}}
---
apiVersion: provisioner.azureml/v1
kind: ModelDeployment
metadata: {name: free}
spec: {workspace: dev, model: azureml/Phi-4, target: {serverless: {}}, lifetime: {ttl: 2h}}
"""


def test_a_lock_on_one_endpoint_spares_no_other(folder: Folder) -> None:
    folder.write("m.yaml", MANIFESTS)
    folder.run("emulator", "start", "--scenario", "locked")
    folder.run("apply", "--emulator", "--yes", "-f", "m.yaml")
    dry = folder.run("reap", "--emulator", "--dry-run")
    assert "preflight.locked" in dry.err
    ran = folder.run("reap", "--emulator", "--yes", "-o", "json", expect=4)
    body = json.loads(ran.out)
    assert len(body["expiring"]) == 2
    assert "delete: expires in 1h 59m" in ran.err
    assert [one["outcome"] for one in body["steps"]] == ["done"]
    assert [one["code"] for one in body["problems"]] == ["preflight.locked"]
    assert ran.err.count("preflight.locked") == 1
    listed = json.loads(folder.run("status", "--emulator", "-f", "m.yaml", "-o", "json").out)
    states = {one["name"]: one["state"] for one in listed["deployments"]}
    assert states == {"locked": "Succeeded", "free": "absent"}
    # Nothing but what is locked is left now: nothing can be done, and nothing is tried.
    again = folder.run("reap", "--emulator", "--yes", expect=3)
    assert "az lock delete" in again.err
    # In a loop that keeps nobody from hearing what the apply of the same cycle did.
    kept = MANIFESTS.replace("name: free", "name: kept").replace(", lifetime: {ttl: 2h}}", "}")
    folder.write("w.yaml", kept)
    cycle = folder.run("watch", "--once", "--within", "24h", "--emulator", "-f", "w.yaml", expect=4)
    assert "1 created" in cycle.err
    assert "az lock delete" in cycle.err


def test_a_watch_leaves_alone_what_it_has_just_made(folder: Folder) -> None:
    """With reap's own 24 hours, two hours of life would begin and end in every cycle."""
    folder.write("m.yaml", MANIFESTS)
    for made in (2, 0):
        folder.run("watch", "--emulator", "--once", "-f", "m.yaml")
        plan = json.loads(folder.run("plan", "--emulator", "-f", "m.yaml", "-o", "json").out)
        assert plan["steps"] == [], f"{made} were to be there after this cycle"
