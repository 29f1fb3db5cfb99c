"""Names of endpoints: their form, and that they are one in a region."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.emulator.names import Claim, Kind, pattern_refusal, taken_refusal

HERE = Claim("serverlessEndpoints", "eastus2", "llama", "/ws/one/llama")


@pytest.mark.parametrize(
    ("kind", "name", "fits"),
    [
        ("serverlessEndpoints", "a", True),
        ("serverlessEndpoints", "a" + "b" * 51, True),
        ("serverlessEndpoints", "a" + "b" * 52, False),
        ("serverlessEndpoints", "1a", False),
        ("serverlessEndpoints", "a_b", False),
        ("serverlessEndpoints", "a\n", False),
        ("marketplaceSubscriptions", "1_a-b", True),
        ("marketplaceSubscriptions", "-a", False),
        ("marketplaceSubscriptions", "a" * 256, False),
        ("onlineEndpoints", "ab", False),
        ("onlineEndpoints", "abc", True),
        ("onlineEndpoints", "ab-", False),
        ("onlineEndpoints", "a" * 32, True),
        ("onlineEndpoints", "a" * 33, False),
        ("onlineEndpoints", "1bc", False),
        ("deployments", "blue", True),
        ("deployments", "blue_1", False),
    ],
)
def test_patterns(kind: Kind, name: str, fits: bool) -> None:
    said = pattern_refusal(kind, name)
    assert (said is None) is fits
    if said is not None:
        assert said.status == 400
        assert f"'{name}'" in said.message


def test_a_name_of_another_workspace_is_taken_in_the_whole_region() -> None:
    other = dataclasses.replace(HERE, name="LLAMA", region="EastUS2", resource_id="/ws/two/llama")
    said = taken_refusal(other, [HERE], 0, 0)
    assert said is not None
    assert said.message == (
        "The specified endpoint name 'LLAMA' is not available. Endpoint names must be unique "
        "within the region. Please choose a different name and try again."
    )


@pytest.mark.parametrize(
    "change",
    [{"region": "westus3"}, {"name": "llama2"}, {"kind": "onlineEndpoints"}, {}],
)
def test_other_regions_kinds_names_and_oneself_are_free(change: dict[str, str]) -> None:
    claim = dataclasses.replace(HERE, **change)  # type: ignore[arg-type]
    assert taken_refusal(claim, [HERE], 0, 1000) is None


def test_deployments_share_names_between_endpoints() -> None:
    blue = Claim("deployments", "eastus2", "blue", "/e/one/blue")
    assert taken_refusal(dataclasses.replace(blue, resource_id="/e/2/blue"), [blue], 0, 9) is None


@given(st.floats(0, 1e6), st.floats(0, 1e4), st.floats(0, 1e4))
def test_a_deleted_name_stays_taken_for_the_hold_even_for_its_owner(
    released: float, hold: float, later: float
) -> None:
    gone = dataclasses.replace(HERE, released=released)
    now = released + later
    assert (taken_refusal(HERE, [gone], now, hold) is not None) == (now < released + hold)
