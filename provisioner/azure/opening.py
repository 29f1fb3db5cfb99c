"""From settings to a working `AzureCloud`: trust, login service, audience, credential."""

from __future__ import annotations

import logging
import os
import random
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from provisioner.azure import credentials, problems
from provisioner.azure.adapter import AzureCloud
from provisioner.azure.budget import Budget
from provisioner.azure.client import Arm, make_session, make_transport
from provisioner.azure.faults import load_json
from provisioner.azure.mlclient import MlClients
from provisioner.azure.policies import MICROSOFT, is_within
from provisioner.azure.settings import PUBLIC_AUTHORITY, Settings
from provisioner.azure.values import Json, mapping, sequence, text, texts
from provisioner.clock import Clock, SystemClock
from provisioner.errors import Failed, Problem, UsageError
from provisioner.errors.cloud import CloudError
from provisioner.proxies import LOOPBACK, proxy_for

_METADATA: Final = "/metadata/endpoints?api-version=2022-09-01"
_GUARDED: Final = "/subscriptions?api-version=2022-12-01"
_AUTHORIZATION: Final = re.compile(r'authorization(?:_uri)?="(https://[^/"]+)', re.IGNORECASE)
_LONGEST_METADATA: Final = 1 << 20
_MICROSOFT_LOGIN: Final = (
    *("microsoftonline.com", "microsoftonline.us", "microsoftonline.cn", "microsoftonline.de"),
    *("windows.net", "chinacloudapi.cn"),
)
"""Domains of Microsoft's login services, in all its clouds."""
_METADATA_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)


@dataclass(frozen=True, slots=True)
class _Cloud:
    """The login service, None for the public one, and the audience that tokens are asked for."""

    authority: str | None
    audience: str


@asynccontextmanager
async def open_cloud(
    settings: Settings,
    clock: Clock | None,
    heard: Callable[[datetime], None] | None = None,
) -> AsyncIterator[AzureCloud]:
    """See `provisioner.azure.connect`."""
    clock = clock or SystemClock()
    _check_addresses(settings)
    _hush()
    try:
        session = make_session(settings)
    except (OSError, ssl.SSLError) as error:
        raise _bad_bundle(settings, error) from error
    async with session:
        cloud = await _describe(settings, session)
        _require_own_login(settings, cloud)
        transport = make_transport(session, settings)
        scope = f"{cloud.audience}/.default"

        def choose() -> credentials.Source:
            return credentials.choose(settings, cloud.authority, transport)

        try:
            source = choose()
        except ValueError as error:  # a tenant id or certificate that cannot be one
            refusal = credentials.refused(error)
            raise credentials.problem_of(refusal, settings, cloud.authority) from error
        async with credentials.Tokens(source, clock, choose) as tokens:
            try:
                token = await tokens.get_token_info(scope, options={"enable_cae": True})
            except CloudError as error:
                raise credentials.problem_of(error, settings, cloud.authority) from error
            arm = Arm(
                settings=settings,
                clock=clock,
                credential=tokens,
                scope=scope,
                transport=transport,
                budget=Budget(clock),
                chance=random.Random(),  # noqa: S311 - jitter, not secrecy
                heard=heard,
            )
            who = credentials.bearer_of(token.token)
            yield AzureCloud(arm, MlClients(settings, cloud.authority, tokens), who)


async def _describe(settings: Settings, session: aiohttp.ClientSession) -> _Cloud:
    """What the settings leave open is asked of the cloud itself, without a token (AZURE.md §14).

    A cloud that does not describe itself is taken to accept tokens for its own address, and to
    name its login service where it refuses a request without one.
    """
    own = settings.arm
    if settings.public or settings.emulator or (settings.audience and settings.authority):
        return _Cloud(settings.authority, (settings.audience or own).rstrip("/"))
    authentication = await _authentication(own, session)
    audiences = texts(authentication.get("audiences"))
    named = own if own in {audience.rstrip("/") for audience in audiences} else None
    audience = settings.audience or named or (audiences[0] if audiences else own)
    authority = settings.authority or text(authentication.get("loginEndpoint"))
    if authority is None:
        authority = await _challenger(own, session)
    return _Cloud(authority, audience.rstrip("/"))


@asynccontextmanager
async def _asked(
    own: str, path: str, session: aiohttp.ClientSession
) -> AsyncIterator[aiohttp.ClientResponse]:
    """The answer to somebody without a token; a redirect is not followed."""
    async with session.get(
        f"{own}{path}",
        timeout=_METADATA_TIMEOUT,
        allow_redirects=False,
        proxy=proxy_for(urlsplit(own).hostname or ""),
    ) as answer:
        yield answer


async def _authentication(own: str, session: aiohttp.ClientSession) -> Json:
    """Who vouches for tokens, by the cloud's own description; empty where it has none.

    Older versions describe several clouds in a list, each under its `resourceManager`.
    """
    described: object = {}
    try:
        async with _asked(own, _METADATA, session) as answer:
            if answer.status == 200:
                described = load_json(await _body(answer))
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        pass  # the first real request will tell what is wrong with the way there
    clouds = [mapping(cloud) for cloud in sequence(described)] or [mapping(described)]
    ours = (c for c in clouds if (text(c.get("resourceManager")) or "").rstrip("/") == own)
    return mapping(next(ours, clouds[0]).get("authentication"))


async def _challenger(own: str, session: aiohttp.ClientSession) -> str | None:
    """The login service that ARM names to whoever comes without a token; None: it names none."""
    try:
        async with _asked(own, _GUARDED, session) as answer:
            challenges = answer.headers.getall("WWW-Authenticate", ())
    except (aiohttp.ClientError, TimeoutError, OSError):
        return None
    found = _AUTHORIZATION.search(", ".join(challenges))
    return found.group(1) if found else None


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    """The body, or what there is of it when it is far longer than any description."""
    body = bytearray()
    async for piece in answer.content.iter_any():
        body += piece
        if len(body) > _LONGEST_METADATA:
            break
    return bytes(body)


def _require_own_login(settings: Settings, cloud: _Cloud) -> None:
    """Raises UsageError where a host that is not Microsoft's would get a token of Microsoft's login
    service only because it asked for one, or said nothing of its own. A person may say so, and
    this machine is nobody else's."""
    if settings.emulator or settings.authority is not None or is_within(settings.arm, MICROSOFT):
        return
    if urlsplit(settings.arm).hostname in LOOPBACK:
        return
    login = cloud.authority or os.environ.get("AZURE_AUTHORITY_HOST") or PUBLIC_AUTHORITY
    login = login if "://" in login else f"https://{login}"  # azure-identity takes both
    if not is_within(login, _MICROSOFT_LOGIN):
        return
    raise UsageError(
        Problem(
            problems.FOREIGN_LOGIN,
            f"{settings.arm} is not Microsoft's, but would get a token of {login}.",
            "Name the login service that belongs to it with --authority; if that is Microsoft's "
            f"and you trust {urlsplit(settings.arm).netloc} with your token: --authority {login}",
        )
    )


def _check_addresses(settings: Settings) -> None:
    addresses = {"--arm-endpoint": settings.arm_endpoint, "--authority": settings.authority,
                 "the registry discovery address": settings.registry_discovery}  # fmt: skip
    wrong = [
        Problem(
            problems.BAD_ADDRESS,
            f"{name} is {address!r}, which is no https:// address.",
            "Give the whole address, for example https://management.usgovcloudapi.net.",
        )
        for name, address in addresses.items()
        if address is not None and not _is_https(address)
    ]
    if wrong:
        raise UsageError.of(wrong)


def _is_https(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme == "https" and bool(parts.hostname) and (parts.port or 443) > 0
    except ValueError:
        return False


def _hush() -> None:
    """Azure's packages warn through logging about what they also raise; without any handler
    Python would print that to stderr, beside the designed error."""
    for name in ("azure", "msal"):
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())


def _bad_bundle(settings: Settings, error: Exception) -> Failed:
    return Failed(
        Problem(
            problems.BAD_CA_BUNDLE,
            f"The CA bundle {settings.ca_bundle} cannot be used.",
            "Pass a PEM file of certificate authorities with --ca-bundle FILE.",
            details=(str(error),),
        )
    )
