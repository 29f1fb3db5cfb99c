"""Lists in pages. The continuation token is the place of the last item in the list's order, so that
a delete between two pages neither repeats nor loses anything."""

from __future__ import annotations

import base64
import re
from binascii import Error as Base64Error
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from urllib.parse import quote

from provisioner.emulator.errors import JsonObject, bad_argument
from provisioner.emulator.mlresource import as_read
from provisioner.emulator.store import Resource
from provisioner.emulator.wire import Call, Reply

ARM_PAGE = 1000  # the most that ARM itself lists at once
_NUMBER = re.compile(r"0*[1-9][0-9]{0,8}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Order:
    """How a list is sorted: by creation or by the last change, oldest or newest first."""

    by_change: bool = False
    descending: bool = False

    @staticmethod
    def named(text: str) -> Order:
        """The order that a query asks for, such as `UpdatedAtDesc`, in any case."""
        wanted = text.lower()
        return Order(wanted.startswith("updated"), wanted.endswith("desc"))

    def place(self, resource: Resource) -> Place:
        """What sorts a resource, and goes on from it on the next page."""
        return (resource.changed if self.by_change else 0.0, resource.seq)

    def rest(self, resources: Iterable[Resource], after: Place) -> Iterable[Resource]:
        """Those behind a place; `resources` come in the order of creation."""
        if not self.by_change and not self.descending:
            return (r for r in resources if r.seq > after[1])
        ranked = sorted(resources, key=self.place, reverse=self.descending)
        if self.descending:
            return (r for r in ranked if after == _START or self.place(r) < after)
        return (r for r in ranked if self.place(r) > after)


Place = tuple[float, int]
_START: Place = (0.0, 0)
_CREATION = Order()


def ml_page(call: Call, resources: Iterable[Resource], order: Order = _CREATION) -> Reply:
    """A page of the Machine Learning provider: `$skip` continues, `$top` and `count` shorten."""
    tenant = call.tenant
    size = tenant.scenario.behaviour.page_size
    for wish in ("$top", "count"):
        if call.query.get(wish):
            size = min(size, _positive(call.query[wish], wish))
    render = tenant.render
    rest = order.rest(resources, _token(call, "$skip"))
    return _page(call, rest, ("$skip", size, order), lambda r: render(as_read(r, call.now), call))


def arm_page(
    call: Call, resources: Iterable[Resource], render: Callable[[Resource, Call], JsonObject]
) -> Reply:
    """A page of ARM itself: `$skiptoken` continues, `$top` shortens."""
    size = ARM_PAGE
    if call.query.get("$top"):
        size = min(size, _positive(call.query["$top"], "$top"))
    rest = _CREATION.rest(resources, _token(call, "$skiptoken"))
    return _page(call, rest, ("$skiptoken", size, _CREATION), lambda r: render(r, call))


def _page(
    call: Call,
    rest: Iterable[Resource],
    how: tuple[str, int, Order],
    render: Callable[[Resource], JsonObject],
) -> Reply:
    skip, size, order = how
    chosen = list(islice(rest, size + 1))
    more, chosen = len(chosen) > size, chosen[:size]
    body: JsonObject = {"value": [render(r) for r in chosen]}
    if more:
        changed, seq = order.place(chosen[-1])
        token = base64.urlsafe_b64encode(f"{changed!r}/{seq}".encode()).decode().rstrip("=")
        kept = "".join(
            f"&{name}={quote(value)}"
            for name, value in call.query.items()
            if name not in (skip, "api-version")
        )
        body["nextLink"] = f"{call.link(call.path)}{kept}&{skip}={token}"
    return Reply(200, body)


def _token(call: Call, skip: str) -> Place:
    text = call.query.get(skip, "")
    if not text:
        return _START
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        changed, _, seq = raw.partition("/")
        return float(changed), int(seq)
    except (ValueError, Base64Error) as error:
        raise bad_argument(f"The continuation token '{text[:80]}' is invalid.") from error


def _positive(text: str, name: str) -> int:
    # Plain ASCII digits, and few: Python's own idea of a number is wider than the wire's.
    if not _NUMBER.fullmatch(text):
        raise bad_argument(f"'{name}' must be a positive number, not '{text[:40]}'.")
    return int(text)
