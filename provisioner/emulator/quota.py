"""Core quota of managed online deployments, and the counts that have limits.

A deployment of n instances takes ceil(1.2 n) × vCPUs of its family in the region, because Azure
keeps 20 % for upgrades; the GPU families that the SKU table exempts take n × vCPUs (CATALOG.md).
Families are compared without case and blanks, since Azure spells them both ways. Deployments on
shared quota draw from a pool that is not the subscription's.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from provisioner.emulator.refusals import Detail, Refusal
from provisioner.emulator.scenario_types import FamilyQuota, Subscription
from provisioner.emulator.vm_sizes import Family, VmSize, load_families, load_vm_sizes

MAX_INSTANCES = 50
MAX_DEPLOYMENTS_PER_ENDPOINT = 20
CPU_LIMIT = 100
_TRACE = uuid.UUID("0b4b61c9-6cb2-4d2a-9b76-2a51c0f1a8d4")


@dataclass(frozen=True, slots=True)
class Use:
    """One managed deployment that holds cores: VM size, instances, and whether it is shared."""

    instance_type: str
    instances: int
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """Cores of one family in one region."""

    family: Family
    used: int
    limit: int


def family_key(name: str) -> str:
    """What two spellings of one family have in common."""
    return name.lower().replace(" ", "")


def reserved(instances: int, *, exempt: bool) -> int:
    """Instances that count: all, and a fifth more, rounded up, unless exempt."""
    return instances if exempt else -(-instances * 6 // 5)


def cores(instance_type: str, instances: int) -> int:
    """vCPUs that a deployment takes from its family; 0 for a size that is not known."""
    size = load_vm_sizes().get(instance_type.lower())
    if size is None:
        return 0
    return reserved(instances, exempt=size.family.exempt) * size.vcpus


def limit_of(subscription: Subscription, region: str, family: Family) -> FamilyQuota:
    """What the scenario says, for the region or for "*", else 0 for GPU families, 100 for CPU."""
    for place in (region.lower(), "*"):
        for name, quota in _row(subscription.quotas, place).items():
            if family_key(name) == family_key(family.name):
                return quota
    return FamilyQuota(0, 0 if _has_gpus(family) else CPU_LIMIT)


def usages(subscription: Subscription, region: str, held: Iterable[Use]) -> tuple[Usage, ...]:
    """Every family with what is used, by the scenario's start and by live deployments."""
    taken: dict[str, int] = {}
    for use in held:
        size = load_vm_sizes().get(use.instance_type.lower())
        if size is not None and not use.shared:
            key = family_key(size.family.name)
            taken[key] = taken.get(key, 0) + cores(use.instance_type, use.instances)
    rows = []
    for family in load_families().values():
        quota = limit_of(subscription, region, family)
        used = quota.used + taken.get(family_key(family.name), 0)
        rows.append(Usage(family, used, quota.limit))
    return tuple(rows)


def check_deployment(
    subscription: Subscription,
    region: str,
    wanted: Use,
    held: Iterable[Use],
    before: Use | None = None,
) -> Refusal | None:
    """Why a deployment cannot be created, or scaled from `before`; None if it can.

    `held` are the other deployments of the subscription in the region, without `before`.
    """
    size = load_vm_sizes().get(wanted.instance_type.lower())
    if size is None:
        return _invalid(
            "InstanceType",
            f"The instance type {wanted.instance_type} is not supported for managed online "
            f"deployments in region {region}.",
        )
    if not 1 <= wanted.instances <= MAX_INSTANCES:
        return _invalid(
            "InstanceCount",
            f"The instance count {wanted.instances} is not between 1 and {MAX_INSTANCES}.",
        )
    if wanted.shared:
        return None
    others = [*held, *([before] if before is not None else [])]
    usage = _usage_of(usages(subscription, region, others), size)
    more = cores(wanted.instance_type, wanted.instances)
    if before is not None and before.instance_type.lower() == wanted.instance_type.lower():
        more -= cores(before.instance_type, before.instances)
    if more <= 0 or usage.used + more <= usage.limit:
        return None
    return _invalid(
        "VmSize",
        f"Not enough quota available for {size.name} in SubscriptionId {subscription.id}. "
        f"Current usage/limit: {usage.used}/{usage.limit}. Additional needed: {more} Please see "
        "troubleshooting guide, available here: https://aka.ms/oe-tsg#error-outofquota",
    )


def check_endpoint_count(subscription: Subscription, existing: int) -> Refusal | None:
    """Why one more managed endpoint cannot be created in a region that has `existing`."""
    if existing < subscription.endpoint_limit:
        return None
    return _reached("Endpoint", subscription, existing, subscription.endpoint_limit)


def check_deployment_count(
    subscription: Subscription, in_region: int, in_endpoint: int
) -> Refusal | None:
    """Why one more deployment cannot be created: the region's limit, or 20 to an endpoint."""
    if in_endpoint >= MAX_DEPLOYMENTS_PER_ENDPOINT:
        return _reached("Deployment", subscription, in_endpoint, MAX_DEPLOYMENTS_PER_ENDPOINT)
    if in_region >= subscription.deployment_limit:
        return _reached("Deployment", subscription, in_region, subscription.deployment_limit)
    return None


def _row(quotas: Mapping[str, Mapping[str, FamilyQuota]], region: str) -> Mapping[str, FamilyQuota]:
    return next((row for name, row in quotas.items() if name.lower() == region), {})


def _has_gpus(family: Family) -> bool:
    return any(size.family.name == family.name and size.gpus for size in load_vm_sizes().values())


def _usage_of(rows: Iterable[Usage], size: VmSize) -> Usage:
    return next(row for row in rows if row.family.name == size.family.name)


def _reached(what: str, subscription: Subscription, current: int, limit: int) -> Refusal:
    # The quotation marks and the missing blanks are in the published message (errors-quoted).
    return Refusal(
        400,
        "InferencingClientCallFailed",
        f'"{what} Quota reached for subscription {subscription.id}.'
        f"Current usage/limit: {current}/{limit}."
        f'Please clean up existing {what.lower()}s and try again"',
    )


def _invalid(field: str, message: str) -> Refusal:
    trace = uuid.uuid5(_TRACE, message).hex
    inner = json.dumps(
        {
            "errors": {field: [message]},
            "type": "https://tools.ietf.org/html/rfc7231#section-6.5.1",
            "title": "One or more validation errors occurred.",
            "status": 400,
            "traceId": f"00-{trace}-{trace[:16]}-01",
        },
        separators=(",", ":"),
    )
    return Refusal(
        400,
        "BadRequest",
        "The request is invalid.",
        details=(
            Detail(
                "InferencingClientCreateDeploymentFailed",
                f"InferencingClient HttpRequest error, error detail: {inner}",
            ),
        ),
    )
