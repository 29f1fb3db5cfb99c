"""Managed online deployments (AZURE.md §5, at 2024-10-01)."""

from __future__ import annotations

from typing import Final

from provisioner.azure.kinds import Shape, header_of, live_state
from provisioner.azure.values import (
    Json,
    duration,
    integer,
    mapping,
    number,
    seconds,
    strings,
    text,
    without_nulls,
)
from provisioner.resources import (
    DataCollection,
    Kind,
    Live,
    ModelRef,
    OnlineDeployment,
    Probe,
    RequestSettings,
    ResourceId,
    normal_region,
)

INPUTS: Final = "model_inputs"
OUTPUTS: Final = "model_outputs"
"""The collection names that the service gives a meaning to."""


def body(wish: OnlineDeployment) -> Json:
    """The PUT body that creates `wish`. Raises ValueError when its model has no version yet."""
    properties: Json = {
        "endpointComputeType": "Managed",
        "model": wish.model.versioned_id,
        "instanceType": wish.instance_type,
        "environmentVariables": _copy(wish.environment_variables),
        "requestSettings": _request_body(wish.request_settings),
        "livenessProbe": _probe_body(wish.liveness_probe),
        "readinessProbe": _probe_body(wish.readiness_probe),
        "dataCollector": _collector_body(wish.data_collection),
    }
    return {
        "location": wish.location,
        "tags": dict(wish.tags),
        "sku": {"name": "Default", "capacity": wish.instance_count},
        "properties": without_nulls(properties),
    }


def parse(raw: Json, id: ResourceId) -> Live[OnlineDeployment]:
    properties = mapping(raw.get("properties"))
    return Live(
        OnlineDeployment(
            id=id,
            location=normal_region(text(raw.get("location")) or ""),
            model=ModelRef.parse(text(properties.get("model")) or ""),
            instance_type=text(properties.get("instanceType")) or "",
            instance_count=integer(mapping(raw.get("sku")).get("capacity"), 1),
            environment_variables=_variables(properties.get("environmentVariables")),
            request_settings=_request_settings(properties.get("requestSettings")),
            liveness_probe=_probe(properties.get("livenessProbe")),
            readiness_probe=_probe(properties.get("readinessProbe")),
            data_collection=_collection(properties.get("dataCollector")),
            tags=strings(raw.get("tags")),
        ),
        state=live_state(properties),
        created_at=header_of(raw),
    )


def overlay(raw: Json, wish: OnlineDeployment, fields: frozenset[str]) -> Json:
    """`raw` with the named fields of `wish` laid over it.

    Settings merge below their own name (a probe keeps the periods that `wish` does not name);
    a None leaves what is there.
    """
    wanted = body(wish)
    properties = dict(mapping(raw.get("properties")))
    for field, key in _FIELDS.items():
        value = wanted["properties"].get(key)
        if field in fields and value is not None:
            merge = isinstance(value, dict) and key in _MERGED
            properties[key] = {**mapping(properties.get(key)), **value} if merge else value
    changed = {**raw, "properties": properties}
    if "instance_count" in fields:
        changed["sku"] = {**mapping(raw.get("sku")), **wanted["sku"]}
    if "tags" in fields:
        changed["tags"] = wanted["tags"]
    return changed


_MERGED: Final = frozenset({"requestSettings", "livenessProbe", "readinessProbe", "dataCollector"})
_FIELDS: Final = {
    "model": "model",
    "instance_type": "instanceType",
    "environment_variables": "environmentVariables",
    "request_settings": "requestSettings",
    "liveness_probe": "livenessProbe",
    "readiness_probe": "readinessProbe",
    "data_collection": "dataCollector",
}


def patch(wish: OnlineDeployment, fields: frozenset[str]) -> Json | None:
    """PATCH carries the instance count and the tags, and nothing else."""
    if not fields or not fields <= {"tags", "instance_count"}:
        return None
    change: Json = {}
    if "instance_count" in fields:
        change["sku"] = {"capacity": wish.instance_count}
    if "tags" in fields:
        change["tags"] = dict(wish.tags)
    return change


def _copy(variables: object) -> Json | None:
    return None if variables is None else dict(variables)  # type: ignore[call-overload]


def _request_body(wish: RequestSettings | None) -> Json | None:
    if wish is None:
        return None
    return without_nulls(
        {
            "requestTimeout": _iso(wish.request_timeout),
            "maxConcurrentRequestsPerInstance": wish.max_concurrent_requests_per_instance,
            "maxQueueWait": _iso(wish.max_queue_wait),
        }
    )


def _probe_body(wish: Probe | None) -> Json | None:
    if wish is None:
        return None
    return without_nulls(
        {
            "initialDelay": _iso(wish.initial_delay),
            "period": _iso(wish.period),
            "timeout": _iso(wish.timeout),
            "successThreshold": wish.success_threshold,
            "failureThreshold": wish.failure_threshold,
        }
    )


def _collector_body(wish: DataCollection | None) -> Json | None:
    if wish is None:
        return None

    def collection(on: bool) -> Json:
        mode = "Enabled" if on else "Disabled"
        return {"dataCollectionMode": mode, "samplingRate": wish.sampling_rate if on else 1.0}

    return {"collections": {INPUTS: collection(wish.inputs), OUTPUTS: collection(wish.outputs)}}


def _iso(value: float | None) -> str | None:
    return None if value is None else duration(value)


def _variables(raw: object) -> dict[str, str] | None:
    return strings(raw) if isinstance(raw, dict) else None


def _request_settings(raw: object) -> RequestSettings | None:
    if not isinstance(raw, dict):
        return None
    return RequestSettings(
        request_timeout=seconds(raw.get("requestTimeout")),
        max_concurrent_requests_per_instance=_count(raw.get("maxConcurrentRequestsPerInstance")),
        max_queue_wait=seconds(raw.get("maxQueueWait")),
    )


def _probe(raw: object) -> Probe | None:
    if not isinstance(raw, dict):
        return None
    return Probe(
        initial_delay=seconds(raw.get("initialDelay")),
        period=seconds(raw.get("period")),
        timeout=seconds(raw.get("timeout")),
        success_threshold=_count(raw.get("successThreshold")),
        failure_threshold=_count(raw.get("failureThreshold")),
    )


def _collection(raw: object) -> DataCollection | None:
    collections = mapping(mapping(raw).get("collections"))
    if not collections:
        return None
    lowered = {name.lower(): mapping(item) for name, item in collections.items()}
    inputs, outputs = lowered.get(INPUTS, {}), lowered.get(OUTPUTS, {})
    on = [item for item in (inputs, outputs) if _enabled(item)]
    rates = [rate for item in on if (rate := number(item.get("samplingRate"))) is not None]
    return DataCollection(_enabled(inputs), _enabled(outputs), float(rates[0]) if rates else 1.0)


def _enabled(raw: Json) -> bool:
    return (text(raw.get("dataCollectionMode")) or "").lower() == "enabled"


def _count(raw: object) -> int | None:
    value = number(raw)
    return None if value is None else int(value)


_PROBE: Final = frozenset(
    {"failureThreshold", "initialDelay", "period", "successThreshold", "timeout"}
)

SHAPE = Shape(
    kind=Kind.ONLINE_DEPLOYMENT,
    body=body,
    parse=parse,
    overlay=overlay,
    settings={
        **dict.fromkeys(
            (
                "appInsightsEnabled",
                "codeConfiguration",
                "description",
                "egressPublicNetworkAccess",
                "endpointComputeType",
                "environmentId",
                "environmentVariables",
                "instanceType",
                "model",
                "modelMountPath",
                "properties",
                "scaleSettings",
            )
        ),
        "dataCollector": frozenset({"collections", "requestLogging", "rollingRate"}),
        "livenessProbe": _PROBE,
        "readinessProbe": _PROBE,
        "requestSettings": frozenset(
            {"maxConcurrentRequestsPerInstance", "maxQueueWait", "requestTimeout"}
        ),
    },
    patch=patch,
)
