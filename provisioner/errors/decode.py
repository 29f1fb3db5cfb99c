"""A service's refusal → a problem that says what it means, who can mend it and how."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from provisioner.errors import Position, Problem
from provisioner.errors.causes import CAUSES, ELIGIBILITY_CAUSES, Cause
from provisioner.errors.cloud import ServiceFault
from provisioner.errors.meanings import TEMPORARY, UNKNOWN

_LONGEST_LINE: Final = 2000
_TOLD: Final = re.compile(r"(\w+): (.*)", re.DOTALL)


def decode(fault: ServiceFault, position: Position | None = None, *, context: str = "") -> Problem:
    """The problem behind `fault`, from the table in errors/causes.py.

    `context` says what was being done, such as a step's title. The service's own message is kept
    whole in the details, and the correlation id beside it; an error that is not in the table is
    shown with all that the service said.
    """
    found = _find(fault)
    if found is None:
        return _unknown(fault, position, context)
    cause, groups = found
    words = _Words({**_parts(fault), **groups})
    details = _told(fault)
    if cause.lists:
        details = (*details, "everything that can stand behind this:", *_bullets())
    return Problem(
        cause.code,
        _sentence(cause.what.format_map(words), context),
        cause.hint.format_map(words),
        position=position,
        resource=fault.resource,
        correlation_id=correlation(fault),
        details=details,
    )


def decode_told(text: str, resource: str | None = None) -> Problem | None:
    """The problem behind an explanation of the form `Code: message`, such as an operation's status
    gives for a resource that ended badly; None where the table has no entry for it."""
    match = _TOLD.match(text)
    if match is None:
        return None
    fault = ServiceFault(status=400, code=match[1], message=match[2], resource=resource)
    problem = decode(fault)
    return None if problem.code is UNKNOWN else problem


def correlation(fault: ServiceFault) -> str | None:
    """What Azure support asks for: the correlation id, else the request's own id."""
    return fault.correlation_id or fault.request_id


def _find(fault: ServiceFault) -> tuple[Cause, Mapping[str, str]] | None:
    codes = {fault.code.lower(), (fault.outer_code or "").lower()}
    for cause in CAUSES:
        if cause.status is not None and cause.status != fault.status:
            continue
        if cause.codes and not cause.codes & codes:
            continue
        if cause.pattern is None:
            return cause, {}
        match = cause.pattern.search(fault.message)
        if match is not None:
            return cause, {key: value for key, value in match.groupdict().items() if value}
    if fault.status == 408 or (fault.status >= 500 and fault.status != 501):
        return _server_fault(), {}
    return None


def _server_fault() -> Cause:
    return next(cause for cause in CAUSES if cause.code is TEMPORARY)


def _unknown(fault: ServiceFault, position: Position | None, context: str) -> Problem:
    answer = f"the service answered {fault.status} {fault.code}".rstrip()
    if fault.operation:
        answer += f" to {fault.operation}"
    return Problem(
        UNKNOWN,
        _sentence(answer, context),
        "read the service's message above; quote the correlation id in an Azure support request",
        position=position,
        resource=fault.resource,
        correlation_id=correlation(fault),
        details=_told(fault),
    )


def _sentence(what: str, context: str) -> str:
    return f"{context}: {what}" if context else what


def _told(fault: ServiceFault) -> tuple[str, ...]:
    """The service's words, with its code in front when they do not name it themselves."""
    code = fault.code or str(fault.status)
    lines = [line.strip()[:_LONGEST_LINE] for line in fault.message.splitlines() if line.strip()]
    if not lines:
        return (f"{code} (no message)",)
    return (f"{code}: {lines[0]}", *lines[1:])


def _bullets() -> tuple[str, ...]:
    return tuple(f"- {cause}" for cause in ELIGIBILITY_CAUSES)


class _Words(dict[str, str]):
    """Values of a template; what is not known is shown as `<name>`, for the reader to fill in."""

    def __missing__(self, key: str) -> str:
        return f"<{key}>"


_ID: Final = (
    ("subscription", re.compile(r"/subscriptions/([^/?]+)", re.IGNORECASE)),
    ("group", re.compile(r"/resourceGroups/([^/?]+)", re.IGNORECASE)),
    ("workspace", re.compile(r"/workspaces/([^/?]+)", re.IGNORECASE)),
)


def _parts(fault: ServiceFault) -> dict[str, str]:
    """What the ids in the fault say: subscription, group, workspace, and the resource's name."""
    text = f"{fault.resource or ''} {fault.operation}"
    parts = {name: match.group(1) for name, rule in _ID if (match := rule.search(text))}
    if fault.resource:
        parts["resource"] = fault.resource
        parts["name"] = fault.resource.rstrip("/").rpartition("/")[2]
    else:
        parts["resource"] = "a resource"
    return parts
