"""One exchange as handlers see it: a `Call` in, a `Reply` out. No framework between."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote

from pydantic_core import to_json

from provisioner.emulator.errors import ArmError, JsonObject

if TYPE_CHECKING:
    from provisioner.emulator.faults import FailDeployment
    from provisioner.emulator.scenario_types import Principal
    from provisioner.emulator.tenant import Tenant

_IN_PATHS = "/:()@!$&'*+,;=~"  # what a path may hold as it is; a resource group's name holds more
MOST_NESTED = 64  # levels of objects and lists in a body
MAX_BODY = 4 * 1024 * 1024  # ARM's own limit for a request body, in bytes


@dataclass(slots=True)
class Call:
    """A request. Header and query names are in lower case; path parameters keep their case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    base_url: str
    tenant: Tenant
    now: float
    request_id: str
    params: dict[str, str] = field(default_factory=dict)
    principal: Principal | None = None
    fate: FailDeployment | None = None  # a fault that lets this create or update end as Failed

    @property
    def api_version(self) -> str:
        return self.query.get("api-version", "").lower()

    @property
    def caller(self) -> Principal:
        """The signed-in principal; the pipeline has seen to it before a handler runs."""
        assert self.principal is not None
        return self.principal

    def json(self) -> Any:
        """The parsed body; raises ARM's 400 for one that is not JSON."""
        try:
            value = json.loads(self.body, parse_constant=_refuse_constant)
            # What can be read must also be stored and shown, each on a stack of its own.
            if self.body.count(b"[") + self.body.count(b"{") > MOST_NESTED and _is_deep(value):
                raise ValueError(f"it is nested more than {MOST_NESTED} levels deep")
        except (ValueError, RecursionError) as error:
            raise ArmError(
                400,
                "InvalidRequestContent",
                f"The request content was invalid and could not be deserialized: '{error}'.",
            ) from error
        return value

    def json_object(self) -> JsonObject:
        """The body as a JSON object; raises 400 for anything else."""
        if not self.body.strip():
            raise ArmError(
                400,
                "InvalidRequestContent",
                "The request content was invalid: the request has no body.",
            )
        value = self.json()
        if not isinstance(value, dict):
            raise ArmError(
                400,
                "InvalidRequestContent",
                "The request content was invalid and could not be deserialized: a JSON object "
                f"is required, not {type(value).__name__}.",
            )
        return value

    def link(self, path: str, **query: str) -> str:
        """An absolute URL on this host, in the api-version of the call."""
        pairs = [f"api-version={self.query.get('api-version', '')}"]
        pairs += [f"{name.replace('_', '$', 1)}={value}" for name, value in query.items()]
        return f"{self.base_url}{quote(path, safe=_IN_PATHS)}?{'&'.join(pairs)}"


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MOST_NESTED):
        inner = [each for each in level if isinstance(each, dict | list)]
        level = [v for each in inner for v in (each.values() if isinstance(each, dict) else each)]
        if not level:
            return False
    return any(isinstance(each, dict | list) for each in level)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


@dataclass(slots=True)
class Reply:
    """An answer; `body` is JSON-encoded unless it is bytes. None sends no body."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json; charset=utf-8"

    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        if self.body is None:
            return b""
        try:
            return to_json(self.body)
        except ValueError:
            # A client may escape half of a surrogate pair, which no UTF-8 can hold.
            text = json.dumps(self.body, separators=(",", ":"), ensure_ascii=False)
            return text.encode("utf-8", "replace")


NULL = b"null"  # the body that the provider sends with its 202 (AZURE.md §17)


def parse_query(raw: bytes) -> dict[str, str]:
    """Query parameters by lower-cased name; the first of several wins."""
    found: dict[str, str] = {}
    if raw:
        for name, value in parse_qsl(raw.decode("latin-1"), keep_blank_values=True):
            found.setdefault(name.lower(), value)
    return found
