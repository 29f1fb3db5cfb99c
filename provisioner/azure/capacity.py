"""Usage of cores and the sizes on offer, per Azure subscription and region (AZURE.md §8)."""

from __future__ import annotations

from provisioner.azure.client import Arm
from provisioner.azure.values import Json, integer, mapping, number, text
from provisioner.cloud import Usage, VmSize
from provisioner.resources import normal_region


async def usages(arm: Arm, subscription: str, region: str) -> list[Usage]:
    """Every counted thing of a region, VM families among them."""
    entries = await arm.entries(f"{_location(subscription, region)}/usages")
    return [usage for entry in entries if (usage := parse_usage(mapping(entry))) is not None]


async def vm_sizes(arm: Arm, subscription: str, region: str) -> list[VmSize]:
    """The VM sizes that Azure Machine Learning offers in a region."""
    entries = await arm.entries(f"{_location(subscription, region)}/vmSizes")
    return [size for entry in entries if (size := parse_size(mapping(entry))) is not None]


def parse_usage(raw: Json) -> Usage | None:
    """One usage; its name may be an object or plain text, its id's last part is what joins. None
    without a name or a limit."""
    name = raw.get("name")
    value = text(mapping(name).get("value")) or text(name)
    last = (text(raw.get("id")) or "").rstrip("/").rpartition("/")[2]
    limit = number(raw.get("limit"))
    if not (last or value) or limit is None:
        return None
    return Usage(
        id=last or value or "",
        name=value or last,
        used=integer(raw.get("currentValue")),
        limit=int(limit),
        unit=text(raw.get("unit")) or "Count",
    )


def parse_size(raw: Json) -> VmSize | None:
    name = text(raw.get("name"))
    if name is None:
        return None
    return VmSize(
        name=name,
        family=text(raw.get("family")) or "",
        vcpus=integer(raw.get("vCPUs")),
        gpus=integer(raw.get("gpus")),
        memory_gb=float(number(raw.get("memoryGB")) or 0.0),
    )


def _location(subscription: str, region: str) -> str:
    return (
        f"/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices"
        f"/locations/{normal_region(region)}"
    )
