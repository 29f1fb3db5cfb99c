"""Deployments as rows of a table and as plain data. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from provisioner.apply import Report
from provisioner.cloud import Observed
from provisioner.desired import Desired
from provisioner.errors.harmless import clean
from provisioner.events import Outcome
from provisioner.inference import base_url
from provisioner.outputs import SinkResult, Status
from provisioner.plan.managed import other_slot
from provisioner.publish import Published, published
from provisioner.reap import deadline_of
from provisioner.resources import (
    AnyLive,
    Kind,
    OnlineEndpoint,
    ResourceId,
    ServerlessEndpoint,
)

ABSENT: Final = "absent"


@dataclass(frozen=True, slots=True)
class Row:
    """One deployment as it is. `state` is Azure's, or `absent`; `traffic` in percent, None for a
    serverless endpoint; `shares` is how two colours of a rollout share it, empty otherwise;
    `expires` is UTC; `keys` says where the key was written."""

    name: str
    workspace: str
    target: str
    model: str
    endpoint: str
    state: str
    url: str | None = None
    traffic: int | None = None
    shares: Mapping[str, int] = field(default_factory=dict)
    expires: datetime | None = None
    keys: tuple[str, ...] = ()
    resource: str = ""


def rows(
    desired: Desired,
    observed: Observed,
    report: Report | None = None,
    sinks: Sequence[SinkResult] = (),
) -> list[Row]:
    """One row per deployment of the manifests, in their order, as it was seen last."""
    lives = _lives(observed)
    if report is not None:
        gone = {
            result.step.target
            for result in report.results
            if result.step.id.startswith("delete:") and result.outcome is Outcome.DONE
        }
        lives = {id: live for id, live in lives.items() if id not in gone} | dict(report.lives)
    keys: dict[str, list[str]] = {}
    for sink in sinks:
        keys.setdefault(sink.deployment, []).append(_written(sink))
    return [
        replace(_row(one, lives), keys=tuple(keys.get(one.origin.name, ())))
        for one in published(desired)
    ]


def _lives(observed: Observed) -> dict[ResourceId, AnyLive]:
    found: dict[ResourceId, AnyLive] = {}
    for view in observed.values():
        found.update({live.id: live for live in view.serverless})
        found.update({live.id: live for live in view.endpoints})
        for deployments in view.deployments.values():
            found.update({live.id: live for live in deployments})
    return found


def _row(one: Published, lives: Mapping[ResourceId, AnyLive]) -> Row:
    endpoint = lives.get(one.endpoint)
    row = Row(
        name=one.origin.name,
        workspace=one.endpoint.workspace.name,
        target=one.target,
        model=one.model.short,
        endpoint=one.endpoint.name,
        state=ABSENT,
        resource=one.endpoint.arm_id,
    )
    if endpoint is None:
        return row
    row = replace(
        row,
        state=_state(endpoint),
        url=base_url(endpoint.url) if endpoint.url else None,
        expires=_expires(endpoint),
    )
    if not isinstance(endpoint.resource, OnlineEndpoint):
        return row
    # A blue/green rollout lets two names take turns: the one with more traffic is the deployment.
    # A second name that is another manifest's is none of these two.
    traffic = {name.lower(): share for name, share in endpoint.resource.traffic.items()}
    name = (one.deployment or one.origin.name).lower()
    second = lives.get(_slot(one, other_slot(name)))
    both = (name, other_slot(name)) if second is None or one.made(second) else (name,)
    slots = sorted(both, key=lambda slot: -traffic.get(slot, 0))
    found = (lives.get(_slot(one, name)) for name in slots)
    deployment = next((live for live in found if live is not None), None)
    return replace(
        row,
        state=_state(deployment) if deployment is not None else ABSENT,
        traffic=sum(traffic.get(name, 0) for name in slots),
        shares=_shares(endpoint.resource, slots),
    )


def _shares(endpoint: OnlineEndpoint, slots: Sequence[str]) -> Mapping[str, int]:
    found = {name: share for name, share in endpoint.traffic.items() if name.lower() in slots}
    both = len(list(filter(None, found.values()))) > 1
    return dict(sorted(found.items(), key=lambda one: -one[1])) if both else {}


def _slot(one: Published, name: str) -> ResourceId:
    return ResourceId(one.endpoint.workspace, Kind.ONLINE_DEPLOYMENT, name, one.endpoint.name)


def _state(live: AnyLive) -> str:
    """The provisioning state, or the service's second opinion where that is worse."""
    usual = live.condition in (None, "Online", str(live.state))
    return str(live.state) if usual else f"{live.state} ({live.condition})"


def _expires(live: AnyLive) -> datetime | None:
    if not isinstance(live.resource, ServerlessEndpoint | OnlineEndpoint):
        return None
    deadline = deadline_of(live)
    return deadline.instant if deadline is not None else None


def _written(sink: SinkResult) -> str:
    match sink.status:
        case Status.WRITTEN | Status.UNCHANGED:
            return sink.target
        case Status.FAILED:
            return f"{sink.target} (not written)"


def row_document(row: Row, sinks: Iterable[SinkResult] = ()) -> dict[str, object]:
    """One row as plain data; never a key."""
    document: dict[str, object | None] = {
        "name": row.name,
        "workspace": row.workspace,
        "target": row.target,
        "model": row.model,
        "endpoint": row.endpoint,
        "state": row.state,
        "url": row.url,
        "traffic": row.traffic,
        "trafficShares": dict(row.shares) or None,
        "expiresAt": row.expires.isoformat() if row.expires else None,
        "resourceId": row.resource,
    }
    outputs = [
        {"sink": sink.sink, "target": sink.target, "status": str(sink.status)}
        for sink in sinks
        if sink.deployment == row.name
    ]
    if outputs:
        document["outputs"] = outputs
    return {name: value for name, value in document.items() if value is not None}


def table(rows: Sequence[Row], now: datetime, *, width: int | None = None) -> str:
    """A table; where a line would not fit the screen, URL and key go below their row.

    Piped (`width` None) every deployment is one line, whatever its length.
    """
    extras = [column for column in ("url", "keys") if any(getattr(row, column) for row in rows)]
    main = [_cells(row, rows, now) for row in rows]
    head = list(main[0]) if main else []
    below = [_below(row, extras) for row in rows]
    flat = [
        [*cells.values(), *(extra.get(column, "") for column in extras)]
        for cells, extra in zip(main, below, strict=True)
    ]
    titles = [*head, *(_TITLES[column] for column in extras)]
    lines = aligned([titles, *flat])
    if width is None or all(len(line) <= width for line in lines):
        return "\n".join(lines) + "\n"
    return _folded(head, [list(cells.values()) for cells in main], below, width)


_TITLES: Final = {"url": "URL", "keys": "KEY IN"}


def _cells(row: Row, rows: Sequence[Row], now: datetime) -> dict[str, str]:
    cells = {"NAME": row.name, "TARGET": row.target, "STATE": row.state}
    if any(one.traffic is not None for one in rows):
        cells["TRAFFIC"] = _traffic(row)
    if any(one.expires for one in rows):
        cells["EXPIRES IN"] = expires_in(row.expires, now)
    return {title: clean(text) for title, text in cells.items()}


def _traffic(row: Row) -> str:
    """`100%`, or in the middle of a rollout `90% blue, 10% blue-2`."""
    if row.shares:
        return ", ".join(f"{share}% {name}" for name, share in row.shares.items())
    return "" if row.traffic is None else f"{row.traffic}%"


def _below(row: Row, extras: Sequence[str]) -> dict[str, str]:
    values = {"url": row.url or "", "keys": ", ".join(row.keys)}
    return {column: clean(values[column]) for column in extras}


def expires_in(instant: datetime | None, now: datetime) -> str:
    """`6d 23h`, `5h 10m`, `12m`, or `overdue`."""
    if instant is None:
        return ""
    minutes = int((instant - now).total_seconds() // 60)
    if minutes < 0:
        return "overdue"
    days, rest = divmod(minutes, 24 * 60)
    if days:
        return f"{days}d {rest // 60}h"
    return f"{rest // 60}h {rest % 60:02}m" if rest >= 60 else f"{rest}m"


def _folded(head: list[str], main: list[list[str]], below: list[dict[str, str]], width: int) -> str:
    lines = aligned([head, *main])
    if any(len(line) > width for line in lines):
        # Not even the short columns fit: one line each, names first.
        lines = ["", *("  ".join(filter(None, cells)) for cells in main)]
    out = [lines[0]] if lines[0] else []
    for line, extra in zip(lines[1:], below, strict=True):
        out.append(line)
        out += [f"  {_TITLES[name].lower():<6}  {text}" for name, text in extra.items() if text]
    return "\n".join(out) + "\n"


def aligned(lines: list[list[str]]) -> list[str]:
    """Columns as wide as their widest cell, two spaces apart."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def broken(rows: Iterable[Row]) -> list[Row]:
    """Those that do not answer calls as they should."""
    return [row for row in rows if row.state != "Succeeded"]
