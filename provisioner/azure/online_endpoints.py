"""Managed online endpoints (AZURE.md §4, at 2024-10-01)."""

from __future__ import annotations

from provisioner.azure.kinds import Shape, header_of, live_state
from provisioner.azure.values import Json, integer, mapping, strings, text, without_nulls
from provisioner.resources import (
    Identity,
    Kind,
    Live,
    OnlineEndpoint,
    ResourceId,
    normal_region,
)


def body(wish: OnlineEndpoint) -> Json:
    """The PUT body that creates `wish`. Without an identity the system-assigned one is asked for,
    as Azure's own clients do: a managed endpoint needs one to pull its model."""
    properties: Json = {
        "authMode": wish.auth_mode,
        "description": wish.description,
        "properties": dict(wish.properties),
        "publicNetworkAccess": wish.public_network_access,
        "traffic": dict(wish.traffic) or None,
    }
    return {
        "location": wish.location,
        "tags": dict(wish.tags),
        "identity": _identity_body(wish.identity or Identity("SystemAssigned")),
        "properties": without_nulls(properties),
    }


def parse(raw: Json, id: ResourceId) -> Live[OnlineEndpoint]:
    """One endpoint as the service describes it; deployment names in `traffic` as it wrote them."""
    properties = mapping(raw.get("properties"))
    return Live(
        OnlineEndpoint(
            id=id,
            location=normal_region(text(raw.get("location")) or ""),
            auth_mode=text(properties.get("authMode")) or "Key",
            description=text(properties.get("description")),
            traffic={
                name: integer(share) for name, share in mapping(properties.get("traffic")).items()
            },
            properties=strings(properties.get("properties")),
            identity=_identity(mapping(raw.get("identity"))),
            public_network_access=text(properties.get("publicNetworkAccess")),
            tags=strings(raw.get("tags")),
        ),
        state=live_state(properties),
        url=text(properties.get("scoringUri")),
        created_at=header_of(raw),
    )


def overlay(raw: Json, wish: OnlineEndpoint, fields: frozenset[str]) -> Json:
    """`raw` with the named fields of `wish` laid over it; None leaves what is there."""
    settings = {
        "auth_mode": ("authMode", wish.auth_mode),
        "description": ("description", wish.description),
        "traffic": ("traffic", dict(wish.traffic)),
        "properties": ("properties", dict(wish.properties)),
        "public_network_access": ("publicNetworkAccess", wish.public_network_access),
    }
    properties = dict(mapping(raw.get("properties")))
    properties.update({key: value for field, (key, value) in settings.items() if field in fields})
    changed = {**raw, "properties": properties}
    if "tags" in fields:
        changed["tags"] = dict(wish.tags)
    if "identity" in fields and wish.identity is not None:
        changed["identity"] = _identity_body(wish.identity)
    return changed


def _identity(raw: Json) -> Identity | None:
    kind = text(raw.get("type"))
    if kind is None or kind.lower() == "none":
        return None
    return Identity(kind, tuple(sorted(mapping(raw.get("userAssignedIdentities")))))


def _identity_body(identity: Identity) -> Json:
    if not identity.user_assigned:
        return {"type": identity.type}
    return {
        "type": identity.type,
        "userAssignedIdentities": {name: {} for name in identity.user_assigned},
    }


SHAPE = Shape(
    kind=Kind.ONLINE_ENDPOINT,
    body=body,
    parse=parse,
    overlay=overlay,
    settings=dict.fromkeys(
        (
            "authMode",
            "compute",
            "description",
            "mirrorTraffic",
            "properties",
            "publicNetworkAccess",
            "traffic",
        )
    ),
)
