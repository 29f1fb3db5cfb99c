"""An answer other than 200 → the problem behind it, with the service's own text.

The envelopes: `{"error": {code, message, param}}` of OpenAI's clients, `{code, message, detail}`
of the Azure AI Model Inference API, and whatever a gateway in between says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from provisioner.errors import Code, Problem
from provisioner.inference import codes
from provisioner.inference.parameters import Parameters, option_of

_LONGEST_TEXT: Final = 2000
_PARAMETERS: Final = frozenset(field.name for field in fields(Parameters))
_TAG: Final = re.compile(r"<(?:style|script)\b.*?</(?:style|script)>|<[^>]*>", re.S | re.I)
_TOO_LONG: Final = frozenset({"context_length_exceeded", "string_above_max_length"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """What came instead of an answer. `retry_after` is in seconds, where the service said so."""

    status: int
    body: bytes
    request_id: str | None = None
    retry_after: float | None = None

    @property
    def transient(self) -> bool:
        """Whether time alone may mend it."""
        return self.status in (408, 429) or self.status >= 500


@dataclass(frozen=True, slots=True)
class _Said:
    """The service's words, taken from its envelope."""

    code: str
    message: str
    parameter: str | None
    categories: tuple[str, ...] = ()


def problem_of(refusal: Refusal, where: str) -> Problem:
    """`where` names the endpoint and the path, without its query."""
    said = _said(refusal.body)
    code, what, hint = _meaning(refusal, said, where)
    details = [f"HTTP {refusal.status}"] if not said.code and not said.message else []
    if said.code or said.message:
        details.append(": ".join(filter(None, (said.code, said.message))))
    if said.categories:
        details.append(f"categories: {', '.join(said.categories)}")
    return Problem(code, what, hint, correlation_id=refusal.request_id, details=tuple(details))


def _meaning(refusal: Refusal, said: _Said, where: str) -> tuple[Code, str, str]:
    status = refusal.status
    if said.code == "content_filter" or "ResponsibleAIPolicyViolation" in said.message:
        return (
            codes.FILTERED,
            "Content safety blocked the prompt.",
            "say it differently; contentSafety in the manifest says whether the filter is on",
        )
    if said.code in _TOO_LONG or status == 413:
        return (
            codes.TOO_LONG,
            "The request is longer than the model, or the service, takes.",
            "shorten the prompt or the image, or lower --max-tokens",
        )
    if status in (401, 403):
        return (
            codes.UNAUTHORIZED,
            f"{where} refuses the key.",
            "keys change when they are regenerated: `provision output NAME --write` fetches the "
            "present ones; right after a change wait a minute",
        )
    if status in (404, 405):
        return (
            codes.NOT_SERVED,
            f"Nothing answers at {where}.",
            "try --api completions or --llama-api; `provision status` shows whether the "
            "deployment is ready and has traffic",
        )
    if status == 429:
        return codes.THROTTLED, f"The rate limit of {where} is reached.", _later(refusal)
    if status == 424:
        return (
            codes.MODEL_FAILED,
            f"The model behind {where} failed.",
            "look at the deployment's logs; apply again if its state is Failed",
        )
    if status in (408, 504):
        return (
            codes.TIMED_OUT,
            f"The model behind {where} took too long.",
            "lower --max-tokens, or stream the answer with --stream",
        )
    if status >= 500:
        return codes.UNAVAILABLE, f"{where} cannot answer now.", _later(refusal)
    if 400 <= status < 500:
        return codes.REFUSED, f"{where} refuses the request.", _change(said)
    return (
        codes.UNINTELLIGIBLE,
        f"{where} answered with HTTP {status} instead of an answer.",
        "look whether a proxy is in between",
    )


def _later(refusal: Refusal) -> str:
    if refusal.retry_after:
        return f"try again in {refusal.retry_after:.0f} s"
    return "try again in a minute"


def _change(said: _Said) -> str:
    if said.parameter in _PARAMETERS:
        return f"change or leave out {option_of(said.parameter)}"
    return "change what the service names above"


def _said(body: bytes) -> _Said:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return _Said("", _plain(body.decode("utf-8", "replace")), None)
    if not isinstance(document, dict):
        return _Said("", _plain(str(document)), None)
    inner = document.get("error")
    error: Mapping[str, Any] = inner if isinstance(inner, dict) else {}
    flat = inner if isinstance(inner, str) else ""
    code = _text(error.get("code")) or _text(document.get("code"))
    message = _text(error.get("message")) or _text(document.get("message")) or flat
    return _Said(
        code,
        _plain(message or _detailed(document.get("detail"))),
        _text(error.get("param")) or _located(document.get("detail")),
        tuple(_categories(error)),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _plain(text: str) -> str:
    """One line, without a gateway's markup."""
    return " ".join(_TAG.sub(" ", text).split())[:_LONGEST_TEXT]


def _detailed(detail: object) -> str:
    """The words of a `detail`: a text, or what a 422 says of each parameter."""
    if isinstance(detail, list):
        found = (_text(item.get("msg")) for item in detail if isinstance(item, dict))
        return "; ".join(filter(None, found))
    return _text(detail)


def _located(detail: object) -> str | None:
    """The parameter that a 422 names: `detail` {loc: [body, name]}, alone or in a list."""
    first = detail[0] if isinstance(detail, list) and detail else detail
    place = first.get("loc") if isinstance(first, dict) else None
    if isinstance(place, list) and len(place) > 1 and isinstance(place[1], str):
        return place[1]
    return None


def _categories(error: Mapping[str, Any]) -> Iterator[str]:
    inner = error.get("innererror")
    results = inner.get("content_filter_result") if isinstance(inner, dict) else None
    for name, verdict in results.items() if isinstance(results, dict) else ():
        if isinstance(verdict, dict) and verdict.get("filtered"):
            severity = _text(verdict.get("severity"))
            yield f"{name} ({severity})" if severity else str(name)
