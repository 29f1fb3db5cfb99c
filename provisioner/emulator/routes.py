"""The route table: every operation that the emulator serves, with its right and api-versions."""

from __future__ import annotations

from provisioner.emulator import (
    admin,
    arm,
    authorization,
    capacity,
    entra_endpoints,
    graph,
    groups,
    locks,
    marketplace,
    online_deployments,
    online_endpoints,
    operations,
    providers,
    registry,
    resources,
    role_assignments,
    serverless,
    tags,
    workspaces,
)
from provisioner.emulator.routing import (
    GROUP,
    LOCATION,
    SUBSCRIPTION,
    WORKSPACE,
    Audience,
    Handler,
    Route,
    Router,
)
from provisioner.emulator.routing import ML as ML_PROVIDER
from provisioner.emulator.tenant import Tenant
from provisioner.emulator.versions import (
    AUTHORIZATION_VERSIONS,
    COMPUTE_VERSIONS,
    LOCK_VERSIONS,
    ML_VERSIONS,
    ORDERING_VERSIONS,
    RESOURCES_VERSIONS,
    SERVERLESS_VERSIONS,
    WORKSPACE_VERSIONS,
)

_ML = "Microsoft.MachineLearningServices"
_W = f"{_ML}/workspaces"
_RESOURCES = "Microsoft.Resources"
_AUTHORIZATION = "Microsoft.Authorization"
_ORDERING = "Microsoft.MarketplaceOrdering"

# (method, path, handler, name, right)
_Row = tuple[str, str, Handler, str, str]


def build_router() -> Router:
    """The router with every operation that is served."""
    router = Router()
    for versions, rows in _tables():
        for method, path, handler, name, action in rows:
            router.add(Route(method, path, handler, name, versions, action))
    for route in _open_routes():
        router.add(route)
    for route in _directory_routes():
        router.add(route)
    for route in registry.routes():
        router.add(route)
    return router


def wire(tenant: Tenant) -> None:
    """Tell the tenant how each kind is shown, and its engine what ends with an operation."""
    tenant.renderers.update(
        workspaces=workspaces.render,
        serverlessEndpoints=serverless.render,
        marketplaceSubscriptions=marketplace.render,
        onlineEndpoints=online_endpoints.render,
        deployments=online_deployments.render,
        resourceGroups=arm.render_group,
    )
    for ended in (
        serverless.ended,
        marketplace.ended,
        online_endpoints.ended,
        online_deployments.ended,
    ):
        tenant.on_end(ended)
    tenant.engine.on_deadline = lambda resource, when: online_endpoints.remove(
        tenant, resource, when
    )


def _tables() -> list[tuple[tuple[str, ...], list[_Row]]]:
    return [
        (RESOURCES_VERSIONS, _arm_rows()),
        (WORKSPACE_VERSIONS, _workspace_rows()),
        (SERVERLESS_VERSIONS, _serverless_rows() + _subscription_rows()),
        (ML_VERSIONS, _endpoint_rows() + _deployment_rows() + _operation_rows()),
        (COMPUTE_VERSIONS, _capacity_rows()),
        (ORDERING_VERSIONS, _ordering_rows()),
        (AUTHORIZATION_VERSIONS, _authorization_rows()),
        (LOCK_VERSIONS, _lock_rows()),
    ]


def _arm_rows() -> list[_Row]:
    provider = f"{SUBSCRIPTION}/providers/{{namespace}}"
    tag = f"/{{scope}}/providers/{_RESOURCES}/tags/default"
    kind, names = (f"{_RESOURCES}/subscriptions/{of}" for of in ("resourceGroups", "tagNames"))
    return [
        ("GET", "/subscriptions", arm.list_subscriptions, "subscriptions.list", ""),
        ("GET", SUBSCRIPTION, arm.get_subscription, "subscriptions.get", ""),
        ("GET", f"{SUBSCRIPTION}/locations", arm.list_locations, "locations.list", ""),
        ("GET", "/tenants", arm.list_tenants, "tenants.list", ""),
        ("GET", f"{SUBSCRIPTION}/resourceGroups", arm.list_groups, "resourceGroups.list", ""),
        ("GET", GROUP, arm.get_group, "resourceGroups.get", f"{kind}/read"),
        ("HEAD", GROUP, arm.head_group, "resourceGroups.head", f"{kind}/read"),
        ("PUT", GROUP, groups.put_group, "resourceGroups.put", f"{kind}/write"),
        ("PATCH", GROUP, arm.patch_group, "resourceGroups.patch", f"{kind}/write"),
        ("DELETE", GROUP, groups.delete_group, "resourceGroups.delete", f"{kind}/delete"),
        ("GET", f"{GROUP}/resources", resources.list_resources, "resources.list", ""),
        ("GET", f"{SUBSCRIPTION}/resources", resources.list_resources, "resources.list", ""),
        ("GET", f"{SUBSCRIPTION}/providers", providers.list_providers, "providers.list", ""),
        ("GET", provider, providers.get_provider, "providers.get", ""),
        (
            "POST",
            f"{provider}/register",
            providers.register,
            "providers.register",
            "{namespace}/register/action",
        ),
        (
            "POST",
            f"{provider}/unregister",
            providers.unregister,
            "providers.unregister",
            "{namespace}/unregister/action",
        ),
        ("GET", f"{SUBSCRIPTION}/tagNames", tags.names, "tags.list", f"{names}/read"),
        ("GET", tag, tags.get, "tags.get", f"{_RESOURCES}/tags/read"),
        ("PUT", tag, tags.put, "tags.put", f"{_RESOURCES}/tags/write"),
        ("PATCH", tag, tags.patch, "tags.patch", f"{_RESOURCES}/tags/write"),
        ("DELETE", tag, tags.delete, "tags.delete", f"{_RESOURCES}/tags/delete"),
    ]


def _workspace_rows() -> list[_Row]:
    in_group = f"{GROUP}/{ML_PROVIDER}/workspaces"
    in_subscription = f"{SUBSCRIPTION}/{ML_PROVIDER}/workspaces"
    return [
        ("GET", WORKSPACE, workspaces.get, "workspaces.get", f"{_W}/read"),
        ("PUT", WORKSPACE, workspaces.put, "workspaces.put", f"{_W}/write"),
        ("PATCH", WORKSPACE, workspaces.patch, "workspaces.patch", f"{_W}/write"),
        ("GET", in_group, workspaces.list_in_group, "workspaces.list", f"{_W}/read"),
        ("GET", in_subscription, workspaces.list_in_subscription, "workspaces.list", f"{_W}/read"),
    ]


def _serverless_rows() -> list[_Row]:
    kind, right, s = "serverlessEndpoints", f"{_W}/serverlessEndpoints", serverless
    one = f"{WORKSPACE}/{kind}/{{name}}"
    return [
        ("GET", f"{WORKSPACE}/{kind}", s.list_, f"{kind}.list", f"{right}/read"),
        ("GET", one, s.get, f"{kind}.get", f"{right}/read"),
        ("PUT", one, s.put, f"{kind}.put", f"{right}/write"),
        ("PATCH", one, s.patch, f"{kind}.patch", f"{right}/write"),
        ("DELETE", one, s.delete, f"{kind}.delete", f"{right}/delete"),
        ("POST", f"{one}/listKeys", s.list_keys, f"{kind}.listKeys", f"{right}/listKeys/action"),
        (
            "POST",
            f"{one}/regenerateKeys",
            s.regenerate_keys,
            f"{kind}.regenerateKeys",
            f"{right}/regenerateKeys/action",
        ),
    ]


def _subscription_rows() -> list[_Row]:
    kind, m = "marketplaceSubscriptions", marketplace
    one = f"{WORKSPACE}/{kind}/{{name}}"

    def right(verb: str) -> str:
        # The documented action and the type's own name differ; either will do (AZURE.md §15).
        return f"{_W}/marketplaceModelSubscriptions/{verb}|{_W}/{kind}/{verb}"

    return [
        ("GET", f"{WORKSPACE}/{kind}", m.list_, f"{kind}.list", right("read")),
        ("GET", one, m.get, f"{kind}.get", right("read")),
        ("PUT", one, m.put, f"{kind}.put", right("write")),
        ("DELETE", one, m.delete, f"{kind}.delete", right("delete")),
    ]


def _endpoint_rows() -> list[_Row]:
    kind, right, e = "onlineEndpoints", f"{_W}/onlineEndpoints", online_endpoints
    one = f"{WORKSPACE}/{kind}/{{endpointName}}"
    return [
        ("GET", f"{WORKSPACE}/{kind}", e.list_, f"{kind}.list", f"{right}/read"),
        ("GET", one, e.get, f"{kind}.get", f"{right}/read"),
        ("PUT", one, e.put, f"{kind}.put", f"{right}/write"),
        ("PATCH", one, e.patch, f"{kind}.patch", f"{right}/write"),
        ("DELETE", one, e.delete, f"{kind}.delete", f"{right}/delete"),
        ("POST", f"{one}/listKeys", e.list_keys, f"{kind}.listKeys", f"{right}/listKeys/action"),
        (
            "POST",
            f"{one}/regenerateKeys",
            e.regenerate_keys,
            f"{kind}.regenerateKeys",
            f"{right}/regenerateKeys/action",
        ),
        ("POST", f"{one}/token", e.get_token, f"{kind}.token", f"{right}/token/action"),
    ]


def _deployment_rows() -> list[_Row]:
    kind, right = "onlineDeployments", f"{_W}/onlineEndpoints/deployments"
    d = online_deployments
    all_ = f"{WORKSPACE}/onlineEndpoints/{{endpointName}}/deployments"
    one = f"{all_}/{{deploymentName}}"
    return [
        ("GET", all_, d.list_, f"{kind}.list", f"{right}/read"),
        ("GET", one, d.get, f"{kind}.get", f"{right}/read"),
        ("PUT", one, d.put, f"{kind}.put", f"{right}/write"),
        ("PATCH", one, d.patch, f"{kind}.patch", f"{right}/write"),
        ("DELETE", one, d.delete, f"{kind}.delete", f"{right}/delete"),
        ("POST", f"{one}/getLogs", d.get_logs, f"{kind}.getLogs", f"{right}/getLogs/action"),
        ("GET", f"{one}/skus", d.list_skus, f"{kind}.skus", f"{right}/skus/read|{right}/read"),
    ]


def _operation_rows() -> list[_Row]:
    """Whoever holds the URL of an operation may ask for it."""
    status, result = operations.get_status, operations.get_result
    group = f"{GROUP}/{ML_PROVIDER}/locations/{{location}}"
    return [
        ("GET", f"{root}/{collection}/{{operationId}}", handler, name, "")
        for root in (LOCATION, group)
        for collection, handler, name in (
            ("mfeOperationsStatus", status, "operations.status"),
            ("mfeOperationResults", result, "operations.result"),
        )
    ]


def _capacity_rows() -> list[_Row]:
    right = f"{_ML}/locations"
    return [
        ("GET", f"{LOCATION}/usages", capacity.usages, "usages.list", f"{right}/usages/read"),
        ("GET", f"{LOCATION}/quotas", capacity.quotas, "quotas.list", f"{right}/quotas/read"),
        (
            "POST",
            f"{LOCATION}/updateQuotas",
            capacity.update_quotas,
            "quotas.update",
            f"{right}/updateQuotas/action",
        ),
        ("GET", f"{LOCATION}/vmSizes", capacity.vm_sizes, "vmSizes.list", f"{right}/vmsizes/read"),
    ]


def _ordering_rows() -> list[_Row]:
    root = f"{SUBSCRIPTION}/providers/{_ORDERING}"
    plan = "publishers/{publisherId}/offers/{offerId}/plans/{planId}"
    terms = f"{root}/offerTypes/{{offerType}}/{plan}/agreements/current"
    one = f"{root}/agreements/{plan.removeprefix('publishers/')}"
    right = f"{_ORDERING}/offerTypes/publishers/offers/plans/agreements"
    plans, m = f"{_ORDERING}/agreements/offers/plans", marketplace
    return [
        ("GET", terms, m.get_terms, "agreements.getTerms", f"{right}/read"),
        ("PUT", terms, m.put_terms, "agreements.accept", f"{right}/write"),
        ("GET", f"{root}/agreements", m.list_agreements, "agreements.list", f"{plans}/read"),
        ("GET", one, m.get_agreement, "agreements.get", f"{plans}/read"),
        ("POST", f"{one}/sign", m.sign, "agreements.sign", f"{plans}/sign/action"),
        ("POST", f"{one}/cancel", m.cancel, "agreements.cancel", f"{plans}/cancel/action"),
    ]


def _authorization_rows() -> list[_Row]:
    root, right = f"/{{scope}}/providers/{_AUTHORIZATION}", _AUTHORIZATION
    a, g = authorization, role_assignments
    given, roles, denials = "roleAssignments", "roleDefinitions", "denyAssignments"
    return [
        ("GET", f"{root}/permissions", a.permissions, "permissions.list", ""),
        ("GET", f"{root}/{given}", g.list_assignments, f"{given}.list", f"{right}/{given}/read"),
        (
            "GET",
            f"{root}/{given}/{{name}}",
            g.get_assignment,
            f"{given}.get",
            f"{right}/{given}/read",
        ),
        (
            "PUT",
            f"{root}/{given}/{{name}}",
            g.put_assignment,
            f"{given}.put",
            f"{right}/{given}/write",
        ),
        (
            "DELETE",
            f"{root}/{given}/{{name}}",
            g.delete_assignment,
            f"{given}.delete",
            f"{right}/{given}/delete",
        ),
        ("GET", f"{root}/{roles}", a.list_definitions, f"{roles}.list", ""),
        ("GET", f"{root}/{roles}/{{name}}", a.get_definition, f"{roles}.get", ""),
        (
            "PUT",
            f"{root}/{roles}/{{name}}",
            a.put_definition,
            f"{roles}.put",
            f"{right}/{roles}/write",
        ),
        (
            "DELETE",
            f"{root}/{roles}/{{name}}",
            a.delete_definition,
            f"{roles}.delete",
            f"{right}/{roles}/delete",
        ),
        ("GET", f"{root}/{denials}", a.list_denials, f"{denials}.list", f"{right}/{denials}/read"),
        (
            "GET",
            f"{root}/{denials}/{{name}}",
            a.get_denial,
            f"{denials}.get",
            f"{right}/{denials}/read",
        ),
    ]


def _lock_rows() -> list[_Row]:
    root, right = f"/{{scope}}/providers/{_AUTHORIZATION}/locks", f"{_AUTHORIZATION}/locks"
    one = f"{root}/{{name}}"
    return [
        ("GET", root, locks.list_locks, "locks.list", f"{right}/read"),
        ("GET", one, locks.get_lock, "locks.get", f"{right}/read"),
        ("PUT", one, locks.put_lock, "locks.put", f"{right}/write"),
        ("DELETE", one, locks.delete_lock, "locks.delete", f"{right}/delete"),
    ]


def _directory_routes() -> list[Route]:
    """Microsoft Graph: a token for it is enough, whoever holds it."""
    rows: list[tuple[str, str, Handler, str]] = [
        ("POST", "/v1.0/directoryObjects/getByIds", graph.by_ids, "graph.byIds"),
        ("GET", "/v1.0/servicePrincipals", graph.service_principals, "graph.servicePrincipals"),
        ("GET", "/v1.0/servicePrincipals/{id}", graph.one, "graph.one"),
        ("GET", "/v1.0/users", graph.users, "graph.users"),
        ("GET", "/v1.0/users/{id}", graph.one, "graph.one"),
    ]
    return [Route(m, path, handler, name, audience="ml") for m, path, handler, name in rows]


def _open_routes() -> list[Route]:
    """Routes without a token: Entra, the cloud's metadata, and the emulator's own."""
    none: Audience = "none"
    e = entra_endpoints
    rows: list[tuple[str, str, Handler, str]] = [
        ("GET", "/metadata/endpoints", e.cloud_metadata, "metadata"),
        ("GET", "/common/discovery/instance", e.instance_discovery, "entra.instances"),
        ("POST", "/{tenant}/oauth2/v2.0/token", e.token, "entra.token"),
        ("POST", "/{tenant}/oauth2/token", e.token, "entra.token"),
        ("GET", "/emulator/health", admin.health, "emulator.health"),
        ("GET", "/emulator/requests", admin.requests, "emulator.requests"),
        ("DELETE", "/emulator/requests", admin.forget_requests, "emulator.requests"),
        ("GET", "/emulator/clock", admin.get_clock, "emulator.clock"),
        ("POST", "/emulator/clock", admin.move_clock, "emulator.clock"),
        ("GET", "/emulator/faults", admin.get_faults, "emulator.faults"),
        ("POST", "/emulator/faults", admin.add_faults, "emulator.faults"),
        ("DELETE", "/emulator/faults", admin.clear_faults, "emulator.faults"),
        ("POST", "/emulator/reset", admin.reset, "emulator.reset"),
        ("GET", "/emulator/aliases.json", admin.aliases, "emulator.aliases"),
        (
            "GET",
            "/emulator/terms/{publisher}/{offer}/{plan}/{document}",
            admin.terms,
            "emulator.terms",
        ),
    ]
    for tail in ("", "/v2.0"):
        known = f"/{{tenant}}{tail}/.well-known/openid-configuration"
        rows.append(("GET", known, e.openid_configuration, "entra.openid"))
        rows.append(("GET", f"/{{tenant}}/discovery{tail}/keys", e.keys, "entra.keys"))
    return [Route(m, path, handler, name, audience=none) for m, path, handler, name in rows]
