"""Microsoft Entra as far as clients need it: discovery, keys, tokens for service principals.

Grants: client secret, and client assertion of a federated identity (subject as the scenario says;
the foreign issuer's signature is not checked, because its keys are not at hand). Not emulated:
users' sign-in flows, refresh tokens, managed identities, certificates. Token lifetimes count on
real time (see clock.py).
"""

from __future__ import annotations

import base64
import hmac
import time
import uuid
from binascii import Error as Base64Error
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from provisioner.emulator.errors import ArmError, JsonObject
from provisioner.emulator.scenario_types import FederatedCredential, Principal
from provisioner.emulator.store import Store
from provisioner.emulator.wire import Call, Reply

ARM_AUDIENCES = (
    "https://management.core.windows.net",
    "https://management.azure.com",
)
ML_AUDIENCES = ("https://ml.azure.com",)
_TENANT_ALIASES = ("common", "organizations")


class Issuer:
    """Signs and checks tokens with an RSA key that is kept with the state."""

    def __init__(self, store: Store, tenant_id: str) -> None:
        self.tenant_id = tenant_id
        document = store.document("entra")
        if "key" not in document:
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            document["key"] = key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ).decode()
            document["kid"] = uuid.uuid4().hex
            store.touch("entra")
            store.flush()
        self._pem = str(document["key"])
        self.kid = str(document["kid"])
        private = serialization.load_pem_private_key(self._pem.encode(), password=None)
        assert isinstance(private, rsa.RSAPrivateKey)
        self._private = private
        self._public = private.public_key()
        self._checked: dict[str, JsonObject] = {}

    def issue(self, principal: Principal, audience: str, *, version: int, lifetime: float) -> str:
        """A signed access token in the claims of its endpoint's version (1 or 2)."""
        now = int(time.time())
        issuer = (
            f"https://login.microsoftonline.com/{self.tenant_id}/v2.0"
            if version == 2
            else f"https://sts.windows.net/{self.tenant_id}/"
        )
        claims = {
            "aud": audience,
            "iss": issuer,
            "iat": now,
            "nbf": now,
            "exp": now + int(lifetime),
            "appid": principal.client_id,
            "appidacr": "1",
            "idtyp": "user" if principal.is_user else "app",
            "oid": principal.object_id,
            "sub": principal.object_id,
            "tid": self.tenant_id,
            "uti": base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="),
            "ver": f"{version}.0",
        }
        return jwt.encode(claims, self._private, algorithm="RS256", headers={"kid": self.kid})

    def check(self, token: str) -> JsonObject:
        """A token's claims; raises ARM's 401 for one that is broken, foreign or expired."""
        claims = self._checked.get(token)
        if claims is None:
            try:
                claims = jwt.decode(
                    token,
                    self._public,
                    algorithms=["RS256"],
                    options={"verify_aud": False, "verify_exp": False, "verify_nbf": False},
                )
            except jwt.PyJWTError as error:
                raise unauthorized(
                    "InvalidAuthenticationToken", f"The access token is invalid. ({error})"
                ) from error
            if len(self._checked) > 4096:
                self._checked.clear()
            self._checked[token] = claims
        if float(claims.get("exp", 0)) <= time.time():
            raise unauthorized(
                "ExpiredAuthenticationToken",
                f"The access token expiry UTC time '{_us(float(claims['exp']))}' is earlier than "
                f"current UTC time '{_us(time.time())}'.",
            )
        return claims

    def holds(self, token: str) -> bool:
        """Whether a token is one of ours and still good, whatever its audience."""
        try:
            self.check(token)
        except ArmError:
            return False
        return True

    def jwks(self) -> JsonObject:
        numbers = self._public.public_numbers()
        return {
            "keys": [
                {
                    "kty": "RSA",
                    "use": "sig",
                    "kid": self.kid,
                    "n": _base64(numbers.n),
                    "e": _base64(numbers.e),
                }
            ]
        }


def authenticate(call: Call, issuer: Issuer, audiences: tuple[str, ...]) -> Principal:
    """The principal of a request; raises ARM's 401 with the challenge that SDKs look for."""
    header = call.headers.get("authorization", "")
    if not header:
        raise unauthorized(
            "AuthenticationFailed",
            "Authentication failed. The 'Authorization' header is missing.",
        )
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise unauthorized(
            "AuthenticationFailedInvalidHeader",
            "Authentication failed. The 'Authorization' header is provided in an invalid format.",
        )
    claims = issuer.check(token.strip())
    audience = str(claims.get("aud", "")).rstrip("/")
    if audience.lower() not in (*audiences, call.base_url.lower(), call.tenant.base_url.lower()):
        allowed = ",".join(f"'{a}/','{a}'" for a in audiences)
        raise unauthorized(
            "InvalidAuthenticationTokenAudience",
            "The access token has been obtained for wrong audience or resource "
            f"'{claims.get('aud')}'. It should exactly match with one of the allowed audiences "
            f"{allowed}.",
        )
    principal = call.tenant.principal_by_object(str(claims.get("oid", "")))
    if principal is None:
        raise unauthorized("InvalidAuthenticationToken", "The token's principal does not exist.")
    return principal


def unauthorized(code: str, message: str) -> ArmError:
    """A 401 with `WWW-Authenticate`, without which azure-core would not know where to sign in."""
    challenge = (
        'Bearer authorization_uri="https://login.microsoftonline.com/", '
        f'error="invalid_token", error_description="{message.replace(chr(34), chr(39))}"'
    )
    return ArmError(401, code, message, headers={"WWW-Authenticate": challenge})


# -- the endpoints ------------------------------------------------------------------------


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
    form = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=100))
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
    if float(claims.get("exp", 0)) <= time.time():
        return _refused(
            call, 401, "invalid_client", 700024, "Client assertion is not within its valid time."
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
    if asked.lower() == tenant.lower() or asked.lower() in _TENANT_ALIASES:
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


def _base64(number: int) -> str:
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _us(when: float) -> str:
    return time.strftime("%m/%d/%Y %H:%M:%S", time.gmtime(when))
