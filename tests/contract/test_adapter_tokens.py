"""Tokens of one credential: cached, renewed, shared; and what a refusal is called."""

from __future__ import annotations

import asyncio

import pytest
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from azure.identity import CredentialUnavailableError

from provisioner.azure.credentials import Blocking, Tokens, refused
from provisioner.errors.cloud import CloudError, Verdict
from tests.contract.adapter_server import FakeClock, Source

SCOPE = "https://x/.default"


async def test_tokens_are_renewed_early_and_the_old_one_serves_while_that_fails() -> None:
    clock = FakeClock()
    source = Source(clock)
    tokens = Tokens(source, clock, lambda: source)
    assert (await tokens.get_token_info(SCOPE)).token == "token-1"
    clock.elapsed = 3600 - 250
    source.failure = ServiceRequestError("down")
    for _ in range(5):
        assert (await tokens.get_token_info(SCOPE)).token == "token-1"
    assert len(source.asked) == 2, "a failed renewal is not tried again at every request"
    clock.elapsed = 3600 - 10
    with pytest.raises(CloudError) as caught:
        await tokens.get_token_info(SCOPE)
    assert caught.value.verdict is Verdict.RETRY
    source.failure = None
    assert (await tokens.get_token_info(SCOPE)).token == "token-4"


async def test_many_that_need_a_token_fetch_it_once_per_scope() -> None:
    clock = FakeClock()
    source = Source(clock)
    tokens = Tokens(source, clock, lambda: source)
    await asyncio.gather(*(tokens.get_token_info(scope) for scope in [SCOPE, "https://y"] * 10))
    assert sorted(source.scopes) == [SCOPE, "https://y"]


async def test_a_challenge_replaces_the_token_for_all() -> None:
    clock = FakeClock()
    source = Source(clock)
    tokens = Tokens(source, clock, lambda: source)
    await tokens.get_token_info(SCOPE)
    challenged = [tokens.get_token_info(SCOPE, options={"claims": "{}"}) for _ in range(5)]
    assert {info.token for info in await asyncio.gather(*challenged)} == {"token-2"}
    assert (await tokens.get_token_info(SCOPE)).token == "token-2"


async def test_a_thread_shares_the_loops_tokens() -> None:
    clock = FakeClock()
    source = Source(clock)
    tokens = Tokens(source, clock, lambda: source)
    blocking = Blocking(tokens, asyncio.get_running_loop())
    await tokens.get_token_info(SCOPE)
    assert (await asyncio.to_thread(blocking.get_token, SCOPE)).token == "token-1"
    info = await asyncio.to_thread(lambda: blocking.get_token_info(SCOPE, options={}))
    assert info.token == "token-1"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CredentialUnavailableError(message="no az"), "CredentialUnavailable"),
        (ClientAuthenticationError(message="AADSTS90002: none"), "TenantNotFound"),
        (ClientAuthenticationError(message="denied"), "AuthenticationFailed"),
        (
            ClientAuthenticationError(
                message="DefaultAzureCredential failed to retrieve a token from the included "
                "credentials.\n\tAzureCliCredential: Azure CLI not found on path"
            ),
            "CredentialUnavailable",
        ),
        (ServiceRequestError("no route"), "ConnectionRefused"),
        (ValueError("odd"), "AuthenticationFailed"),
    ],
)
def test_failures_have_codes(error: Exception, code: str) -> None:
    assert refused(error).fault.code == code
