"""The ASGI application: settle, route, sign-in, throttle, fault, rights, handler, headers.

Raw ASGI instead of a stack of middleware, because one GET is to cost under a millisecond. No
request ends in a 500 of its own making: what goes wrong inside is ARM's InternalServerError, and
logged with its traceback.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from provisioner.emulator import entra, faults, throttle
from provisioner.emulator.clock import http_date, iso
from provisioner.emulator.errors import ArmError
from provisioner.emulator.inference_routes import is_inference, serve_inference
from provisioner.emulator.refusals import arm_error
from provisioner.emulator.rights import Access, locked, read_only_subscription, refusal
from provisioner.emulator.routes import build_router, wire
from provisioner.emulator.routing import Audience, Route, check_version, choose
from provisioner.emulator.scopes import check_scope, group_of
from provisioner.emulator.store import StateUnwritableError
from provisioner.emulator.tenant import Logged, Tenant, refuse
from provisioner.emulator.wire import MAX_BODY, Call, Reply, parse_query
from provisioner.emulator.workspaces import seed

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

log = logging.getLogger("provisioner.emulator")
_HOST = re.compile(r"[A-Za-z0-9.\-\[\]:]{1,255}")


class DropConnection(Exception):
    """A fault closes the connection without an answer."""


class App:
    """One tenant behind HTTP."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        wire(tenant)
        tenant.seed = seed
        seed(tenant)
        self.router = build_router()
        self.last_request = time.monotonic()
        self.active = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        self.last_request = time.monotonic()
        self.active += 1
        try:
            if is_inference(scope["path"]):
                await serve_inference(self.tenant, scope, receive, send)
            else:
                await self._answer(scope, receive, send)
        finally:
            self.active -= 1
            self.last_request = time.monotonic()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = _Exchange(self, scope)
        try:
            reply = await exchange.run(receive)
        except DropConnection:
            exchange.save()
            await _drop(receive)
            return
        await exchange.send(exchange.save() or reply, send)


class _Exchange:
    """One request on its way through the pipeline."""

    def __init__(self, app: App, scope: Scope) -> None:
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        tenant = app.tenant
        host = headers.get("host", "")
        self.app = app
        self.started = time.perf_counter()
        self.remaining: dict[str, str] = {}
        self.operation = "unknown"
        self.call = Call(
            method=scope["method"],
            path=scope["path"],
            query=parse_query(scope.get("query_string", b"")),
            headers=headers,
            body=b"",
            base_url=f"https://{host}" if _HOST.fullmatch(host) else tenant.base_url,
            tenant=tenant,
            now=tenant.clock.now(),
            request_id=str(uuid.uuid4()),
        )

    async def run(self, receive: Receive) -> Reply:
        call = self.call
        try:
            call.body = await _read(receive)
            return await self._handle()
        except ArmError as error:
            return self._error(error)
        except DropConnection:
            raise
        except Exception:
            log.exception("%s %s failed inside the emulator", call.method, call.path)
            return self._error(
                ArmError(500, "InternalServerError", "The emulator failed; see its log.")
            )

    async def _handle(self) -> Reply:
        call, tenant = self.call, self.call.tenant
        tenant.engine.settle(call.now)
        route = self._route()
        self.operation = route.operation
        if route.audience == "none":
            return await _run(route, call)
        self._sign_in(route.audience)
        if tenant.scenario.behaviour.latency:
            await asyncio.sleep(tenant.scenario.behaviour.latency)
            self._refresh()
        if route.audience == "arm":
            self._throttle()
        effect, tenant.faults = faults.decide(tenant.faults, route.operation, call.now, call.path)
        struck = await self._strike(effect)
        if struck is not None:
            return struck
        check_version(route, call)
        if route.audience == "arm":
            _check_media(call)
            if "scope" in call.params:
                check_scope(call.params["scope"])
            self._authorize(route)
        reply = await _run(route, call)
        if isinstance(effect, faults.Drop):
            raise DropConnection
        return reply

    def _route(self) -> Route:
        """The route; a caller who has not signed in learns nothing about unknown ones."""
        call = self.call
        try:
            route, call.params = choose(self.app.router, call.method, call.path)
        except ArmError:
            if call.path.lower().lstrip("/").startswith(("subscriptions", "providers")):
                self._sign_in("arm")
            raise
        return route

    def _sign_in(self, audience: Audience) -> None:
        accepted: tuple[str, ...] = entra.ARM_AUDIENCES
        if audience == "ml":
            accepted = (*accepted, *entra.ML_AUDIENCES)
        self.call.principal = entra.authenticate(self.call, self.call.tenant.issuer, accepted)

    def _refresh(self) -> None:
        """After a wait: what was over meanwhile is over."""
        self.call.now = self.call.tenant.clock.now()
        self.call.tenant.engine.settle(self.call.now)

    async def _strike(self, effect: faults.Effect | None) -> Reply | None:
        """Let a fault have its way; None when the request goes on."""
        match effect:
            case faults.Delay(seconds):
                await asyncio.sleep(seconds)
                self._refresh()
            case faults.Drop("before"):
                raise DropConnection
            case faults.Fail(html=True):
                return Reply(effect.status, effect.page().encode(), content_type="text/html")
            case faults.Fail() | faults.ThrottleCall():
                raise arm_error(effect.refusal())
            case faults.FailDeployment():
                self.call.fate = effect
            case _:
                pass
        return None

    def _throttle(self) -> None:
        call, tenant = self.call, self.call.tenant
        owner = call.params.get("subscriptionId", "")
        who = call.caller.object_id
        if not tenant.scenario.behaviour.throttling:
            return
        decision = tenant.throttle.request(owner, who, call.method, call.now)
        self.remaining = {throttle.header(owner, call.method): str(decision.remaining)}
        if not decision.allowed:
            refuse(throttle.refusal(owner, who, call.method, decision.retry_after))

    def _authorize(self, route: Route) -> None:
        call, tenant = self.call, self.call.tenant
        if not route.action:
            return
        if "subscriptionId" in call.params:
            tenant.subscription(call.params["subscriptionId"])
        scope = target_scope(call)
        who = call.caller
        actions = route.action.replace("{namespace}", call.params.get("namespace", "")).split("|")
        if not any(tenant.rights.allowed(who.object_id, a, scope, call.now) for a in actions):
            action = actions[0]
            refuse(refusal(who.client_id, who.object_id, action, scope))
        group = call.params.get("resourceGroupName") or group_of(call.params.get("scope", ""))
        if group and not route.operation.startswith("resourceGroups."):
            tenant.group(call.params["subscriptionId"], group)
        if call.method == "PUT" and "scope" in call.params:
            tenant.scope(call.params["scope"])
        access = _access(route.action)
        subscription = call.params.get("subscriptionId")
        changes = access in ("write", "action")
        if changes and subscription and tenant.subscription(subscription).read_only:
            refuse(read_only_subscription(subscription))
        if access != "read" and not route.operation.startswith("locks."):
            refuse(locked(tenant.locks(), access, scope))

    def save(self) -> Reply | None:
        """Write what the request changed; the answer when that cannot be done, such as on a full
        disk. The changes stay in memory and are written with the next request that finds room."""
        try:
            self.call.tenant.store.flush()
        except StateUnwritableError as error:
            log.error("%s", error)
            if self.operation.startswith("emulator.") and self.call.method == "GET":
                return None  # whoever looks after the emulator must still find it
            return self._error(
                ArmError(500, "InternalServerError", f"The emulator failed. {error}")
            )
        return None

    def _error(self, error: ArmError) -> Reply:
        call = self.call
        region = call.params.get("location", "")
        body = error.body(region=region, request_id=call.request_id, time=iso(call.now))
        headers = dict(error.headers)
        if error.status == 401:
            headers["WWW-Authenticate"] = entra.challenge(call, error.message)
        return Reply(error.status, body, headers)

    async def send(self, reply: Reply, send: Send) -> None:
        call = self.call
        content = b"" if call.method == "HEAD" else reply.content()
        headers = {
            "Cache-Control": "no-cache",
            "Pragma": "no-cache",
            "Expires": "-1",
            "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
            "X-Content-Type-Options": "nosniff",
            "x-ms-request-id": call.request_id,
            "x-ms-correlation-request-id": call.headers.get(
                "x-ms-correlation-request-id", call.request_id
            ),
            "x-ms-routing-request-id": f"EMULATOR:{call.request_id}",
            "x-request-time": f"{time.perf_counter() - self.started:.3f}",
            "Date": http_date(call.now),
            **self.remaining,
            **reply.headers,
        }
        client_id = call.headers.get("x-ms-client-request-id")
        if client_id and call.headers.get("x-ms-return-client-request-id", "").lower() == "true":
            headers["x-ms-client-request-id"] = client_id
        if reply.status not in (204, 304):
            headers["Content-Length"] = str(len(content))
        if content:
            headers["Content-Type"] = reply.content_type
        if not self.operation.startswith("emulator."):
            self._log(reply.status)
        raw = [(k.encode("latin-1"), v.encode("latin-1", "replace")) for k, v in headers.items()]
        await send({"type": "http.response.start", "status": reply.status, "headers": raw})
        await send({"type": "http.response.body", "body": content})

    def _log(self, status: int) -> None:
        call = self.call
        who = call.principal.name if call.principal is not None else ""
        version = call.query.get("api-version", "")
        line = Logged(call.now, call.method, call.path, version, self.operation, status, who)
        call.tenant.record(line)


async def _run(route: Route, call: Call) -> Reply:
    result = route.handler(call)
    reply = await result if inspect.isawaitable(result) else result
    if call.method == "HEAD" and reply.status == 200 and route.is_resource:
        return Reply(204)  # ARM's answer to "is it there?": clients take 204 and 404 only
    return reply


def _check_media(call: Call) -> None:
    """Raise ARM's 415 for a body that says it is anything but JSON, such as curl's own default."""
    kind = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if call.body and kind and kind != "application/json" and not kind.endswith(("+json", "/json")):
        raise ArmError(
            415,
            "UnsupportedMediaType",
            f"The content media type '{kind}' is not supported. Only 'application/json' is "
            "supported.",
        )


def target_scope(call: Call) -> str:
    """The scope that rights and locks are asked for: the resource without its action or list."""
    if "scope" in call.params:
        return call.params["scope"]
    parts = [part for part in call.path.split("/") if part]
    lowered = [part.lower() for part in parts]
    if lowered[:1] != ["subscriptions"]:
        return "/"
    if "providers" not in lowered:
        return "/" + "/".join(parts[:4] if lowered[2:3] == ["resourcegroups"] else parts[:2])
    at = lowered.index("providers")
    tail = parts[at + 2 :]
    whole = tail[: len(tail) - len(tail) % 2]
    if not whole:
        return "/" + "/".join(parts[:at])
    return "/" + "/".join((*parts[: at + 2], *whole))


def _access(action: str) -> Access:
    last = action.rsplit("/", 1)[-1].lower()
    if last in ("read", "write", "delete"):
        return last  # type: ignore[return-value]
    return "action"


async def _drop(receive: Receive) -> None:
    """Cut the connection. ASGI has no word for it, so the server's own transport is taken."""
    transport = getattr(getattr(receive, "__self__", None), "transport", None)
    if transport is not None:
        transport.abort()
        await receive()  # returns once the server has noticed, so that it sends nothing itself


async def _read(receive: Receive) -> bytes:
    """The body; raises 413 for one that is too large, once it has been read to its end.

    A server that answers before it has read all resets the connection, and the client then never
    sees the answer; so much is read and thrown away, but not without end.
    """
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise DropConnection
        body: bytes = message.get("body", b"")
        size += len(body)
        if size <= MAX_BODY:
            chunks.append(body)
        else:
            chunks.clear()
        if not message.get("more_body") or size > 16 * MAX_BODY:
            break
    if size > MAX_BODY:
        raise ArmError(
            413,
            "RequestContentTooLarge",
            f"The request content size exceeds the maximum size of {MAX_BODY // 1024**2} MB.",
        )
    return b"".join(chunks)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
