"""Manifests → wishes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import TypeVar

from provisioner import catalog
from provisioner.desired.values import (
    SHARED_QUOTA_LIFETIME,
    Consent,
    Desired,
    Lifetime,
    Origin,
    Rollout,
    WantedDeployment,
    WantedEndpoint,
    WantedServerless,
    WantedWorkspace,
)
from provisioner.errors import InvalidManifest, Problem, Who, define
from provisioner.manifest import Loaded, Manifests, schema
from provisioner.resources import (
    RENEW,
    TAG_NAME,
    TAG_ON_EXPIRY,
    TAG_STACK,
    ContentSafety,
    DataCollection,
    Identity,
    Kind,
    MarketplacePlan,
    ModelRef,
    OnlineDeployment,
    OnlineEndpoint,
    Probe,
    RequestSettings,
    ResourceId,
    ServerlessEndpoint,
    WorkspaceId,
    normal_region,
)

T = TypeVar("T")

NAME_IS_AMBIGUOUS = define(
    "desired.ambiguous-endpoint",
    "one endpoint, described twice",
    "Two manifests describe the same endpoint in ways that cannot both be true.",
    Who.AUTHOR,
)


def desired(
    manifests: Manifests, *, stack: str, accept_terms: bool = False, accepts: str | None = None
) -> Desired:
    """The wishes of `manifests`. `accept_terms` is the consent of the command line, `accepts` who
    acts on any consent.

    Raises InvalidManifest when manifests of one endpoint contradict each other.
    """
    declared = {one.document.metadata.name: one for one in manifests.workspaces}
    workspaces: dict[WorkspaceId, WantedWorkspace] = {}
    serverless: list[WantedServerless] = []
    managed: dict[ResourceId, list[tuple[Loaded[schema.ModelDeployment], WantedDeployment]]] = {}
    for loaded in manifests.deployments:
        workspace = _workspace(loaded, declared)
        workspaces.setdefault(workspace.id, workspace)
        target = loaded.document.spec.target
        if target.serverless is not None:
            wish = _serverless(loaded, target.serverless, workspace, stack, accept_terms)
            serverless.append(_signed(wish, accepts))
        elif target.managed_compute is not None:
            wanted = _deployment(loaded, target.managed_compute, workspace, stack)
            managed.setdefault(wanted.resource.id.endpoint, []).append((loaded, wanted))
    others = _left_out(manifests, declared)
    places = [_place(document) for document in manifests.workspaces]
    return Desired(
        stack=stack,
        idle=tuple(id for id in dict.fromkeys(places) if id not in workspaces),
        workspaces=MappingProxyType(workspaces),
        serverless=tuple(serverless),
        endpoints=tuple(
            _endpoint(id, members, stack, others.get(id, ())) for id, members in managed.items()
        ),
    )


def _left_out(
    manifests: Manifests, declared: Mapping[str, Loaded[schema.Workspace]]
) -> Mapping[ResourceId, list[Loaded[schema.ModelDeployment]]]:
    """The deployments that a selector left out, by their endpoint: what is the endpoint's must
    not depend on which of its deployments were chosen."""
    found: dict[ResourceId, list[Loaded[schema.ModelDeployment]]] = {}
    for loaded in manifests.left_out:
        target = loaded.document.spec.target.managed_compute
        if target is not None:
            workspace = _workspace(loaded, declared)
            id = _deployment(loaded, target, workspace, "").resource.id.endpoint
            found.setdefault(id, []).append(loaded)
    return found


def _workspace(
    loaded: Loaded[schema.ModelDeployment], declared: Mapping[str, Loaded[schema.Workspace]]
) -> WantedWorkspace:
    reference = loaded.document.spec.workspace
    if isinstance(reference, str):
        document = declared[reference]
        position = document.position("spec", "region")
        region = document.document.spec.region
        id = _place(document)
    else:
        position = loaded.position("spec", "workspace", "region")
        region = reference.region
        id = WorkspaceId(
            str(reference.subscription_id), reference.resource_group, reference.workspace_name
        )
    return WantedWorkspace(id, normal_region(region), position)


def _place(loaded: Loaded[schema.Workspace]) -> WorkspaceId:
    spec = loaded.document.spec
    name = spec.workspace_name or loaded.document.metadata.name
    return WorkspaceId(str(spec.subscription_id), spec.resource_group, name)


def _origin(loaded: Loaded[schema.ModelDeployment]) -> Origin:
    document = loaded.document
    return Origin(
        document.metadata.name,
        loaded.position(),
        document.metadata.labels,
        tuple(document.spec.outputs),
        loaded.place,
    )


def _tags(loaded: Loaded[schema.ModelDeployment], stack: str) -> dict[str, str]:
    metadata = loaded.document.metadata
    return {**metadata.labels, TAG_STACK: stack, TAG_NAME: metadata.name}


def _expiry_tags(lifetime: Lifetime | None) -> dict[str, str]:
    """Reaping knows no manifest, so what to do at the deadline stands on the endpoint itself."""
    return {TAG_ON_EXPIRY: RENEW} if lifetime is not None and lifetime.renew else {}


def _lifetime(loaded: Loaded[schema.ModelDeployment]) -> Lifetime | None:
    given = loaded.document.spec.lifetime
    if given is None:
        return None
    ttl = timedelta(seconds=given.ttl) if given.ttl is not None else None
    return Lifetime(ttl, given.expires_at, given.on_expiry == "renew")


def _serverless(
    loaded: Loaded[schema.ModelDeployment],
    target: schema.Serverless,
    workspace: WantedWorkspace,
    stack: str,
    accept_terms: bool,
) -> WantedServerless:
    document = loaded.document
    model = ModelRef.parse(document.spec.model)
    name = target.endpoint_name or document.metadata.name
    known = catalog.load().find(model.id)
    facts = known.serverless if known is not None else None
    return WantedServerless(
        resource=ServerlessEndpoint(
            id=ResourceId(workspace.id, Kind.SERVERLESS_ENDPOINT, name),
            location=workspace.region,
            # Serverless always runs the latest version (AZURE.md §2).
            model=replace(model, version=None),
            content_safety=ContentSafety(target.content_safety.capitalize()),
            tags={**_tags(loaded, stack), **_expiry_tags(_lifetime(loaded))},
        ),
        origin=_origin(loaded),
        subscribes=facts.marketplace if facts is not None else None,
        plan=_plan(document.spec.marketplace, facts.plan if facts is not None else None),
        consent=_consent(loaded, accept_terms),
        lifetime=_lifetime(loaded),
    )


def _plan(
    given: schema.Marketplace | None, known: catalog.OfferPlan | None
) -> MarketplacePlan | None:
    if given is not None and given.publisher and given.offer and given.plan:
        return MarketplacePlan(given.publisher, given.offer, given.plan)
    if known is not None and known.publisher and known.offer and known.plan:
        return MarketplacePlan(known.publisher, known.offer, known.plan)
    return None


def _signed(wish: WantedServerless, who: str | None) -> WantedServerless:
    return replace(wish, consent=replace(wish.consent, who=who)) if wish.consent else wish


def _consent(loaded: Loaded[schema.ModelDeployment], accept_terms: bool) -> Consent | None:
    if accept_terms:
        return Consent("--accept-terms")
    given = loaded.document.spec.marketplace
    if given is not None and given.accept_terms:
        return Consent(str(loaded.position("spec", "marketplace", "acceptTerms")))
    return None


def _deployment(
    loaded: Loaded[schema.ModelDeployment],
    target: schema.ManagedCompute,
    workspace: WantedWorkspace,
    stack: str,
) -> WantedDeployment:
    document = loaded.document
    name = target.deployment_name or document.metadata.name
    endpoint = target.endpoint_name or document.metadata.name
    rollout = target.rollout
    return WantedDeployment(
        resource=OnlineDeployment(
            id=ResourceId(workspace.id, Kind.ONLINE_DEPLOYMENT, name, endpoint),
            location=workspace.region,
            model=ModelRef.parse(document.spec.model),
            instance_type=target.instance_type,
            instance_count=target.instance_count,
            environment_variables=target.environment_variables,
            request_settings=_request_settings(target.request_settings),
            liveness_probe=_probe(target.liveness_probe),
            readiness_probe=_probe(target.readiness_probe),
            data_collection=_collection(target.data_collection),
            tags=_tags(loaded, stack),
        ),
        origin=_origin(loaded),
        traffic=target.traffic if target.traffic is not None else -1,
        rollout=Rollout(tuple(rollout.steps), rollout.bake, rollout.probe)
        if rollout is not None and rollout.strategy == "blueGreen"
        else None,
    )


def _request_settings(given: schema.RequestSettings | None) -> RequestSettings | None:
    if given is None:
        return None
    return RequestSettings(
        given.request_timeout, given.max_concurrent_requests_per_instance, given.max_queue_wait
    )


def _probe(given: schema.Probe | None) -> Probe | None:
    if given is None:
        return None
    return Probe(
        given.initial_delay,
        given.period,
        given.timeout,
        given.success_threshold,
        given.failure_threshold,
    )


def _collection(given: schema.DataCollection | None) -> DataCollection | None:
    return DataCollection(given.inputs, given.outputs, given.sampling_rate) if given else None


def _endpoint(
    id: ResourceId,
    members: list[tuple[Loaded[schema.ModelDeployment], WantedDeployment]],
    stack: str,
    others: Sequence[Loaded[schema.ModelDeployment]],
) -> WantedEndpoint:
    targets = [_managed(loaded) for loaded, _ in members]
    shared = _agreed(id, members, "sharedQuota", [one.shared_quota for one in targets])
    lifetime = _agreed(id, members, "lifetime", [_lifetime(loaded) for loaded, _ in members])
    described = [one.description for one in targets if one.description is not None]
    identity = next((one.identity for one in targets if one.identity is not None), None)
    everybody = (*(loaded for loaded, _ in members), *others)
    labels = _common(loaded.document.metadata.labels for loaded in everybody)
    deployments = tuple(wanted for _, wanted in members)
    traffic = _traffic(deployments, alone=len(everybody) == 1)
    return WantedEndpoint(
        resource=OnlineEndpoint(
            id=id,
            location=members[0][1].resource.location,
            description=described[0] if described else None,
            traffic=traffic,
            identity=Identity(identity.type, tuple(identity.user_assigned))
            if identity is not None
            else None,
            tags={**labels, TAG_STACK: stack, TAG_NAME: id.name, **_expiry_tags(lifetime)},
        ),
        deployments=_with_traffic(deployments, traffic),
        shared_quota=shared,
        lifetime=lifetime if lifetime is not None else _shared_lifetime(shared),
    )


def _shared_lifetime(shared: bool) -> Lifetime | None:
    """Without a lifetime of its own, a shared-quota endpoint lives as long as Azure lets it."""
    return Lifetime(ttl=SHARED_QUOTA_LIFETIME) if shared else None


def _managed(loaded: Loaded[schema.ModelDeployment]) -> schema.ManagedCompute:
    target = loaded.document.spec.target.managed_compute
    if target is None:
        raise TypeError("a serverless manifest among those of an online endpoint")
    return target


def _common(labels: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The labels on which all deployments of an endpoint agree: they describe the endpoint too."""
    first, *others = labels
    return {
        name: value
        for name, value in first.items()
        if all(other.get(name) == value for other in others)
    }


def _traffic(deployments: tuple[WantedDeployment, ...], *, alone: bool) -> dict[str, int]:
    """Percent per deployment name. A deployment alone on its endpoint takes it all by default."""
    default = 100 if alone else 0
    return {
        one.resource.id.name: one.traffic if one.traffic >= 0 else default for one in deployments
    }


def _with_traffic(
    deployments: tuple[WantedDeployment, ...], traffic: Mapping[str, int]
) -> tuple[WantedDeployment, ...]:
    return tuple(replace(one, traffic=traffic[one.resource.id.name]) for one in deployments)


def _agreed(
    id: ResourceId,
    members: list[tuple[Loaded[schema.ModelDeployment], WantedDeployment]],
    key: str,
    values: list[T],
) -> T:
    for value, (loaded, _) in zip(values, members, strict=True):
        if value != values[0]:
            first = members[0][0].document.metadata.name
            raise InvalidManifest(
                Problem(
                    NAME_IS_AMBIGUOUS,
                    f"{loaded.document.metadata.name} and {first} share the online endpoint "
                    f"{id.name} but differ in {key}",
                    f"give both the same {key}, or another endpointName",
                    position=loaded.position("spec"),
                )
            )
    return values[0]
