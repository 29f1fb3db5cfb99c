"""The adapter's manners on the wire: retry, budget, tokens, hosts, lost answers.

Longer than other modules because all its cases script the same server.
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from azure.core.exceptions import AzureError, ServiceResponseError

from provisioner.azure.client import make_session, make_transport
from provisioner.azure.mlclient import MlClients
from provisioner.errors.cloud import CloudError, Verdict
from provisioner.resources import (
    KeyName,
    Kind,
    ModelRef,
    ResourceId,
    ServerlessEndpoint,
    State,
    WorkspaceId,
)
from tests.contract.adapter_server import DROP, Answer, Asked, Wire, refusal, wired

WORKSPACE = WorkspaceId("11111111-1111-1111-1111-111111111111", "rg-ml", "mlw")
ENDPOINT = ResourceId(WORKSPACE, Kind.SERVERLESS_ENDPOINT, "llama")
WISH = ServerlessEndpoint(
    ENDPOINT, "eastus2", ModelRef("azureml-meta", "Llama-3.3-70B-Instruct"), tags={"a": "b"}
)


def entry(name: str, state: str = "Succeeded", model: str | None = None) -> dict[str, object]:
    return {
        "id": f"{WORKSPACE.arm_id}/serverlessEndpoints/{name}",
        "name": name,
        "location": "eastus2",
        "tags": {"a": "b"},
        "sku": {"name": "Consumption"},
        "properties": {
            "authMode": "Key",
            "modelSettings": {"modelId": model or WISH.model.id},
            "contentSafety": {"contentSafetyStatus": "Enabled"},
            "provisioningState": state,
            "inferenceEndpoint": {"uri": f"https://{name}.example"},
        },
    }


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    async with wired(tmp_path) as wire:
        yield wire


async def test_a_request_carries_the_stable_version_a_token_and_who_asks(wire: Wire) -> None:
    wire.script.will(Answer(body={"value": []}))
    await wire.cloud.serverless_endpoints(WORKSPACE)
    (asked,) = wire.script.asked
    assert asked.path == f"{WORKSPACE.arm_id}/serverlessEndpoints"
    assert asked.query == {"api-version": "2024-10-01"}
    assert asked.headers["authorization"] == "Bearer token-1"
    assert asked.headers["user-agent"].startswith("provisioner ")
    assert asked.headers["x-ms-client-request-id"]
    assert wire.source.scopes == [f"{wire.script.url}/.default"]
    assert wire.source.asked == [{"enable_cae": True}]


async def test_all_pages_are_read(wire: Wire) -> None:
    next_link = f"{wire.script.url}{WORKSPACE.arm_id}/serverlessEndpoints?$skip=2&a=1"
    wire.script.will(
        Answer(body={"value": [entry("one"), entry("two")], "nextLink": next_link}),
        Answer(body={"value": [entry("three")]}),
    )
    found = await wire.cloud.serverless_endpoints(WORKSPACE)
    assert [live.id.name for live in found] == ["one", "two", "three"]
    assert wire.script.asked[1].query == {"$skip": "2", "a": "1"}


async def test_pages_in_a_circle_end_in_an_error(wire: Wire) -> None:
    link = f"{wire.script.url}/again"
    wire.script.will(Answer(body={"value": [], "nextLink": link}))
    with pytest.raises(CloudError, match="circle"):
        await wire.cloud.serverless_endpoints(WORKSPACE)


@pytest.mark.parametrize(
    "link", ["https://evil.example/next", "http://localhost/next", "https://localhost.evil:1/"]
)
async def test_a_next_link_to_another_host_is_not_followed(wire: Wire, link: str) -> None:
    wire.script.will(Answer(body={"value": [], "nextLink": link}))
    with pytest.raises(CloudError, match="another host") as caught:
        await wire.cloud.serverless_endpoints(WORKSPACE)
    assert caught.value.verdict is Verdict.FATAL
    assert len(wire.script.asked) == 1


async def test_a_redirect_is_not_followed(wire: Wire) -> None:
    wire.script.will(Answer(307, None, {"Location": "https://localhost:1/elsewhere"}))
    with pytest.raises(CloudError) as caught:
        await wire.cloud.get(ENDPOINT)
    assert caught.value.fault.status == 307
    assert len(wire.script.asked) == 1


async def test_an_operation_url_on_another_host_is_not_asked(wire: Wire) -> None:
    away = {"Azure-AsyncOperation": "https://evil.example/operations/1"}
    wire.script.will(Answer(201, entry("llama", "Creating"), away), Answer(body=entry("llama")))
    await wire.cloud.put(WISH)
    assert await wire.cloud.explain(ENDPOINT) is None
    assert all("operations" not in asked.path for asked in wire.script.asked)


async def test_the_generated_clients_do_not_leave_the_host_either(wire: Wire) -> None:
    wire.script.will(Answer(body={"value": [], "nextLink": "https://evil.example/next"}))
    with pytest.raises(CloudError, match="another host"):
        await wire.cloud.subscriptions()


async def test_explain_reads_the_operation_of_our_own_last_write(wire: Wire) -> None:
    status = f"{wire.script.url}/subscriptions/s/mfeOperationsStatus/oe:1"
    wire.script.will(
        Answer(201, entry("llama", "Creating"), {"Azure-AsyncOperation": status}),
        Answer(body={"status": "Failed", "error": {"code": "OutOfCapacity", "message": "full"}}),
    )
    await wire.cloud.put(WISH)
    assert await wire.cloud.explain(ENDPOINT) == "OutOfCapacity: full"


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
async def test_a_read_is_repeated_after_a_transient_answer(wire: Wire, status: int) -> None:
    html = Answer(status, b"<html><h1>Bad gateway</h1></html>", {"Content-Type": "text/html"})
    wire.script.will(html, html, Answer(body=entry("llama")))
    assert await wire.cloud.get(ENDPOINT) is not None
    assert len(wire.clock.slept) == 2
    assert wire.clock.slept[0] <= 0.5
    assert wire.clock.slept[1] <= 1.0


async def test_attempts_end(wire: Wire) -> None:
    wire.script.will(refusal(503, "ServiceUnavailable"))
    with pytest.raises(CloudError) as caught:
        await wire.cloud.get(ENDPOINT)
    assert len(wire.script.asked) == wire.settings.patience.attempts
    assert caught.value.verdict is Verdict.RETRY
    assert caught.value.fault.resource == ENDPOINT.arm_id


async def test_a_read_is_repeated_after_a_dropped_connection(wire: Wire) -> None:
    wire.script.will(DROP, DROP, Answer(body=entry("llama")))
    assert await wire.cloud.get(ENDPOINT) is not None
    assert len(wire.script.asked) == 3


@pytest.mark.parametrize(
    ("answer", "least"),
    [
        (refusal(429, "TooManyRequests", Retry_After="7"), 7.0),
        (refusal(429, "UserError", "Retry again after 20 seconds."), 20.0),
        (refusal(503, "ServerBusy", Retry_After="3"), 3.0),
        (refusal(429, "TooManyRequests", retry_after_ms="1500"), 1.5),
        (
            refusal(
                *(429, "TooManyRequests"),
                Retry_After="Thu, 01 Jan 2026 00:00:09 GMT",
                Date="Thu, 01 Jan 2026 00:00:00 GMT",
            ),
            9.0,
        ),
    ],
    ids=["header", "words", "503", "milliseconds", "date"],
)
async def test_the_service_says_how_long_to_wait(wire: Wire, answer: Answer, least: float) -> None:
    wire.script.will(answer, Answer(body=entry("llama")))
    await wire.cloud.get(ENDPOINT)
    assert least <= sum(wire.clock.slept) <= least * 1.1 + 0.1


async def test_throttling_is_waited_out_far_beyond_the_attempts(wire: Wire) -> None:
    wire.script.will(*[refusal(429, "TooManyRequests", Retry_After="5")] * 20)
    wire.script.will(Answer(body=entry("llama")))
    assert await wire.cloud.get(ENDPOINT) is not None


BUSY = refusal(409, "UserError", "Another operation with ID [x] is already running on y")


async def test_a_write_that_a_sibling_blocks_is_handed_on_at_once(wire: Wire) -> None:
    wire.script.will(BUSY)
    with pytest.raises(CloudError) as caught:
        await wire.cloud.put(WISH)
    assert caught.value.fault.code == "AnotherOperationInProgress"
    assert caught.value.verdict is Verdict.RETRY
    assert len(wire.script.asked) == 1


async def test_an_action_waits_for_a_sibling_operation_a_while(wire: Wire) -> None:
    wire.script.will(BUSY, BUSY, Answer(body={"primaryKey": "p"}), BUSY)
    assert (await wire.cloud.keys(ENDPOINT)).primary is not None
    assert wire.script.count("POST") == 3
    with pytest.raises(CloudError) as caught:
        await wire.cloud.keys(ENDPOINT)
    assert caught.value.fault.code == "AnotherOperationInProgress"
    assert wire.clock.elapsed < 60


async def test_a_lock_is_not_waited_for(wire: Wire) -> None:
    wire.script.will(refusal(409, "ScopeLocked"))
    wire.script.will(Answer(body=entry("llama")))
    with pytest.raises(CloudError) as caught:
        await wire.cloud.delete(ENDPOINT)
    assert caught.value.verdict is Verdict.NEEDS_USER
    assert wire.script.count("DELETE") == 1


@pytest.mark.parametrize("state", ["Deleting", None])
async def test_a_lost_delete_meets_its_own_operation(wire: Wire, state: str | None) -> None:
    there = Answer(body=entry("llama", state)) if state else refusal(404, "ResourceNotFound")
    wire.script.will(DROP, BUSY, there)
    await wire.cloud.delete(ENDPOINT)
    assert [asked.method for asked in wire.script.asked] == ["DELETE", "DELETE", "GET"]


async def test_a_delete_that_an_update_blocks_is_handed_on(wire: Wire) -> None:
    wire.script.will(BUSY, Answer(body=entry("llama", "Updating")))
    with pytest.raises(CloudError) as caught:
        await wire.cloud.delete(ENDPOINT)
    assert caught.value.verdict is Verdict.RETRY


async def test_a_put_whose_answer_was_lost_asks_first_and_is_not_repeated(wire: Wire) -> None:
    wire.script.will(DROP, Answer(body=entry("llama", "Creating")))
    await wire.cloud.put(WISH)
    assert [asked.method for asked in wire.script.asked] == ["PUT", "GET"]


@pytest.mark.parametrize(
    "there",
    [
        refusal(404, "ResourceNotFound"),
        Answer(body=entry("llama", model="azureml://registries/azureml-meta/models/Other")),
        Answer(body=entry("llama", "Failed")),
        Answer(body=entry("llama", "Deleting")),
    ],
    ids=["absent", "different", "failed", "on its way out"],
)
async def test_a_lost_put_is_repeated_when_its_wish_is_not_there(wire: Wire, there: Answer) -> None:
    wire.script.will(DROP, there, Answer(201, entry("llama", "Creating")))
    await wire.cloud.put(WISH)
    assert [asked.method for asked in wire.script.asked] == ["PUT", "GET", "PUT"]


async def test_a_put_is_not_silently_sent_twice_on_a_kept_connection(wire: Wire) -> None:
    """aiohttp repeats a PUT by itself when a reused connection breaks; here it must not."""
    wire.script.will(Answer(body={"value": []}), DROP, Answer(body=entry("llama", "Creating")))
    await wire.cloud.serverless_endpoints(WORKSPACE)
    await wire.cloud.put(WISH)
    assert [asked.method for asked in wire.script.asked] == ["GET", "PUT", "GET"]


async def test_a_key_is_never_regenerated_twice(wire: Wire) -> None:
    wire.script.will(DROP)
    with pytest.raises(CloudError) as caught:
        await wire.cloud.regenerate_key(ENDPOINT, KeyName.SECONDARY)
    assert wire.script.count("POST") == 1
    assert caught.value.fault.code == "ConnectionLost"


async def test_a_regeneration_is_followed_to_its_end(wire: Wire) -> None:
    result = {"Location": f"{wire.script.url}/subscriptions/s/mfeOperationResults/1"}
    wire.script.will(
        Answer(202, None, result), Answer(202, None, result), Answer(body={"primaryKey": "k"})
    )
    await wire.cloud.regenerate_key(ENDPOINT, KeyName.PRIMARY)
    assert wire.script.asked[0].body == {"keyType": "Primary"}
    assert [asked.method for asked in wire.script.asked] == ["POST", "GET", "GET"]


async def test_a_regeneration_that_fails_is_an_error(wire: Wire) -> None:
    status = {"Azure-AsyncOperation": f"{wire.script.url}/subscriptions/s/status/1"}
    failed = {"status": "Failed", "error": {"code": "InternalServerError", "message": "oh"}}
    wire.script.will(Answer(202, None, status), Answer(body={"status": "InProgress"}),
                     Answer(body=failed))  # fmt: skip
    with pytest.raises(CloudError, match="oh"):
        await wire.cloud.regenerate_key(ENDPOINT, KeyName.PRIMARY)


async def test_listing_keys_may_be_repeated_and_keys_may_be_null(wire: Wire) -> None:
    wire.script.will(DROP, Answer(body={"primaryKey": "p", "secondaryKey": None}))
    keys = await wire.cloud.keys(ENDPOINT)
    assert keys.primary is not None
    assert keys.primary.reveal() == "p"
    assert keys.secondary is None
    assert "'p'" not in repr(keys)


async def test_deleting_what_is_absent_succeeds(wire: Wire) -> None:
    wire.script.will(refusal(404, "ResourceNotFound"), Answer(204), Answer(202, b"null"))
    for _ in range(3):
        await wire.cloud.delete(ENDPOINT)
    assert wire.script.count("DELETE") == 3


async def test_a_wrong_azure_subscription_is_not_an_absent_resource(wire: Wire) -> None:
    wire.script.will(refusal(404, "SubscriptionNotFound"))
    with pytest.raises(CloudError, match="SubscriptionNotFound"):
        await wire.cloud.get(ENDPOINT)


async def test_a_challenge_is_answered_with_its_claims(wire: Wire) -> None:
    claims = '{"access_token":{"nbf":{"essential":true}}}'
    encoded = base64.urlsafe_b64encode(claims.encode()).decode().rstrip("=")
    challenge = f'Bearer realm="", error="insufficient_claims", claims="{encoded}"'
    wire.script.will(
        Answer(401, {"error": {"code": "InvalidAuthenticationToken", "message": "revoked"}},
               {"WWW-Authenticate": challenge}),
        Answer(body=entry("llama")),
    )  # fmt: skip
    assert await wire.cloud.get(ENDPOINT) is not None
    assert wire.script.asked[1].headers["authorization"] == "Bearer token-2"
    assert wire.source.asked[1] == {"enable_cae": True, "claims": claims}


EXPIRED = Answer(
    401,
    {"error": {"code": "ExpiredAuthenticationToken", "message": "The access token expiry ..."}},
    {"WWW-Authenticate": 'Bearer realm="", error="invalid_token"'},
)


async def test_a_token_that_the_services_clock_calls_expired_is_replaced(wire: Wire) -> None:
    wire.script.will(Answer(body=entry("llama")))
    await wire.cloud.get(ENDPOINT)
    wire.clock.elapsed += 600
    wire.script.will(EXPIRED, EXPIRED, Answer(body=entry("llama")))
    found = await asyncio.gather(*(wire.cloud.get(ENDPOINT) for _ in range(3)))
    assert all(found)
    tokens = [asked.headers["authorization"] for asked in wire.script.asked]
    assert tokens == ["Bearer token-1"] * 4 + ["Bearer token-2"] * 2
    assert len(wire.source.asked) == 2, "one new token for all who were refused"


async def test_a_fresh_token_that_is_refused_is_not_asked_for_again(wire: Wire) -> None:
    wire.script.will(EXPIRED)
    with pytest.raises(CloudError, match="ExpiredAuthenticationToken"):
        await wire.cloud.get(ENDPOINT)
    assert len(wire.source.asked) == 1
    assert len(wire.script.asked) == 1


async def test_a_401_without_a_challenge_is_the_users_business(wire: Wire) -> None:
    wire.script.will(refusal(401, "AuthenticationFailed", "no such token"))
    with pytest.raises(CloudError) as caught:
        await wire.cloud.get(ENDPOINT)
    assert caught.value.verdict is Verdict.NEEDS_USER


async def test_a_token_is_renewed_before_it_ends(wire: Wire) -> None:
    wire.script.will(Answer(body=entry("llama")))
    for _ in range(3):
        await wire.cloud.get(ENDPOINT)
    wire.clock.elapsed += 3600 - 200
    await wire.cloud.get(ENDPOINT)
    tokens = [asked.headers["authorization"] for asked in wire.script.asked]
    assert tokens == ["Bearer token-1"] * 3 + ["Bearer token-2"]


async def test_a_burst_asks_for_one_token(wire: Wire) -> None:
    wire.script.will(Answer(body=entry("llama")))
    await asyncio.gather(*(wire.cloud.get(ENDPOINT) for _ in range(20)))
    assert len(wire.source.asked) == 1


async def test_writes_beyond_the_bucket_wait_for_the_refill(wire: Wire) -> None:
    other = {"x-ms-ratelimit-remaining-subscription-resource-requests": "24"}
    wire.script.will(Answer(201, entry("llama", "Creating"), other))
    await asyncio.gather(*(wire.cloud.put(WISH) for _ in range(240)))
    # 45 beyond the burst at 10 a second; what is under way gains nothing meanwhile.
    assert 4.4 <= wire.clock.elapsed <= 5.5


async def test_somebody_elses_spending_is_respected(wire: Wire) -> None:
    left = {"x-ms-ratelimit-remaining-subscription-writes": "3"}
    wire.script.will(Answer(201, entry("llama", "Creating"), left))
    await wire.cloud.put(WISH)
    wire.script.answers.clear()
    wire.script.will(Answer(201, entry("llama", "Creating")))
    for _ in range(24):
        await wire.cloud.put(WISH)
    assert wire.clock.elapsed == pytest.approx(2.6, abs=0.2)


async def test_arms_own_429_closes_the_bucket_for_all(wire: Wire) -> None:
    dry = {"x-ms-ratelimit-remaining-subscription-reads": "0", "Retry-After": "10"}
    first = True

    def handler(asked: Asked) -> Answer:
        nonlocal first
        if first:
            first = False
            return Answer(429, {"error": {"code": "SubscriptionRequestsThrottled"}}, dry)
        return Answer(body=entry("llama"))

    wire.script.handler = handler
    await wire.cloud.get(ENDPOINT)
    assert 10 <= wire.clock.elapsed < 12


async def test_a_cloud_that_counts_without_saying_so_is_overdrawn_once(wire: Wire) -> None:
    """Of 600 requests at once only those under way meet the 429; the rest keep to the bucket."""
    left, refused = 250.0, 0
    at = 0.0

    def handler(asked: Asked) -> Answer:
        nonlocal left, refused, at
        left, at = min(250.0, left + (wire.clock.elapsed - at) * 25.0), wire.clock.elapsed
        if left < 1:
            refused += 1
            return refusal(429, "TooManyRequests", "Please try again after '2' seconds.")
        left -= 1
        return Answer(body=entry("llama"))

    wire.script.handler = handler
    await asyncio.gather(*(wire.cloud.get(ENDPOINT) for _ in range(600)))
    assert refused <= wire.settings.connections


async def test_a_providers_own_limit_holds_nobody_else_back(wire: Wire) -> None:
    inner = [{"type": "InnerError", "info": {"value": {"code": "TooManyRequests"}}}]
    limit = {"error": {"code": "UserError", "message": "no", "additionalInfo": inner}}
    wire.script.will(Answer(429, limit, {"Retry-After": "30"}), Answer(body=entry("llama")))
    await wire.cloud.get(ENDPOINT)
    bucket = wire.arm.budget.bucket("GET", f"/subscriptions/{WORKSPACE.subscription}")
    assert not bucket.counted


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AzureError("Invalid AzureML ARM versioned Id"), "UnreadableAnswer"),  # of azure-ai-ml
        (KeyError("flavors"), "UnreadableAnswer"),
        (ServiceResponseError("reset"), "ConnectionLost"),
    ],
)
async def test_what_azure_ai_ml_cannot_read_is_no_lost_connection(
    wire: Wire, error: Exception, code: str
) -> None:
    def call() -> None:
        raise error

    with pytest.raises(CloudError) as caught:
        await MlClients(wire.settings, None, wire.arm.credential)._run("GET model", call)
    assert caught.value.fault.code == code


async def test_an_unreadable_answer_is_a_cloud_error(wire: Wire) -> None:
    wire.script.will(Answer(body=b"<html>maintenance</html>"), Answer(body=[1, 2]),
                     Answer(body={"value": "no list"}))  # fmt: skip
    for _ in range(3):
        with pytest.raises(CloudError) as caught:
            await wire.cloud.serverless_endpoints(WORKSPACE)
        assert caught.value.fault.code == "UnreadableAnswer"


async def test_deployments_of_an_absent_endpoint_are_none(wire: Wire) -> None:
    wire.script.will(refusal(404, "UserError"))
    endpoint = ResourceId(WORKSPACE, Kind.ONLINE_ENDPOINT, "gone")
    assert await wire.cloud.online_deployments(endpoint) == []


async def test_a_state_that_is_unknown_stays_in_progress(wire: Wire) -> None:
    wire.script.will(Answer(body=entry("llama", "Reinstating")))
    live = await wire.cloud.get(ENDPOINT)
    assert live is not None
    assert live.state is State.UNKNOWN


async def test_logs_hold_neither_token_nor_key(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    wire.script.will(Answer(body={"primaryKey": "key-one", "secondaryKey": "key-two"}))
    with caplog.at_level(logging.DEBUG):
        await wire.cloud.keys(ENDPOINT)
    assert "listKeys" in caplog.text, "requests are logged"
    assert not any(secret in caplog.text for secret in ("token-1", "key-one", "key-two"))


async def test_a_server_that_is_not_trusted_is_the_users_business(wire: Wire) -> None:
    """And is not asked again: repeating mends no certificate."""
    distrustful = dataclasses.replace(wire.settings, ca_bundle=None)
    async with make_session(distrustful) as session:
        arm = dataclasses.replace(wire.arm, transport=make_transport(session, distrustful))
        with pytest.raises(CloudError) as caught:
            await arm.get(ENDPOINT.arm_id)
    assert caught.value.fault.code == "CertificateNotTrusted"
    assert caught.value.verdict is Verdict.NEEDS_USER
    assert wire.clock.slept == []


async def test_a_put_that_never_connected_is_sent_again(wire: Wire) -> None:
    nowhere = dataclasses.replace(wire.settings, arm_endpoint="https://localhost:1")
    arm = dataclasses.replace(wire.arm, settings=nowhere)
    with pytest.raises(CloudError) as caught:
        await arm.put("/subscriptions/s/x", {}, there=lambda raw: True)
    assert caught.value.fault.code == "ConnectionRefused"
    assert caught.value.verdict is Verdict.RETRY
    assert len(wire.clock.slept) == nowhere.patience.attempts - 1


@pytest.mark.parametrize("body", [{}, {"value": None}])
async def test_rights_that_are_not_listed_are_not_none(wire: Wire, body: dict[str, object]) -> None:
    wire.script.will(Answer(body=body), Answer(body={"value": []}))
    with pytest.raises(CloudError) as caught:
        await wire.cloud.permissions(WORKSPACE.arm_id)
    assert caught.value.fault.code == "UnreadableAnswer"
    assert await wire.cloud.permissions(WORKSPACE.arm_id) == []


async def test_a_usage_without_a_limit_limits_nothing(wire: Wire) -> None:
    rows = [{"name": {"value": "a"}, "currentValue": 3}, {"name": {"value": "b"}, "limit": "4"}]
    wire.script.will(Answer(body={"value": rows}))
    found = await wire.cloud.usages(WORKSPACE.subscription, "eastus2")
    assert [(one.name, one.limit) for one in found] == [("b", 4)]


@pytest.mark.parametrize("body", [{}, {"error": None}, {"value": {}}])
async def test_an_object_without_a_list_is_no_empty_list(
    wire: Wire, body: dict[str, object]
) -> None:
    wire.script.will(Answer(body=body), Answer(body={"value": None}))
    with pytest.raises(CloudError) as caught:
        await wire.cloud.serverless_endpoints(WORKSPACE)
    assert caught.value.fault.code == "UnreadableAnswer"
    assert await wire.cloud.serverless_endpoints(WORKSPACE) == []
