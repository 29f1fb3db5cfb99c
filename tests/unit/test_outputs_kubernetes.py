"""The sink kubernetesSecret through the real client against an API server on loopback TLS."""

from __future__ import annotations

import base64
import json
import ssl
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml
from aiohttp import web

from provisioner.manifest import Output
from provisioner.outputs import (
    Context,
    EndpointCredentials,
    SinkResult,
    Status,
    check_writable,
    write,
)
from provisioner.resources import Keys, ModelRef, Secret

URL = "https://llama.eastus2.models.ai.azure.com"
KEY = "kEy0123456789abcdef"


@dataclass
class Cluster:
    """An API server with one Secret; server-side apply as the API's documentation has it."""

    folder: Path
    url: str = ""
    stored: dict[str, Any] | None = None
    version: int = 0
    refuse: int = 0
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append((request.method, dict(request.query)))
        assert request.path == "/api/v1/namespaces/apps/secrets/llama"
        assert request.headers["Authorization"] == "Bearer cluster-token"
        if self.refuse:
            status = {"kind": "Status", "code": self.refuse, "message": "secrets are not for you"}
            return web.json_response(status, status=self.refuse)
        if request.method == "PATCH":
            assert request.content_type == "application/apply-patch+yaml"
            body = yaml.safe_load(await request.read())
            if self.stored is None or self.stored["data"] != body["data"]:
                self.version += 1
                self.stored = body
        elif self.stored is None:
            return web.json_response({"kind": "Status", "code": 404}, status=404)
        assert self.stored is not None
        metadata = {**self.stored["metadata"], "resourceVersion": str(self.version)}
        return web.json_response({**self.stored, "metadata": metadata})

    def context(self, server: str | None = None, *, verified: bool = True) -> Context:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [
                {
                    "name": "c",
                    "cluster": {
                        "server": server or self.url,
                        "certificate-authority": str(self.folder / "ca.pem"),
                        "insecure-skip-tls-verify": not verified,
                    },
                }
            ],
            "users": [{"name": "u", "user": {"token": "cluster-token"}}],
        }
        path = self.folder / "kubeconfig"
        path.write_text(json.dumps(config))
        return Context(self.folder, {"PATH": "", "KUBECONFIG": str(path)})


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    cluster = Cluster(tmp_path)
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", cluster.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    cluster.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    yield cluster
    await runner.cleanup()


def sink(**settings: str) -> Output:
    named = {"name": "llama", "namespace": "apps", **settings}
    return Output.model_validate({"kubernetesSecret": named})


async def apply(context: Context, *sinks: Output) -> list[SinkResult]:
    model = ModelRef("azureml-meta", "Llama-3.3-70B-Instruct")
    found = EndpointCredentials("llama", URL, Keys(Secret(KEY), None), model)
    return await write(found, sinks or [sink()], context)


async def test_a_secret_is_applied_and_left_alone_when_it_is_the_same(cluster: Cluster) -> None:
    context = cluster.context()
    assert await check_writable([sink()], context) == []
    (first,) = await apply(context)
    assert first.status is Status.WRITTEN, first.problem
    assert cluster.stored is not None
    decoded = {k: base64.b64decode(v).decode() for k, v in cluster.stored["data"].items()}
    assert decoded == {
        "AZURE_INFERENCE_ENDPOINT": URL,
        "AZURE_INFERENCE_CREDENTIAL": KEY,
        "AZURE_INFERENCE_MODEL": "Llama-3.3-70B-Instruct",
    }
    assert ("PATCH", {"fieldManager": "provisioner"}) in cluster.asked  # and no force
    (again,) = await apply(context)
    assert again.status is Status.UNCHANGED


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "identity"), (403, "No right"), (409, "Somebody else"), (500, "500")],
)
async def test_a_refusal_is_told_and_the_others_go_on(
    cluster: Cluster, status: int, words: str
) -> None:
    cluster.refuse = status
    file = Output.model_validate({"dotenv": {"path": "o.env"}})
    refused, written = await apply(cluster.context(), sink(), file)
    assert refused.problem is not None
    assert refused.problem.code.id == "output.store"
    assert words in refused.problem.what
    assert KEY not in repr(refused)
    assert written.status is Status.WRITTEN


async def test_no_cluster(cluster: Cluster) -> None:
    (gone,) = await apply(cluster.context("https://127.0.0.1:1"))
    assert gone.problem is not None
    assert "cannot be reached" in gone.problem.what
    context = cluster.context()
    (other,) = await apply(context, sink(context="elsewhere"))
    assert other.problem is not None
    assert "under the context elsewhere" in other.problem.what
    (cluster.folder / "kubeconfig").unlink()
    problems = await check_writable([sink()], context)
    assert ["No Kubernetes cluster" in problem.what for problem in problems] == [True]


async def test_a_certificate_that_is_not_trusted(cluster: Cluster) -> None:
    context = cluster.context()
    trustme.CA().cert_pem.write_to_path(str(cluster.folder / "ca.pem"))
    (result,) = await apply(context)
    assert result.problem is not None
    assert "not trusted" in result.problem.what


async def test_no_key_is_sent_to_whoever_answers(cluster: Cluster) -> None:
    for context in (
        cluster.context(verified=False),
        cluster.context(cluster.url.replace("https", "http")),
    ):
        (foretold,) = await check_writable([sink()], context)
        (result,) = await apply(context)
        assert result.problem == foretold
        assert "without verifying" in foretold.what
    assert cluster.asked == []


async def test_without_the_package(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    (result,) = await apply(cluster.context())
    assert result.problem is not None
    assert result.problem.code.id == "output.missing-package"
    assert "pip install kubernetes" in result.problem.hint  # our own name is another's on PyPI
    (manifest,) = await apply(cluster.context(), sink(path="secret.yaml"))
    assert manifest.status is Status.WRITTEN
