"""Every credential comes from azure-identity; here they are chosen, cached, and explained.

One token per scope, renewed before it expires, shared by every pipeline and, through `Blocking`,
by the synchronous azure-ai-ml. A credential that fails becomes a designed error.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import re
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, Protocol, TypeVar

from azure.core.credentials import AccessToken, AccessTokenInfo, TokenRequestOptions
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.core.pipeline.transport import AioHttpTransport

from provisioner.azure import federation, problems
from provisioner.azure.retry import cause_of, is_untrusted
from provisioner.azure.settings import PUBLIC_AUTHORITY, Settings
from provisioner.clock import Clock
from provisioner.errors import Failed, Problem
from provisioner.errors.cloud import CloudError, ServiceFault

T = TypeVar("T")

RENEW_BEFORE: Final = 300.0
"""Seconds before its end at which a token is renewed; azure-core uses the same."""

_FRESH: Final = 10.0
"""Seconds of age below which a token is surely not too old."""
_LAST_MOMENT: Final = 30.0
"""Seconds of life below which a token is not used any more, and between failed renewals."""

RETRIES: Final[Mapping[str, Any]] = {
    "retry_total": 3, "retry_connect": 1, "retry_backoff_factor": 0.2, "retry_backoff_max": 5,
}  # fmt: skip
"""For pipelines that are not ours: azure-core's own 10 retries can take many minutes."""

_AADSTS: Final = re.compile(r"AADSTS(\d+)")
_LOGGER: Final = logging.getLogger(__name__)


def bearer_of(token: str) -> str | None:
    """Who a token says that it is of: a person's sign-in name, else the application, else the
    object; None for a token that cannot be read.

    For the record only: the signature is the service's to check.
    """
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return None
    if not isinstance(claims, dict):
        return None
    for prefix, name in _BEARERS:
        found = claims.get(name)
        if isinstance(found, str) and found:
            return f"{prefix}{found}"
    return None


_BEARERS: Final = (
    ("", "upn"),
    ("", "unique_name"),
    ("application ", "appid"),
    ("application ", "azp"),
    ("object ", "oid"),
)


class Source(Protocol):
    """What azure-identity's asynchronous credentials have in common."""

    async def get_token_info(
        self, *scopes: str, options: TokenRequestOptions | None = None
    ) -> AccessTokenInfo: ...

    async def close(self) -> None: ...


class Tokens:
    """Tokens of one credential, one at a time per scope; azure-core's AsyncSupportsTokenInfo."""

    def __init__(self, source: Source, clock: Clock, again: Callable[[], Source]) -> None:
        """`again` makes a source like `source` that remembers no token."""
        self._source = source
        self._again = again
        self._clock = clock
        self._fetched: dict[tuple[str, ...], float] = {}  # on the clock's monotonic seconds
        self._known: dict[tuple[str, ...], AccessTokenInfo] = {}
        self._locks: dict[tuple[str, ...], asyncio.Lock] = {}
        self._patient_until = 0.0  # no renewal before, where the last one failed early

    async def get_token_info(
        self, *scopes: str, options: TokenRequestOptions | None = None
    ) -> AccessTokenInfo:
        """A token that lives a while yet. A claims challenge always fetches a new one."""
        lock = self._locks.setdefault(scopes, asyncio.Lock())
        before = self._known.get(scopes)
        claims = (options or {}).get("claims")
        if before is not None and not claims and not self._due(before):
            return before
        async with lock:
            now_known = self._known.get(scopes)
            if now_known is not None and now_known is not before and not self._due(now_known):
                return now_known  # somebody else fetched it while we waited
            return await self._fetch(scopes, options, fallback=None if claims else now_known)

    async def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        """The older form, which some generated clients still call."""
        claims = kwargs.get("claims")
        info = await self.get_token_info(*scopes, options={"claims": claims} if claims else None)
        return AccessToken(info.token, info.expires_on)

    async def replace(self, rejected: str) -> bool:
        """Forget a token that the service refused, though it should live a while yet: the service's
        clock may be ahead of this machine's. True when another one can be had.

        One that was fetched just now is refused for another reason, which no new one mends.
        """
        known = next((at for at, info in self._known.items() if info.token == rejected), None)
        if known is None:
            return True  # somebody else has replaced it
        if self._clock.monotonic() - self._fetched[known] < _FRESH:
            return False
        async with self._locks[known]:
            if self._known.get(known) is not None and self._known[known].token == rejected:
                before, self._source = self._source, self._again()
                del self._known[known]
                await before.close()
        return True

    async def close(self) -> None:
        await self._source.close()

    async def __aenter__(self) -> Tokens:
        return self

    async def __aexit__(self, *args: object) -> None:
        await self.close()

    async def _fetch(
        self,
        scopes: tuple[str, ...],
        options: TokenRequestOptions | None,
        fallback: AccessTokenInfo | None,
    ) -> AccessTokenInfo:
        try:
            info = await self._source.get_token_info(*scopes, options=options)
        except (AzureError, OSError, ValueError) as error:
            # A renewal that fails early costs nothing while the old token still lives.
            if fallback is not None and fallback.expires_on > self._now() + _LAST_MOMENT:
                self._patient_until = self._now() + _LAST_MOMENT
                _LOGGER.warning("a token could not be renewed yet: %s", type(error).__name__)
                return fallback
            raise refused(error) from error
        self._known[scopes] = info
        self._fetched[scopes] = self._clock.monotonic()
        return info

    def _due(self, info: AccessTokenInfo) -> bool:
        now = self._now()
        refresh = info.refresh_on
        if now < self._patient_until and info.expires_on > now + _LAST_MOMENT:
            return False
        return info.expires_on - now < RENEW_BEFORE or (refresh is not None and refresh <= now)

    def _now(self) -> float:
        return self._clock.now().timestamp()


class Blocking:
    """The same tokens for code that runs in a thread: waits on the loop that owns them."""

    def __init__(self, tokens: Tokens, loop: asyncio.AbstractEventLoop) -> None:
        self._tokens = tokens
        self._loop = loop

    def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        return self._wait(self._tokens.get_token(*scopes, **kwargs))

    def get_token_info(
        self, *scopes: str, options: TokenRequestOptions | None = None
    ) -> AccessTokenInfo:
        return self._wait(self._tokens.get_token_info(*scopes, options=options))

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=120)


def choose(
    settings: Settings,
    authority: str | None,
    transport: AioHttpTransport,
    environment: Mapping[str, str] | None = None,
) -> Source:
    """The credential that the settings name, else the pipeline's own identity (federation.py), else
    what azure-identity finds.

    For the public login service that is DefaultAzureCredential. With another authority it is the
    same order built by hand, because DefaultAzureCredential does not pass an authority on to
    workload identity (azure-identity 1.27), and because instance discovery, which asks the public
    cloud, must be off.
    """
    from azure.identity import aio as identity  # noqa: PLC0415 - 0.2 s of import

    common: dict[str, Any] = {"transport": transport, **RETRIES}
    if authority is not None and authority.rstrip("/") != PUBLIC_AUTHORITY:
        common |= {"authority": authority, "disable_instance_discovery": True}
    if settings.client_id and settings.tenant_id and settings.client_secret is not None:
        return identity.ClientSecretCredential(
            settings.tenant_id, settings.client_id, settings.client_secret.reveal(), **common
        )
    surroundings = os.environ if environment is None else environment
    runner = federation.find(surroundings)
    if runner is not None:
        return federation.Federated(runner, transport, common)
    if "authority" not in common:
        return identity.DefaultAzureCredential(**common)
    return identity.ChainedTokenCredential(*_chain(identity, surroundings, common))


def _chain(identity: Any, environment: Mapping[str, str], common: dict[str, Any]) -> list[Any]:
    """DefaultAzureCredential's order; a managed identity that nothing announces comes last,
    because asking an absent metadata service takes seconds."""
    tenant, client = environment.get("AZURE_TENANT_ID"), environment.get("AZURE_CLIENT_ID")
    found: list[Any] = []
    if tenant and client:
        secret = environment.get("AZURE_CLIENT_SECRET")
        certificate = environment.get("AZURE_CLIENT_CERTIFICATE_PATH")
        token_file = environment.get("AZURE_FEDERATED_TOKEN_FILE")
        if secret:
            found.append(identity.ClientSecretCredential(tenant, client, secret, **common))
        elif certificate:
            found.append(
                identity.CertificateCredential(
                    tenant,
                    client,
                    certificate,
                    password=environment.get("AZURE_CLIENT_CERTIFICATE_PASSWORD"),
                    **common,
                )
            )
        if token_file:
            found.append(
                identity.WorkloadIdentityCredential(
                    tenant_id=tenant, client_id=client, token_file_path=token_file, **common
                )
            )
    managed = identity.ManagedIdentityCredential(client_id=client, transport=common["transport"])
    announced = any(environment.get(name) for name in ("IDENTITY_ENDPOINT", "MSI_ENDPOINT"))
    cli = identity.AzureCliCredential()
    return [*found, managed, cli] if announced else [*found, cli, managed]


def refused(error: BaseException) -> CloudError:
    """A credential's failure in the port's own terms; `problem_of` tells it to a person."""
    code = _code_of(error)
    status = 0 if code in ("ConnectionRefused", "CertificateNotTrusted") else 401
    fault = ServiceFault(
        status=status, code=code, message=_first_line(error), operation="GET a token"
    )
    return CloudError(fault)


_CODES: Final[Mapping[str, str]] = {
    "700213": "FederationUnknown", "70021": "FederationUnknown", "700211": "FederationUnknown",
    "90002": "TenantNotFound", "900023": "TenantNotFound", "900021": "TenantNotFound",
    "700024": "ClockSkew", "500133": "ClockSkew",
}  # fmt: skip


_UNREACHED: Final = re.compile(
    r"(?:ClientSecret|Certificate|WorkloadIdentity|Environment)Credential: Cannot connect to host"
)
"""A credential that was found, and a login service that was not: a chain tells of it in words. A
managed identity's own host is left out: it cannot be reached on any machine outside Azure."""


def _code_of(error: BaseException) -> str:
    from azure.identity import CredentialUnavailableError  # noqa: PLC0415 - see choose()

    if isinstance(error, ClientAuthenticationError):
        found = _AADSTS.search(str(error))
        if found:
            return _CODES.get(found.group(1), "AuthenticationFailed")
        if _UNREACHED.search(str(error)):
            untrusted = "CERTIFICATE_VERIFY_FAILED" in str(error)
            return "CertificateNotTrusted" if untrusted else "ConnectionRefused"
        if isinstance(error, CredentialUnavailableError) or _nothing_found(str(error)):
            return "CredentialUnavailable"
        if "invalid_tenant" in str(error).lower():
            return "TenantNotFound"
        return "AuthenticationFailed"
    if isinstance(error, ValueError):
        return "AuthenticationFailed"
    return "CertificateNotTrusted" if is_untrusted(error) else "ConnectionRefused"


def _nothing_found(text: str) -> bool:
    """A chain's summary of its attempts when each was unavailable rather than refused."""
    return "failed to retrieve a token from the included credentials" in text.lower() and not any(
        word in text for word in ("invalid_client", "unauthorized_client", "invalid_grant")
    )


def problem_of(error: CloudError, settings: Settings, authority: str | None) -> Failed:
    """The designed error for a credential that gave no token."""
    fault = error.fault
    login = authority or PUBLIC_AUTHORITY
    code, what, hint = {
        "CredentialUnavailable": (
            problems.NO_CREDENTIAL,
            "No credential for Azure was found.",
            federation.advice(os.environ)
            or "Run `az login`, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET; "
            "to try without an account, add --emulator.",
        ),
        "FederationUnknown": (
            problems.NO_FEDERATION,
            "The application has no federated credential for this pipeline.",
            'az ad app federated-credential create --id CLIENT-ID --parameters \'{"name": "ci", '
            '"issuer": …, "subject": …, "audiences": ["api://AzureADTokenExchange"]}\', with '
            "issuer and subject as the message above names them",
        ),
        "TenantNotFound": (
            problems.UNKNOWN_TENANT,
            f"{login} knows no tenant {settings.tenant_id or 'of that id'}.",
            "Check AZURE_TENANT_ID, and that --authority is the login service of your cloud.",
        ),
        "ClockSkew": (
            problems.CLOCK_SKEW,
            "A token was refused because of its times.",
            "Set this machine's clock (for example `timedatectl set-ntp true`) and try again.",
        ),
        "ConnectionRefused": (
            problems.UNREACHABLE,
            f"The login service {login} cannot be reached.",
            "Check the network, proxies (HTTPS_PROXY, NO_PROXY) and --authority.",
        ),
        "CertificateNotTrusted": (
            problems.UNTRUSTED,
            f"The certificate of {login} is not trusted here.",
            "Pass the authority that signed it with --ca-bundle FILE.",
        ),
    }.get(
        fault.code,
        (
            problems.WRONG_CREDENTIAL,
            f"{login} gave no token: the credential was refused.",
            "Check the client id and its secret (it may have expired), or run `az login` again.",
        ),
    )
    return Failed(Problem(code, what, hint, details=_attempts(fault.message)))


def _attempts(message: str) -> tuple[str, ...]:
    """A chain's account of its attempts, one line each, without its addresses of help pages."""
    _, *tried = re.split(r"\s(?=[A-Z]\w+Credential: )", message)
    if not tried:
        return (message,)
    lines = []
    for one in tried:
        name, _, text = one.partition(": ")
        text = text.removeprefix(f"{name} ")
        text = re.split(r"\s(?:Visit|See|To mitigate this issue|To fix)\b", text)[0]
        lines.append(f"{name}: {text}")
    return tuple(lines)


def _first_line(error: BaseException) -> str:
    cause = cause_of(error) if not isinstance(error, ClientAuthenticationError) else None
    text = str(error) or str(cause or "") or type(error).__name__
    return " ".join(text.partition("\nContent:")[0].split())[:4000]
