"""The resources of a subscription or group, as the index behind ARM lists them."""

from __future__ import annotations

import re

from provisioner.emulator.errors import ArmError, JsonObject
from provisioner.emulator.mlresource import TYPES, as_read
from provisioner.emulator.paging import arm_page
from provisioner.emulator.store import Resource
from provisioner.emulator.wire import Call, Reply


class Condition:
    """A `$filter` over tags or types. ARM answers a filter by tag without the tags (§19)."""

    def __init__(self) -> None:
        self.tag: str | None = None
        self.value: str | None = None
        self.kind: str | None = None
        self.group: str | None = None
        self.name: str | None = None

    def holds(self, resource: Resource) -> bool:
        tags = {k.lower(): v for k, v in (resource.body.get("tags") or {}).items()}
        if self.tag is not None and self.tag not in tags:
            return False
        if self.value is not None and tags.get(self.tag or "") != self.value:
            return False
        if self.kind is not None and TYPES.get(resource.kind, "").lower() != self.kind:
            return False
        if self.name is not None and resource.name.lower() != self.name:
            return False
        return self.group is None or resource.group.lower() == self.group


_CLAUSE = re.compile(r"\s*(\w+)\s+eq\s+'((?:[^']|'')*)'\s*", re.IGNORECASE)


def parse_filter(call: Call) -> Condition | None:
    text = call.query.get("$filter", "").strip()
    if not text:
        return None
    condition = Condition()
    for clause in re.split(r"\s+and\s+", text, flags=re.IGNORECASE):
        match = _CLAUSE.fullmatch(clause)
        name = match[1].lower() if match else ""
        if match is None or name not in (
            "tagname",
            "tagvalue",
            "resourcetype",
            "resourcegroup",
            "name",
        ):
            raise ArmError(
                400,
                "InvalidFilterInQueryString",
                f"Invalid $filter '{text}' specified in the query string. The emulator takes "
                "tagName, tagValue, resourceType, resourceGroup and name with 'eq' and 'and'.",
            )
        value = match[2].replace("''", "'")
        match name:
            case "tagname":
                condition.tag = value.lower()
            case "tagvalue":
                condition.value = value
            case "resourcetype":
                condition.kind = value.lower()
            case "resourcegroup":
                condition.group = value.lower()
            case "name":
                condition.name = value.lower()
    if condition.value is not None and condition.tag is None:
        raise ArmError(
            400, "InvalidFilterInQueryString", "'tagValue' needs 'tagName' in the $filter."
        )
    return condition


_LISTED = ("workspaces", "serverlessEndpoints", "onlineEndpoints", "deployments")


def list_resources(call: Call) -> Reply:
    """Tracked resources of a subscription or group, as the index behind them knows them."""
    wanted = call.params["subscriptionId"].lower()
    group = call.params.get("resourceGroupName", "").lower()
    condition = parse_filter(call)
    by_tag = condition is not None and condition.tag is not None
    lag = call.tenant.scenario.behaviour.index_lag
    found = [
        r
        for r in call.tenant.store.all()
        if r.kind in _LISTED
        and r.subscription == wanted
        and (not group or r.group.lower() == group)
        and call.now >= r.changed + lag
        and (condition is None or condition.holds(r))
        and call.tenant.rights.allowed(
            call.caller.object_id, f"{TYPES[r.kind]}/read", r.id, call.now
        )
    ]
    found.sort(key=lambda r: r.seq)

    def render(resource: Resource, call: Call) -> JsonObject:
        shown: JsonObject = {
            "id": resource.id,
            "name": resource.name,
            "type": TYPES[resource.kind],
            "location": resource.location,
        }
        for name in ("kind", "identity", "sku"):
            if resource.body.get(name):
                shown[name] = resource.body[name]
        if not by_tag:
            shown["tags"] = as_read(resource, call.now).body.get("tags") or {}
        return shown

    return arm_page(call, found, render)
