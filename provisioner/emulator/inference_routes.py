"""Which deployment answers below `/serverless/…` and `/online/…`, and the hand-over to it."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.requests import Request

from provisioner.emulator import deployment_rules, serverless
from provisioner.emulator.inference import ServedModel, handle
from provisioner.emulator.models import Model
from provisioner.emulator.store import Resource, StateUnwritableError
from provisioner.emulator.tenant import Logged, Tenant

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def is_inference(path: str) -> bool:
    return path[:12].lower() == "/serverless/" or path[:8].lower() == "/online/"


async def serve_inference(tenant: Tenant, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request to a deployed model; the log gets its line, without the key."""
    now = tenant.clock.now()
    tenant.engine.settle(now)
    with contextlib.suppress(StateUnwritableError):  # what is over is over again after a restart
        tenant.store.flush()
    request = Request(scope, receive)
    parts = [part for part in str(scope["path"]).split("/") if part]
    kind, region, name = [*parts, "", "", ""][:3]
    rest = "/" + "/".join(parts[3:])
    served = _served(tenant, kind.lower(), region, name, request)
    response = await handle(request, rest, served, tenant.limits, now)
    tenant.record(
        Logged(now, request.method, request.url.path, "", "inference", response.status_code, "")
    )
    await response(scope, receive, send)


def _served(
    tenant: Tenant, kind: str, region: str, name: str, request: Request
) -> ServedModel | None:
    if kind == "serverless":
        for endpoint in tenant.store.named("serverlessEndpoints", region.lower(), name):
            return _serverless(tenant, endpoint)
        return None
    for endpoint in tenant.store.named("onlineEndpoints", region.lower(), name):
        return _online(tenant, endpoint, request)
    return None


def _facts(model: Model | None) -> dict[str, Any]:
    if model is None:
        return {}
    facts: dict[str, Any] = {
        "context": model.context,
        "modalities": model.modalities,
        "publisher": model.publisher,
    }
    if model.dimensions:
        facts["dimensions"] = model.dimensions
    return facts


def _serverless(tenant: Tenant, endpoint: Resource) -> ServedModel:
    properties = endpoint.body["properties"]
    model_id = str((properties.get("modelSettings") or {}).get("modelId", ""))
    model = serverless.model_of(tenant, model_id)
    facts = _facts(model)
    if model is not None and model.serverless is not None:
        facts["tokens_per_minute"] = model.serverless.tokens_per_minute
        facts["requests_per_minute"] = model.serverless.requests_per_minute
    state = serverless.endpoint_state(tenant, endpoint)
    return ServedModel(
        name=endpoint.name,
        model=model.name if model is not None else model_id,
        registry=model.registry if model is not None else "",
        kind="serverless",
        task=model.task if model is not None else "chat-completion",
        keys=tuple(endpoint.keys),
        content_safety=properties["contentSafety"]["contentSafetyStatus"] == "Enabled",
        state=state,
        created=int(endpoint.created),
        region=endpoint.location,
        **facts,
    )


def _online(tenant: Tenant, endpoint: Resource, request: Request) -> ServedModel:
    deployment = _choose(tenant, endpoint, request)
    model: Model | None = None
    label = ""
    state = endpoint.state if endpoint.state in ("Creating", "Deleting") else "Unavailable"
    if deployment is not None:
        label = str(deployment.body["properties"]["model"])
        model, _ = deployment_rules.model_of(tenant, label)
        ready = bool(deployment.facts.get("served")) and deployment.state != "Failed"
        state = "Succeeded" if ready else deployment.state
    if endpoint.state == "Deleting":
        state = "Deleting"
    return ServedModel(
        name=endpoint.name,
        model=model.name if model is not None else label.rsplit("/", 1)[-1],
        registry=model.registry if model is not None else "",
        kind="online",
        task=model.task if model is not None else "chat-completion",
        keys=_online_keys(tenant, endpoint, request),
        content_safety=False,
        state=state,
        created=int(endpoint.created),
        region=endpoint.location,
        deployment=deployment.name if deployment is not None else "",
        requests_per_minute=0,
        tokens_per_minute=0,
        **_facts(model),
    )


def _online_keys(tenant: Tenant, endpoint: Resource, request: Request) -> tuple[str, ...]:
    """Keys, the endpoint's own live tokens, or a valid Entra token, by its auth mode."""
    match endpoint.body["properties"]["authMode"]:
        case "Key":
            return tuple(endpoint.keys)
        case "AMLToken":
            now = tenant.clock.now()
            issued: dict[str, float] = endpoint.facts.get("tokens", {})
            return tuple(token for token, until in issued.items() if until > now)
        case _:
            token = request.headers.get("authorization", "").partition(" ")[2].strip()
            return (token,) if token and tenant.issuer.holds(token) else ()


def _choose(tenant: Tenant, endpoint: Resource, request: Request) -> Resource | None:
    """The deployment that the header names, else one by the shares of the traffic."""
    deployments = {
        d.name.lower(): d for d in tenant.store.children(endpoint.key, "deployments").values()
    }
    named = request.headers.get("azureml-model-deployment", "").lower()
    if named:
        return deployments.get(named)
    traffic: dict[str, int] = endpoint.body["properties"].get("traffic") or {}
    shares = [(deployments[k.lower()], v) for k, v in traffic.items() if k.lower() in deployments]
    live = [(d, percent) for d, percent in shares if percent]
    if not live:
        return None
    chosen = random.choices([d for d, _ in live], weights=[p for _, p in live])  # noqa: S311
    return chosen[0]
