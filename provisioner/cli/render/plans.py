"""A plan for people: a diff as text, and Markdown for a pull request's comment. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final, assert_never

import click

from provisioner.cli.render.problems import clean, problem_text
from provisioner.plan.steps import (
    Await,
    Change,
    Create,
    Delete,
    Effect,
    Expiry,
    Plan,
    Replace,
    Rollout,
    SetTraffic,
    Step,
    Subscribe,
    Unchanged,
    Update,
    action,
)
from provisioner.resources import (
    OWN_TAGS,
    Kind,
    MarketplaceSubscription,
    OnlineDeployment,
    OnlineEndpoint,
    Resource,
    ResourceId,
    ServerlessEndpoint,
    WorkspaceId,
)

MARKS: Final = {
    "create": ("+", "green"),
    "change": ("~", "yellow"),
    "adopt": ("<=", "cyan"),
    "replace": ("-/+", "red"),
    "recover": ("-/+", "red"),
    "delete": ("-", "red"),
    "wait": ("...", "blue"),
}
_FEW: Final = 20
"""Unchanged resources that are listed one by one; more are counted, unless asked for."""


def plan_text(
    plan: Plan, *, width: int | None = None, color: bool = False, verbose: bool = False
) -> str:
    """The plan as a diff, ending in its summary line."""
    lines: list[str] = []
    for workspace, steps in _by_workspace(plan.steps):
        if lines:
            lines.append("")
        lines.append(f"workspace {workspace.name} (resource group {workspace.resource_group})")
        for step in steps:
            lines += _step(step, width, color)
    if lines and plan.expiries:
        lines.append("")
    lines += [_expiry(expiry) for expiry in plan.expiries]
    if lines and plan.unchanged:
        lines.append("")
    lines += _unchanged(plan.unchanged, width, everything=verbose)
    if lines:
        lines.append("")
    lines += [
        problem_text(problem, width=width, color=color)
        for problem in (*plan.notices, *plan.refusals)
    ]
    lines += _wrap(summary_line(plan), "", width)
    return "\n".join(lines) + "\n"


def summary_line(plan: Plan) -> str:
    """`Plan: 2 to create, 1 to change. 3 unchanged.`"""
    same = len(plan.unchanged)
    if plan.empty:
        detail = f": all {same} as described" if same > 1 else ""
        return f"No changes{detail}."
    verbs = {"wait": "wait for"}
    parts = [
        f"{count} to {verbs.get(name, name)}" for name, count in plan.counts().items() if count
    ]
    tail = f" {same} unchanged." if same else ""
    return f"Plan: {', '.join(parts)}.{tail}"


def plan_markdown(plan: Plan) -> str:
    """The plan for a pull request's comment: the summary first, the diff folded away."""
    lines = [f"### provision: {summary_line(plan)}", ""]
    for problem in (*plan.refusals, *plan.notices):
        lines.append(f"- **{problem.severity}** `{problem.code.id}`: {_md(problem.what)}")
        lines.append(f"  fix: {_md(problem.hint)}")
    if plan.refusals or plan.notices:
        lines.append("")
    if not plan.empty:
        body = "\n".join(_diff_line(line) for line in plan_text(plan).splitlines()[:-1])
        fence = "`" * max(3, _longest_run(body, "`") + 1)
        lines += ["<details open><summary>Changes</summary>", "", f"{fence}diff", body.rstrip()]
        lines += [fence, "", "</details>", ""]
    return "\n".join(lines)


def field_name(name: str) -> str:
    """An attribute's name as manifests and Azure spell it: `instance_count` → instanceCount."""
    head, dot, tail = name.partition(".")
    first, *rest = head.split("_")
    camel = first + "".join(part.title() for part in rest)
    if not dot:
        return camel
    return f"{camel}.{tail if head in ('tags', 'environment_variables') else field_name(tail)}"


def facts(resource: Resource) -> Iterator[tuple[str, str]]:
    """The settings of a resource that a plan shows when it makes one: name and value."""
    match resource:
        case MarketplaceSubscription():
            yield "model", resource.model.short
        case ServerlessEndpoint():
            yield "model", resource.model.short
            yield "location", resource.location
            if resource.content_safety is not None:
                yield "contentSafety", str(resource.content_safety)
            yield from _tags(resource.tags.items())
        case OnlineEndpoint():
            yield "location", resource.location
            if resource.shared_quota:
                yield "sharedQuota", "true: Azure deletes it after 168 h"
            yield from _tags(resource.tags.items())
        case OnlineDeployment():
            yield "model", resource.model.short + ("" if resource.model.version else " (latest)")
            yield "instanceType", resource.instance_type
            yield "instanceCount", str(resource.instance_count)
            yield from _tags(resource.tags.items())
        case _:
            assert_never(resource)


def _tags(tags: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for name, value in sorted(tags):
        if name not in OWN_TAGS:
            yield f"tags.{name}", value


def _by_workspace(steps: Sequence[Step]) -> Iterator[tuple[WorkspaceId, list[Step]]]:
    groups: dict[WorkspaceId, list[Step]] = {}
    for step in steps:
        groups.setdefault(step.target.workspace, []).append(step)
    yield from groups.items()


def _step(step: Step, width: int | None, color: bool) -> Iterator[str]:
    mark, paint = MARKS[action(step)]
    shown = click.style(f"{mark:>5}", fg=paint, bold=True) if color else f"{mark:>5}"
    yield f"{shown} {noun(step.target)} {clean(_label(step.target))}"
    rows = list(_rows(step))
    column = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        yield from _row(name, value, column, width)
    yield from _wrap(f"reason: {step.reason}", " " * 8, width)


def _label(id: ResourceId) -> str:
    return f"{id.parent}/{id.name}" if id.parent else id.name


def noun(id: ResourceId) -> str:
    return Kind(id.kind).noun


def _rows(step: Step) -> Iterator[tuple[str, str]]:
    """Field and value lines under a step."""
    match step:
        case Subscribe():
            yield from facts(step.resource)
            yield "offer", str(step.plan) if step.plan else "named by Azure when subscribing"
            yield "terms", f"accepted by {step.consent.by}" if step.consent else "NOT ACCEPTED"
        case Create():
            yield from facts(step.resource)
        case Update() | Replace():
            for change in step.changes:
                yield field_name(change.field), _change(change)
        case SetTraffic():
            for name in sorted({*step.before, *step.after}):
                yield f"traffic.{name}", f"{step.before.get(name, 0)} → {step.after.get(name, 0)}"
        case Rollout():
            shares = " → ".join(str(share) for share in (0, *step.shares))
            yield f"traffic.{step.new}", f"{shares} percent of {step.weight}"
            yield "bake", f"{step.bake:g} s after each{', then a probe' if step.probe else ''}"
        case Delete():
            return
        case Await():
            yield "state", f"{step.state}; until {step.until}"
        case _:
            assert_never(step)


def _change(change: Change) -> str:
    old, new = change.old, change.new
    if change.hidden:
        words = "added" if old is None else "removed" if new is None else "changed"
        text = f"({words}; values are not shown)"
    elif old is None:
        text = f"{new} (was not set)"
    else:
        text = f"{old} → {new if new is not None else '(not set)'}"
    return f"{text}  ({change.effect})" if change.effect is Effect.REPLACES else text


def _row(name: str, value: str, column: int, width: int | None) -> Iterator[str]:
    head = f"        {name:<{column}}  "
    hang = " " * len(head)
    if width is not None and len(head) > width // 2:
        hang = " " * 12
    lines = textwrap.wrap(
        clean(value),
        width or 10_000,
        initial_indent=head,
        subsequent_indent=hang,
        break_long_words=False,
        break_on_hyphens=False,
    )
    yield from lines or [head.rstrip()]


def _wrap(text: str, indent: str, width: int | None) -> list[str]:
    return textwrap.wrap(
        clean(text),
        width or 10_000,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _expiry(expiry: Expiry) -> str:
    by = "Azure deletes it (shared quota)" if expiry.by_azure else "expires"
    return f"  {noun(expiry.id)} {_label(expiry.id)}: {by} {instant(expiry.instant)}"


def instant(value: datetime) -> str:
    """`2030-01-31 18:00 UTC`."""
    return f"{value:%Y-%m-%d %H:%M} UTC"


def _unchanged(
    unchanged: Sequence[Unchanged], width: int | None, *, everything: bool
) -> Iterator[str]:
    if not unchanged:
        return
    if len(unchanged) > _FEW and not everything:
        yield f"    {len(unchanged)} more need nothing (-v lists them)"
        return
    for one in unchanged:
        text = f"{noun(one.id)} {_label(one.id)}: {one.reason}"
        first, *rest = _wrap(text, "      ", width)
        yield f"    = {first[6:]}"
        yield from rest


def _diff_line(line: str) -> str:
    """A diff's colours hang on the first character of a line."""
    mark = line.strip().split(" ", 1)[0]
    sign = {"+": "+", "-": "-", "-/+": "-", "~": "!", "<=": "!"}.get(mark, " ")
    return sign + line if sign != " " else " " + line


def _md(text: str) -> str:
    return clean(text).replace("|", "\\|").replace("<", "&lt;")


def _longest_run(text: str, char: str) -> int:
    longest = run = 0
    for one in text:
        run = run + 1 if one == char else 0
        longest = max(longest, run)
    return longest
