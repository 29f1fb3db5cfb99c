"""Serverless endpoints (AZURE.md §2, at 2024-10-01)."""

from __future__ import annotations

from provisioner.azure.kinds import Shape, header_of, live_state
from provisioner.azure.values import Json, mapping, strings, text
from provisioner.resources import (
    ContentSafety,
    Kind,
    Live,
    ModelRef,
    ResourceId,
    ServerlessEndpoint,
    normal_region,
)


def body(wish: ServerlessEndpoint) -> Json:
    """The PUT body that creates `wish`."""
    properties: Json = {
        "authMode": wish.auth_mode,
        "modelSettings": {"modelId": wish.model.id},
    }
    if wish.content_safety is not None:
        properties["contentSafety"] = {"contentSafetyStatus": wish.content_safety.value}
    return {
        "location": wish.location,
        "tags": dict(wish.tags),
        "sku": {"name": "Consumption"},
        "properties": properties,
    }


def parse(raw: Json, id: ResourceId) -> Live[ServerlessEndpoint]:
    """One endpoint as the service describes it."""
    properties = mapping(raw.get("properties"))
    return Live(
        ServerlessEndpoint(
            id=id,
            location=normal_region(text(raw.get("location")) or ""),
            model=ModelRef.parse(
                text(mapping(properties.get("modelSettings")).get("modelId")) or ""
            ),
            content_safety=_safety(properties),
            auth_mode=text(properties.get("authMode")) or "Key",
            tags=strings(raw.get("tags")),
        ),
        state=live_state(properties),
        condition=text(properties.get("endpointState")),
        url=text(mapping(properties.get("inferenceEndpoint")).get("uri")),
        created_at=header_of(raw),
        subscription=text(properties.get("marketplaceSubscriptionId")),
    )


def overlay(raw: Json, wish: ServerlessEndpoint, fields: frozenset[str]) -> Json:
    """`raw` with the named fields of `wish` laid over it."""
    wanted = body(wish)
    properties = dict(mapping(raw.get("properties")))
    for field, key in (("content_safety", "contentSafety"), ("auth_mode", "authMode"),
                       ("model", "modelSettings")):  # fmt: skip
        if field in fields and key in wanted["properties"]:
            properties[key] = wanted["properties"][key]
    changed = {**raw, "properties": properties}
    if "tags" in fields:
        changed["tags"] = wanted["tags"]
    return changed


def _safety(properties: Json) -> ContentSafety | None:
    status = text(mapping(properties.get("contentSafety")).get("contentSafetyStatus"))
    match (status or "").lower():
        case "enabled":
            return ContentSafety.ENABLED
        case "disabled":
            return ContentSafety.DISABLED
    return None


SHAPE = Shape(
    kind=Kind.SERVERLESS_ENDPOINT,
    body=body,
    parse=parse,
    overlay=overlay,
    settings={
        "authMode": None,
        "contentSafety": frozenset({"contentSafetyStatus"}),
        "modelSettings": frozenset({"modelId"}),
    },
)
