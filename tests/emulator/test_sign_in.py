"""Entra: who gets a token, which tokens ARM takes, and what it says about the others."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import jwt
import pytest

from tests.emulator.azure_client import OWNER, SUB, TENANT, Client, azure, error

ARM = "https://management.azure.com"
SUBJECT = "repo:contoso/models:ref:refs/heads/main"


async def _token(client: Client, tenant: str = TENANT, **form: str) -> httpx.Response:
    filled = {
        "grant_type": "client_credentials",
        "client_id": OWNER[0],
        "client_secret": OWNER[1],
        "scope": f"{ARM}/.default",
        **form,
    }
    return await client.http.post(f"/{tenant}/oauth2/v2.0/token", data=filled)


async def test_discovery_points_to_itself(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        url = client.emulator.url
        for tail in ("/v2.0", ""):
            path = f"/{TENANT}{tail}/.well-known/openid-configuration"
            found = (await client.http.get(path)).json()
            assert found["token_endpoint"] == f"{url}/{TENANT}/oauth2{tail}/token"
            keys = (await client.http.get(found["jwks_uri"])).json()["keys"]
            public = jwt.PyJWK(keys[0]).key
            token = client.http.headers["authorization"].split()[1]
            claims = jwt.decode(token, public, algorithms=["RS256"], audience=ARM)
            assert claims["tid"] == TENANT
        single = await client.http.get("/metadata/endpoints?api-version=2022-09-01")
        many = await client.http.get("/metadata/endpoints?api-version=2019-05-01")
        assert single.json() == many.json()[0]
        assert single.json()["resourceManager"] == f"{url}/"


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        pytest.param({"client_secret": "wrong"}, 401, 7000215, id="a wrong secret"),
        pytest.param({"client_secret": ""}, 401, 7000215, id="no secret"),
        pytest.param({"client_id": TENANT}, 400, 700016, id="an unknown application"),
        pytest.param({"grant_type": "password"}, 400, 70003, id="a grant that is not emulated"),
        pytest.param({"scope": "openid"}, 400, 1002012, id="a scope without /.default"),
        pytest.param({"client_assertion": "x.y.z"}, 401, 50027, id="an assertion that is no JWT"),
    ],
)
async def test_a_token_is_refused_with_the_code_of_entra(
    tmp_path: Path, form: dict[str, str], status: int, code: int
) -> None:
    async with azure(tmp_path) as client:
        answer = await _token(client, **form)
        assert (answer.status_code, answer.json()["error_codes"]) == (status, [code])
        assert f"AADSTS{code}" in answer.json()["error_description"]


async def test_an_unknown_tenant_is_refused(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        answer = await _token(client, "bbbbbbbb-1111-4000-8000-000000000001")
        assert answer.json()["error_codes"] == [90002]


async def test_a_federated_token_signs_in_when_issuer_subject_and_audience_are_known(
    tmp_path: Path,
) -> None:
    def assertion(**changes: object) -> str:
        claims: dict[str, object] = {
            "iss": "https://emulator.invalid/oidc",
            "sub": SUBJECT,
            "aud": "api://AzureADTokenExchange",
            "exp": time.time() + 60,
            **changes,
        }
        return jwt.encode(claims, "not checked" * 4, algorithm="HS256")

    async with azure(tmp_path) as client:
        good = await _token(client, client_secret="", client_assertion=assertion())
        assert good.status_code == 200
        for change in ({"sub": "other"}, {"iss": "https://other"}, {"aud": "other"}):
            bad = await _token(client, client_assertion=assertion(**change))
            assert bad.json()["error_codes"] == [700213]
        own = assertion(iss=OWNER[0], sub=OWNER[0])
        certificate = await _token(client, client_assertion=own)
        assert certificate.json()["error_codes"] == [700027]
        expiries: tuple[object, ...] = (1, "soon", [], {}, True, None)
        for exp in expiries:
            late = await _token(client, client_assertion=assertion(exp=exp))
            assert late.json()["error_codes"] == [700024], exp


async def test_odd_token_requests_get_an_answer_of_entras(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        url = f"/{TENANT}/oauth2/v2.0/token"
        for body in (b"a=1&" * 500, b"\xff\xfe=%ff&%", b"{}", b"", b"a" * 200_000):
            answer = await client.http.post(url, content=body)
            assert (answer.status_code, answer.json()["error_codes"]) == (400, [70003])
        basic = await client.http.post(
            url, content=b"grant_type=client_credentials", headers={"Authorization": "Basic =%"}
        )
        assert basic.json()["error_codes"] == [700016]


async def test_arm_takes_only_tokens_of_its_own_audience_that_are_valid_now(
    tmp_path: Path,
) -> None:
    async with azure(tmp_path) as client:
        issuer = client.emulator.tenant.issuer
        principal = client.emulator.tenant.scenario.principals[0]
        ml = issuer.issue(principal, "https://ml.azure.com", version=2, lifetime=60)
        expired = issuer.issue(principal, ARM, version=1, lifetime=-1)
        url = client.emulator.url
        cases = {
            "": "AuthenticationFailed",
            "Basic abc": "AuthenticationFailedInvalidHeader",
            "Bearer nonsense": "InvalidAuthenticationToken",
            f"Bearer {ml}": "InvalidAuthenticationTokenAudience",
            f"Bearer {expired}": "ExpiredAuthenticationToken",
            f"Bearer {expired[:-4]}AAAA": "InvalidAuthenticationToken",
        }
        for header, code in cases.items():
            headers = {"Authorization": header}
            answer = await client.http.get(f"{SUB}?api-version=2022-12-01", headers=headers)
            assert error(answer) == (401, code), header
            authority = f'Bearer authorization_uri="{url}/{TENANT}", '
            assert answer.headers["www-authenticate"].startswith(authority)
        for audience in (ARM, f"{ARM}/", "https://management.core.windows.net/", url, f"{url}/"):
            token = issuer.issue(principal, audience, version=1, lifetime=60)
            headers = {"Authorization": f"Bearer {token}"}
            answer = await client.http.get(f"{SUB}?api-version=2022-12-01", headers=headers)
            assert answer.status_code == 200, audience


async def test_a_moved_clock_signs_nobody_out(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        await client.advance("168h")
        assert (await client.get(SUB, "2022-12-01"))["state"] == "Enabled"
