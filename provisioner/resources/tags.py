"""The tags that carry ownership and deadline, and the instants that they hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

TAG_STACK: Final = "provisioner-stack"
TAG_NAME: Final = "provisioner-name"
TAG_EXPIRES: Final = "provisioner-expires-at"
TAG_TERMS: Final = "provisioner-terms-accepted"
TAG_ON_EXPIRY: Final = "provisioner-on-expiry"
RENEW: Final = "renew"
OWN_TAGS: Final = frozenset({TAG_STACK, TAG_NAME, TAG_EXPIRES, TAG_TERMS, TAG_ON_EXPIRY})

_SPAN: Final = re.compile("([1-9][0-9]{0,9})s?")
"""Anybody may write a tag: more digits would lead beyond the last day that a date can have."""

SHARED_CAPACITY: Final = "SharedComputeCapacityEnabled"
TARGET_DELETION: Final = "TargetAutoDeletionTime"
"""Keys of `properties.properties` of an online endpoint on shared quota (AZURE.md §16)."""

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


def tag_of(tags: Mapping[str, str], name: str) -> str | None:
    """The value of one of our tags. Azure compares tag names without regard to case, and what
    rewrites tags, such as a policy, may spell them otherwise."""
    value = tags.get(name)
    if value is not None or not tags:
        return value
    return next((value for key, value in tags.items() if key.lower() == name), None)


def renewal_text(span: timedelta) -> str:
    """The tag of an endpoint that is to live again for `span` seconds from each renewal on."""
    return f"{RENEW} {round(span.total_seconds())}s"


def renews(tags: Mapping[str, str]) -> bool:
    """Whether an endpoint is made again when its time is up."""
    words = (tag_of(tags, TAG_ON_EXPIRY) or "").lower().split()
    return words[:1] == [RENEW]


def renewal_span(tags: Mapping[str, str]) -> timedelta | None:
    """How long it lives again, where its tag says so; otherwise that is told by its creation."""
    words = (tag_of(tags, TAG_ON_EXPIRY) or "").lower().split()
    found = _SPAN.fullmatch(words[1]) if len(words) == 2 else None
    return timedelta(seconds=int(found[1])) if found is not None else None


def instant_text(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_instant(text: str | None) -> datetime | None:
    """The instant that a tag holds, or None when it holds none that can be read."""
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(text)
        return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
