"""`/{scope}/providers/Microsoft.Resources/tags/default`: a resource's tags on their own."""

from __future__ import annotations

from collections import Counter

from provisioner.emulator.errors import ArmError, JsonObject
from provisioner.emulator.mlresource import TAGS, check_tags, remember_stale
from provisioner.emulator.validation import Obj, clean
from provisioner.emulator.wire import Call, Reply

_PUT = Obj({"properties": Obj({"tags": TAGS})}, required=("properties",))
_PATCH = Obj({"operation": "string", "properties": Obj({"tags": TAGS})}, required=("operation",))


def _read(call: Call) -> dict[str, str]:
    scope = call.params["scope"]
    subscription = _subscription(scope)
    if subscription is not None:
        given = call.tenant.subscription(subscription).tags
        return dict(call.tenant.store.document("subscriptionTags").get(subscription, given))
    resource = call.tenant.store.get(scope)
    if resource is None:
        raise ArmError(404, "ResourceNotFound", f"The resource '{scope}' was not found.")
    if resource.kind == "marketplaceSubscriptions":
        raise ArmError(
            400, "ResourceTypeNotSupported", "A marketplaceSubscription cannot have tags."
        )
    return dict(resource.body.get("tags") or {})


def _subscription(scope: str) -> str | None:
    parts = scope.strip("/").lower().split("/")
    return parts[1] if len(parts) == 2 and parts[0] == "subscriptions" else None


def _write(call: Call, tags: dict[str, str]) -> None:
    check_tags(tags)
    subscription = _subscription(call.params["scope"])
    store = call.tenant.store
    if subscription is not None:
        store.document("subscriptionTags")[subscription] = tags
        store.touch("subscriptionTags")
        return
    resource = store.get(call.params["scope"])
    assert resource is not None  # _read has found it
    remember_stale(call, resource)
    resource.body = {**resource.body, "tags": tags}
    resource.changed = call.now
    store.put(resource)


def _shown(call: Call, tags: dict[str, str]) -> JsonObject:
    scope = call.params["scope"].rstrip("/")
    return {
        "id": f"{scope}/providers/Microsoft.Resources/tags/default",
        "name": "default",
        "type": "Microsoft.Resources/tags",
        "properties": {"tags": tags},
    }


def get(call: Call) -> Reply:
    return Reply(200, _shown(call, _read(call)))


def put(call: Call) -> Reply:
    _read(call)
    body = clean(call.json_object(), _PUT)
    tags = body["properties"].get("tags") or {}
    _write(call, tags)
    return Reply(200, _shown(call, tags))


def patch(call: Call) -> Reply:
    """Merge, Replace or Delete; a Delete removes pairs that match in name and value.

    Names are the same whatever their case; a merged one is shown as it was given last.
    """
    tags = _read(call)
    body = clean(call.json_object(), _PATCH)
    given = (body.get("properties") or {}).get("tags") or {}
    match str(body["operation"]).lower():
        case "merge":
            names = {name.lower() for name in given}
            tags = {k: v for k, v in tags.items() if k.lower() not in names} | given
        case "replace":
            tags = given
        case "delete":
            gone = {name.lower(): value for name, value in given.items()}
            tags = {k: v for k, v in tags.items() if gone.get(k.lower()) != v}
        case other:
            raise ArmError(
                400, "InvalidTagsOperation", f"'{other}' is not one of Merge, Replace, Delete."
            )
    _write(call, tags)
    return Reply(200, _shown(call, tags))


def names(call: Call) -> Reply:
    """The names of a subscription's tags, with their values and how often each is used."""
    wanted = call.params["subscriptionId"].lower()
    given = call.tenant.subscription(wanted).tags
    carried = [call.tenant.store.document("subscriptionTags").get(wanted, given)]
    carried += [
        r.body.get("tags") or {} for r in call.tenant.store.all() if r.subscription == wanted
    ]
    counts: dict[str, Counter[str]] = {}
    for tags in carried:
        for name, value in tags.items():
            counts.setdefault(name.lower(), Counter())[value] += 1
    root = f"/subscriptions/{call.params['subscriptionId']}/tagNames"
    shown = [
        {
            "id": f"{root}/{name}",
            "tagName": name,
            "count": {"type": "Total", "value": values.total()},
            "values": [
                {
                    "id": f"{root}/{name}/tagValues/{value}",
                    "tagValue": value,
                    "count": {"type": "Total", "value": number},
                }
                for value, number in values.items()
            ],
        }
        for name, values in counts.items()
    ]
    return Reply(200, {"value": shown})


def delete(call: Call) -> Reply:
    _read(call)
    _write(call, {})
    return Reply(200)
