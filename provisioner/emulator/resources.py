"""The resources of a subscription or group, as the index behind ARM lists them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from provisioner.emulator.clock import iso_z
from provisioner.emulator.errors import ArmError, JsonObject
from provisioner.emulator.mlresource import TYPES, as_read
from provisioner.emulator.paging import arm_page
from provisioner.emulator.store import Resource
from provisioner.emulator.wire import Call, Reply


@dataclass(frozen=True, slots=True)
class _Test:
    """One comparison of a filter: `eq`, `ne`, `substringof` or `startswith`."""

    how: str
    name: str
    value: str

    def holds(self, resource: Resource) -> bool:
        found, wanted = _property(resource, self.name), _plain(self.value, self.name)
        if self.how == "substringof":
            return wanted in found
        return (found == wanted) == (self.how == "eq")


@dataclass(frozen=True, slots=True)
class Filter:
    """A `$filter` over tags or properties. ARM answers a filter by tag without the tags (§19).

    It holds when all the tests of one of its groups do: those of one tag, and the others.
    """

    groups: tuple[tuple[tuple[_Test, ...], tuple[_Test, ...]], ...]

    @property
    def by_tag(self) -> bool:
        return any(tags for tags, _ in self.groups)

    def holds(self, resource: Resource) -> bool:
        return any(
            _has_tag(resource, tags) and all(test.holds(resource) for test in others)
            for tags, others in self.groups
        )


_TEXT = r"'(?P<{}>(?:[^']|'')*)'"
_CLAUSE = re.compile(
    rf"""\s*(?:
        (?P<name>[\w/]+)\s+(?P<how>eq|ne)\s+{_TEXT.format("value")}
      | substringof\s*\(\s*{_TEXT.format("part")}\s*,\s*(?P<holder>\w+)\s*\)
      | startswith\s*\(\s*(?P<tagged>tagname)\s*,\s*{_TEXT.format("start")}\s*\)
    )\s*(?:(?P<joint>and|or)\b|$)""",
    re.IGNORECASE | re.VERBOSE,
)
_COMPARED = {
    "tagname": ("eq",),
    "tagvalue": ("eq",),
    **dict.fromkeys(("resourcetype", "location", "identity", "identity/principalid"), ("eq", "ne")),
    **dict.fromkeys(("name", "resourcegroup"), ("eq", "ne", "substringof")),
}


def parse_filter(call: Call) -> Filter | None:
    """The request's `$filter`; raises ARM's 400 for one that cannot be read."""
    text = call.query.get("$filter", "").strip()
    if not text:
        return None
    groups: list[list[_Test]] = [[]]
    at, joint = 0, "and"
    while joint:
        match = _CLAUSE.match(text, at)
        test = _test(match) if match is not None else None
        if match is None or test is None:
            raise _unreadable(text)
        groups[-1].append(test)
        at, joint = match.end(), (match["joint"] or "").lower()
        if joint == "or":
            groups.append([])
    return Filter(tuple(map(_parted, groups)))


def _parted(group: list[_Test]) -> tuple[tuple[_Test, ...], tuple[_Test, ...]]:
    tags = tuple(test for test in group if test.name.startswith("tag"))
    if tags and all(test.name == "tagvalue" for test in tags):
        raise ArmError(
            400, "InvalidFilterInQueryString", "'tagValue' needs 'tagName' in the $filter."
        )
    return tags, tuple(test for test in group if test not in tags)


def _test(match: re.Match[str]) -> _Test | None:
    """The comparison of a clause; None for one that ARM does not make."""
    if match["tagged"]:
        return _Test("startswith", "tagname", match["start"].replace("''", "'"))
    how = (match["how"] or "substringof").lower()
    name = (match["name"] or match["holder"]).lower()
    if how not in _COMPARED.get(name, ()):
        return None
    value = match["value"] if match["name"] else match["part"]
    return _Test(how, name, value.replace("''", "'"))


def _unreadable(text: str) -> ArmError:
    return ArmError(
        400,
        "InvalidFilterInQueryString",
        f"Invalid $filter '{text[:500]}' specified in the query string. The emulator takes "
        "tagName and tagValue with 'eq', startswith(tagName, …), resourceType, location, name, "
        "resourceGroup, identity and identity/principalId with 'eq' and 'ne', substringof(…, name) "
        "and substringof(…, resourceGroup), joined with 'and' and 'or'.",
    )


def _has_tag(resource: Resource, tests: Sequence[_Test]) -> bool:
    """Whether one of the tags fits: by name, and by value where one is asked for."""
    if not tests:
        return True
    values = [test.value for test in tests if test.name == "tagvalue"]
    names = [(test.how, test.value.lower()) for test in tests if test.name == "tagname"]
    return any(
        all(key.startswith(n) if how == "startswith" else key == n for how, n in names)
        and all(value == each for each in values)
        for key, value in ((k.lower(), v) for k, v in (resource.body.get("tags") or {}).items())
    )


def _property(resource: Resource, name: str) -> str:
    identity = resource.body.get("identity") or {}
    found = {
        "resourcetype": TYPES.get(resource.kind, ""),
        "location": resource.location,
        "name": resource.name,
        "resourcegroup": resource.group,
        "identity": identity.get("type") or "",
        "identity/principalid": identity.get("principalId") or "",
    }[name]
    return _plain(str(found), name)


def _plain(text: str, name: str) -> str:
    """Without case; a region without its blanks too, as clients write both names of it."""
    return text.lower().replace(" ", "") if name == "location" else text.lower()


_LISTED = ("workspaces", "serverlessEndpoints", "onlineEndpoints", "deployments")


def list_resources(call: Call) -> Reply:
    """Tracked resources of a subscription or group, as the index behind them knows them."""
    wanted = call.params["subscriptionId"].lower()
    group = call.params.get("resourceGroupName", "").lower()
    condition = parse_filter(call)
    by_tag = condition is not None and condition.by_tag
    expand = {word.strip().lower() for word in call.query.get("$expand", "").split(",")}
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
        more = {
            "createdTime": iso_z(resource.created),
            "changedTime": iso_z(resource.changed),
            "provisioningState": resource.state,
        }
        return shown | {name: value for name, value in more.items() if name.lower() in expand}

    return arm_page(call, found, render)
