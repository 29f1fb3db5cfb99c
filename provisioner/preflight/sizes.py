"""VM sizes: what Azure offers in a region, what the catalogue knows, what a model allows. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from provisioner.catalog import load
from provisioner.cloud import VmSize
from provisioner.preflight.case import Case
from provisioner.preflight.constraints import Constraints, RegionKey
from provisioner.resources import ModelRef, OnlineDeployment

Minimum = tuple[int, int, int, int]
"""Cores, GPUs, GB of memory, GB of disk."""


def size_of(case: Case, key: RegionKey, name: str) -> VmSize | None:
    """The size as the region offers it; as the catalogue knows it where the region does not tell
    its family or its cores."""
    offered = case.sizes.get(key)
    found = offered.get(name.lower()) if offered is not None else None
    if found is not None and found.family and found.vcpus:
        return found
    return catalogued(name) or found


def catalogued(name: str) -> VmSize | None:
    """The size of the shipped catalogue; memory 0 where no document gives it."""
    sku = load().sku(name)
    if sku is None:
        return None
    return VmSize(sku.name, sku.family, sku.cores, int(sku.gpus), float(sku.memory_gb or 0))


def allow_list(facts: Constraints, model: ModelRef) -> tuple[tuple[str, ...], bool]:
    """The sizes that the model allows, and whether its registry says so (else the catalogue).

    Empty: no list is published.
    """
    registered = facts.registry_model(model)
    if registered is not None and registered.skus:
        return registered.skus, True
    known = load().models.get((model.registry.lower(), model.name.lower()))
    skus = known.managed.skus if known is not None and known.managed is not None else None
    return tuple(sorted(skus or ())), False


def minimum(facts: Constraints, model: ModelRef) -> Minimum | None:
    """The least machine for the model, as published."""
    registered = facts.registry_model(model)
    if registered is not None and registered.min_sku is not None:
        return registered.min_sku
    known = load().models.get((model.registry.lower(), model.name.lower()))
    least = known.managed.minimum if known is not None and known.managed is not None else None
    return (least.cores, least.gpus, least.memory_gb, least.disk_gb) if least is not None else None


def too_small(size: VmSize, least: Minimum) -> list[str]:
    """What the size lacks: `1 GPU where 2 are needed`. Memory that is not known is not judged,
    nor is a size whose cores are not."""
    cores, gpus, memory, _ = least
    if not size.vcpus:
        return []
    lacks = []
    if size.vcpus < cores:
        lacks.append(f"{size.vcpus} cores where {cores} are needed")
    if size.gpus < gpus:
        lacks.append(
            f"{size.gpus or 'no'} GPU{'' if size.gpus == 1 else 's'} where {gpus} are needed"
        )
    if 0 < size.memory_gb < memory:
        lacks.append(f"{size.memory_gb:g} GB of memory where {memory} GB are needed")
    return lacks


def allowed_sizes(case: Case, key: RegionKey, deployment: OnlineDeployment) -> Iterator[VmSize]:
    """The sizes on which the model may run, as far as is known: its list, else what is big enough.

    Without either, none: a guess would not help. Those that are big enough come smallest first.
    """
    names, _ = allow_list(case.facts, deployment.model)
    if names:
        for name in names:
            size = size_of(case, key, name)
            if size is not None:
                yield size
        return
    least = minimum(case.facts, deployment.model)
    if least is not None:
        offered = sorted(case.sizes.get(key, {}).values(), key=lambda size: (size.vcpus, size.gpus))
        yield from (size for size in offered if not too_small(size, least))
