"""What must go before its deadline, and for how long it lives again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from provisioner.cli.render.doomed import doomed_table
from provisioner.cloud import WorkspaceSeen
from provisioner.reap import expiring
from provisioner.resources import (
    TAG_EXPIRES,
    TAG_NAME,
    TAG_ON_EXPIRY,
    TAG_STACK,
    Kind,
    Live,
    ModelRef,
    ResourceId,
    ServerlessEndpoint,
    State,
    WorkspaceId,
    instant_text,
    parse_instant,
)

PLACE = WorkspaceId("11111111-1111-1111-1111-111111111111", "rg-ml-prod", "mlw-prod")
PLANNED = datetime(2026, 3, 1, 12, 0, 6, tzinfo=UTC)


def _renewed_for(ttl: timedelta, delay: timedelta, on_expiry: str = "renew") -> timedelta | None:
    """The next life of an endpoint that was created `delay` after its plan."""
    tags = {
        TAG_STACK: "default",
        TAG_NAME: "llama",
        TAG_ON_EXPIRY: on_expiry,
        TAG_EXPIRES: instant_text(PLANNED + ttl),
    }
    resource = ServerlessEndpoint(
        id=ResourceId(PLACE, Kind.SERVERLESS_ENDPOINT, "llama"),
        location="eastus2",
        model=ModelRef("azureml-meta", "Llama-3.3-70B-Instruct", None),
        tags=tags,
    )
    live = Live(resource, State.SUCCEEDED, created_at=PLANNED + delay)
    seen = WorkspaceSeen(PLACE, None, serverless=(live,))
    (doomed,) = expiring({PLACE: seen}, PLANNED + ttl, timedelta(0))
    return doomed.renew_for


@pytest.mark.parametrize(
    ("ttl", "delay"),
    [
        (timedelta(hours=12), timedelta(seconds=3)),
        (timedelta(hours=12), timedelta(minutes=9)),
        (timedelta(hours=72), timedelta(minutes=40)),
        (timedelta(minutes=90), timedelta(seconds=20)),
        (timedelta(days=7), timedelta(0)),
        (timedelta(seconds=90), timedelta(seconds=1)),
    ],
)
def test_no_renewal_is_shorter_than_the_life_before(ttl: timedelta, delay: timedelta) -> None:
    """What passes between plan and creation is no part of the span that was asked for."""
    if ttl > timedelta(minutes=24):
        assert _renewed_for(ttl, delay) == ttl
    else:
        found = _renewed_for(ttl, delay)
        assert found is not None
        assert ttl - delay <= found <= ttl


@pytest.mark.parametrize("told", ["0s", "-5s", "1e9s", "99999999999s", "9" * 200, "²s", "soon"])
def test_a_span_that_nobody_can_live_for_is_none(told: str) -> None:
    """Anybody may write a tag; one that leads beyond the calendar must not end the whole run."""
    assert _renewed_for(timedelta(hours=72), timedelta(0), f"renew {told}") == timedelta(hours=72)


def test_a_span_that_the_tag_tells() -> None:
    assert _renewed_for(timedelta(1), timedelta(0), "Renew 259200s") == timedelta(hours=72)


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00", "yesterday"]
)
def test_an_instant_outside_of_the_calendar_is_none(text: str) -> None:
    assert parse_instant(text) is None


def test_nothing_expires_in_the_words_of_the_option() -> None:
    assert doomed_table((), timedelta(hours=24), 80) == "Nothing expires within 24h.\n"
    assert doomed_table((), timedelta(minutes=90), 80) == "Nothing expires within 1h30m.\n"
