"""Cores: how many a deployment takes of its family's quota."""

from __future__ import annotations

import pytest

from provisioner.catalog import load
from provisioner.cloud import VmSize
from provisioner.preflight.cores import arithmetic


@pytest.mark.parametrize(
    ("name", "count", "cores"),
    [
        ("Standard_NC24ads_A100_v4", 2, 48),  # exempt from the reserve
        ("standard_nc6s_v3", 1, 12),  # ceil(1.2) = 2 instances
        ("Standard_NC6s_v3", 5, 36),  # ceil(6.0) = 6
        ("Standard_NC6s_v3", 6, 48),  # ceil(7.2) = 8
        ("Standard_DS3_v2", 10, 48),
    ],
)
def test_cores_with_the_reserve(name: str, count: int, cores: int) -> None:
    sku = load().sku(name)
    assert sku is not None
    taken, words = arithmetic(VmSize(name, sku.family, sku.cores, 0, 0.0), count)
    assert taken == cores
    assert words.endswith(f"= {cores}")
