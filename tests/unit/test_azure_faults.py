"""Refusals as the services really write them, decoded."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.azure.faults import fault_of, retry_after
from provisioner.errors.cloud import CloudError, ServiceFault, Verdict, verdict
from tests.shared import shared_dir


def decode(status: int, body: object, **headers: str) -> ServiceFault:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return fault_of(
        status=status, headers=headers, body=content, operation="PUT /subscriptions/s/x"
    )


def recorded(name: str) -> ServiceFault:
    exchange = json.loads((shared_dir("recordings") / name).read_text(encoding="utf-8"))
    answer = exchange.get("liveResponse", exchange)
    body = answer["body"]
    if isinstance(body, list):  # HTML is recorded as lines
        body = "".join(body).encode()
    return decode(int(answer["statusCode"]), body, **answer["headers"])


@pytest.mark.parametrize(
    ("name", "code", "outer"),
    [
        ("ml-errors/404_006f32_0005.json", "UserError", None),
        ("ml-errors/404_0756f8_0011.json", "NoSuchEndpoint", "NotFound"),
        ("ml-errors/404_095ee8_0000.json", "ResourceNotFound", None),
        ("ml-errors/404_0fc124_0012.json", "RegistryNotFound", "UserError"),
        ("ml-errors/400_201661_0007.json", "InvalidInputArguments", "UserError"),
        ("ml-errors/429_2e62b8_0006.json", "TooManyRequests", "UserError"),
        ("ml-errors/500_f0ec0d_0000.json", "InternalServerError", None),
        ("ml-errors/500_1088c0_0009.json", "ServiceUnavailable", "ServiceError"),
        ("ml-errors/502_73a3fd_0006.json", "BadGatewayConnection", None),
        ("ml-errors/502_aeb19f_0000.json", "BadGateway", None),
        ("ml-errors/504_70317b_0005.json", "TransientError", None),
        ("ml-errors/504_b01979_0007.json", "GatewayTimeout", None),
        ("errors-quoted/400_quota_online_deployment.json",
         "InferencingClientCreateDeploymentFailed", "BadRequest"),
        ("errors-quoted/400_endpoint_quota.json", "InferencingClientCallFailed", None),
        ("errors-quoted/400_marketplace_eligibility.json",
         "MarketplaceSubscriptionPurchaseEligibilityCheckFailed", "UserError"),
        ("errors-quoted/400_terms_not_accepted.json",
         "MarketplacePurchaseEligibilityFailed", None),
        ("errors-quoted/403_AuthorizationFailed.json", "AuthorizationFailed", None),
        ("errors-quoted/429_SubscriptionRequestsThrottled.json",
         "SubscriptionRequestsThrottled", None),
    ],
)  # fmt: skip
def test_the_most_telling_code_is_found(name: str, code: str, outer: str | None) -> None:
    fault = recorded(name)
    assert (fault.code, fault.outer_code) == (code, outer)
    assert fault.message
    assert "<" not in fault.message[:1]


def test_every_recorded_refusal_says_something() -> None:
    files = sorted(shared_dir("recordings").glob("*/*.json"))
    seen = 0
    for path in files:
        exchange = json.loads(path.read_text(encoding="utf-8"))
        answer = exchange.get("liveResponse", exchange)
        if int(answer["statusCode"]) < 400:
            continue
        fault = recorded(f"{path.parent.name}/{path.name}")
        seen += 1
        assert fault.code
        assert len(fault.message) > 5
        if answer["headers"].get("x-ms-correlation-request-id"):
            assert fault.correlation_id == answer["headers"]["x-ms-correlation-request-id"]
    assert seen > 35


def test_transient_refusals_are_retried_and_others_are_not() -> None:
    files = sorted(shared_dir("recordings", "ml-errors").glob("*.json"))
    verdicts = {path.name: recorded(f"ml-errors/{path.name}") for path in files}
    for name, fault in verdicts.items():
        retried = verdict(fault.code, fault.status) is Verdict.RETRY
        assert retried == (name[:3] in ("429", "500", "502", "504")), name


def test_a_wait_that_is_only_told_in_words() -> None:
    assert recorded("ml-errors/429_948160_0000.json").retry_after == 20
    assert recorded("errors-quoted/429_SubscriptionRequestsThrottled.json").retry_after == 10


def test_the_quota_sentence_is_unfolded_from_the_json_in_the_message() -> None:
    message = recorded("errors-quoted/400_quota_online_deployment.json").message
    assert "Not enough quota available for Standard_F4s_v2" in message
    assert "Current usage/limit: 0/6" in message
    assert "traceId" not in message
    assert "{" not in message


@pytest.mark.parametrize(
    ("status", "body", "code", "says"),
    [
        (404, b"", "ResourceNotFound", "404"),
        (409, {"error": {"code": "Conflict", "message": "Another operation with ID [1] is already "
                         "running on /x"}}, "AnotherOperationInProgress", "already running"),
        (400, {"code": "BadArgument", "message": "flat"}, "BadArgument", "flat"),
        (400, {"Code": "BadArgument", "Message": "capital"}, "BadArgument", "capital"),
        (401, {"error": "invalid_client", "error_description": "AADSTS7000215"},
         "invalid_client", "AADSTS7000215"),
        (500, b"null", "InternalServerError", "500"),
        (503, b"\xff\xfe\x00", "ServiceUnavailable", ""),
        (418, {"error": {}}, "HTTP418", "error"),
        (400, {"error": {"code": "UserError", "message": "outer", "details": [
            {"code": "BadRequest", "message": "middle", "details": [
                {"code": "ModelNotSupported", "message": "inner"}]}]}},
         "ModelNotSupported", "outer middle inner"),
    ],
)  # fmt: skip
def test_other_shapes(status: int, body: object, code: str, says: str) -> None:
    fault = decode(status, body)
    assert fault.code == code
    assert says in fault.message


def test_where_and_by_which_request() -> None:
    fault = decode(
        403,
        {"error": {"code": "AuthorizationFailed", "message": "no"}},
        **{"x-ms-request-id": "r", "x-ms-correlation-request-id": "c"},
    )
    assert (fault.request_id, fault.correlation_id) == ("r", "c")
    assert fault.resource == "/subscriptions/s/x"
    assert fault.operation == "PUT /subscriptions/s/x"


def test_the_providers_own_correlation_is_used_where_arm_gave_none() -> None:
    info = [{"type": "Correlation", "info": {"value": {"operation": "op", "request": "rq"}}}]
    fault = decode(500, {"error": {"code": "ServiceError", "additionalInfo": info}})
    assert fault.correlation_id == "op"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "3"}, 3.0),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "soon"}, None),
        ({"retry-after-ms": "250"}, 0.25),
        ({"x-ms-retry-after-ms": "250", "Retry-After": "9"}, 0.25),
        ({"Retry-After": "Wed, 31 Dec 2025 23:59:00 GMT"}, 0.0),
        ({"Retry-After": "Thu, 01 Jan 2026 00:01:00 GMT"}, 60.0),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], expected: float | None) -> None:
    assert retry_after(headers, datetime(2026, 1, 1, tzinfo=UTC)) == expected


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["error", "code", "message", "details", "innerError", "additionalInfo",
                         "type", "info", "value", "errors"]) | st.text(max_size=5),
        inner, max_size=5),
    max_leaves=25,
)  # fmt: skip


@given(st.integers(400, 599), json_values | st.binary(max_size=60))
def test_nothing_that_a_service_writes_breaks_the_decoder(status: int, body: Any) -> None:
    fault = decode(status, body)
    assert fault.code
    assert fault.message
    CloudError(fault).verdict  # noqa: B018 - must not raise


def test_a_body_that_is_nested_very_deep() -> None:
    assert decode(400, b'{"error":' * 200_000).code == "HTTP400"


def test_a_wait_until_a_date_is_counted_from_the_answers_own_date() -> None:
    """The service's clock is an hour ahead of ours; the wait is 20 s all the same."""
    headers = {"Retry-After": "Sun, 22 Nov 2026 13:00:20 GMT",
               "Date": "Sun, 22 Nov 2026 13:00:00 GMT"}  # fmt: skip
    ours = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert retry_after(headers, ours) == 20.0
    assert retry_after(headers) == 20.0
    assert retry_after({**headers, "Date": "yesterday"}, ours) == 3620.0
    assert retry_after({"Retry-After": "soon"}, ours) is None
