"""Wish and observation → the fields that differ. Pure.

Which field changes in place and which forces a replacement is the table "How each kind behaves"
of the design. What the service merely rewrites is no difference: the case of ids, `labels/latest`
that became `versions/N`, tags that others added, settings that the manifest does not name.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields

from provisioner.plan.steps import Change, Effect
from provisioner.resources import (
    TAG_EXPIRES,
    TAG_ON_EXPIRY,
    TAG_STACK,
    TAG_TERMS,
    DataCollection,
    Identity,
    MarketplaceSubscription,
    ModelRef,
    OnlineDeployment,
    OnlineEndpoint,
    Resource,
    ServerlessEndpoint,
)

_KEPT_TAGS = frozenset({TAG_EXPIRES, TAG_TERMS})
"""Fixed at creation: a wish for another value is no difference."""


_SECONDS = frozenset({"request_timeout", "max_queue_wait", "initial_delay", "period", "timeout"})


def diff(wanted: Resource, live: Resource) -> tuple[Change, ...]:
    """The differences that matter, those that force a replacement first.

    `traffic` is not compared here: it is the endpoint's, and has a step of its own.
    """
    match wanted, live:
        case MarketplaceSubscription(), MarketplaceSubscription():
            found = list(_model(wanted.model, live.model))
        case ServerlessEndpoint(), ServerlessEndpoint():
            found = list(_serverless(wanted, live))
        case OnlineEndpoint(), OnlineEndpoint():
            found = list(_endpoint(wanted, live))
        case OnlineDeployment(), OnlineDeployment():
            found = list(_deployment(wanted, live))
        case _:
            raise TypeError(f"{wanted.id.kind} is not comparable with {live.id.kind}")
    return tuple(sorted(found, key=lambda change: change.effect is not Effect.REPLACES))


def replaces(changes: tuple[Change, ...]) -> bool:
    """Whether one of the changes cannot be made in place."""
    return any(change.effect is Effect.REPLACES for change in changes)


def merged_tags(wanted: Mapping[str, str], live: Mapping[str, str]) -> dict[str, str]:
    """The tags to write: others' tags stay, ours are set, what creation fixed is kept.

    Azure takes tag names without regard to case and refuses two that differ in nothing else, so
    a live name keeps its spelling.
    """
    spelling = {name.lower(): name for name in live}
    merged = {name: value for name, value in live.items() if not _stale(name, wanted)}
    for name, value in wanted.items():
        known = spelling.get(name.lower(), name)
        if not (name in _KEPT_TAGS and known in live):
            merged[known] = value
    return merged


def _stale(name: str, wanted: Mapping[str, str]) -> bool:
    """A renewal that the manifest no longer asks for; any other tag may be somebody else's."""
    return name.lower() == TAG_ON_EXPIRY and TAG_STACK in wanted and TAG_ON_EXPIRY not in wanted


def changed_fields(changes: tuple[Change, ...]) -> frozenset[str]:
    """Attribute names of the resource behind a set of changes: `tags.team` is `tags`."""
    return frozenset(change.field.split(".", 1)[0] for change in changes)


def _serverless(wanted: ServerlessEndpoint, live: ServerlessEndpoint) -> Iterator[Change]:
    yield from _model(wanted.model, live.model)
    if wanted.auth_mode.lower() != live.auth_mode.lower():
        yield Change("auth_mode", live.auth_mode, wanted.auth_mode, Effect.REPLACES)
    # A service that does not report content safety leaves nothing to compare.
    known = None not in (wanted.content_safety, live.content_safety)
    if known and wanted.content_safety != live.content_safety:
        old, new = _text(live.content_safety), _text(wanted.content_safety)
        yield Change("content_safety", old and old.lower(), new and new.lower())
    yield from _tags(wanted.tags, live.tags)


def _endpoint(wanted: OnlineEndpoint, live: OnlineEndpoint) -> Iterator[Change]:
    if wanted.auth_mode.lower() != live.auth_mode.lower():
        yield Change("auth_mode", live.auth_mode, wanted.auth_mode, Effect.REPLACES)
    if wanted.shared_quota != live.shared_quota:
        yield Change(
            "shared_quota", _text(live.shared_quota), _text(wanted.shared_quota), Effect.REPLACES
        )
    if wanted.description is not None and wanted.description != (live.description or ""):
        yield Change("description", live.description, wanted.description)
    if wanted.identity is not None and not _granted(wanted.identity, live.identity):
        old = live.identity.type if live.identity is not None else None
        yield Change("identity", old, wanted.identity.type)
    yield from _tags(wanted.tags, live.tags)


def _deployment(wanted: OnlineDeployment, live: OnlineDeployment) -> Iterator[Change]:
    yield from _model(wanted.model, live.model)
    if wanted.instance_type.lower() != live.instance_type.lower():
        yield Change("instance_type", live.instance_type, wanted.instance_type, Effect.REPLACES)
    if wanted.instance_count != live.instance_count:
        yield Change("instance_count", _text(live.instance_count), _text(wanted.instance_count))
    yield from _environment(wanted.environment_variables, live.environment_variables)
    for name in ("request_settings", "liveness_probe", "readiness_probe", "data_collection"):
        yield from _settings(name, getattr(wanted, name), getattr(live, name))
    yield from _tags(wanted.tags, live.tags)


def _model(wanted: ModelRef, live: ModelRef) -> Iterator[Change]:
    if not wanted.satisfied_by(live):
        yield Change("model", live.short, wanted.short, Effect.REPLACES)


def _granted(wanted: Identity, live: Identity | None) -> bool:
    """Whether the live identity is at least the wanted one; Azure lists types in one text."""
    if live is None:
        return False
    types = {part.strip().lower() for part in live.type.split(",")}
    have = {id.lower() for id in live.user_assigned}
    return wanted.type.lower() in types and all(id.lower() in have for id in wanted.user_assigned)


def _tags(wanted: Mapping[str, str], live: Mapping[str, str]) -> Iterator[Change]:
    have = {name.lower(): value for name, value in live.items()}
    for name, value in wanted.items():
        found = have.get(name.lower())
        if found != value and not (name in _KEPT_TAGS and found is not None):
            yield Change(f"tags.{name}", found, value)
    for name, value in live.items():
        if _stale(name, wanted):
            yield Change(f"tags.{name}", value, None)


def _environment(
    wanted: Mapping[str, str] | None, live: Mapping[str, str] | None
) -> Iterator[Change]:
    """Values may be secrets, so a plan names the variable only."""
    if wanted is None:
        return
    have = live or {}
    for name in sorted({*wanted, *have}):
        if wanted.get(name) != have.get(name):
            yield Change(
                f"environment_variables.{name}",
                None if name not in have else "(hidden)",
                None if name not in wanted else "(hidden)",
                hidden=True,
            )


def _settings(name: str, wanted: object | None, live: object | None) -> Iterator[Change]:
    """Only what the manifest names is compared; the service fills in the rest."""
    if wanted is None:
        return
    idle = isinstance(wanted, DataCollection) and not (wanted.inputs or wanted.outputs)
    for part in fields(wanted):  # type: ignore[arg-type]  # frozen dataclasses by construction
        value = getattr(wanted, part.name)
        have = getattr(live, part.name, None)
        if idle and part.name == "sampling_rate":
            continue  # a share of nothing: the service has no place for it
        if value is not None and not _same(value, have):
            unit = "s" if part.name in _SECONDS else ""
            yield Change(f"{name}.{part.name}", _text(have, unit), _text(value, unit))


def _same(wanted: object, live: object) -> bool:
    """Equal, or as good as: durations go over the wire as text; what is off may be absent."""
    if isinstance(wanted, float) and isinstance(live, float | int):
        return math.isclose(wanted, live, abs_tol=1e-6)
    return wanted == live or (wanted is False and live is None)


def _text(value: object, unit: str = "") -> str | None:
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:g}{unit}"
        case _:
            return f"{value}{unit}"
