"""From an answer that says no to a `ServiceFault`.

Shapes met (AZURE.md §13, §16, §17): ARM's envelope `{"error": {...}}` with nested details; the ML
provider's, whose outer code is a bare UserError with the real one in additionalInfo's InnerError
or in `innerError`; an envelope without `error`; Entra's `{"error": "text"}`; JSON written into a
message (InferencingClient); a gateway's HTML; nothing at all.
"""

from __future__ import annotations

import email.utils
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from provisioner.azure.values import Json, mapping, number, sequence, text
from provisioner.errors.cloud import CloudError, ServiceFault

BARE_CODES: Final = frozenset(
    {
        "usererror",
        "systemerror",
        "serviceerror",
        "badrequest",
        "validationerror",
        "notfound",
        "notfounderror",
        "conflict",
        "failed",
        "error",
        "httperror",
        "deploymentfailed",
    }
)
"""Codes that say less than the ones they wrap."""

_BY_MESSAGE: Final = (
    (re.compile(r"another operation .{0,200}already running", re.I | re.S),
     "AnotherOperationInProgress"),
    (re.compile(r"purchase eligibi?lity check failed", re.I),
     "MarketplaceSubscriptionPurchaseEligibilityCheckFailed"),
)  # fmt: skip
"""Where the code is bare but the message is one that is known (AZURE.md §16)."""

_STATUS_CODES: Final[Mapping[int, str]] = {
    401: "AuthenticationFailed", 403: "AuthorizationFailed", 404: "ResourceNotFound",
    408: "RequestTimeout", 409: "Conflict", 412: "PreconditionFailed", 429: "TooManyRequests",
    500: "InternalServerError", 502: "BadGateway", 503: "ServiceUnavailable",
    504: "GatewayTimeout",
}  # fmt: skip
_WAIT_IN_TEXT: Final = re.compile(r"try again after '?(\d{1,5})'? ?seconds?", re.I)
_TAGS: Final = re.compile(r"<(?:script|style).*?</(?:script|style)>|<[^>]+>", re.I | re.S)
_LONGEST: Final = 4000
_DEEPEST: Final = 12


def fault_of(
    *,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    operation: str = "",
    now: datetime | None = None,
) -> ServiceFault:
    """Decode one answer; never raises, whatever the body holds.

    `now` turns a Retry-After that is a date into seconds.
    """
    error = _envelope(body)
    outer, message = text(error.get("code")) or "", _message(error)
    code = _telling_code(error, outer)
    if not message:
        message = _plain(body) or f"The service answered {status} without a reason."
    if not code or code.lower() in BARE_CODES:
        code = _by_message(message) or code or _STATUS_CODES.get(status, f"HTTP{status}")
    return ServiceFault(
        status=status,
        code=code,
        message=message[:_LONGEST],
        operation=operation,
        resource=_resource(operation),
        correlation_id=headers.get("x-ms-correlation-request-id") or _correlation(error),
        request_id=headers.get("x-ms-request-id"),
        retry_after=retry_after(headers, now) or _wait_in(message),
        outer_code=outer if outer and outer != code else None,
    )


def operation_fault(status_body: Json, operation: str) -> ServiceFault | None:
    """The fault in an operation's status body, or None where it holds no error."""
    error = mapping(status_body.get("error"))
    if not error:
        return None
    return fault_of(
        status=200, headers={}, body=json.dumps({"error": error}).encode(), operation=operation
    )


def denies(body: bytes) -> bool:
    """Whether a 404's body is the service's own word, as against a gateway's page, the answer of a
    server that has no such route, or none."""
    try:
        error = mapping(mapping(load_json(body)).get("error"))
    except ValueError:
        return False
    return text(error.get("code")) is not None


def unreadable(operation: str, status: int, why: str) -> CloudError:
    """An answer of 2xx that is not what the operation promises."""
    return CloudError(
        ServiceFault(
            status=status,
            code="UnreadableAnswer",
            message=f"The answer to {operation} could not be read: {why}.",
            operation=operation,
            resource=_resource(operation),
        )
    )


def unanswered(operation: str, code: str, why: str) -> CloudError:
    """No answer came: refused, reset, timed out, or not trusted."""
    return CloudError(
        ServiceFault(
            status=0, code=code, message=why, operation=operation, resource=_resource(operation)
        )
    )


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds that the service asks to wait, from any of the headers that say so.

    One that is a date is counted from the answer's own Date, where there is one: the clocks of
    this machine and of the service may differ by more than the wait.
    """
    for name, unit in (("retry-after-ms", 0.001), ("x-ms-retry-after-ms", 0.001)):
        milliseconds = number(headers.get(name))
        if milliseconds is not None and milliseconds >= 0:
            return milliseconds * unit
    value = headers.get("Retry-After") or headers.get("retry-after")
    if value is None:
        return None
    plain = number(value)
    if plain is not None:
        return float(plain) if plain >= 0 else None
    until, since = _instant(value), _instant(headers.get("Date")) or now
    if until is None or since is None:
        return None
    return max(0.0, (until - since).total_seconds())


def _instant(value: str | None) -> datetime | None:
    """An HTTP date, aware."""
    if not value:
        return None
    try:
        found = email.utils.parsedate_to_datetime(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def load_json(body: bytes) -> object:
    """The JSON value in `body`; ValueError when there is none, whatever is wrong with it."""
    try:
        return json.loads(body)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _envelope(body: bytes) -> Json:
    try:
        value = load_json(body)
    except ValueError:
        return {}
    whole = mapping(value)
    error = whole.get("error", whole.get("Error"))
    if isinstance(error, dict):
        return error
    if isinstance(error, str):  # Entra, and some gateways
        return {"code": error, "message": whole.get("error_description")}
    lowered = {key.lower(): item for key, item in whole.items()}
    return {**whole, "code": lowered.get("code"), "message": lowered.get("message")}


def _telling_code(error: Json, outer: str) -> str:
    if outer and outer.lower() not in BARE_CODES:
        return outer
    candidates = [*_inner_codes(error), *_detail_codes(error)]
    return next((code for code in candidates if code.lower() not in BARE_CODES), outer)


def _inner_codes(error: Json) -> list[str]:
    """Codes of the innerError chain, the innermost first."""
    chains: list[Any] = [error.get("innerError"), error.get("innererror")]
    for entry in sequence(error.get("additionalInfo")):
        if mapping(entry).get("type") == "InnerError":
            info = mapping(mapping(entry).get("info"))
            chains.append(info.get("value", info))
    codes: list[str] = []
    for chain in chains:
        found: list[str] = []
        link = mapping(chain)
        while link and len(found) < _DEEPEST:
            found.append(text(link.get("code")) or "")
            link = mapping(link.get("innerError") or link.get("innererror"))
        codes.extend(code for code in reversed(found) if code)
    return codes


def _details(error: Json, depth: int = 0) -> Iterator[Json]:
    for entry in sequence(error.get("details"))[:50]:
        detail = mapping(entry)
        if detail:
            yield detail
            if depth < _DEEPEST:
                yield from _details(detail, depth + 1)


def _detail_codes(error: Json) -> list[str]:
    return [code for detail in _details(error) if (code := text(detail.get("code")))]


def _message(error: Json) -> str:
    """The message and those of its details, each once, JSON inside them unfolded."""
    parts: list[str] = []
    for holder in (error, *_details(error)):
        part = _unfold((text(holder.get("message")) or "").strip())
        if part and not any(part in known for known in parts):
            parts.append(part)
    return " ".join(parts)


def _unfold(message: str) -> str:
    """`…error detail: {"errors": {"VmSize": ["Not enough quota …"]}}` → the sentences in it."""
    start = message.find("{")
    if start < 0:
        return message
    try:
        inner = mapping(load_json(message[start:].encode(errors="replace")))
    except ValueError:
        return message
    sentences = list(_sentences(inner.get("errors"))) or list(
        _sentences(mapping(inner.get("error")))
    )
    if not sentences:
        return message
    return f"{message[:start].strip()} {' '.join(sentences)}".strip()


def _sentences(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value[:50]:
            if isinstance(item, str):
                yield item
    elif isinstance(value, dict):
        message = value.get("message")
        if isinstance(message, str):
            yield message
        else:
            for item in value.values():
                if isinstance(item, list):
                    yield from _sentences(item)


def _plain(body: bytes) -> str:
    """The words of a body that is no envelope, such as a gateway's HTML page."""
    words = _TAGS.sub(" ", body[:20_000].decode("utf-8", errors="replace"))
    found = " ".join(words.split())
    return "" if found in ("", "null", "{}", "[]") else found[:500]


def _by_message(message: str) -> str | None:
    return next((code for pattern, code in _BY_MESSAGE if pattern.search(message)), None)


def _wait_in(message: str) -> float | None:
    """The ML provider's 429 tells its wait in words only (AZURE.md §17)."""
    match = _WAIT_IN_TEXT.search(message)
    return float(match.group(1)) if match else None


def _correlation(error: Json) -> str | None:
    for entry in sequence(error.get("additionalInfo")):
        if mapping(entry).get("type") == "Correlation":
            info = mapping(mapping(entry).get("info"))
            return text(mapping(info.get("value", info)).get("operation"))
    return None


def _resource(operation: str) -> str | None:
    _, _, path = operation.partition(" ")
    return path if path.startswith("/") else None
