"""Signing in without a secret: a runner's OIDC endpoint on loopback, and the emulator's Entra."""

from __future__ import annotations

import itertools
import os
import signal
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import jwt
import pytest

from provisioner.azure import Patience, Settings, connect, federation
from provisioner.azure.federation import AUDIENCE
from provisioner.emulator import control
from provisioner.emulator.control import Record
from provisioner.errors import ProvisionError
from tests.contract.adapter_server import Answer, Asked, Script, serve

ISSUER = "https://emulator.invalid/oidc"
SUBJECT = "repo:contoso/models:ref:refs/heads/main"
NAMES = (
    *("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE"),
    *("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "GITHUB_ACTIONS"),
    *("SYSTEM_OIDCREQUESTURI", "SYSTEM_ACCESSTOKEN", "TF_BUILD", "IDENTITY_ENDPOINT"),
)


@dataclass
class Scene:
    script: Script
    record: Record
    settings: Settings
    monkeypatch: pytest.MonkeyPatch
    subject: str = SUBJECT
    given: list[str] = field(default_factory=list)
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    def answer(self, asked: Asked) -> Answer:
        """A token of its own for each request, good for a minute, as runners give them."""
        if asked.headers.get("authorization") != "Bearer runner-token":
            return Answer(401, {"message": "no"})
        if asked.path == "/github":
            assert asked.method == "GET"
            assert asked.query == {"job": "7", "audience": AUDIENCE}
        else:
            assert (asked.method, asked.path) == ("POST", "/devops")
            assert asked.query == {"api-version": "7.1", "serviceConnectionId": "connection"}
        claims = {
            "iss": ISSUER, "sub": self.subject, "aud": AUDIENCE,
            "exp": int(time.time()) + 60, "jti": str(next(self.numbers)),
        }  # fmt: skip
        self.given.append(jwt.encode(claims, "a key of the foreign issuer, 32 bytes.", "HS256"))
        return Answer(200, {"value" if asked.path == "/github" else "oidcToken": self.given[-1]})

    def github(self, **changes: str) -> None:
        self.set(
            GITHUB_ACTIONS="true",
            AZURE_TENANT_ID=self.record.tenant_id,
            AZURE_CLIENT_ID=self.record.client_id,
            ACTIONS_ID_TOKEN_REQUEST_URL=f"{self.script.url}/github?job=7",
            ACTIONS_ID_TOKEN_REQUEST_TOKEN="runner-token",
        )
        self.set(**changes)

    def set(self, **values: str) -> None:
        for name, value in values.items():
            self.monkeypatch.setenv(name, value)


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    record = await control.start(tmp_path / ".provisioner")
    try:
        async with serve(tmp_path) as (script, bundle):
            both = bundle.read_text() + (tmp_path / ".provisioner/ca.pem").read_text()
            (tmp_path / "both.pem").write_text(both)
            settings = Settings(
                arm_endpoint=record.url,
                authority=record.url,
                ca_bundle=tmp_path / "both.pem",
                patience=Patience(attempts=1),
            )
            scene = Scene(script, record, settings, monkeypatch)
            script.handler = scene.answer
            yield scene
    finally:
        os.kill(record.pid, signal.SIGTERM)


async def test_github_actions(scene: Scene) -> None:
    scene.github()
    async with connect(scene.settings) as cloud:
        assert [one.id for one in await cloud.subscriptions()] == [scene.record.subscription_id]
    assert len(scene.given) == 1


async def test_each_azure_token_begins_with_a_new_runner_token(scene: Scene) -> None:
    scene.github()
    async with connect(scene.settings) as cloud:
        tokens = cloud.vaults._arm.credential
        await tokens.get_token_info("https://ml.azure.com/.default")
        await tokens.get_token_info("https://ml.azure.com/.default")
    assert len(scene.given) == len(set(scene.given)) == 2


async def test_azure_pipelines(scene: Scene) -> None:
    scene.set(
        TF_BUILD="True",
        AZURESUBSCRIPTION_TENANT_ID=scene.record.tenant_id,
        AZURESUBSCRIPTION_CLIENT_ID=scene.record.client_id,
        AZURESUBSCRIPTION_SERVICE_CONNECTION_ID="connection",
        SYSTEM_OIDCREQUESTURI=f"{scene.script.url}/devops",
        SYSTEM_ACCESSTOKEN="runner-token",
    )
    async with connect(scene.settings) as cloud:
        assert await cloud.subscriptions()
    assert len(scene.given) == 1


async def test_a_workload_identity(scene: Scene, tmp_path: Path) -> None:
    claims = {"iss": ISSUER, "sub": SUBJECT, "aud": AUDIENCE, "exp": int(time.time()) + 600}
    file = tmp_path / "token"
    file.write_text(jwt.encode(claims, "a key of the foreign issuer, 32 bytes.", "HS256"))
    scene.github(AZURE_FEDERATED_TOKEN_FILE=str(file))
    async with connect(scene.settings) as cloud:
        assert await cloud.subscriptions()
    assert scene.given == []  # the file goes first


async def test_a_managed_identity(scene: Scene) -> None:
    """As App Service and Container Apps announce it: an endpoint and a header."""
    record = scene.record
    form = {
        "grant_type": "client_credentials", "client_id": record.client_id,
        "client_secret": record.client_secret, "resource": record.url,
    }  # fmt: skip
    trust = ssl.create_default_context(cafile=record.ca_bundle)
    async with httpx.AsyncClient(verify=trust) as client:
        granted = await client.post(f"{record.url}/{record.tenant_id}/oauth2/token", data=form)

    def identity(asked: Asked) -> Answer:
        assert asked.headers["x-identity-header"] == "hush"
        assert asked.query["resource"] == record.url
        return Answer(200, granted.json())

    scene.script.handler = identity
    scene.set(IDENTITY_ENDPOINT=f"{scene.script.url}/msi/token", IDENTITY_HEADER="hush")
    async with connect(scene.settings) as cloud:
        assert await cloud.subscriptions()
    assert scene.script.count("GET") == 1


async def _refused(scene: Scene) -> tuple[str, str]:
    with pytest.raises(ProvisionError) as caught:
        async with connect(scene.settings):
            pass
    (problem,) = caught.value.problems
    text = " ".join((problem.what, problem.hint, *problem.details))
    assert "runner-token" not in text
    assert not any(token in text for token in scene.given)
    return problem.code.id, text


async def test_a_branch_that_nobody_trusts(scene: Scene) -> None:
    scene.github()
    scene.subject = "repo:contoso/models:ref:refs/heads/other"
    code, text = await _refused(scene)
    assert code == "azure.no-federation"
    assert scene.subject in text
    assert "federated-credential create" in text


async def test_a_runner_that_refuses(scene: Scene) -> None:
    scene.github(ACTIONS_ID_TOKEN_REQUEST_TOKEN="expired")
    code, text = await _refused(scene)
    assert code == "azure.wrong-credential"
    assert "GitHub Actions gave no OIDC token: it answered 401." in text


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}"])
async def test_a_runner_that_makes_no_sense(scene: Scene, body: bytes) -> None:
    scene.github()
    scene.script.handler = lambda asked: Answer(200, body)
    _, text = await _refused(scene)
    assert "GitHub Actions gave no OIDC token." in text


async def test_the_runners_token_never_leaves_over_an_open_connection(scene: Scene) -> None:
    port = urlsplit(scene.script.url).port
    scene.github(ACTIONS_ID_TOKEN_REQUEST_URL=f"http://127.0.0.1:{port}/github?job=7")
    _, text = await _refused(scene)
    assert "not https" in text
    assert scene.script.asked == []


def test_what_is_given_goes_first() -> None:
    github = {
        "AZURE_TENANT_ID": "t",
        "AZURE_CLIENT_ID": "c",
        "ACTIONS_ID_TOKEN_REQUEST_URL": "https://runner.invalid/",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "runner-token",
    }
    found = federation.find(github)
    assert found is not None
    assert found.url == "https://runner.invalid/?audience=api%3A%2F%2FAzureADTokenExchange"
    assert "runner-token" not in repr(found)
    for name in ("AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE"):
        assert federation.find({**github, name: "x"}) is None
    for name in github:
        assert federation.find({key: github[key] for key in github if key != name}) is None


def test_a_job_is_told_what_it_lacks() -> None:
    assert "id-token: write" in str(federation.advice({"GITHUB_ACTIONS": "true"}))
    ready = {"GITHUB_ACTIONS": "true", "ACTIONS_ID_TOKEN_REQUEST_URL": "u"}
    assert "AZURE_CLIENT_ID" in str(federation.advice(ready))
    assert "SYSTEM_ACCESSTOKEN" in str(federation.advice({"TF_BUILD": "True"}))
    assert federation.advice({}) is None


async def test_a_secret_in_the_environment_wins(scene: Scene) -> None:
    scene.github(AZURE_CLIENT_SECRET=scene.record.client_secret)
    async with connect(scene.settings) as cloud:
        assert await cloud.subscriptions()
    assert scene.given == []
