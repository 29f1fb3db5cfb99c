"""Who we are: how a credential and its login service are found, and what is told of failures.

The login service here is a scripted loopback server that answers as Microsoft Entra does;
azure-identity is the real one.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import trustme
from azure.core.pipeline.transport import AioHttpTransport
from azure.core.rest import HttpRequest

from provisioner.azure import Patience, Settings, connect
from provisioner.azure.client import make_session, make_transport
from provisioner.azure.policies import MICROSOFT as ARM_HOSTS
from provisioner.azure.policies import is_within
from provisioner.errors import ExitCode, ProvisionError
from provisioner.resources import Secret
from tests.contract.adapter_server import Answer, Asked, Script, refusal, serve

TENANT = "aaaaaaaa-0000-4000-8000-00000000000a"
SCOPE = "https://x/.default"
GRANTED = {"access_token": "granted", "expires_in": 3600, "token_type": "Bearer"}
GRANT = Answer(body=GRANTED)
SUBSCRIPTIONS = Answer(body={"value": [{"subscriptionId": "s", "displayName": "S"}]})


@dataclass
class Azure:
    script: Script
    settings: Settings
    login: Answer = GRANT
    metadata: Answer = dataclasses.field(default_factory=lambda: refusal(404, "NotFound"))

    def answer(self, asked: Asked) -> Answer:
        if asked.path.endswith("/oauth2/v2.0/token"):
            return self.login
        if asked.path == "/metadata/endpoints":
            return self.metadata
        return SUBSCRIPTIONS

    @property
    def scopes(self) -> list[str]:
        from urllib.parse import parse_qs  # noqa: PLC0415

        asked = [a for a in self.script.asked if a.path.endswith("/token")]
        return [parse_qs(a.body)["scope"][0] for a in asked]


@pytest.fixture
async def azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Azure]:
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "IDENTITY_ENDPOINT",
                 "AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_CERTIFICATE_PATH"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    async with serve(tmp_path) as (script, bundle):
        settings = Settings(
            arm_endpoint=script.url,
            authority=script.url,
            ca_bundle=bundle,
            emulator=True,
            tenant_id=TENANT,
            client_id="client",
            client_secret=Secret("hush"),
            patience=Patience(attempts=1),
        )
        azure = Azure(script, settings)
        script.handler = azure.answer
        yield azure


async def problem(settings: Settings) -> tuple[str, ProvisionError]:
    with pytest.raises(ProvisionError) as caught:
        async with connect(settings):
            pass
    (told,) = caught.value.problems
    assert told.hint
    assert "hush" not in f"{told}"
    return told.code.id, caught.value


async def test_a_service_principal_signs_in_for_arms_own_audience(azure: Azure) -> None:
    async with connect(azure.settings) as cloud:
        assert [facts.id for facts in await cloud.subscriptions()] == ["s"]
    assert azure.scopes == [f"{azure.script.url}/.default"]
    assert azure.script.asked[-1].headers["authorization"] == "Bearer granted"


async def test_a_refused_token_is_replaced_by_one_that_the_credential_did_not_keep(
    azure: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """azure-identity keeps its tokens as well: the same credential would give the same one."""
    monkeypatch.setattr("provisioner.azure.credentials._FRESH", 0.0)
    expired = Answer(
        401,
        {"error": {"code": "ExpiredAuthenticationToken", "message": "expired"}},
        {"WWW-Authenticate": 'Bearer realm="", error="invalid_token"'},
    )

    def answer(asked: Asked) -> Answer:
        if asked.headers.get("authorization") == "Bearer granted":
            azure.login = dataclasses.replace(GRANT, body={**GRANTED, "access_token": "second"})
            return expired
        return azure.answer(asked)

    azure.script.handler = answer
    async with connect(azure.settings) as cloud:
        for _ in range(2):
            assert [facts.id for facts in await cloud.subscriptions()] == ["s"]
    assert azure.script.asked[-1].headers["authorization"] == "Bearer second"
    assert len(azure.scopes) == 2


async def test_a_cloud_that_describes_itself_is_believed(azure: Azure) -> None:
    login = {"loginEndpoint": azure.script.url, "audiences": ["https://management.core.local/"]}
    azure.metadata = Answer(body={"authentication": login})
    async with connect(dataclasses.replace(azure.settings, emulator=False, authority=None)):
        pass
    assert azure.scopes == ["https://management.core.local/.default"]
    metadata = next(a for a in azure.script.asked if a.path == "/metadata/endpoints")
    assert "authorization" not in metadata.headers


async def test_a_cloud_among_several_that_are_described(azure: Azure) -> None:
    login = {"loginEndpoint": azure.script.url, "audiences": ["https://management.core.local/"]}
    azure.metadata = Answer(
        body=[
            {"resourceManager": "https://elsewhere", "authentication": {"loginEndpoint": "x"}},
            {"resourceManager": f"{azure.script.url}/", "authentication": login},
        ]
    )
    async with connect(dataclasses.replace(azure.settings, emulator=False, authority=None)):
        pass
    assert azure.scopes == ["https://management.core.local/.default"]


async def test_a_login_service_that_only_a_refusal_names(azure: Azure) -> None:
    url = azure.script.url
    challenge = f'Bearer authorization_uri="{url}/{TENANT}", error="invalid_token"'

    def answer(asked: Asked) -> Answer:
        if asked.path == "/subscriptions" and "authorization" not in asked.headers:
            return refusal(401, "AuthenticationFailed", **{"WWW-Authenticate": challenge})
        return azure.answer(asked)

    azure.script.handler = answer
    async with connect(dataclasses.replace(azure.settings, emulator=False, authority=None)):
        pass
    assert azure.scopes == [f"{url}/.default"]


@pytest.mark.parametrize(
    "metadata",
    [refusal(404, "NotFound"), Answer(body=b"<html>"), Answer(body=[1]), Answer(body={"a": 1})],
)
async def test_a_cloud_that_does_not_is_asked_for_its_own_address(
    azure: Azure, metadata: Answer
) -> None:
    azure.metadata = metadata
    async with connect(dataclasses.replace(azure.settings, emulator=False)):
        pass
    assert azure.scopes == [f"{azure.script.url}/.default"]


@pytest.mark.parametrize(
    ("error", "text", "code"),
    [
        ("invalid_client", "AADSTS7000215: Invalid client secret", "azure.wrong-credential"),
        ("unauthorized_client", "AADSTS700016: no application", "azure.wrong-credential"),
        ("invalid_request", "AADSTS90002: Tenant not found", "azure.unknown-tenant"),
        ("invalid_client", "AADSTS700024: not within its valid time", "azure.clock-skew"),
        ("invalid_grant", "no number at all", "azure.wrong-credential"),
    ],
)
async def test_a_refused_credential(azure: Azure, error: str, text: str, code: str) -> None:
    azure.login = Answer(401, {"error": error, "error_description": text})
    found, raised = await problem(azure.settings)
    assert found == code
    assert raised.exit_code is ExitCode.FAILED
    assert text in raised.problems[0].details[0]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"tenant_id": "no/tenant"}, "azure.wrong-credential"),
        ({"authority": "https://localhost:1"}, "azure.unreachable"),
        ({"ca_bundle": None}, "azure.untrusted-certificate"),
        ({"ca_bundle": Path("/nonexistent/ca.pem")}, "azure.bad-ca-bundle"),
        ({"ca_bundle": Path(__file__)}, "azure.bad-ca-bundle"),
        ({"arm_endpoint": "http://localhost:1"}, "azure.bad-address"),
        ({"arm_endpoint": "https://localhost:port"}, "azure.bad-address"),
        ({"authority": "localhost"}, "azure.bad-address"),
    ],
    ids=str,
)
async def test_what_is_wrong_before_the_first_request(
    azure: Azure, change: dict[str, Any], code: str
) -> None:
    found, raised = await problem(dataclasses.replace(azure.settings, **change))
    assert found == code
    usage = code == "azure.bad-address"
    assert raised.exit_code is (ExitCode.USAGE if usage else ExitCode.FAILED)


async def test_a_certificate_of_another_authority_is_not_trusted(
    azure: Azure, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    found, _ = await problem(dataclasses.replace(azure.settings, ca_bundle=other))
    assert found == "azure.untrusted-certificate"


async def test_the_environments_principal_is_used(
    azure: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_TENANT_ID", TENANT)
    monkeypatch.setenv("AZURE_CLIENT_ID", "from-environment")
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "hush")
    async with connect(dataclasses.replace(azure.settings, client_id=None)):
        pass
    assert "client_id=from-environment" in azure.script.asked[-1].body


async def test_a_workload_identitys_token_file_is_used(
    azure: Azure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "assertion").write_text("federated", encoding="utf-8")
    monkeypatch.setenv("AZURE_TENANT_ID", TENANT)
    monkeypatch.setenv("AZURE_CLIENT_ID", "pod")
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(tmp_path / "assertion"))
    async with connect(dataclasses.replace(azure.settings, client_id=None)):
        pass
    assert "client_assertion=federated" in azure.script.asked[-1].body


def test_settings_never_show_the_secret() -> None:
    settings: Callable[[], Settings] = lambda: Settings(client_secret=Secret("hush"))  # noqa: E731
    assert "hush" not in repr(settings())


MICROSOFT = [
    {
        "loginEndpoint": "https://login.microsoftonline.com/",
        "audiences": ["https://management.azure.com/"],
    },
    {"loginEndpoint": "https://login.microsoftonline.us", "audiences": []},
    {},
]


@pytest.mark.parametrize("described", MICROSOFT)
async def test_a_host_that_asks_for_microsofts_token_does_not_get_one(
    azure: Azure, described: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioner.azure.opening.LOOPBACK", frozenset())
    azure.metadata = Answer(body={"authentication": described})
    settings = dataclasses.replace(azure.settings, emulator=False, authority=None)
    code, raised = await problem(settings)
    assert code == "azure.foreign-login"
    assert raised.exit_code is ExitCode.USAGE
    assert all("authorization" not in asked.headers for asked in azure.script.asked)


@pytest.mark.parametrize(
    ("address", "theirs"),
    [
        ("https://management.azure.com", True),
        ("https://eastus.management.azure.com", True),
        ("https://management.usgovcloudapi.net", True),
        ("https://mine.eastus.cloudapp.azure.com", False),
        ("https://management.azure.com.example", False),
    ],
)
def test_an_address_below_a_domain_of_microsofts_need_not_be_microsofts(
    address: str, theirs: bool
) -> None:
    assert is_within(address, ARM_HOSTS) is theirs


@pytest.mark.parametrize("described", MICROSOFT)
async def test_this_machine_may_have_whatever_token_the_credential_gives(
    azure: Azure, described: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An ARM that somebody runs here, reached with `az login` alone."""
    answer = {"accessToken": "from-az", "expires_on": 4_102_444_800, "tokenType": "Bearer"}
    az = tmp_path / "az"
    az.write_text(f"#!/bin/sh\ncat <<'EOF'\n{json.dumps(answer)}\nEOF\n")
    az.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "AzureCliCredential")
    azure.metadata = Answer(body={"authentication": described})
    settings = dataclasses.replace(
        azure.settings, emulator=False, authority=None, client_id=None, client_secret=None
    )
    async with connect(settings) as cloud:
        assert [facts.id for facts in await cloud.subscriptions()] == ["s"]
    assert azure.script.asked[-1].headers["authorization"] == "Bearer from-az"


async def test_a_proxy_is_taken_from_the_environment_and_nothing_from_netrc(
    azure: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ~/.netrc, aiohttp would send its default password to the login service."""
    for name in ("https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", ".internal")
    used: list[tuple[str, object]] = []

    async def send(self: object, request: HttpRequest, **config: object) -> None:
        used.append((request.url, config.get("proxy")))

    monkeypatch.setattr(AioHttpTransport, "send", send)
    async with make_session(azure.settings) as session:
        assert not session.trust_env
        transport = make_transport(session, azure.settings)
        for host in ("login.example", "arm.internal", "localhost"):
            await transport.send(HttpRequest("GET", f"https://{host}/"))
    assert used == [
        ("https://login.example/", "http://proxy.example:3128"),
        ("https://arm.internal/", None),
        ("https://localhost/", None),
    ]


async def test_a_cloud_is_asked_for_its_login_service_through_the_proxy(
    azure: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("https_proxy", "NO_PROXY", "no_proxy", "AZURE_AUTHORITY_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    used: list[tuple[str, object]] = []

    def get(self: object, url: str, **options: object) -> None:
        used.append((urlsplit(url).path, options.get("proxy")))
        raise aiohttp.ClientError

    monkeypatch.setattr(aiohttp.ClientSession, "get", get)
    settings = dataclasses.replace(
        azure.settings, emulator=False, authority=None, arm_endpoint="https://arm.example"
    )
    code, _ = await problem(settings)
    assert code == "azure.foreign-login"
    assert used == [
        ("/metadata/endpoints", "http://proxy.example:3128"),
        ("/subscriptions", "http://proxy.example:3128"),
    ]


async def test_a_description_is_not_fetched_from_elsewhere(azure: Azure) -> None:
    azure.metadata = Answer(302, {}, {"Location": f"{azure.script.url}/elsewhere"})
    async with connect(dataclasses.replace(azure.settings, emulator=False)):
        pass
    assert "/elsewhere" not in [asked.path for asked in azure.script.asked]
