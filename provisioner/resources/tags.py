"""The tags that carry ownership and deadline, and the instants that they hold."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

TAG_STACK: Final = "provisioner-stack"
TAG_NAME: Final = "provisioner-name"
TAG_EXPIRES: Final = "provisioner-expires-at"
TAG_TERMS: Final = "provisioner-terms-accepted"
TAG_ON_EXPIRY: Final = "provisioner-on-expiry"
OWN_TAGS: Final = frozenset({TAG_STACK, TAG_NAME, TAG_EXPIRES, TAG_TERMS, TAG_ON_EXPIRY})

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


def instant_text(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_instant(text: str | None) -> datetime | None:
    """The instant that a tag holds, or None when it holds none that can be read."""
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
