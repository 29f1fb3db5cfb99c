"""A second, small ARM, written from the documented wire facts alone.

One handler takes a request apart by its path; what exists is a history (`store`). It judges what
it is asked as it goes: whatever a well-behaved client would not send stands in `Log.violations`.
Not served: anything that a deployment of endpoints does not need. Longer than other modules
because it is one service in one place, to be read from request to answer.
"""

from __future__ import annotations

import base64
import email.utils
import json
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from tests.otherarm.shapes import Shaper, Wish
from tests.otherarm.store import Doc, Store
from tests.otherarm.switches import Switches

SUBSCRIPTION: Final = "11111111-1111-1111-1111-111111111111"
TENANT: Final = "22222222-2222-2222-2222-222222222222"
GROUP: Final = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-ml-prod"
WORKSPACE: Final = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/mlw-prod"
REGION: Final = "eastus2"
CLAIMS: Final = base64.b64encode(
    b'{"access_token":{"nbf":{"essential":true,"value":"1"}}}'
).decode()
_COLLECTIONS: Final = ("marketplacesubscriptions", "serverlessendpoints", "onlineendpoints",
                       "deployments")  # fmt: skip
_READ_ONLY: Final = {
    "provisioningState", "endpointState", "inferenceEndpoint", "marketplaceSubscriptionId",
    "marketplacePlan", "marketplaceSubscriptionStatus", "scoringUri", "swaggerUri",
}  # fmt: skip
_LOCATION: Final = re.compile(r"/subscriptions/[^/]+/providers/microsoft\.machinelearningservices"
                              r"/locations/[^/]+/(\w+)(?:/(.+))?$")  # fmt: skip
_ORDERING: Final = re.compile(
    r"/subscriptions/[^/]+/providers/microsoft\.marketplaceordering/(.+)$"
)


@dataclass(slots=True)
class Log:
    """What was asked. `writes` are the requests that change something, refused ones included."""

    requests: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    signed: list[str] = field(default_factory=list)
    tokens: int = 0


class Refusal(Exception):
    """An answer of 400 and above."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers

    def answer(self) -> web.Response:
        error = {"code": self.code, "message": self.message, "details": [], "additionalInfo": [
            {"type": "ComponentName", "info": {"value": "managementfrontend"}},
        ]}  # fmt: skip
        headers = {name.replace("_", "-"): value for name, value in self.headers.items()}
        return web.json_response({"error": error}, status=self.status, headers=headers)


class OtherArm:
    """State and answers. `url` is known once it is served."""

    def __init__(self, switches: Switches) -> None:
        self.switches = switches
        self.store = Store()
        self.log = Log()
        self.url = ""
        self.keys: dict[str, list[str]] = {}
        self._shaper = Shaper(switches)
        self._tokens: dict[str, tuple[float, bool]] = {}
        self._once: set[str] = set()
        self._held: dict[str, float] = {}
        self._failed: set[str] = set()
        self._operations: dict[str, tuple[float, str | None]] = {}
        self._count = 0
        if switches.foreign_subscription:
            model = "azureml://registries/azureml-meta/models/Llama-3.3-70B-Instruct"
            self.plant("marketplaceSubscriptions/somebodys-choice",
                       {"properties": {"modelId": model}})  # fmt: skip

    def plant(self, tail: str, doc: Doc, state: str = "Succeeded") -> None:
        """Put something in the workspace that was there before the tool came."""
        path = f"{WORKSPACE}/{tail}"
        born = time.monotonic() - 3600
        wish = Wish(path, tail.split("/")[-2].lower(), doc)
        history = self.store.history(path)
        history.then(born, self._shaper.stored(wish, state))
        if self.switches.pending:  # until the tool has looked, and a little longer
            history.soon(time.monotonic() + 4.0, self._shaper.stored(wish, state, None, 3600))

    def hold(self, tail: str) -> None:
        """Somebody else in the region has this name."""
        self._held[f"{WORKSPACE}/{tail}".lower()] = float("inf")

    # Entra: this one path, and no discovery.

    async def token(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization"):
            self.log.violations.append("a token was sent to the login service")
        if request.method != "POST" or request.path != f"/{TENANT}/oauth2/v2.0/token":
            return web.Response(status=404, text="not here")
        form = await request.post()
        if form.get("client_secret") != "s3cret-of-the-app":
            return web.json_response(
                {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid secret."},
                status=401,
            )
        self.log.tokens += 1
        token = f"tok.{secrets.token_urlsafe(16)}.en"
        life = self.switches.token_life
        self._tokens[token] = (time.monotonic() + life, "nbf" in str(form.get("claims")))
        return web.json_response(
            {
                "token_type": "Bearer",
                "expires_in": life,
                "ext_expires_in": life,
                "access_token": token,
            }
        )

    # ARM.

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = re.sub(r"/{2,}", "/", request.path).rstrip("/")
        self._count += 1
        self.log.requests.append(f"{request.method} {path}")
        action = path.rpartition("/")[2]
        if request.method != "GET" and action not in ("listKeys", "getLogs"):
            self.log.writes.append(f"{request.method} {path}")
        try:
            if path != "/metadata/endpoints" and "registrymanagement" not in path:
                self._admit(request)
            self._disturb(request, path)
            body = await request.json() if request.can_read_body else None
            answer = self._answer(request, path, body)
        except Refusal as refusal:
            answer = refusal.answer()
        answer.headers["x-ms-correlation-request-id"] = f"corr-{self._count}"
        answer.headers["x-ms-request-id"] = f"req-{self._count}"
        if self.switches.reset and request.method == "PUT" and path.lower() not in self._once:
            self._once.add(path.lower())
            assert request.transport is not None
            request.transport.abort()
        return answer

    def _admit(self, request: web.Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        until, claimed = self._tokens.get(token, (0.0, False))
        if scheme != "Bearer" or until <= time.monotonic():
            self.log.violations.append(f"no living token: {request.method} {request.path}")
            raise Refusal(
                401,
                "ExpiredAuthenticationToken",
                "The access token expiry UTC time is earlier than current UTC time.",
                WWW_Authenticate='Bearer realm=""',
            )
        after = self.switches.claims_after
        if after and self._count > after and not claimed:
            raise Refusal(
                401, "InvalidAuthenticationToken", "Continuous access evaluation resulted in claims"
                " challenge with result: InteractionRequired.",
                WWW_Authenticate=f'Bearer realm="", authorization_uri="https://login.example/", '
                f'error="insufficient_claims", claims="{CLAIMS}"',
            )  # fmt: skip

    def _disturb(self, request: web.Request, path: str) -> None:
        switches = self.switches
        if switches.throttle and self._count % switches.throttle == 0:
            message = "The request is being throttled. Retry again after 1 seconds."
            if switches.retry_after:
                raise Refusal(429, "TooManyRequests", "Too many.", **self._retry())
            raise Refusal(429, "TooManyRequests", message)
        if switches.gateway and self._count % switches.gateway == 0:
            raise web.HTTPBadGateway(
                text="<html><body><h1>502 Bad Gateway</h1></body></html>", content_type="text/html"
            )
        if switches.refuse_puts and request.method == "PUT":
            raise Refusal(429, "TooManyRequests", "Not now.", Retry_After="120")
        key = f"busy {request.method} {path.lower()}"
        if switches.busy and request.method in ("PUT", "DELETE", "PATCH") and key not in self._once:
            self._once.add(key)
            raise Refusal(409, "Conflict", "Another operation with ID [3f2a] is already running on "
                          "the resource.")  # fmt: skip

    def _retry(self) -> dict[str, str]:
        match self.switches.retry_after:
            case "seconds":
                return {"Retry_After": "1"}
            case "date":
                return {"Retry_After": email.utils.formatdate(time.time() + 1, usegmt=True)}
        return {}

    def _answer(self, request: web.Request, path: str, body: Any) -> web.Response:
        low, switches = path.lower(), self.switches
        if "registrymanagement" in low or low == "/metadata/endpoints":
            return web.Response(status=switches.registry, text="nothing here")
        if low.startswith(WORKSPACE.lower()) or _LOCATION.match(low):
            version = request.query.get("api-version")
            if version != "2024-10-01" and not re.search(
                r"microsoft\.authorization|/mfeoperation", low
            ):
                self.log.violations.append(f"api-version {version}: {request.method} {path}")
        if found := _ORDERING.match(low):
            return self._ordering(request.method, found[1], path)
        if found := _LOCATION.match(low):
            return self._location(found[1], found[2])
        if "/providers/microsoft.authorization/" in low:
            return self._authorization(low)
        if low == WORKSPACE.lower():
            return self._json(self._shaper.workspace(WORKSPACE, REGION))
        if low.startswith(f"{WORKSPACE.lower()}/"):
            return self._child(request, path, body)
        return self._above(request, low)

    def _above(self, request: web.Request, low: str) -> web.Response:
        subscription = {"id": f"/subscriptions/{SUBSCRIPTION}", "subscriptionId": SUBSCRIPTION,
                        "displayName": "Other", "state": "Enabled", "tenantId": TENANT,
                        "subscriptionPolicies": {"quotaId": "EnterpriseAgreement_2014-09-01",
                                                 "spendingLimit": "Off"}}  # fmt: skip
        if low == "/subscriptions":
            return self._json({"value": [subscription]})
        if low == f"/subscriptions/{SUBSCRIPTION}":
            return self._json(subscription)
        if low.endswith("/resources"):
            return self._tagged(request)
        if found := re.search(r"/providers/(microsoft\.\w+)$", low):
            if self.switches.provider != 200:
                raise _forbidden(self.switches.provider)
            return self._json({"namespace": found[1], "registrationState": "Registered",
                               "resourceTypes": []})  # fmt: skip
        raise Refusal(404, "ResourceNotFound", f"Nothing at {request.path}.")

    def _tagged(self, request: web.Request) -> web.Response:
        """Without their tags, as ARM does it (AZURE.md §19)."""
        entries = []
        for path in self.store.live():
            doc = self.store.get(path, self.switches.list_lag)
            if doc is not None and doc.get("tags"):
                kinds = path.split("/")[9::2]
                entries.append({"id": path, "name": path.rpartition("/")[2], "location": REGION,
                                "type": "/".join(["Microsoft.MachineLearningServices/workspaces",
                                                  *kinds])})  # fmt: skip
        return self._json({"value": entries})

    def _authorization(self, low: str) -> web.Response:
        scope, _, kind = low.partition("/providers/microsoft.authorization/")
        if kind == "locks":
            if self.switches.locks != 200:
                raise _forbidden(self.switches.locks)
            return self._json({"value": []})
        if kind == "permissions":
            status = self.switches.subscription_permissions
            if len(scope.strip("/").split("/")) == 2 and status != 200:
                raise Refusal(status, "NotFound", "No HTTP resource was found.")
            return self._json({"value": [{"actions": ["*"], "notActions": []}]})
        raise Refusal(404, "ResourceNotFound", f"Nothing at {low}.")

    def _ordering(self, method: str, tail: str, path: str) -> web.Response:
        status = self.switches.agreements
        if status == 403:
            raise _forbidden(403)
        if status != 200:
            raise Refusal(status, "ResourceNotFound", "Offer with id was not found.")
        parts = tail.split("/")
        current = tail.startswith("offertypes/")
        publisher, offer, plan = (parts[3], parts[5], parts[7]) if current else (
            parts[1], parts[3], parts[5])  # fmt: skip
        key = f"{publisher}/{offer}/{plan}"
        if method == "POST" and tail.endswith("/sign"):
            self.log.signed.append(key)
        signed = key in self.log.signed
        if current:
            properties = {"publisher": publisher, "product": offer, "plan": plan,
                          "licenseTextLink": "https://example.com/l", "accepted": signed,
                          "retrieveDatetime": "2026-11-22T00:00:00Z",
                          "signature": secrets.token_hex(8)}  # fmt: skip
        else:
            if not signed:
                raise Refusal(404, "ResourceNotFound", "Not signed.")
            properties = {"publisher": publisher, "offer": offer, "state": "Active"}
        return self._json({"id": path, "name": plan, "properties": properties})

    def _location(self, what: str, rest: str | None) -> web.Response:
        if what == "usages":
            return self._json({"value": self._shaper.usages(SUBSCRIPTION, REGION)})
        if what == "vmsizes":
            if self.switches.vm_sizes != 200:
                raise Refusal(self.switches.vm_sizes, "ResourceNotFound", "No such thing.")
            return self._json({"value": self._shaper.sizes()})
        until, error = self._operations.get(rest or "", (0.0, None))
        running = time.monotonic() < until
        if what == "mfeoperationresults":
            return web.Response(status=202 if running else 200)
        status: Doc = {"id": rest, "status": "InProgress" if running else "Succeeded"}
        if error and not running:
            status |= {"status": "Failed", "error": {"code": "InferencingClientCallFailed",
                                                     "message": error}}  # fmt: skip
        return self._json(status)

    # Children of the workspace.

    def _child(self, request: web.Request, path: str, body: Any) -> web.Response:
        parts = path[len(WORKSPACE) :].strip("/").split("/")
        if request.method == "POST":
            return self._action("/".join(parts[:-1]), parts[-1], body)
        kind = parts[-1 if len(parts) % 2 else -2].lower()
        if kind not in _COLLECTIONS:
            raise Refusal(404, "ResourceNotFound", f"Nothing at {path}.")
        if len(parts) % 2:
            return self._list(request, path)
        match request.method:
            case "GET":
                doc = self.store.get(path)
                if doc is None:
                    raise Refusal(404, "UserError", "Not found.")
                return self._json(self._shaper.shown(doc))
            case "PUT":
                return self._put(Wish(path, kind, body))
            case "PATCH":
                return self._patch(path, body)
            case "DELETE":
                return self._delete(path)
        raise Refusal(405, "MethodNotAllowed", request.method)

    def _list(self, request: web.Request, path: str) -> web.Response:
        found = self.store.children(path, self.switches.list_lag)
        shown = [self._shaper.shown(doc) for _, doc in found]
        page = self.switches.page
        if not page:
            return self._json(
                {"value": shown, **({"nextLink": None} if self.switches.nulls else {})}
            )
        # Every other page is empty: legal, and easily taken for the end.
        at = int(request.query.get("$skip", "0"))
        number, empty = divmod(at, 2)
        entries = [] if empty else shown[number * page : (number + 1) * page]
        answer: Doc = {"value": entries}
        if (number + (1 if empty else 0)) * page < len(shown):
            tail = f"{path}?api-version=2024-10-01&$skip={at + 1}"
            base = {"absolute": self.url, "relative": "", "shouting": self.url.upper()}
            answer["nextLink"] = base[self.switches.link] + tail
        return self._json(answer)

    def _put(self, wish: Wish) -> web.Response:
        self._judge(wish)
        if wish.kind == "serverlessendpoints":
            self._subscribed(wish)
        now, switches, history = time.monotonic(), self.switches, self.store.history(wish.path)
        if now < self._held.get(wish.path.lower(), 0.0):
            raise Refusal(switches.hold_status, "Conflict" if switches.hold_status == 409 else
                          "UserError", "There is already an endpoint with this name. Endpoint names"
                          " must be unique within a region.")  # fmt: skip
        before = history.at(now)
        if before is None:
            history.creates += 1
        done = switches.put_answer == "done"
        name = wish.path.rpartition("/")[2]
        failing = name == switches.fails and name not in self._failed
        self._failed.add(name)
        end = "Failed" if failing else "Succeeded"
        begin = "Updating" if before else "Creating"
        if done and not failing:
            history.then(now, self._shaper.stored(wish, "Succeeded", before))
        else:
            if before and switches.stale:
                history.then(now, before)
                history.soon(now + switches.stale, self._shaper.stored(wish, begin, before))
            else:
                history.then(now, self._shaper.stored(wish, begin, before))
            history.soon(now + switches.delay + switches.stale,
                         self._shaper.stored(wish, end, before))  # fmt: skip
            self._later(wish, history.path, now)
        doc = history.at(now)
        assert doc is not None
        return self._accepted(doc, wish, 200 if done or before else 201, failing)

    def _later(self, wish: Wish, path: str, now: float) -> None:
        """What a marketplace subscription learns after it has Succeeded."""
        if wish.kind != "marketplacesubscriptions":
            return
        for wait in sorted({self.switches.pending, self.switches.plan_late} - {0.0}):
            self.store.history(path).soon(
                now + self.switches.delay + wait, self._shaper.stored(wish, "Succeeded", None, wait)
            )

    def _accepted(self, doc: Doc, wish: Wish, status: int, failing: bool) -> web.Response:
        answer = self._json(self._shaper.shown(doc), status)
        how = self.switches.put_answer
        id = f"oe:{secrets.token_hex(4)}:{secrets.token_hex(4)}"
        until = time.monotonic() + self.switches.delay
        self._operations[id] = (until, "the probe did not answer" if failing else None)
        base = (f"{self.url}/subscriptions/{SUBSCRIPTION}/providers/"
                f"Microsoft.MachineLearningServices/locations/{REGION}")  # fmt: skip
        if how == "operation":
            answer.headers["Azure-AsyncOperation"] = f"{base}/mfeOperationsStatus/{id}"
        if how == "location":
            answer.headers["Location"] = f"{self.url}{wish.path}?api-version=2024-10-01"
        for name, value in self._retry().items():
            answer.headers[name.replace("_", "-")] = value
        return answer

    def _patch(self, path: str, body: Doc) -> web.Response:
        doc, now = self.store.get(path), time.monotonic()
        if doc is None:
            raise Refusal(404, "UserError", "Not found.")
        if "tags" in body:
            doc["tags"] = body["tags"]
        if "sku" in body:
            doc["sku"] = {**doc.get("sku", {}), **body["sku"]}
        history = self.store.history(path)
        changing = {**doc, "properties": {**doc["properties"], "provisioningState": "Updating"}}
        history.then(now, changing)
        history.soon(now + self.switches.delay, doc)
        return web.Response(status=202)

    def _delete(self, path: str) -> web.Response:
        switches, history, now = self.switches, self.store.history(path), time.monotonic()
        doc = history.at(now)
        if doc is None:
            return web.Response(status=204)
        gone = now + switches.slow_deleting + switches.delay
        if switches.delete_status == 204:
            gone = now
        history.then(now, doc)
        if gone > now:
            deleting = {**doc, "properties": {**doc["properties"], "provisioningState": "Deleting"}}
            history.soon(now + switches.slow_deleting, deleting)
        history.soon(gone, None)
        self._held[path.lower()] = gone + switches.hold_name if switches.hold_name else 0.0
        for child, _ in self.store.children(f"{path}/deployments"):
            self.store.history(child).then(now, None)
        if switches.delete_status != 202:
            return web.Response(status=switches.delete_status)
        return web.Response(status=202, text="null", content_type="application/json")

    def _action(self, tail: str, action: str, body: Any) -> web.Response:
        if self.store.get(f"{WORKSPACE}/{tail}") is None:
            raise Refusal(404, "UserError", "Not found.")
        if action.lower() == "listkeys":
            if self.switches.keys_null:
                return self._json({"primaryKey": None, "secondaryKey": None})
            keys = self.keys.setdefault(tail.lower(), [secrets.token_hex(16) for _ in range(2)])
            return self._json({"primaryKey": keys[0], "secondaryKey": keys[1]})
        if action.lower() == "getlogs":
            return self._json({"content": f"{body['containerType']}: no module named tensor"})
        raise Refusal(404, "ResourceNotFound", action)

    def _judge(self, wish: Wish) -> None:
        """What the specification forbids or requires of a PUT's body, and oav would not notice."""
        body, said = wish.body, self.log.violations
        extra = {"id", "name", "type", "systemData"} & set(body)
        extra |= _READ_ONLY & set(body.get("properties", {}))
        if extra:
            said.append(f"read-only {sorted(extra)} in PUT {wish.path}")
        properties = body.get("properties", {})
        needed = {
            "marketplacesubscriptions": ["modelId"],
            "serverlessendpoints": ["authMode", "modelSettings"],
            "onlineendpoints": ["authMode"],
            "deployments": ["endpointComputeType", "model", "instanceType"],
        }[wish.kind]
        said += [f"no {one} in PUT {wish.path}" for one in needed if not properties.get(one)]
        if wish.kind != "marketplacesubscriptions" and not body.get("location"):
            said.append(f"no location in PUT {wish.path}")
        if "principalId" in json.dumps(body):
            said.append(f"principalId in PUT {wish.path}")

    def _subscribed(self, wish: Wish) -> None:
        """An endpoint of a Marketplace model needs a subscription that is fulfilled."""
        model = wish.body["properties"]["modelSettings"]["modelId"].lower()
        for _, doc in self.store.children(f"{WORKSPACE}/marketplaceSubscriptions"):
            properties = doc["properties"]
            status = properties["marketplaceSubscriptionStatus"]
            if properties["modelId"].lower() == model and status == "Subscribed":
                return
        self.log.violations.append(f"not subscribed yet: PUT {wish.path}")

    def _json(self, value: Doc, status: int = 200) -> web.Response:
        return web.json_response(value, status=status)


def _forbidden(status: int) -> Refusal:
    return Refusal(
        status,
        "AuthorizationFailed",
        "The client 'x' with object id 'y' does not have "
        "authorization to perform action 'z' over scope 's' or the scope is invalid.",
    )
