"""A cloud that answers reads from a case's facts: what differs from a tenant in good order.

Keys of `facts` (all optional): `workspaces` {name: {region, kind, state, isolation, network}} or
{name: null} for one that does not exist; `subscription` {state, quotaId, spendingLimit};
`providers` {namespace: state}; `locations` {resource type: [regions]}; `cores`
{region: {family: used/limit}}; `sizes` [names] (default: the catalogue's); `models`
{registry/name: {versions, skus, minSku, shared, legacy, deprecation, retirement} or null};
`rights` {subscription|group|workspace: [{actions, notActions}] or null}; `locks`
[{name, level, scope}]; `agreement` {accepted} or null; `unread` [questions], by a 403, `unserved`
[questions], by a 404 without a word; `plainSizes` [names] of sizes without family and cores; `live`
{serverless: [{name, model, state, otherTags, …}],
deployments: [{name, endpoint, endpointState, model, …}]};
`elsewhere` {workspace: region}, `elsewhereKinds` {workspace: kind}; `placed`
[{workspace, name, serverless, region, state, gone, count}]: endpoints of workspaces that no
manifest names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NoReturn

from provisioner.catalog import load
from provisioner.cloud import (
    Agreement,
    Lock,
    Permission,
    Placed,
    ProviderFacts,
    RegistryModel,
    SubscriptionFacts,
    Usage,
    VmSize,
    Workspace,
)
from provisioner.errors.cloud import CloudError, ServiceFault
from provisioner.resources import (
    TAG_NAME,
    TAG_STACK,
    AgreementId,
    AnyLive,
    Kind,
    Live,
    MarketplaceSubscription,
    ModelRef,
    OnlineDeployment,
    OnlineEndpoint,
    ResourceId,
    ServerlessEndpoint,
    State,
    WorkspaceId,
)

REGION = "eastus2"
_FAMILIES = (
    "standardNCADSA100v4Family",
    "standardNCADSH100v5Family",
    "standardNCSv3Family",
    "standardDSv2Family",
)


@dataclass(slots=True)
class FactCloud:
    """Implements the reads that observing and preflight make; counts them by kind."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    reads: Counter[str] = field(default_factory=Counter)

    def _asked(self, question: str, operation: str) -> None:
        self.reads[question] += 1
        if question in self.facts.get("unread", ()):
            _refuse(operation)
        if question in self.facts.get("unserved", ()):
            about = operation.removeprefix("GET ")
            raise CloudError(ServiceFault(404, "ResourceNotFound", "Not Found", operation, about))

    async def workspace(self, id: WorkspaceId) -> Workspace | None:
        self._asked("workspace", f"GET {id}")
        given = self.facts.get("workspaces", {}).get(id.name, {})
        if given is None:
            return None
        return Workspace(
            id,
            given.get("region", REGION),
            given.get("kind", "Default"),
            given.get("state", "Succeeded"),
            given.get("network"),
            given.get("isolation"),
        )

    async def workspaces(self, subscription: str) -> Sequence[Workspace]:
        self._asked("workspaces", f"GET /subscriptions/{subscription}")
        kinds = self.facts.get("elsewhereKinds", {})
        places = {"mlw-prod": REGION, **self.facts.get("elsewhere", {})}
        return [
            Workspace(WorkspaceId(subscription, "rg", name), region, kinds.get(name, "Default"))
            for name, region in places.items()
        ]

    async def marketplace_subscriptions(
        self, workspace: WorkspaceId
    ) -> Sequence[Live[MarketplaceSubscription]]:
        self._asked("marketplaceSubscriptions", f"GET {workspace}")
        return [
            Live(
                MarketplaceSubscription(
                    ResourceId(workspace, Kind.MARKETPLACE_SUBSCRIPTION, f"sub-{index}"),
                    ModelRef.parse(model),
                ),
                State.SUCCEEDED,
                condition="Subscribed",
            )
            for index, model in enumerate(self._live("subscriptions"))
        ]

    async def serverless_endpoints(
        self, workspace: WorkspaceId
    ) -> Sequence[Live[ServerlessEndpoint]]:
        self._asked("serverlessEndpoints", f"GET {workspace}")
        return [
            Live(
                ServerlessEndpoint(
                    ResourceId(workspace, Kind.SERVERLESS_ENDPOINT, one["name"]),
                    REGION,
                    ModelRef.parse(one["model"]),
                    tags=_tags(one),
                ),
                State(one.get("state", "Succeeded")),
            )
            for one in self._live("serverless")
            if one.get("workspace", workspace.name) == workspace.name
        ]

    async def online_endpoints(self, workspace: WorkspaceId) -> Sequence[Live[OnlineEndpoint]]:
        self._asked("onlineEndpoints", f"GET {workspace}")
        states = {
            one["endpoint"]: one.get("endpointState", "Succeeded")
            for one in self._live("deployments")
        }
        return [
            Live(
                OnlineEndpoint(
                    ResourceId(workspace, Kind.ONLINE_ENDPOINT, name),
                    REGION,
                    traffic={one["name"]: 100 for one in self._live("deployments")[:1]},
                    tags=_tags({"name": name}),
                ),
                State(state),
            )
            for name, state in states.items()
        ]

    async def online_deployments(self, endpoint: ResourceId) -> Sequence[Live[OnlineDeployment]]:
        self._asked("onlineDeployments", f"GET {endpoint}")
        return [
            Live(
                OnlineDeployment(
                    ResourceId(
                        endpoint.workspace, Kind.ONLINE_DEPLOYMENT, one["name"], endpoint.name
                    ),
                    REGION,
                    ModelRef.parse(one["model"]),
                    one["size"],
                    one.get("count", 1),
                    tags=_tags(one),
                ),
                State(one.get("state", "Succeeded")),
            )
            for one in self._live("deployments")
            if one["endpoint"] == endpoint.name
        ]

    def _live(self, kind: str) -> Any:
        return self.facts.get("live", {}).get(kind, [])

    async def get(self, id: ResourceId) -> AnyLive | None:
        """An endpoint of another workspace; None for one that only the index still has."""
        for given in self.facts.get("placed", []):
            if given["name"] == id.name and not given.get("gone"):
                state = State(given.get("state", "Succeeded"))
                return Live(OnlineEndpoint(id, REGION), state)
        return None

    async def explain(self, id: ResourceId) -> str | None:
        raise NotImplementedError

    async def logs(self, deployment: ResourceId, container: str) -> str:
        raise NotImplementedError

    async def subscription(self, id: str) -> SubscriptionFacts:
        self._asked("subscription", f"GET /subscriptions/{id}")
        given = self.facts.get("subscription", {})
        return SubscriptionFacts(
            id,
            "ML production",
            given.get("state", "Enabled"),
            given.get("quotaId", "PayAsYouGo_2014-09-01"),
            given.get("spendingLimit", "Off"),
        )

    async def subscriptions(self) -> Sequence[SubscriptionFacts]:
        raise NotImplementedError

    async def provider(self, subscription: str, namespace: str) -> ProviderFacts:
        self._asked("provider", f"GET /subscriptions/{subscription}/providers/{namespace}")
        locations = self.facts.get("locations", {})
        return ProviderFacts(
            namespace,
            self.facts.get("providers", {}).get(namespace, "Registered"),
            {kind: frozenset(regions) for kind, regions in locations.items()},
        )

    async def agreement(self, id: AgreementId) -> Agreement | None:
        self._asked("agreement", f"GET {id}")
        given = self.facts.get("agreement", {"accepted": False})
        if given is None:
            return None
        return Agreement(id, given["accepted"], {"terms": "https://example.com/terms"})

    async def permissions(self, scope: str) -> Sequence[Permission] | None:
        self._asked("rights", f"GET {scope}/providers/Microsoft.Authorization/permissions")
        parts = len(scope.strip("/").split("/"))
        level = {2: "subscription", 4: "group"}.get(parts, "workspace")
        given = self.facts.get("rights", {}).get(level, [{"actions": ["*"]}])
        if given is None:
            return None
        return [
            Permission(tuple(one.get("actions", ())), tuple(one.get("notActions", ())))
            for one in given
        ]

    async def usages(self, subscription: str, region: str) -> Sequence[Usage]:
        self._asked("quota", f"GET /subscriptions/{subscription}/locations/{region}/usages")
        rows = dict.fromkeys(_FAMILIES, "0/96")
        rows |= self.facts.get("cores", {}).get(region, {})
        return [
            Usage(family, family, int(used), int(limit))
            for family, text in rows.items()
            if text is not None
            for used, limit in [text.split("/")]
        ]

    async def vm_sizes(self, subscription: str, region: str) -> Sequence[VmSize]:
        self._asked("sizes", f"GET /subscriptions/{subscription}/locations/{region}/vmSizes")
        names = self.facts.get("sizes", list(load().skus))
        found = (load().skus[name.lower()] for name in names)
        plain = [VmSize(name, "", 0, 0, 0.0) for name in self.facts.get("plainSizes", ())]
        return plain + [
            VmSize(one.name, one.family, one.cores, int(one.gpus), float(one.memory_gb or 0))
            for one in found
        ]

    async def locks(self, scope: str) -> Sequence[Lock]:
        self._asked("locks", f"GET {scope}/providers/Microsoft.Authorization/locks")
        root = scope.split("/resourceGroups/", maxsplit=1)[0]
        return [
            Lock(one["name"], one["level"], one["scope"].replace("SUB", root))
            for one in self.facts.get("locks", ())
        ]

    async def model(self, ref: ModelRef) -> RegistryModel | None:
        self._asked("model", f"GET {ref.id}")
        given = self.facts.get("models", {}).get(f"{ref.registry}/{ref.name}".lower(), {})
        if given is None:
            return None
        versions = [str(one) for one in given.get("versions", [5])]
        if ref.version is not None and ref.version not in versions:
            return None
        return RegistryModel(
            ModelRef(ref.registry, ref.name, ref.version or versions[-1]),
            skus=tuple(given.get("skus", ())),
            min_sku=given.get("minSku") and tuple(given["minSku"]),
            shared_capacity=given.get("shared"),
            legacy=_day(given, "legacy"),
            deprecation=_day(given, "deprecation"),
            retirement=_day(given, "retirement"),
        )

    async def models(self, registry: str) -> Sequence[str]:
        raise NotImplementedError

    async def tagged(self, subscription: str, tag: str) -> Sequence[str]:
        raise NotImplementedError

    async def placed(self, subscription: str, kinds: Sequence[Kind]) -> Sequence[Placed]:
        self._asked("placed", f"GET /subscriptions/{subscription}/resources")
        return [
            one
            for given in self.facts.get("placed", [])
            for one in _placed(subscription, given)
            if one.id.kind in kinds
        ]


def _placed(subscription: str, given: Mapping[str, Any]) -> Iterator[Placed]:
    """One endpoint of another workspace; or so many (`count`), numbered."""
    workspace = WorkspaceId(subscription, "rg-other", given["workspace"])
    kind = Kind.SERVERLESS_ENDPOINT if given.get("serverless") else Kind.ONLINE_ENDPOINT
    names = [f"{given['name']}-{n}" for n in range(given["count"])] if "count" in given else []
    for name in names or [given["name"]]:
        yield Placed(ResourceId(workspace, kind, name), given.get("region", REGION))


def _day(given: Mapping[str, Any], key: str) -> date | None:
    return date.fromisoformat(str(given[key])) if key in given else None


def _tags(one: Mapping[str, Any]) -> dict[str, str]:
    others = {f"cost-{number}": "x" for number in range(one.get("otherTags", 0))}
    return {TAG_STACK: one.get("stack", "default"), TAG_NAME: one["name"], **others}


def _refuse(operation: str) -> NoReturn:
    raise CloudError(
        ServiceFault(
            403,
            "AuthorizationFailed",
            "The client 'a' with object id 'b' does not have authorization to perform action "
            "'Microsoft.Example/things/read' over scope '/subscriptions/1' or the scope is "
            "invalid.",
            operation=operation,
            correlation_id="c0ffee00-0000-4000-8000-000000000001",
        )
    )
