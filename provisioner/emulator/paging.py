"""Lists in pages. The continuation token is the last item's number in the order of creation, so
that a delete between two pages neither repeats nor loses anything."""

from __future__ import annotations

import base64
import re
from binascii import Error as Base64Error
from collections.abc import Callable, Iterable
from itertools import islice
from urllib.parse import quote

from provisioner.emulator.errors import JsonObject, bad_argument
from provisioner.emulator.mlresource import as_read
from provisioner.emulator.store import Resource
from provisioner.emulator.wire import Call, Reply

ARM_PAGE = 1000  # the most that ARM itself lists at once
_NUMBER = re.compile(r"0*[1-9][0-9]{0,8}", re.ASCII)


def ml_page(call: Call, resources: Iterable[Resource]) -> Reply:
    """A page of the Machine Learning provider: `$skip` continues, `$top` and `count` shorten."""
    tenant = call.tenant
    size = tenant.scenario.behaviour.page_size
    for wish in ("$top", "count"):
        if call.query.get(wish):
            size = min(size, _positive(call.query[wish], wish))
    render = tenant.render
    return _page(call, resources, "$skip", size, lambda r: render(as_read(r, call.now), call))


def arm_page(
    call: Call, resources: Iterable[Resource], render: Callable[[Resource, Call], JsonObject]
) -> Reply:
    """A page of ARM itself: `$skiptoken` continues, `$top` shortens."""
    size = ARM_PAGE
    if call.query.get("$top"):
        size = min(size, _positive(call.query["$top"], "$top"))
    return _page(call, resources, "$skiptoken", size, lambda r: render(r, call))


def _page(
    call: Call,
    resources: Iterable[Resource],
    skip: str,
    size: int,
    render: Callable[[Resource], JsonObject],
) -> Reply:
    after = _token(call, skip)
    chosen = list(islice((r for r in resources if r.seq > after), size + 1))
    more, chosen = len(chosen) > size, chosen[:size]
    body: JsonObject = {"value": [render(r) for r in chosen]}
    if more:
        token = base64.urlsafe_b64encode(str(chosen[-1].seq).encode()).decode().rstrip("=")
        kept = "".join(
            f"&{name}={quote(value)}"
            for name, value in call.query.items()
            if name not in (skip, "api-version")
        )
        body["nextLink"] = f"{call.link(call.path)}{kept}&{skip}={token}"
    return Reply(200, body)


def _token(call: Call, skip: str) -> int:
    text = call.query.get(skip, "")
    if not text:
        return 0
    try:
        return int(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, Base64Error) as error:
        raise bad_argument(f"The continuation token '{text}' is invalid.") from error


def _positive(text: str, name: str) -> int:
    # Plain ASCII digits, and few: Python's own idea of a number is wider than the wire's.
    if not _NUMBER.fullmatch(text):
        raise bad_argument(f"'{name}' must be a positive number, not '{text[:40]}'.")
    return int(text)
