"""Microsoft Entra as far as clients need it: discovery, keys, tokens for service principals.

Grants: client secret, and client assertion of a federated identity (subject as the scenario says;
the foreign issuer's signature is not checked, because its keys are not at hand). Not emulated:
users' sign-in flows, refresh tokens, managed identities, certificates. Token lifetimes count on
real time (see clock.py).
"""

from __future__ import annotations

import base64
import time
import uuid

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from provisioner.emulator.errors import ArmError, JsonObject
from provisioner.emulator.scenario_types import Principal
from provisioner.emulator.store import Store
from provisioner.emulator.wire import Call

ARM_AUDIENCES = (
    "https://management.core.windows.net",
    "https://management.azure.com",
)
ML_AUDIENCES = ("https://ml.azure.com",)
TENANT_ALIASES = ("common", "organizations")


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
    """A 401; the pipeline adds the challenge."""
    return ArmError(401, code, message)


def challenge(call: Call, message: str) -> str:
    """`WWW-Authenticate`: where to sign in, as clients that know no tenant read it."""
    said = message.replace('"', "'")
    return (
        f'Bearer authorization_uri="{call.base_url}/{call.tenant.scenario.tenant_id}", '
        f'error="invalid_token", error_description="{said}"'
    )


def _base64(number: int) -> str:
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _us(when: float) -> str:
    return time.strftime("%m/%d/%Y %H:%M:%S", time.gmtime(when))
