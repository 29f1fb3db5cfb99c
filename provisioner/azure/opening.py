"""From settings to a working `AzureCloud`: trust, login service, audience, credential."""

from __future__ import annotations

import logging
import random
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
from provisioner.azure.registry import Registries
from provisioner.azure.settings import Settings
from provisioner.azure.values import mapping, text, texts
from provisioner.clock import Clock, SystemClock
from provisioner.errors import Failed, Problem, UsageError
from provisioner.errors.cloud import CloudError

_METADATA: Final = "/metadata/endpoints?api-version=2022-09-01"
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
        transport = make_transport(session, settings)
        scope = f"{cloud.audience}/.default"
        try:
            source = credentials.choose(settings, cloud.authority, transport)
        except ValueError as error:  # a tenant id or certificate that cannot be one
            refusal = credentials.refused(error)
            raise credentials.problem_of(refusal, settings, cloud.authority) from error
        async with credentials.Tokens(source, clock) as tokens:
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
            yield AzureCloud(arm, Registries(settings, cloud.authority, tokens), who)


async def _describe(settings: Settings, session: aiohttp.ClientSession) -> _Cloud:
    """What the settings leave open is asked of the cloud itself, without a token (AZURE.md §14).

    A cloud that does not describe itself is taken to accept tokens for its own address.
    """
    own = settings.arm
    if settings.public or settings.emulator or (settings.audience and settings.authority):
        return _Cloud(settings.authority, (settings.audience or own).rstrip("/"))
    described: object = {}
    try:
        async with session.get(f"{own}{_METADATA}", timeout=_METADATA_TIMEOUT) as answer:
            if answer.status == 200:
                described = load_json(await answer.read())
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        pass  # the first real request will tell what is wrong with the way there
    authentication = mapping(mapping(described).get("authentication"))
    audiences = texts(authentication.get("audiences"))
    named = own if own in {audience.rstrip("/") for audience in audiences} else None
    audience = settings.audience or named or (audiences[0] if audiences else own)
    return _Cloud(
        settings.authority or text(authentication.get("loginEndpoint")), audience.rstrip("/")
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
