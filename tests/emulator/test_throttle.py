"""Request buckets: they never grant more than size + refill, and say when to come back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.emulator.refusals import arm_error
from provisioner.emulator.throttle import (
    Bucket,
    Limit,
    Limits,
    Throttle,
    header,
    kind_of,
    provider_refusal,
    refusal,
    take,
)
from tests.shared import shared_dir

limits = st.builds(Limit, st.integers(1, 50), st.floats(0.1, 50))
gaps = st.lists(st.floats(0, 3), min_size=1, max_size=200)


@given(limits, gaps)
def test_never_more_than_the_size_and_the_refill(limit: Limit, waits: list[float]) -> None:
    now, bucket, granted = 1_000.0, None, 0
    for wait in waits:
        now += wait
        decision, bucket = take(bucket, limit, now)
        granted += decision.allowed
    assert granted <= limit.size + (now - 1_000.0) * limit.refill + 1e-3


@given(limits, gaps)
def test_whoever_waits_as_told_is_served(limit: Limit, waits: list[float]) -> None:
    now, bucket = 1_000.0, None
    for wait in waits:
        now += wait
        decision, bucket = take(bucket, limit, now)
        if not decision.allowed:
            assert decision.remaining == 0
            now += decision.retry_after
            decision, bucket = take(bucket, limit, now)
            assert decision.allowed


@given(limits)
def test_a_full_bucket_serves_its_size_at_once_and_counts_down(limit: Limit) -> None:
    bucket: Bucket | None = None
    for served in range(limit.size):
        decision, bucket = take(bucket, limit, 5.0)
        assert decision.allowed
        assert decision.remaining == limit.size - served - 1
    decision, _ = take(bucket, limit, 5.0)
    assert not decision.allowed
    assert decision.retry_after >= 1


@given(limits, st.floats(0, 1e6))
def test_a_clock_that_goes_back_refills_nothing(limit: Limit, back: float) -> None:
    decision, bucket = take(Bucket(0.0, 1_000_000.0), limit, 1_000_000.0 - back)
    assert not decision.allowed
    assert bucket.tokens == 0.0


def test_the_documented_sizes() -> None:
    assert Limits() == Limits(Limit(250, 25), Limit(200, 10), Limit(200, 10))


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("GET", "reads"),
        ("head", "reads"),
        ("PUT", "writes"),
        ("POST", "writes"),
        ("PATCH", "writes"),
        ("delete", "deletes"),
    ],
)
def test_kinds(method: str, kind: str) -> None:
    assert kind_of(method) == kind


def test_subscriptions_principals_and_kinds_have_buckets_of_their_own() -> None:
    throttle = Throttle(Limits(Limit(1, 1), Limit(1, 1), Limit(1, 1)))
    assert throttle.request("sub", "me", "GET", 0).allowed
    assert not throttle.request("SUB", "ME", "HEAD", 0).allowed
    assert throttle.request("sub", "you", "GET", 0).allowed
    assert throttle.request("sub2", "me", "GET", 0).allowed
    assert throttle.request("", "me", "GET", 0).allowed
    assert throttle.request("sub", "me", "PUT", 0).allowed
    assert throttle.request("sub", "me", "DELETE", 0).allowed
    throttle.reset()
    assert throttle.request("sub", "me", "GET", 0).allowed


def test_headers_name_the_subscription_or_the_tenant() -> None:
    assert header("sub", "GET") == "x-ms-ratelimit-remaining-subscription-reads"
    assert header("sub", "DELETE") == "x-ms-ratelimit-remaining-subscription-deletes"
    assert header("", "POST") == "x-ms-ratelimit-remaining-tenant-writes"


def test_the_429_of_arm_says_what_azure_says() -> None:
    path = shared_dir("recordings", "errors-quoted") / "429_SubscriptionRequestsThrottled.json"
    quoted = json.loads(path.read_text())
    said = arm_error(
        refusal(
            "e093f4fd-0000-0000-0000-000000000000",
            "85e5d083-7fd9-4588-9a28-6c035bea11a3",
            "GET",
            10,
        )
    )
    assert said.body() == quoted["body"]
    assert said.headers == {"Retry-After": quoted["headers"]["Retry-After"]}


def test_the_429_of_the_provider_has_no_header_and_its_text_is_the_recorded_one() -> None:
    recorded = json.loads(
        (shared_dir("recordings", "ml-errors") / "429_948160_0000.json").read_text()
    )
    error = recorded["liveResponse"]["body"]["error"]
    said = arm_error(provider_refusal())
    assert (said.code, said.message, said.headers) == (error["code"], error["message"], {})
    inner = next(i for i in error["additionalInfo"] if i["type"] == "InnerError")
    mine = next(i for i in said.body()["error"]["additionalInfo"] if i["type"] == "InnerError")
    assert mine == inner
