"""YAML files of `az ml` (CLI v2) as resources, read by azure-ai-ml's own loaders.

Serverless endpoints, managed online endpoints and their deployments are read; a Marketplace
subscription needs no manifest and is only named. The loaders check a file against the CLI's schema
and know its defaults; they are imported lazily, because that takes 1.5 s.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import yaml

from provisioner.azure import problems
from provisioner.azure.values import integer, mapping, number, strings, text
from provisioner.cloud import Workspace, WorkspaceSeen
from provisioner.errors import Problem, Severity
from provisioner.resources import (
    ContentSafety,
    DataCollection,
    Identity,
    Kind,
    Live,
    ModelRef,
    OnlineDeployment,
    OnlineEndpoint,
    Probe,
    RequestSettings,
    ResourceId,
    ServerlessEndpoint,
    State,
    WorkspaceId,
)

_LIMIT: Final = 5 << 20
"""Bytes of a file; the same as for manifests."""

_MISSHAPEN: Final = (ValueError, TypeError, LookupError, AttributeError)
"""What the loaders raise, undesigned, for some files."""


@dataclass(slots=True)
class _Found:
    """What the files held, and what of it cannot be said in a manifest."""

    workspace: WorkspaceId
    region: str
    serverless: list[Live[ServerlessEndpoint]] = field(default_factory=list)
    endpoints: dict[str, Live[OnlineEndpoint]] = field(default_factory=dict)
    deployments: dict[str, list[Live[OnlineDeployment]]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def id(self, kind: Kind, name: object, parent: object = None) -> ResourceId:
        return ResourceId(self.workspace, kind, str(name), None if parent is None else str(parent))

    def warn(self, path: Path, what: str, hint: str) -> None:
        problem = Problem(
            problems.AZ_ML_LEFT_OUT, f"{path}: {what}", hint, severity=Severity.WARNING
        )
        self.problems.append(problem)


def read(
    paths: Sequence[Path], workspace: WorkspaceId, region: str
) -> tuple[WorkspaceSeen, list[Problem]]:
    """The files as if they had been observed in `workspace`; errors and warnings besides.

    Blocking, and slow the first time: run it in a thread. An error leaves out its file only.
    """
    found = _Found(workspace, region)
    for path in paths:
        try:
            _read(path, found)
        except _Unusable as error:
            found.problems.append(error.problem)
    return _seen(found), found.problems


class _Unusable(Exception):
    def __init__(self, path: Path, why: str) -> None:
        super().__init__(why)
        self.problem = Problem(
            problems.AZ_ML_FILE,
            f"{path} is no file that `az ml` would take.",
            "correct it, or name only files of endpoints and deployments",
            details=tuple(line for line in why.splitlines() if line.strip())[:20],
        )


def _read(path: Path, found: _Found) -> None:
    raw = _raw(path)
    kind = _kind(raw)
    if kind is None:
        raise _Unusable(path, "It is neither an endpoint, a deployment nor a subscription.")
    loader, take = _KINDS[kind]
    take(_load(path, loader), path, found)


def _raw(path: Path) -> Mapping[str, Any]:
    try:
        if path.stat().st_size > _LIMIT:
            raise _Unusable(path, f"It is larger than {_LIMIT >> 20} MiB.")
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _Unusable(path, error.strerror or str(error)) from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise _Unusable(path, str(error)) from error
    return mapping(data)


def _kind(raw: Mapping[str, Any]) -> str | None:
    """By `$schema` as the CLI's documentation has it, else by a key that only one kind has."""
    schema = str(raw.get("$schema", "")).rpartition("/")[2].partition(".")[0].lower()
    known = {
        "serverlessendpoint": "serverless",
        "marketplacesubscription": "subscription",
        "managedonlineendpoint": "endpoint",
        "managedonlinedeployment": "deployment",
    }.get(schema)
    if known is not None or schema:
        return known
    if "endpoint_name" in raw:
        return "deployment"
    if "model_id" in raw:
        return "serverless"
    return "endpoint" if "auth_mode" in raw or "traffic" in raw else None


def _load(path: Path, name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # azure-ai-ml 1.35 uses what its own packages deprecate
        from azure.ai import ml  # noqa: PLC0415 - see above
        from azure.core.exceptions import AzureError  # noqa: PLC0415
        from marshmallow import ValidationError  # noqa: PLC0415

        logger = logging.getLogger("azure.ai.ml")
        before = logger.level
        logger.setLevel(logging.ERROR)  # what is experimental there is no news to whoever imports
        try:
            return getattr(ml, name)(path)
        except (AzureError, ValidationError, *_MISSHAPEN) as why:
            raise _Unusable(path, str(why).partition("Visit this link")[0]) from why
        finally:
            logger.setLevel(before)


def _serverless(entity: Any, path: Path, found: _Found) -> None:
    resource = ServerlessEndpoint(
        id=found.id(Kind.SERVERLESS_ENDPOINT, entity.name),
        location=found.region,
        model=ModelRef.parse(str(entity.model_id)),
        content_safety=ContentSafety.ENABLED,  # the service's default; the file cannot say it
        tags=strings(entity.tags),
    )
    found.serverless.append(Live(resource, State.SUCCEEDED))


def _subscription(entity: Any, path: Path, found: _Found) -> None:
    found.warn(
        path,
        f"the Marketplace subscription to {entity.model_id} needs no manifest",
        "an apply subscribes when a serverless deployment needs it and the terms are accepted",
    )


def _endpoint(entity: Any, path: Path, found: _Found) -> None:
    if str(entity.auth_mode or "key").lower() != "key":
        found.warn(
            path,
            f"{entity.name} has auth_mode {entity.auth_mode}; manifests have keys only",
            "keep this endpoint with the tool that made it: with a manifest it would be replaced",
        )
        return
    assigned = getattr(entity.identity, "user_assigned_identities", None) or ()
    ids = tuple(str(one.resource_id) for one in assigned)
    resource = OnlineEndpoint(
        id=found.id(Kind.ONLINE_ENDPOINT, entity.name),
        location=found.region,
        description=text(entity.description),
        traffic={str(name): integer(share) for name, share in (entity.traffic or {}).items()},
        properties=strings(entity.properties),
        identity=Identity("UserAssigned", ids) if ids else None,
        tags=strings(entity.tags),
    )
    found.endpoints[resource.id.key] = Live(resource, State.SUCCEEDED)


def _deployment(entity: Any, path: Path, found: _Found) -> None:
    id = found.id(Kind.ONLINE_DEPLOYMENT, entity.name, entity.endpoint_name)
    model = entity.model if isinstance(entity.model, str) else getattr(entity.model, "path", None)
    for name in ("code_configuration", "environment", "app_insights_enabled"):
        if getattr(entity, name, None):
            found.warn(
                path,
                f"{name} of the deployment {entity.name} cannot be said in a manifest",
                "manifests deploy models of registries as they are; keep what has code of its own "
                "with the tool that made it",
            )
    resource = OnlineDeployment(
        id=id,
        location=found.region,
        model=ModelRef.parse(str(model or "")),
        instance_type=str(entity.instance_type),
        instance_count=integer(entity.instance_count, 1),
        environment_variables=strings(entity.environment_variables) or None,
        request_settings=_requests(entity.request_settings),
        liveness_probe=_probe(entity.liveness_probe),
        readiness_probe=_probe(entity.readiness_probe),
        data_collection=_collection(getattr(entity, "data_collector", None)),
        tags=strings(entity.tags),
    )
    found.deployments.setdefault(id.endpoint.key, []).append(Live(resource, State.SUCCEEDED))


_KINDS: Final[Mapping[str, tuple[str, Callable[[Any, Path, _Found], None]]]] = {
    "serverless": ("load_serverless_endpoint", _serverless),
    "subscription": ("load_marketplace_subscription", _subscription),
    "endpoint": ("load_online_endpoint", _endpoint),
    "deployment": ("load_online_deployment", _deployment),
}


def _requests(entity: Any) -> RequestSettings | None:
    if entity is None:
        return None
    return RequestSettings(
        request_timeout=_seconds_of(entity.request_timeout_ms),
        max_concurrent_requests_per_instance=_whole(entity.max_concurrent_requests_per_instance),
        max_queue_wait=_seconds_of(entity.max_queue_wait_ms),
    )


def _probe(entity: Any) -> Probe | None:
    """The CLI writes a probe's times in seconds."""
    if entity is None:
        return None
    return Probe(
        initial_delay=number(entity.initial_delay),
        period=number(entity.period),
        timeout=number(entity.timeout),
        success_threshold=_whole(entity.success_threshold),
        failure_threshold=_whole(entity.failure_threshold),
    )


def _collection(entity: Any) -> DataCollection | None:
    if entity is None:
        return None

    def enabled(name: str) -> bool:
        one = (entity.collections or {}).get(name)
        return one is not None and str(one.enabled).lower() == "true"

    rate = number(entity.sampling_rate)
    return DataCollection(
        enabled("model_inputs"), enabled("model_outputs"), 1.0 if rate is None else float(rate)
    )


def _seconds_of(milliseconds: object) -> float | None:
    value = number(milliseconds)
    return None if value is None else value / 1000


def _whole(value: object) -> int | None:
    found = number(value)
    return None if found is None else int(found)


def _seen(found: _Found) -> WorkspaceSeen:
    deployments: dict[ResourceId, list[Live[OnlineDeployment]]] = {}
    for key, parts in found.deployments.items():
        host = parts[0].id.endpoint
        if key not in found.endpoints:  # its file was not given: all traffic to the only one
            shares = {parts[0].id.name: 100} if len(parts) == 1 else {}
            endpoint = OnlineEndpoint(host, found.region, traffic=shares)
            found.endpoints[key] = Live(endpoint, State.SUCCEEDED)
        deployments[found.endpoints[key].id] = parts
    for key, live in found.endpoints.items():
        if key not in found.deployments:
            found.warn(
                Path(live.id.name),
                "the online endpoint comes without a deployment",
                "name the files of its deployments too: a manifest describes a deployment",
            )
        elif not live.resource.traffic and len(found.deployments[key]) == 1:
            only = found.deployments[key][0].id.name
            changed = replace(live.resource, traffic={only: 100})
            found.endpoints[key] = replace(live, resource=changed)
    return WorkspaceSeen(
        found.workspace,
        Workspace(found.workspace, found.region),
        serverless=found.serverless,
        endpoints=list(found.endpoints.values()),
        deployments=deployments,
    )
