"""VM sizes for managed online endpoints: `data/vm_sizes.yaml` as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class Family:
    """A quota family. `name` is spelled as Azure spells it, stray spaces included."""

    name: str
    label: str
    exempt: bool
    """True where online deployments need no 20 % reserve for upgrades."""


@dataclass(frozen=True, slots=True)
class VmSize:
    """One VM size; memory and disk in GB, quota counted in vCPUs of its family."""

    name: str
    family: Family
    vcpus: int
    gpus: int
    memory_gb: float
    gpu_memory_gb: int
    """Memory of each GPU; 0 without one."""
    temp_gb: int


@cache
def load_families() -> Mapping[str, Family]:
    """All families by lower-cased name."""
    rows: dict[str, dict[str, Any]] = _data()["families"]
    return {
        name.lower(): Family(name, str(row["label"]), bool(row["exempt"]))
        for name, row in rows.items()
    }


@cache
def load_vm_sizes() -> Mapping[str, VmSize]:
    """All sizes by lower-cased name."""
    families = load_families()
    sizes = (
        VmSize(name, families[family.lower()], vcpus, gpus, float(memory), gpu_memory, temp)
        for name, family, vcpus, gpus, memory, gpu_memory, temp in _data()["sizes"]
    )
    return {size.name.lower(): size for size in sizes}


def as_arm(size: VmSize) -> dict[str, Any]:
    """The size as `locations/{region}/vmSizes` lists it (AZURE.md §8)."""
    return {
        "name": size.name,
        "family": size.family.name,
        "vCPUs": size.vcpus,
        "gpus": size.gpus,
        "osVhdSizeMB": 1_047_552,
        "maxResourceVolumeMB": size.temp_gb * 1024,
        "memoryGB": size.memory_gb,
        "lowPriorityCapable": True,
        "premiumIO": True,
        "supportedComputeTypes": ["AmlCompute", "ComputeInstance", "OnlineEndpoint"],
    }


@cache
def _data() -> dict[str, Any]:
    text = (files("provisioner.emulator") / "data" / "vm_sizes.yaml").read_text("utf-8")
    data: dict[str, Any] = yaml.safe_load(text)
    return data
