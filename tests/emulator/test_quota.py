"""Core quota: the 20 % rule, the exempt families, limits, and the published messages."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.emulator.quota import (
    Use,
    check_deployment,
    check_deployment_count,
    check_endpoint_count,
    cores,
    family_key,
    reserved,
    usages,
)
from provisioner.emulator.scenario import load
from provisioner.emulator.scenario_types import FamilyQuota, Subscription
from provisioner.emulator.vm_sizes import load_vm_sizes
from tests.shared import shared_dir

A100 = "Standard_NC24ads_A100_v4"
sizes = st.sampled_from(sorted(load_vm_sizes()))
counts = st.integers(1, 50)


def subscription(**quotas: FamilyQuota) -> Subscription:
    return Subscription("a7842ee4-aaba-4d38-8bba-c1804e31a761", "S", quotas={"eastus2": quotas})


def errors(message: str) -> dict[str, list[str]]:
    body = json.loads(message.removeprefix("InferencingClient HttpRequest error, error detail: "))
    found: dict[str, list[str]] = body["errors"]
    return found


@given(st.integers(0, 10_000))
def test_the_reserve_is_a_fifth_rounded_up(count: int) -> None:
    assert reserved(count, exempt=True) == count
    assert reserved(count, exempt=False) == math.ceil(count * 6 / 5)


@pytest.mark.parametrize(
    ("instance_type", "instances", "expected"),
    [
        (A100, 1, 24),
        (A100, 4, 96),
        ("standard_nc96ads_a100_V4", 2, 192),
        ("Standard_NC40ads_H100_v5", 2, 80),
        ("Standard_ND96isr_H100_v5", 1, 96),
        ("Standard_ND40rs_v2", 3, 120),
        ("Standard_NC6s_v3", 1, 12),
        ("Standard_NC6s_v3", 5, 36),
        ("Standard_NC4as_T4_v3", 6, 32),
        ("Standard_F4s_v2", 1, 8),
        ("Standard_Unknown", 1, 0),
    ],
)
def test_cores(instance_type: str, instances: int, expected: int) -> None:
    assert cores(instance_type, instances) == expected


def test_families_that_need_no_reserve() -> None:
    exempt = {size.family.name for size in load_vm_sizes().values() if size.family.exempt}
    assert {family_key(name) for name in exempt} == {
        "standardncadsa100v4family",
        "standardncadsh100v5family",
        "standardndasv4_a100family",
        "standardndamsv4_a100family",
        "standardndv5h100family",
        "standardndsv2family",
    }


def test_the_message_is_the_published_one() -> None:
    path = shared_dir("recordings", "errors-quoted") / "400_quota_online_deployment.json"
    quoted = json.loads(path.read_text())["body"]["error"]
    held = subscription(standardFSv2Family=FamilyQuota(0, 6))
    said = check_deployment(held, "eastus2", Use("Standard_F4s_v2", 1), ())
    assert said is not None
    assert (said.status, said.code, said.message) == (400, quoted["code"], quoted["message"])
    (detail,) = said.details
    assert detail.code == quoted["details"][0]["code"]
    assert errors(detail.message) == errors(quoted["details"][0]["message"])
    assert list(json.loads(detail.message.split("detail: ")[1])) == list(
        json.loads(quoted["details"][0]["message"].split("detail: ")[1])
    )


def test_the_endpoint_message_is_the_published_one() -> None:
    path = shared_dir("recordings", "errors-quoted") / "400_endpoint_quota.json"
    quoted = json.loads(path.read_text())["body"]["error"]
    limited = Subscription("a7842ee4-aaba-4d38-8bba-c1804e31a761", "S", endpoint_limit=300)
    assert check_endpoint_count(limited, 299) is None
    said = check_endpoint_count(limited, 300)
    assert said is not None
    assert said.code == quoted["code"]
    assert said.message == quoted["message"].replace("***", limited.id)


def test_deployment_counts() -> None:
    held = subscription()
    assert check_deployment_count(held, 499, 19) is None
    at_region, at_endpoint = (
        check_deployment_count(held, 500, 0),
        check_deployment_count(held, 20, 20),
    )
    assert at_region is not None
    assert "500/500" in at_region.message
    assert at_endpoint is not None
    assert "20/20" in at_endpoint.message


@pytest.mark.parametrize(("instances", "fits"), [(0, False), (1, True), (50, True), (51, False)])
def test_instances_are_1_to_50(instances: int, fits: bool) -> None:
    held = subscription(standardNCADSA100v4Family=FamilyQuota(0, 10_000))
    said = check_deployment(held, "eastus2", Use(A100, instances), ())
    assert (said is None) is fits


def test_a_size_that_does_not_exist_is_refused() -> None:
    said = check_deployment(subscription(), "eastus2", Use("Standard_Nope", 1), ())
    assert said is not None
    assert "Standard_Nope" in said.details[0].message


@given(sizes, counts, counts, st.integers(0, 5000))
def test_granted_exactly_when_it_fits(size: str, held: int, wanted: int, limit: int) -> None:
    family = load_vm_sizes()[size].family.name
    owner = subscription(**{family: FamilyQuota(3, limit)})
    use, new = Use(size, held), Use(size, wanted)
    used = 3 + cores(size, held)
    said = check_deployment(owner, "eastus2", new, (use,))
    assert (said is None) == (used + cores(size, wanted) <= limit)
    if said is not None:
        text = errors(said.details[0].message)["VmSize"][0]
        assert f"Current usage/limit: {used}/{limit}. " in text
        assert f"Additional needed: {cores(size, wanted)} " in text


@given(sizes, counts, counts, st.integers(0, 5000))
def test_scaling_needs_only_the_difference(size: str, old: int, new: int, limit: int) -> None:
    family = load_vm_sizes()[size].family.name
    owner = subscription(**{family: FamilyQuota(0, limit)})
    before = Use(size, old)
    said = check_deployment(owner, "eastus2", Use(size, new), (), before)
    shrinks = cores(size, new) <= cores(size, old)
    assert (said is None) == (shrinks or cores(size, new) <= limit)


def test_shared_quota_neither_needs_nor_takes_cores() -> None:
    owner = subscription(standardNCADSA100v4Family=FamilyQuota(0, 0))
    assert check_deployment(owner, "eastus2", Use(A100, 1, shared=True), ()) is None
    rows = usages(owner, "eastus2", [Use(A100, 4, shared=True)])
    assert {row.used for row in rows} == {0}


def test_other_families_and_regions_do_not_count() -> None:
    tenant = load(None).subscriptions[0]
    other = Use("Standard_NC80adis_H100_v5", 1)
    assert check_deployment(tenant, "eastus2", Use(A100, 8), (other,)) is None
    assert check_deployment(tenant, "eastus2", Use(A100, 9), ()) is not None
    assert check_deployment(tenant, "northcentralus", Use(A100, 1), ()) is not None


def test_the_default_tenant_has_what_its_page_says() -> None:
    rows = {
        family_key(row.family.name): (row.used, row.limit)
        for row in usages(load(None).subscriptions[0], "EastUS2", [Use(A100, 2)])
    }
    assert rows["standardncadsa100v4family"] == (48, 192)
    assert rows["standardncadsh100v5family"] == (0, 80)
    assert rows["standardndv5h100family"] == (0, 0)
    assert rows["standardncsv3family"] == (0, 0)
    assert rows["standarddsv3family"] == (0, 100)
