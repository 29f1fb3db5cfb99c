"""The command line against an ARM that is not ours: the whole life of a fleet, in many dialects."""

from __future__ import annotations

import json
import signal
import subprocess
import time

import pytest

from tests.otherarm.conftest import Open, Place, Ran
from tests.otherarm.switches import Switches

pytestmark = pytest.mark.slow

WORKSPACE = """\
apiVersion: provisioner.azureml/v1
kind: Workspace
metadata: {name: ml-prod}
spec:
  subscriptionId: 11111111-1111-1111-1111-111111111111
  resourceGroup: rg-ml-prod
  workspaceName: mlw-prod
  region: eastus2
"""


def serverless(name: str, model: str = "Llama-3.3-70B-Instruct", safety: str = "enabled") -> str:
    return f"""\
---
apiVersion: provisioner.azureml/v1
kind: ModelDeployment
metadata: {{name: {name}}}
spec:
  workspace: ml-prod
  model: azureml-meta/{model}
  target: {{serverless: {{contentSafety: {safety}}}}}
  marketplace: {{acceptTerms: true}}
  outputs: [{{dotenv: {{path: out/{name}.env}}}}]
"""


def managed(name: str, traffic: int, count: int = 1) -> str:
    return f"""\
---
apiVersion: provisioner.azureml/v1
kind: ModelDeployment
metadata: {{name: {name}}}
spec:
  workspace: ml-prod
  model: azureml://registries/azureml/models/Phi-4/versions/7
  target:
    managedCompute:
      endpointName: phi-4
      instanceType: Standard_NC24ads_A100_v4
      instanceCount: {count}
      traffic: {traffic}
  outputs: [{{dotenv: {{path: out/{name}.env}}}}]
"""


SERVERLESS = (
    WORKSPACE + serverless("llama-70b") + serverless("scout", "Llama-4-Scout-17B-16E-Instruct")
)
MANAGED = WORKSPACE + managed("phi-blue", 90) + managed("phi-green", 10)
FLEET = SERVERLESS + managed("phi-blue", 90) + managed("phi-green", 10)
F = ("-f", "fleet.yaml")


def life(place: Place, fleet: str) -> Ran:
    """apply, a plan that is empty, destroy; what holds for every dialect is asserted."""
    arm, log = place.arm, place.arm.log
    place.write(fleet)
    before = set(arm.store.live())
    applied = place.run("apply", "--yes", *F)
    written = len(log.writes)
    place.run("plan", "--detailed-exitcode", *F)
    assert len(log.writes) == written, "a plan wrote"
    place.run("destroy", "--yes", *F)
    left = [path for path in arm.store.live() if path not in before]
    assert all("marketplaceSubscriptions" in path for path in left), left
    assert before <= set(arm.store.live())
    twice = {path: one.creates for path, one in arm.store.histories.items() if one.creates > 1}
    assert twice == {}
    assert len(log.signed) == len(set(log.signed))
    assert log.violations == []
    return applied


def test_every_command(open_place: Open) -> None:
    """The whole life of a mixed fleet, in front of an ARM that is as plain as can be."""
    place = open_place(Switches())
    place.write(FLEET)
    place.run("plan", "--detailed-exitcode", *F, expect=2)
    assert place.arm.log.writes == []
    life(place, FLEET)
    status = json.loads(place.run("status", "-o", "json", *F).out)
    assert len(json.dumps(status)) > 2
    place.run("destroy", "--yes", *F)


DIALECTS = {
    "at-once": Switches(host="127.0.0.1", put_answer="done", delete_status=200),
    "location": Switches(put_answer="location", retry_after="date", id_case="lower"),
    "nulls-and-extras": Switches(
        put_answer="bare", delete_status=204, nulls=True, tags_null=True, extras=True,
        retry_after="seconds",
    ),
    "other-words": Switches(
        states={"Creating": "Provisioning", "Succeeded": "succeeded", "Updating": "Accepted",
                "Deleting": "DELETING"},
        id_case="resourcegroups", shout_traffic=True, model_suffix="/versions/9",
    ),
    "no-state": Switches(states={"Succeeded": None}, model_suffix="/labels/latest"),
    "relative-pages": Switches(page=1, link="relative"),
    "shouting-pages": Switches(page=1, link="shouting"),
    "lagging": Switches(list_lag=1.5, stale=0.5, delay=0.5),
    "busy": Switches(busy=True),
    "resets": Switches(reset=True),
    "gateway": Switches(gateway=6),
}  # fmt: skip
MARKETPLACE = {
    "pending": Switches(foreign_subscription=True, pending=0.6, plan_late=0.3),
    "closed-doors": Switches(agreements=403, subscription_permissions=404, locks=403, provider=403),
    "no-agreements": Switches(agreements=404, subscription_permissions=400),
    "throttled-in-words": Switches(throttle=11),
    "throttled-by-date": Switches(throttle=11, retry_after="date"),
    "claims": Switches(claims_after=12),
    "short-tokens": Switches(token_life=6, delay=1.5),
}


_SLOW = {"lagging", "throttled-by-date", "short-tokens", "pending"}
_BY_ENDPOINT_ALONE = {"location", "relative-pages", "shouting-pages", "gateway"}
"""Dialects that say nothing new of a second kind of endpoint."""


def _each(dialects: dict[str, Switches]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "switches",
        [
            pytest.param(one, id=name, marks=[pytest.mark.slow] if name in _SLOW else [])
            for name, one in dialects.items()
        ],
    )


@_each({**DIALECTS, **MARKETPLACE})
def test_serverless(open_place: Open, switches: Switches) -> None:
    life(open_place(switches), SERVERLESS)


@_each(
    {name: one for name, one in DIALECTS.items() if name not in _BY_ENDPOINT_ALONE}
    | {"no-sizes": Switches(vm_sizes=404, registry=503)}
)
def test_managed(open_place: Open, switches: Switches) -> None:
    life(open_place(switches), MANAGED)


@pytest.mark.slow
def test_a_model_is_replaced_although_its_name_is_held(open_place: Open) -> None:
    """The name of what was just deleted can stay taken for a while (AZURE.md §16)."""
    place = open_place(Switches(hold_name=1.5, hold_status=400, list_lag=0.5))
    place.write(WORKSPACE + serverless("llama-70b"))
    place.run("apply", "--yes", *F)
    place.write(WORKSPACE + serverless("llama-70b", "Llama-4-Scout-17B-16E-Instruct"))
    place.run("apply", "--yes", "--allow-destroy", *F)
    place.run("plan", "--detailed-exitcode", *F)
    assert place.arm.log.violations == []


@pytest.mark.parametrize("slow", [0.0, pytest.param(1.2, marks=pytest.mark.slow)])
def test_what_failed_is_told_and_then_replaced(open_place: Open, slow: float) -> None:
    """Exit code 4, the service's words and the logs; then the next run mends it."""
    place = open_place(Switches(fails="phi-green", slow_deleting=slow, list_lag=0.3))
    place.write(MANAGED)
    failed = place.run("apply", "--yes", *F, expect=4)
    assert "the probe did not answer" in failed.err
    assert "no module named tensor" in failed.err
    place.run("apply", "--yes", "--allow-destroy", *F)
    place.run("plan", "--detailed-exitcode", *F)
    assert place.arm.log.violations == []


def test_keys_that_are_null_fail_the_output_only(open_place: Open) -> None:
    place = open_place(Switches(keys_null=True))
    place.write(WORKSPACE + serverless("llama-70b"))
    ran = place.run("apply", "--yes", *F, expect=4)
    assert "key" in ran.err
    assert not (place.path / "out" / "llama-70b.env").exists()
    place.run("output", "llama-70b", "--key", *F, expect=1)


def test_a_wrong_secret_is_refused_before_anything_is_asked(open_place: Open) -> None:
    place = open_place(Switches())
    place.write(SERVERLESS)
    wrong = {**place.environment, "AZURE_CLIENT_SECRET": "stale-secret-value"}
    ran = place.nursery.run(place.command("apply", "--yes", *F)[3:], place.path, wrong)
    assert ran.code == 1
    assert "azure.wrong-credential" in ran.err
    assert "stale-secret-value" not in ran.said
    assert [one for one in place.arm.log.requests if "subscriptions" in one] == []


def test_reap_finds_what_expires_by_tag_alone(open_place: Open) -> None:
    """From another dialect: lower-cased ids, tags that the index leaves out, no workspace list."""
    place = open_place(Switches(id_case="lower", extras=True, delete_status=204))
    place.write(WORKSPACE + serverless("llama-70b").replace(
        "  marketplace:", "  lifetime: {ttl: 2h}\n  marketplace:"))  # fmt: skip
    place.run("apply", "--yes", *F)
    place.run("reap", "--dry-run", "--within", "3h", expect=None)
    assert any("serverlessEndpoints" in path for path in place.arm.store.live())
    place.run("reap", "--yes", "--within", "3h")
    assert not any("serverlessEndpoints" in path for path in place.arm.store.live())
    assert place.arm.log.violations == []


def test_doctor_behind_closed_doors_writes_nothing(open_place: Open) -> None:
    place = open_place(
        Switches(
            agreements=403, locks=403, provider=403, vm_sizes=404, subscription_permissions=404
        )
    )
    place.write(FLEET)
    ran = place.run("doctor", *F)
    assert "corr-" in ran.said
    assert place.arm.log.writes == []


@pytest.mark.parametrize(
    ("switches", "goes_on"),
    [
        pytest.param(Switches(delay=60), "left running in Azure", id="waiting"),
        pytest.param(
            Switches(refuse_puts=True),
            "perhaps left running in Azure: no answer had come",
            id="told to wait",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_ctrl_c_names_what_goes_on(open_place: Open, switches: Switches, goes_on: str) -> None:
    place = open_place(switches)
    place.write(WORKSPACE + serverless("llama-70b"))
    started = time.monotonic()
    command = subprocess.Popen(
        place.command("apply", "--yes", *F), cwd=place.path, env=place.environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    while not any(one.startswith("PUT") for one in place.arm.log.writes):
        assert time.monotonic() - started < 40
        time.sleep(0.05)
    command.send_signal(signal.SIGINT)
    out, err = command.communicate(timeout=30)
    assert command.returncode == 130, err
    assert f"subscribe mlw-prod to Llama-3.3-70B-Instruct: {goes_on}" in err, err
    assert "again" in err.rpartition("Applied in part")[2]
    assert "Traceback" not in out + err


@pytest.mark.parametrize("status", [400, 409])
def test_a_name_that_somebody_else_has_is_told_at_once(open_place: Open, status: int) -> None:
    place = open_place(Switches(hold_status=status))
    place.arm.hold("serverlessEndpoints/llama-70b")
    place.write(WORKSPACE + serverless("llama-70b"))
    ran = place.run("apply", "--yes", "--wait-for-name", "0", *F, expect=4)
    assert "service.name-taken" in ran.err
    assert "correlation id: corr-" in ran.err
    assert "--wait-for-name 15m" in ran.err


@pytest.mark.parametrize("status", [400, 409])
def test_a_name_that_another_run_has_just_freed_is_waited_for(
    open_place: Open, status: int
) -> None:
    place = open_place(Switches(hold_name=3.0, hold_status=status))
    place.write(WORKSPACE + serverless("llama-70b"))
    place.run("apply", "--yes", *F)
    place.run("destroy", "--yes", *F)
    ran = place.run("apply", "--yes", *F)
    assert "the name is taken; one that was just deleted becomes free" in ran.err


def test_the_log_of_requests_names_correlation_ids_and_no_secret(open_place: Open) -> None:
    place = open_place(Switches())
    place.write(WORKSPACE + serverless("llama-70b"))
    ran = place.run("apply", "--yes", "-vv", *F)
    assert "'x-ms-correlation-request-id': 'corr-" in ran.err
    assert "tok." not in ran.err
    assert "s3cret" not in ran.err


def test_a_plan_that_comes_too_late_is_said(open_place: Open) -> None:
    """Nothing that the person consented to is left undone in silence."""
    place = open_place(Switches(plan_late=30))
    place.write(WORKSPACE + serverless("llama-70b"))
    assert "apply.plan-not-named" in place.run("apply", "--yes", *F).err
    assert place.arm.log.signed == []


def test_models_are_shown_where_no_registry_is(open_place: Open) -> None:
    place = open_place(Switches(registry=404))
    ran = place.run("models", "list", "--search", "llama-3.3")
    assert "azureml-meta/Llama-3.3-70B-Instruct" in ran.out
    assert ran.err.count("warning[") == 1
    ran = place.run("models", "show", "Llama-3.3-70B-Instruct")
    assert "swedencentral" in ran.out
    assert ran.err.count("warning[") == 1
    ran = place.run("models", "show", "azureml-meta/No-Such", expect=1)
    assert "error[service.not-found]" in ran.err
    place.run("models", "list", "--registry", "my-own", expect=1)
