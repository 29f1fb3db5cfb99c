"""azure-identity, unmodified: every way to sign in that the emulator knows."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import (
    ClientSecretCredential,
    DefaultAzureCredential,
    EnvironmentCredential,
    WorkloadIdentityCredential,
)

from provisioner.emulator.control import Record

ISSUER = "https://emulator.invalid/oidc"
SUBJECT = "repo:contoso/models:ref:refs/heads/main"


def opens(emulator: Record, token: str) -> bool:
    """Whether ARM takes the token."""
    url = f"{emulator.url}/subscriptions/{emulator.subscription_id}?api-version=2022-12-01"
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(verify=emulator.ca_bundle) as client:
        return client.get(url, headers=headers).status_code == 200


@pytest.mark.parametrize("scope", ["https://management.azure.com/.default", "own"])
def test_a_client_secret(emulator: Record, scope: str) -> None:
    with ClientSecretCredential(
        emulator.tenant_id,
        emulator.client_id,
        emulator.client_secret,
        authority=emulator.url,
        disable_instance_discovery=True,
    ) as credential:
        wanted = f"{emulator.url}/.default" if scope == "own" else scope
        assert opens(emulator, credential.get_token(wanted).token)


def test_a_wrong_secret(emulator: Record) -> None:
    with (
        ClientSecretCredential(
            emulator.tenant_id,
            emulator.client_id,
            "not-it",
            authority=emulator.url,
            disable_instance_discovery=True,
        ) as credential,
        pytest.raises(ClientAuthenticationError, match="AADSTS7000215"),
    ):
        credential.get_token("https://management.azure.com/.default")


def test_the_environment_is_enough(emulator: Record) -> None:
    with EnvironmentCredential(disable_instance_discovery=True) as credential:
        assert opens(emulator, credential.get_token("https://management.azure.com/.default").token)
    with DefaultAzureCredential(disable_instance_discovery=True) as default:
        assert opens(emulator, default.get_token("https://management.azure.com/.default").token)


def workload(emulator: Record, folder: Path, subject: str) -> WorkloadIdentityCredential:
    claims = {
        "iss": ISSUER,
        "sub": subject,
        "aud": "api://AzureADTokenExchange",
        "exp": int(time.time()) + 600,
    }
    file = folder / "token"
    file.write_text(jwt.encode(claims, "any key of the foreign issuer, 32 bytes", "HS256"))
    return WorkloadIdentityCredential(
        tenant_id=emulator.tenant_id,
        client_id=emulator.client_id,
        token_file_path=str(file),
        authority=emulator.url,
        disable_instance_discovery=True,
    )


def test_a_workload_identity_token_file(emulator: Record, tmp_path: Path) -> None:
    with workload(emulator, tmp_path, SUBJECT) as credential:
        assert opens(emulator, credential.get_token("https://management.azure.com/.default").token)


def test_a_workload_that_nobody_trusts(emulator: Record, tmp_path: Path) -> None:
    with (
        workload(emulator, tmp_path, "repo:fabrikam/models") as credential,
        pytest.raises(ClientAuthenticationError, match="AADSTS700213"),
    ):
        credential.get_token("https://management.azure.com/.default")
