"""A registry's models, by our adapter and by azure-ai-ml: the same questions, the same facts."""

from __future__ import annotations

import asyncio
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from azure.core.credentials import TokenCredential
from azure.core.pipeline.transport import RequestsTransport

from provisioner.azure import Settings, connect
from provisioner.cloud import RegistryModel
from provisioner.emulator.control import Record
from provisioner.resources import ModelRef, Secret

with warnings.catch_warnings():  # what its import deprecates is its own to mend
    warnings.simplefilter("ignore")
    from azure.ai.ml import MLClient

REGISTRIES = ("azureml", "azureml-cohere", "azureml-meta", "azureml-mistral")
Question = tuple[str, str, list[tuple[str, str]], str]


def question(request: Any) -> Question:
    """Method, path and query of a request, and which type it would have."""
    parts = urlsplit(request.url)
    return request.method, parts.path, sorted(parse_qsl(parts.query)), request.headers["Accept"]


class Recording(RequestsTransport):  # type: ignore[misc]
    """Sends everything on its way and remembers what a registry was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Question] = []

    def send(self, request: Any, **kwargs: Any) -> Any:
        if "registr" in request.url:
            self.asked.append(question(request))
        return super().send(request, **kwargs)


def their_client(credential: TokenCredential, registry: str, **options: Any) -> MLClient:
    return MLClient(
        credential,
        registry_name=registry,
        cloud="AzureEmulator",
        enable_telemetry=False,
        **options,
    )


async def ours(
    emulator: Record, refs: list[ModelRef]
) -> tuple[list[RegistryModel | None], list[Question]]:
    """What our adapter finds, and what it asked the registries for it."""
    settings = Settings(
        arm_endpoint=emulator.url,
        authority=emulator.url,
        ca_bundle=Path(emulator.ca_bundle),
        tenant_id=emulator.tenant_id,
        client_id=emulator.client_id,
        client_secret=Secret(emulator.client_secret),
    )
    asked: list[Question] = []
    async with connect(settings) as cloud:
        transport = cloud._arm.transport
        send = transport.send

        async def recording(request: Any, **options: Any) -> Any:
            if "registr" in request.url:
                asked.append(question(request))
            return await send(request, **options)

        transport.send = recording
        found = await asyncio.gather(*(cloud.model(ref) for ref in refs))
    return list(found), asked


@pytest.mark.parametrize("registry", REGISTRIES)
def test_the_same_facts_of_every_model(
    emulator: Record, credential: TokenCredential, registry: str
) -> None:
    client = their_client(credential, registry)
    names = [each.name for each in client.models.list()]
    theirs = [client.models.get(name, label="latest") for name in names]
    found, _ = asyncio.run(ours(emulator, [ModelRef(registry, name) for name in names]))
    assert len(theirs) > 1
    for one, model in zip(found, theirs, strict=True):
        assert one is not None
        assert one.ref == ModelRef(registry, model.name, model.version)
        assert one.description == model.description
        assert one.properties == model.properties
        assert one.tags == model.tags


def test_the_same_questions(emulator: Record, credential: TokenCredential) -> None:
    """azure-ai-ml asks for the latest version once more by its number; we read it in the list."""
    name, version = "Llama-3.3-70B-Instruct", "9"
    transport = Recording()
    client = their_client(credential, "azureml-meta", transport=transport)
    transport_after_discovery = len(transport.asked)
    client.models.get(name, label="latest")
    refs = [ModelRef("azureml-meta", name), ModelRef("azureml-meta", name, version)]
    found, asked = asyncio.run(ours(emulator, refs))
    assert [one.ref.version for one in found if one is not None] == [version, version]
    assert transport_after_discovery == 1
    assert sorted(asked) == sorted(transport.asked)
