"""What the readers of a plan share: fields, values, traffic and unchanged resources in words.

Field names appear as in a manifest (camelCase); values that may be secret never appear.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from typing import assert_never

from provisioner.errors.harmless import clean
from provisioner.plan.diff import identity_text, setting_text
from provisioner.plan.steps import (
    Await,
    Change,
    Create,
    Delete,
    Expiry,
    Plan,
    Replace,
    Rollout,
    SetTraffic,
    Step,
    Subscribe,
    Unchanged,
    Update,
)
from provisioner.resources import (
    MarketplaceSubscription,
    OnlineDeployment,
    OnlineEndpoint,
    Resource,
    ServerlessEndpoint,
    instant_text,
)

HIDDEN = "(hidden)"
SYMBOLS: Mapping[str, str] = {
    "create": "+",
    "change": "~",
    "adopt": "<=",
    "replace": "-/+",
    "recover": "-/+",
    "delete": "-",
    "wait": "…",
}
"""The sign of each action of `steps.action`."""

_ALWAYS = ("create", "change", "replace", "delete")
_SOMETIMES = {"adopt": "to adopt", "recover": "to recover", "wait": "to wait for"}


def camel(field: str) -> str:
    """`environment_variables.MAX_LEN` → `environmentVariables.MAX_LEN`: a manifest's own keys are
    translated; the names of tags and variables are left alone, those of settings are not."""
    first, dot, rest = field.partition(".")
    if dot and first not in ("tags", "environment_variables"):
        rest = _camel(rest)
    return f"{_camel(first)}{dot}{rest}"


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.title() for part in tail)


def changes_of(step: Step) -> tuple[Change, ...]:
    """The field differences that a step carries."""
    match step:
        case Update() | Replace():
            return step.changes
        case Subscribe() | Create() | SetTraffic() | Rollout() | Delete() | Await():
            return ()
        case _:
            assert_never(step)


def change_text(change: Change) -> str:
    """`instanceCount: 1 → 2`, `tags.team: (none) → search`."""
    old = HIDDEN if change.hidden and change.old is not None else change.old
    new = HIDDEN if change.hidden and change.new is not None else change.new
    return clean(f"{camel(change.field)}: {_value(old)} → {_value(new)}")


def _value(text: str | None) -> str:
    if text is None:
        return "(none)"
    return '""' if text == "" else text


def facts(resource: Resource) -> Iterator[tuple[str, str]]:
    """What a person wants to know of a resource that is to be created: field and value."""
    match resource:
        case MarketplaceSubscription():
            yield "model", resource.model.short
        case ServerlessEndpoint():
            yield "model", resource.model.short
            if resource.content_safety is not None:
                yield "contentSafety", str(resource.content_safety).lower()
        case OnlineEndpoint():
            yield "authMode", resource.auth_mode.lower()
            if resource.shared_quota:
                yield "sharedQuota", "true"
            if resource.description:
                yield "description", clean(resource.description)
            if resource.identity is not None:
                yield "identity", clean(identity_text(resource.identity))
        case OnlineDeployment():
            version = resource.model.version is None and bool(resource.model.registry)
            yield "model", f"{resource.model.short}{' (latest version)' if version else ''}"
            yield "instanceType", resource.instance_type
            yield "instanceCount", str(resource.instance_count)
            yield from _settings(resource)
        case _:
            assert_never(resource)


def _settings(resource: OnlineDeployment) -> Iterator[tuple[str, str]]:
    if resource.environment_variables:
        yield "environmentVariables", ", ".join(sorted(resource.environment_variables))
    for name in ("request_settings", "liveness_probe", "readiness_probe", "data_collection"):
        setting = getattr(resource, name)
        if setting is None:
            continue
        parts = [(part.name, getattr(setting, part.name)) for part in fields(setting)]
        texts = ((part, setting_text(part, value)) for part, value in parts)
        given = [f"{_camel(part)} {text}" for part, text in texts if text is not None]
        yield camel(name), ", ".join(given)


def moves(step: SetTraffic | Rollout) -> tuple[str, ...]:
    """The traffic of a step, one line per change: `blue 100 → 90, green 0 → 10`."""
    match step:
        case SetTraffic(before=before, after=after):
            return (traffic_text(before, after) or "no traffic",)
        case Rollout():
            return tuple(traffic_text(*pair) for pair in stages(step))
        case _:
            assert_never(step)


def stages(step: Rollout) -> Iterator[tuple[dict[str, int], dict[str, int]]]:
    """Traffic of the two deployments before and after each share (percent of the endpoint)."""
    begun = round(step.weight * step.begun / 100)
    before = {step.old: step.weight - begun, step.new: begun}
    for share in step.shares:
        new = round(step.weight * share / 100)
        after = {step.old: step.weight - new, step.new: new}
        yield before, after
        before = after


def traffic_text(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    """`blue 100 → 90, green 0 → 10`; a share that stays is `red 5`."""
    parts = []
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name, 0), after.get(name, 0)
        if old or new:
            parts.append(f"{name} {old} → {new}" if old != new else f"{name} {old}")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """`5m`, `1h30m`, `45s`."""
    whole = round(seconds)
    parts = ((whole // 3600, "h"), (whole % 3600 // 60, "m"), (whole % 60, "s"))
    return "".join(f"{value}{unit}" for value, unit in parts if value) or "0s"


def deadline(expiry: Expiry, now: datetime) -> str:
    """`expires 2026-11-25T12:00:00Z, in 3d 0h (Azure deletes it: shared quota)`."""
    left = expiry.instant - now
    when = f"in {span(left)}" if left > timedelta(0) else f"{span(-left)} ago"
    by = " (Azure deletes it: shared quota)" if expiry.by_azure else ""
    return f"expires {instant_text(expiry.instant)}, {when}{by}"


def span(span: timedelta) -> str:
    """`3d 0h`, `5h 10m`, `0h 12m`."""
    minutes = int(span.total_seconds() // 60)
    if minutes >= 48 * 60:
        return f"{minutes // 1440}d {minutes % 1440 // 60}h"
    return f"{minutes // 60}h {minutes % 60:02}m"


def summary(plan: Plan) -> str:
    """`Plan: 3 to create, 1 to change, 0 to replace, 0 to delete.`"""
    counts = plan.counts()
    parts = [f"{counts[name]} to {name}" for name in _ALWAYS]
    parts += [f"{counts[name]} {words}" for name, words in _SOMETIMES.items() if counts[name]]
    return f"Plan: {', '.join(parts)}."


OUTPUTS = "Outputs, written where they differ"
_OUTPUTS_SHOWN = 4


def outputs(plan: Plan) -> tuple[tuple[str, ...], int]:
    """The first few places that the apply writes to, `out/llama.env (dotenv)`, and how many more
    there are. Several deployments may share one place."""
    found = tuple(dict.fromkeys(clean(f"{one.target} ({one.sink})") for one in plan.outputs))
    return found[:_OUTPUTS_SHOWN], len(found[_OUTPUTS_SHOWN:])


def unchanged(plan: Plan) -> tuple[tuple[str, int], ...]:
    """Why resources need nothing, and how many for each reason, most frequent first."""
    return tuple(Counter(one.reason for one in quiet(plan)).most_common())


_PLURALS = {
    "matches its manifest": "match their manifests",
    "does not exist": "do not exist",
}


def counted(reason: str, count: int) -> str:
    """`1 matches its manifest`, `3 match their manifests`."""
    return f"{count} {_PLURALS.get(reason, reason) if count != 1 else reason}"


def quiet(plan: Plan) -> tuple[Unchanged, ...]:
    """The unchanged resources that no step names: an endpoint whose traffic moves is not one."""
    targets = {step.target for step in plan.steps}
    return tuple(one for one in plan.unchanged if one.id not in targets)
