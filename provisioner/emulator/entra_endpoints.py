"""Entra's own endpoints: discovery, keys, the cloud's metadata, and tokens (see entra.py)."""

from __future__ import annotations

import base64
import hmac
import time
from binascii import Error as Base64Error
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

import jwt

from provisioner.emulator.entra import ML_AUDIENCES, TENANT_ALIASES
from provisioner.emulator.errors import JsonObject
from provisioner.emulator.scenario_types import FederatedCredential, Principal
from provisioner.emulator.wire import Call, Reply

_LONGEST_FORM = 65_536  # characters of a token request that are read; assertions stay far below


def openid_configuration(call: Call) -> Reply:
    """Discovery documents of both versions."""
    tenant = _known_tenant(call)
    if isinstance(tenant, Reply):
        return tenant
    root = f"{call.base_url}/{tenant}"
    v2 = call.path.lower().endswith("/v2.0/.well-known/openid-configuration")
    issuer = f"{call.base_url}/{tenant}/v2.0" if v2 else f"https://sts.windows.net/{tenant}/"
    tail = "/v2.0" if v2 else ""
    return Reply(
        200,
        {
            "token_endpoint": f"{root}/oauth2{tail}/token",
            "authorization_endpoint": f"{root}/oauth2{tail}/authorize",
            "device_authorization_endpoint": f"{root}/oauth2{tail}/devicecode",
            "end_session_endpoint": f"{root}/oauth2{tail}/logout",
            "jwks_uri": f"{root}/discovery{tail}/keys",
            "issuer": issuer,
            "token_endpoint_auth_methods_supported": [
                "client_secret_post",
                "client_secret_basic",
                "private_key_jwt",
            ],
            "response_types_supported": ["code", "id_token", "token"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "tenant_region_scope": None,
            "cloud_instance_name": "localhost",
            "cloud_graph_host_name": "graph.windows.net",
            "msgraph_host": "graph.microsoft.com",
        },
    )


def keys(call: Call) -> Reply:
    return Reply(200, call.tenant.issuer.jwks())


def instance_discovery(call: Call) -> Reply:
    """MSAL asks here whether it may trust an authority; this one vouches for itself."""
    host = call.base_url.removeprefix("https://")
    return Reply(
        200,
        {
            "tenant_discovery_endpoint": f"{call.base_url}/{call.tenant.scenario.tenant_id}"
            "/v2.0/.well-known/openid-configuration",
            "api-version": "1.1",
            "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
        },
    )


def cloud_metadata(call: Call) -> Reply:
    """`/metadata/endpoints`: one object for 2022-09-01, a list for older api-versions (§18)."""
    base = call.base_url
    host = base.removeprefix("https://")
    cloud = {
        # azure-ai-ml derives its token's audience, https://ml.azure.<suffix>, from this host.
        "portal": "https://portal.azure.com",
        "name": "AzureEmulator",
        "authentication": {
            "loginEndpoint": base,
            "audiences": [f"{base}/", "https://management.azure.com/"],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "graphAudience": "https://graph.windows.net/",
        "graph": "https://graph.windows.net/",
        "media": "https://rest.media.azure.net",
        "gallery": base,
        "batch": "https://batch.core.windows.net/",
        "resourceManager": f"{base}/",
        "activeDirectoryDataLake": "https://datalake.azure.net/",
        "sqlManagement": "https://management.core.windows.net:8443/",
        "microsoftGraphResourceId": f"{base}/",
        "vmImageAliasDoc": f"{base}/emulator/aliases.json",
        "suffixes": {
            "storage": "core.windows.net",
            "keyVaultDns": "vault.azure.net",
            "sqlServerHostname": "database.windows.net",
            "acrLoginServer": "azurecr.io",
            "azureDataLakeStoreFileSystem": "azuredatalakestore.net",
            "azureDataLakeAnalyticsCatalogAndJob": "azuredatalakeanalytics.net",
            "mlDiscovery": host,
        },
    }
    single = call.query.get("api-version", "") >= "2022-09-01"
    return Reply(200, cloud if single else [cloud])


@dataclass(frozen=True, slots=True)
class _Grant:
    """What the body and the header of a token request say."""

    form: dict[str, str]
    client_id: str
    secret: str


def token(call: Call) -> Reply:
    """Both token endpoints. Errors carry Entra's AADSTS codes, which azure-identity shows."""
    tenant = _known_tenant(call)
    if isinstance(tenant, Reply):
        return tenant
    grant = _grant(call)
    if grant.form.get("grant_type") != "client_credentials":
        return _refused(
            call,
            400,
            "unsupported_grant_type",
            70003,
            f"The app requested an unsupported grant type '{grant.form.get('grant_type', '')}'. "
            "The emulator signs in service principals only (client_credentials).",
        )
    principal = call.tenant.principal_by_client(grant.client_id)
    if principal is None:
        return _refused(
            call,
            400,
            "unauthorized_client",
            700016,
            f"Application with identifier '{grant.client_id}' was not found in the directory "
            f"'{tenant}'.",
        )
    refused = _proof(call, grant, principal)
    return refused if refused is not None else _issued(call, grant, principal)


def _issued(call: Call, grant: _Grant, principal: Principal) -> Reply:
    v2 = "/v2.0/" in call.path.lower()
    wanted = grant.form.get("scope", "") if v2 else grant.form.get("resource", "")
    audience = next((part for part in wanted.split() if "://" in part), "")
    if v2 and not audience.endswith("/.default"):
        return _refused(
            call,
            400,
            "invalid_scope",
            1002012,
            f"The provided value for scope {wanted} is not valid. Client credential flows must "
            "have a scope value with /.default suffixed to the resource identifier.",
        )
    if not audience:
        return _refused(call, 400, "invalid_resource", 500011, "No resource was named.")
    audience = audience.removesuffix("/.default") if v2 else audience
    version = 2 if v2 and _is_ml(audience) else 1
    lifetime = int(call.tenant.scenario.behaviour.token_lifetime)
    access = call.tenant.issuer.issue(principal, audience, version=version, lifetime=lifetime)
    body: JsonObject = {"token_type": "Bearer", "access_token": access}
    if v2:
        body.update(expires_in=lifetime, ext_expires_in=lifetime)
    else:
        now = int(time.time())
        body.update(
            expires_in=str(lifetime),
            ext_expires_in=str(lifetime),
            expires_on=str(now + lifetime),
            not_before=str(now),
            resource=audience,
        )
    return Reply(200, body, {"Cache-Control": "no-store, no-cache", "Pragma": "no-cache"})


def _is_ml(audience: str) -> bool:
    return audience.rstrip("/").lower() in ML_AUDIENCES


def _grant(call: Call) -> _Grant:
    text = call.body.decode("utf-8", "replace")
    form = dict(parse_qsl(text[:_LONGEST_FORM], keep_blank_values=True))
    client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
    scheme, _, value = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            pair = base64.b64decode(value, validate=True).decode("utf-8", "replace")
        except (Base64Error, ValueError):
            pair = ""
        user, _, password = pair.partition(":")
        client_id, secret = client_id or unquote(user), secret or unquote(password)
    return _Grant(form, client_id, secret)


def _proof(call: Call, grant: _Grant, principal: Principal) -> Reply | None:
    """None when the client has proved who it is, else Entra's refusal."""
    assertion = grant.form.get("client_assertion", "")
    if assertion:
        return _federated(call, assertion, principal)
    expected = principal.secret
    if expected and hmac.compare_digest(grant.secret.encode(), expected.encode()):
        return None
    return _refused(
        call,
        401,
        "invalid_client",
        7000215,
        "Invalid client secret provided. Ensure the secret being sent in the request is the "
        f"client secret value for app '{principal.client_id}'.",
    )


def _federated(call: Call, assertion: str, principal: Principal) -> Reply | None:
    try:
        claims = jwt.decode(assertion, options={"verify_signature": False})
    except jwt.PyJWTError as error:
        return _refused(
            call, 401, "invalid_client", 50027, f"JWT token is invalid or malformed. {error}"
        )
    expires = claims.get("exp", 0)
    # A bool is an int to Python and no instant to anybody.
    if type(expires) not in (int, float) or not expires > time.time():
        return _refused(
            call, 401, "invalid_client", 700024, "Client assertion is not within its valid time."
        )
    if claims.get("iss") == claims.get("sub") == principal.client_id:
        return _refused(
            call,
            401,
            "invalid_client",
            700027,
            "Client assertion failed signature validation: the application has no certificate. "
            "The emulator knows client secrets and federated tokens only.",
        )
    if not any(_presents(claims, accepted) for accepted in principal.federated):
        return _refused(
            call,
            401,
            "invalid_client",
            700213,
            "No matching federated identity record found for presented assertion subject "
            f"'{claims.get('sub', '')}'.",
        )
    return None


def _presents(claims: JsonObject, accepted: FederatedCredential) -> bool:
    audiences = claims.get("aud", "")
    named = audiences if isinstance(audiences, list) else [audiences]
    same_issuer = str(claims.get("iss", "")).rstrip("/") == accepted.issuer.rstrip("/")
    return same_issuer and claims.get("sub") == accepted.subject and accepted.audience in named


def _known_tenant(call: Call) -> str | Reply:
    asked = call.params.get("tenant", "")
    tenant: str = call.tenant.scenario.tenant_id
    if asked.lower() == tenant.lower() or asked.lower() in TENANT_ALIASES:
        return tenant
    return _refused(
        call,
        400,
        "invalid_request",
        90002,
        f"Tenant '{asked}' not found. Check to make sure you have the correct tenant ID and are "
        "signing into the correct cloud.",
    )


def _refused(call: Call, status: int, error: str, code: int, message: str) -> Reply:
    return Reply(
        status,
        {
            "error": error,
            "error_description": f"AADSTS{code}: {message} Trace ID: {call.request_id}",
            "error_codes": [code],
            "timestamp": time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime()),
            "trace_id": call.request_id,
            "correlation_id": call.headers.get("client-request-id", call.request_id),
        },
    )
