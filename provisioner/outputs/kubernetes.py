"""A Secret applied to a cluster, server-side, by the `kubernetes` client (an optional extra).

Server-side apply (a PATCH with `application/apply-patch+yaml` and a field manager) owns just our
fields: what others keep in the same Secret stays, and a field that somebody else owns is a
conflict that is reported rather than taken.
"""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from provisioner.errors import Problem
from provisioner.manifest.sinks import KubernetesSecret
from provisioner.outputs import codes
from provisioner.outputs.content import secret_head, variables
from provisioner.outputs.types import Context, EndpointCredentials, SinkError

MANAGER: Final = "provisioner"
_TIMEOUT: Final = (5.0, 30.0)
"""Seconds to connect, and to read."""


@dataclass(frozen=True, slots=True)
class _Cluster:
    api: Any
    host: str


async def require_cluster(sink: KubernetesSecret, context: Context) -> None:
    """Raises SinkError when no cluster could be asked: no package, no configuration."""
    await asyncio.to_thread(_cluster, sink, context)


async def apply_secret(
    credentials: EndpointCredentials, sink: KubernetesSecret, context: Context
) -> bool:
    """Apply the Secret; whether the cluster's copy changed. Raises SinkError."""
    values = variables(credentials, None)
    data = {name: base64.b64encode(text.encode()).decode() for name, text in values.items()}
    body = {**secret_head(sink), "data": data}
    # The client is synchronous; its few requests wait in a thread.
    return await asyncio.to_thread(_apply, sink, body, context)


def secret_data(sink: KubernetesSecret, context: Context) -> dict[str, str]:
    """What the cluster's copy holds, in base64; empty when there is none. Raises SinkError."""
    cluster = _cluster(sink, context)
    from kubernetes.client import ApiException, CoreV1Api  # noqa: PLC0415 - see _cluster
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    core: Any = CoreV1Api(cluster.api)
    try:
        found = core.read_namespaced_secret(sink.name, sink.namespace, _request_timeout=_TIMEOUT)
    except ApiException as error:
        if error.status == 404:
            return {}
        raise SinkError(_refused(sink, cluster, error)) from error
    except (HTTPError, OSError) as error:
        raise SinkError(_unreachable(cluster, error)) from error
    finally:
        cluster.api.close()
    return dict(found.data or {})


def _apply(sink: KubernetesSecret, body: dict[str, object], context: Context) -> bool:
    cluster = _cluster(sink, context)
    from kubernetes.client import ApiException, CoreV1Api  # noqa: PLC0415 - see _cluster
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    core: Any = CoreV1Api(cluster.api)
    try:
        before = _version(core, sink)
        done = core.patch_namespaced_secret(
            sink.name, sink.namespace, body, field_manager=MANAGER,
            _content_type="application/apply-patch+yaml", _request_timeout=_TIMEOUT,
        )  # fmt: skip
    except ApiException as error:
        raise SinkError(_refused(sink, cluster, error)) from error
    except (HTTPError, OSError) as error:
        raise SinkError(_unreachable(cluster, error)) from error
    finally:
        cluster.api.close()
    return bool(done.metadata.resource_version != before)


def _version(core: Any, sink: KubernetesSecret) -> str | None:
    """The resourceVersion before; an apply that changes nothing leaves it as it is."""
    from kubernetes.client import ApiException  # noqa: PLC0415

    try:
        found = core.read_namespaced_secret(sink.name, sink.namespace, _request_timeout=_TIMEOUT)
    except ApiException as error:
        if error.status in (403, 404):  # the right to patch is enough to write
            return None
        raise
    return str(found.metadata.resource_version)


def _cluster(sink: KubernetesSecret, context: Context) -> _Cluster:
    """The client of the kubeconfig's context, else of the pod that this runs in."""
    if find_spec("kubernetes") is None:
        raise SinkError(
            Problem(
                codes.MISSING_PACKAGE,
                "Applying a Secret to a cluster needs the Python package kubernetes.",
                "pip install kubernetes, or give kubernetesSecret a path and run: "
                "kubectl apply -f PATH",
            )
        )
    from kubernetes import client  # noqa: PLC0415 - half a second of import

    config: Any = import_module("kubernetes.config")  # untyped

    settings = client.Configuration()
    settings.retries = 1
    environment = context.environment
    try:
        if environment.get("KUBERNETES_SERVICE_HOST") and not environment.get("KUBECONFIG"):
            config.load_incluster_config(client_configuration=settings)
        else:
            config.load_kube_config(
                config_file=environment.get("KUBECONFIG"),
                context=sink.context,
                client_configuration=settings,
                persist_config=False,
            )
    except (config.ConfigException, OSError, ValueError) as error:
        raise SinkError(
            Problem(
                codes.STORE,
                "No Kubernetes cluster is configured here"
                + (f" under the context {sink.context}." if sink.context else "."),
                "set KUBECONFIG, or check `kubectl config get-contexts`; a manifest file needs "
                "none: give kubernetesSecret a path",
                details=(str(error).strip()[:300],),
            )
        ) from error
    if not settings.verify_ssl or not str(settings.host).startswith("https://"):
        raise SinkError(_unverified(str(settings.host)))
    return _Cluster(client.ApiClient(settings), str(settings.host))


def _unverified(host: str) -> Problem:
    return Problem(
        codes.STORE,
        f"The kubeconfig reaches the cluster {host} without verifying who it is; no key is sent "
        "there.",
        "give the cluster's certificate-authority in the kubeconfig in place of "
        "insecure-skip-tls-verify; or give kubernetesSecret a path and run: kubectl apply -f PATH",
    )


def _refused(sink: KubernetesSecret, cluster: _Cluster, error: Any) -> Problem:
    where = f"{sink.namespace}/{sink.name}"
    match error.status:
        case 401:
            what = f"The cluster {cluster.host} does not accept this identity."
            hint = "sign in again, or check the kubeconfig's user"
        case 403:
            what = f"No right to apply the Secret {where} in {cluster.host}."
            hint = f"grant get and patch on secrets in the namespace {sink.namespace}"
        case 404:
            what = f"The cluster {cluster.host} has no namespace {sink.namespace}."
            hint = f"kubectl create namespace {sink.namespace}"
        case 409:
            what = f"Somebody else manages fields of the Secret {where}."
            hint = "choose another name, or delete that Secret first"
        case _:
            what = f"The cluster {cluster.host} refused the Secret {where} with {error.status}."
            hint = "see what it said above; nothing else was affected"
    return Problem(codes.STORE, what, hint, details=_message(error))


def _message(error: Any) -> tuple[str, ...]:
    """The API server's own words; its body never repeats what was sent."""
    try:
        text = str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        text = str(error.reason or "")
    return (text[:500],) if text else ()


def _unreachable(cluster: _Cluster, error: Exception) -> Problem:
    untrusted = "certificate verify failed" in str(error).lower()
    return Problem(
        codes.STORE,
        f"The certificate of the cluster {cluster.host} is not trusted."
        if untrusted
        else f"The cluster {cluster.host} cannot be reached.",
        "check the kubeconfig's certificate authority"
        if untrusted
        else "check the kubeconfig's server address and the network",
        details=(type(error).__name__,),
    )
