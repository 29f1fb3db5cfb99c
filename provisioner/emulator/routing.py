"""A route table that compares without regard to case and ignores doubled slashes, as ARM does.

An unknown route answers with what ARM would say, and then teaches: what is not emulated, and what
is. Scoped routes (`/{scope}/providers/Microsoft.Authorization/…`) match from their last
`providers` segment, the scope being whatever stands before it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from provisioner.emulator.errors import ArmError
from provisioner.emulator.wire import Call, Reply

Handler = Callable[[Call], Reply | Awaitable[Reply]]
Audience = Literal["arm", "ml", "none"]

SUBSCRIPTION = "/subscriptions/{subscriptionId}"
GROUP = f"{SUBSCRIPTION}/resourceGroups/{{resourceGroupName}}"
ML = "providers/Microsoft.MachineLearningServices"
WORKSPACE = f"{GROUP}/{ML}/workspaces/{{workspaceName}}"
LOCATION = f"{SUBSCRIPTION}/{ML}/locations/{{location}}"


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. `operation` names it for faults and the log, such as `onlineEndpoints.put`.

    `action` is the right that it takes; of several, split by `|`, one is enough.
    """

    method: str
    template: str
    handler: Handler
    operation: str
    versions: tuple[str, ...] = ()
    action: str = ""
    audience: Audience = "arm"

    @property
    def is_resource(self) -> bool:
        """Whether it reads one resource by its id, rather than a list."""
        return self.method == "GET" and self.audience == "arm" and self.template.endswith("}")

    @property
    def resource_type(self) -> tuple[str, str]:
        """Namespace and type, as ARM's messages name them."""
        parts = self.template.strip("/").split("/")
        at = _last(parts, "providers")
        if at < 0 or at + 1 >= len(parts) or parts[at + 1].startswith("{"):
            return "Microsoft.Resources", "subscriptions"
        types = [p for p in parts[at + 2 :] if not p.startswith("{")]
        return parts[at + 1], "/".join(types)


@dataclass(slots=True)
class _Node:
    literals: dict[str, _Node] = field(default_factory=dict)
    param: tuple[str, _Node] | None = None
    methods: dict[str, Route] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match:
    """What a path leads to: the methods it has and the values of its parameters."""

    methods: dict[str, Route]
    params: dict[str, str]


class Router:
    """Routes by path segments."""

    def __init__(self) -> None:
        self._root = _Node()
        self._scoped = _Node()
        self.routes: list[Route] = []

    def add(self, route: Route) -> None:
        scoped = route.template.startswith("/{scope}/")
        template = route.template.removeprefix("/{scope}") if scoped else route.template
        node = self._scoped if scoped else self._root
        for segment in template.strip("/").split("/"):
            node = _descend(node, segment)
        node.methods[route.method] = route
        self.routes.append(route)

    def match(self, path: str) -> Match | None:
        """The match of a path, or None."""
        parts = [part for part in path.split("/") if part]
        lowered = [part.lower() for part in parts]
        params: dict[str, str] = {}
        node = _walk(self._root, lowered, parts, 0, params)
        if node is not None:
            return Match(node.methods, params)
        at = _last(lowered, "providers")
        if at < 0:
            return None
        node = _walk(self._scoped, lowered[at:], parts[at:], 0, params)
        if node is None:
            return None
        params["scope"] = "/" + "/".join(parts[:at]) if at else "/"
        if lowered[:1] == ["subscriptions"] and at > 1:
            params["subscriptionId"] = parts[1]
        return Match(node.methods, params)


def _descend(node: _Node, segment: str) -> _Node:
    if not segment.startswith("{"):
        return node.literals.setdefault(segment.lower(), _Node())
    name = segment.strip("{}")
    if node.param is None:
        node.param = (name, _Node())
    return node.param[1]


def _walk(
    node: _Node, lowered: list[str], parts: list[str], at: int, params: dict[str, str]
) -> _Node | None:
    if at == len(lowered):
        return node if node.methods else None
    literal = node.literals.get(lowered[at])
    if literal is not None:
        found = _walk(literal, lowered, parts, at + 1, params)
        if found is not None:
            return found
    if node.param is None:
        return None
    name, child = node.param
    found = _walk(child, lowered, parts, at + 1, params)
    if found is not None:
        params[name] = parts[at]
    return found


def _last(parts: list[str], word: str) -> int:
    for index in range(len(parts) - 1, -1, -1):
        if parts[index] == word:
            return index
    return -1


def choose(router: Router, method: str, path: str) -> tuple[Route, dict[str, str]]:
    """The route of a request; raises 404 or 405 in ARM's words."""
    match = router.match(path)
    if match is None:
        raise _unknown(path)
    route = match.methods.get(method)
    if route is None and method == "HEAD":
        route = match.methods.get("GET")
    if route is None:
        allowed = ", ".join(sorted(match.methods))
        raise ArmError(
            405,
            "MethodNotAllowed",
            f"The requested resource does not support http method '{method}'. In this emulator it "
            f"supports {allowed}.",
            headers={"Allow": allowed},
        )
    return route, match.params


def check_version(route: Route, call: Call) -> None:
    """Raise ARM's 400 for a missing or unsupported api-version."""
    if not route.versions:
        return
    version = call.api_version
    if not version:
        raise ArmError(
            400,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        )
    if version in route.versions:
        return
    supported = ",".join(route.versions)
    namespace, kind = route.resource_type
    asked = call.query.get("api-version", "")
    if namespace == "Microsoft.Resources":
        raise ArmError(
            400,
            "InvalidApiVersionParameter",
            f"The api-version '{asked}' is invalid. The supported versions are '{supported}'.",
        )
    location = call.params.get("location")
    if location:
        raise ArmError(
            400,
            "NoRegisteredProviderFound",
            f"No registered resource provider found for location '{location}' and API version "
            f"'{asked}' for type '{kind}'. The supported api-versions are '{supported}'.",
        )
    raise ArmError(
        400,
        "InvalidResourceType",
        f"The resource type '{kind}' could not be found in the namespace '{namespace}' for api "
        f"version '{asked}'. The supported api-versions are '{supported}'.",
    )


_EMULATED = (
    "workspaces (get, list, patch), serverlessEndpoints, marketplaceSubscriptions, "
    "onlineEndpoints with deployments, locations/usages|quotas|vmSizes, registries, "
    "MarketplaceOrdering agreements, permissions, role assignments and definitions, locks, tags, "
    "resource groups, providers, subscriptions"
)


def _unknown(path: str) -> ArmError:
    parts = [part for part in path.split("/") if part]
    lowered = [part.lower() for part in parts]
    at = _last(lowered, "providers")
    if at < 0 or at + 1 >= len(parts):
        return ArmError(404, "NotFound", f"There is nothing at '{path}'. {_teach()}")
    namespace = parts[at + 1]
    kind = "/".join(parts[at + 2 :: 2]) or namespace
    return ArmError(
        404,
        "InvalidResourceType",
        f"The resource type '{kind}' could not be found in the namespace '{namespace}'. {_teach()}",
    )


def _teach() -> str:
    return (
        "This is the emulator, which does not emulate this operation. It emulates: "
        f"{_EMULATED}. Jobs, computes, data, environments, components, batch endpoints and "
        "template deployments are not among them."
    )
