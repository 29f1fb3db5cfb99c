"""What a chain of credentials says when none gave a token, in words for a person."""

from __future__ import annotations

import base64
import json

import pytest
from azure.core.exceptions import ClientAuthenticationError

from provisioner.azure.credentials import bearer_of, problem_of, refused
from provisioner.azure.settings import Settings

CHAIN = (
    "ChainedTokenCredential failed to retrieve a token from the included credentials.\n"
    "Attempted credentials:\n\t"
)
HELP = "\nTo mitigate this issue, please refer to the troubleshooting guidelines here at https://x"


@pytest.mark.parametrize(
    ("said", "code", "details"),
    [
        (
            "EnvironmentCredential: EnvironmentCredential authentication unavailable. Environment "
            "variables are not fully configured.\nVisit https://aka.ms/x to troubleshoot.\n\t"
            "ManagedIdentityCredential: Cannot connect to host 169.254.169.254:80",
            "azure.no-credential",
            (
                "EnvironmentCredential: authentication unavailable. Environment variables are not "
                "fully configured.",
                "ManagedIdentityCredential: Cannot connect to host 169.254.169.254:80",
            ),
        ),
        (
            "ClientSecretCredential: Cannot connect to host login.example:443 ssl:default",
            "azure.unreachable",
            ("ClientSecretCredential: Cannot connect to host login.example:443 ssl:default",),
        ),
        (
            "ClientSecretCredential: Cannot connect to host login.example:443 "
            "[SSLCertVerificationError: (1, '[SSL: CERTIFICATE_VERIFY_FAILED] no issuer')]",
            "azure.untrusted-certificate",
            None,
        ),
    ],
)
def test_a_chain_is_told_by_attempt(said: str, code: str, details: tuple[str, ...] | None) -> None:
    error = refused(ClientAuthenticationError(CHAIN + said + HELP))
    (problem,) = problem_of(error, Settings(), "https://login.example").problems
    assert problem.code.id == code
    if details is not None:
        assert problem.details == details


def _token(claims: object) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{payload}.c2ln"


@pytest.mark.parametrize(
    ("token", "who"),
    [
        (_token({"upn": "ada@contoso.example", "appid": "1", "oid": "2"}), "ada@contoso.example"),
        (_token({"unique_name": "ada@contoso.example"}), "ada@contoso.example"),
        (_token({"appid": "1-2-3", "oid": "2"}), "application 1-2-3"),
        (_token({"azp": "1-2-3"}), "application 1-2-3"),
        (_token({"oid": "4-5", "appid": 7}), "object 4-5"),
        (_token({"sub": "x"}), None),
        (_token(["upn"]), None),
        ("opaque", None),
        ("a.b.c", None),
        ("a.é.c", None),
        ("", None),
    ],
)
def test_a_token_says_whose_it_is(token: str, who: str | None) -> None:
    assert bearer_of(token) == who
