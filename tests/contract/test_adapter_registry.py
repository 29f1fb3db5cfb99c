"""Questions to a model registry on the wire: two hosts, one token, little patience."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from provisioner.azure.registry import Registries, data_plane, parse
from provisioner.errors.cloud import CloudError
from provisioner.resources import ModelRef
from tests.contract.adapter_server import Answer, Asked, Wire, refusal, wired

LLAMA = ModelRef("azureml-meta", "Llama-3.3-70B-Instruct")
DISCOVERY = "/registrymanagement/v1.0/registries/azureml-meta/discovery"
PLANE = (
    "/mferp/managementfrontend/subscriptions/s-1/resourceGroups/rg-1"
    "/providers/Microsoft.MachineLearningServices/registries/azureml-meta"
)


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    async with wired(tmp_path) as wire:
        yield wire


def place(wire: Wire, **changes: Any) -> Answer:
    body = {
        "registryName": "azureml-meta",
        "subscriptionId": "s-1",
        "resourceGroup": "rg-1",
        "primaryRegionResourceProviderUri": f"{wire.script.url}/",
    }
    return Answer(body=body | changes)


def version(number: str, **tags: Any) -> dict[str, Any]:
    return {
        "id": f"{LLAMA.id}/versions/{number}",
        "name": number,
        "properties": {"description": "A model.", "properties": {}, "tags": tags},
    }


async def test_discovery_and_then_the_version_that_was_made_last(wire: Wire) -> None:
    latest = version("9", InferenceRetirementDate="2026-01-01")
    wire.script.will(place(wire), Answer(body={"value": [latest]}))
    found = await wire.cloud.model(LLAMA)
    assert found is not None
    assert found.ref == ModelRef("azureml-meta", "Llama-3.3-70B-Instruct", "9")
    assert str(found.retirement) == "2026-01-01"
    first, second = wire.script.asked
    assert (first.path, first.query) == (DISCOVERY, {"api-version": "v1.0"})
    assert second.path == f"{PLANE}/models/{LLAMA.name}/versions"
    assert second.query == {
        "api-version": "2021-10-01-dataplanepreview",
        "$orderBy": "createdtime desc",
        "$top": "1",
    }
    tokens = {asked.headers["authorization"] for asked in wire.script.asked}
    assert tokens == {"Bearer token-1"}
    assert wire.source.scopes == [f"{wire.script.url}/.default"]


async def test_older_versions_are_not_paged_through(wire: Wire) -> None:
    more = f"{wire.script.url}{PLANE}/models/{LLAMA.name}/versions?$skip=1"
    page = {"value": [version("9")], "nextLink": more}
    wire.script.will(place(wire), Answer(body=page))
    found = await wire.cloud.model(LLAMA)
    assert found is not None
    assert found.ref.version == "9"
    assert len(wire.script.asked) == 2


async def test_many_questions_discover_a_registry_once(wire: Wire) -> None:
    def handler(asked: Asked) -> Answer:
        if asked.path.endswith("/discovery"):
            return place(wire)
        return Answer(body=version("4"))

    wire.script.handler = handler
    refs = [ModelRef("azureml-meta", f"Model-{n}", "4") for n in range(20)]
    found = await asyncio.gather(*(wire.cloud.model(ref) for ref in refs))
    assert all(found)
    paths = [asked.path for asked in wire.script.asked]
    assert paths.count(DISCOVERY) == 1
    assert f"{PLANE}/models/Model-7/versions/4" in paths


async def test_what_the_registry_does_not_hold_is_none(wire: Wire) -> None:
    wire.script.will(place(wire), refusal(404, "UserError"), Answer(body={"value": []}))
    assert await wire.cloud.model(ModelRef("azureml-meta", "Llama", "7")) is None
    assert await wire.cloud.model(LLAMA) is None


async def test_a_registry_that_is_not_there_is_an_error_and_is_asked_again(wire: Wire) -> None:
    wire.script.will(refusal(404, "ResourceNotFound"), place(wire), Answer(body={"value": []}))
    with pytest.raises(CloudError) as caught:
        await wire.cloud.model(LLAMA)
    assert caught.value.fault.status == 404
    assert await wire.cloud.model(LLAMA) is None


async def test_where_arms_token_is_refused_machine_learnings_own_is_tried(wire: Wire) -> None:
    wire.script.will(
        refusal(401, "InvalidAuthenticationTokenAudience"),
        place(wire),
        Answer(body={"value": [version("9")]}),
    )
    assert await wire.cloud.model(LLAMA) is not None
    assert wire.source.scopes == [f"{wire.script.url}/.default", "https://ml.azure.com/.default"]
    sent = [asked.headers["authorization"] for asked in wire.script.asked]
    assert sent == ["Bearer token-1", "Bearer token-2", "Bearer token-1"]


async def test_a_registry_is_not_waited_for_as_long_as_arm(wire: Wire) -> None:
    wire.script.will(refusal(503, "ServiceUnavailable"))
    with pytest.raises(CloudError):
        await wire.cloud.model(LLAMA)
    assert len(wire.script.asked) == 3
    assert sum(wire.clock.slept) < 2


async def test_a_version_that_is_named_like_a_way_out_stays_within(wire: Wire) -> None:
    wire.script.will(place(wire), refusal(404, "UserError"))
    hostile = ModelRef("azureml-meta", "x?y#z", "1")
    assert await wire.cloud.model(hostile) is None
    assert wire.script.asked[-1].path == f"{PLANE}/models/x?y#z/versions/1"
    assert await wire.cloud.model(ModelRef("azureml-meta", "..", "1")) is None
    assert await wire.cloud.model(ModelRef("..", "x", "1")) is None
    assert await wire.cloud.model(ModelRef("azureml-meta", "x", "..")) is None
    assert len(wire.script.asked) == 2


@pytest.mark.parametrize(
    "broken",
    [
        {"primaryRegionResourceProviderUri": None},
        {"subscriptionId": 7},
        {"resourceGroup": ""},
        {"primaryRegionResourceProviderUri": "http://localhost/"},
        {"primaryRegionResourceProviderUri": "https://someone@localhost/"},
        {"primaryRegionResourceProviderUri": "https://localhost:99999/"},
        {"primaryRegionResourceProviderUri": "https://[::1/"},
        {"primaryRegionResourceProviderUri": "nowhere"},
        {"primaryRegionResourceProviderUri": "https://localhost/?to=models"},
    ],
)
async def test_a_discovery_that_leads_nowhere_is_unreadable(
    wire: Wire, broken: dict[str, Any]
) -> None:
    wire.script.will(place(wire, **broken))
    with pytest.raises(CloudError) as caught:
        await wire.cloud.model(LLAMA)
    assert caught.value.fault.code == "UnreadableAnswer"
    assert len(wire.script.asked) == 1


@pytest.mark.parametrize(
    ("discovery", "where", "followed"),
    [
        ("https://eastus.api.azureml.ms", "https://cert-eastus2.experiments.azureml.net/", True),
        ("https://eastus.api.azureml.ms", "https://azureml.net.example/", False),
        ("https://eastus.api.azureml.ms", "https://mine.eastus.cloudapp.azure.com/", False),
        ("https://usgovarizona.api.ml.azure.us", "https://virginia.api.ml.azure.us/", True),
        ("https://usgovarizona.api.ml.azure.us", "https://localhost/", False),
        ("https://localhost:8443", "https://registries.internal:444/", True),
    ],
)
def test_microsofts_discovery_may_lead_to_microsofts_hosts_alone(
    discovery: str, where: str, followed: bool
) -> None:
    if followed:
        assert data_plane(where, discovery) == f"{where}mferp/managementfrontend"
        return
    with pytest.raises(CloudError) as caught:
        data_plane(where, discovery)
    assert caught.value.fault.code == "ForeignAddress"


def test_bodies_that_hold_anything_are_read_as_absent() -> None:
    bodies: list[dict[str, Any]] = [
        {},
        {"id": 7, "name": None, "properties": []},
        {"properties": {"tags": "x"}},
    ]
    for body in bodies:
        found = parse(body, LLAMA)
        assert found.ref == LLAMA
        assert found.tags == {}
    odd = parse({"properties": {"tags": {"a": None, "b": 2}}}, LLAMA)
    assert odd.tags == {"a": "", "b": "2"}


async def test_a_model_outside_of_registries_is_nobodys(wire: Wire) -> None:
    assert await Registries(wire.arm).model(ModelRef("", "azureml:mine:1")) is None
    assert wire.script.asked == []


NOT_ITS_WORD = [
    Answer(404),
    Answer(404, b"<html><h1>404 Not Found</h1></html>", {"Content-Type": "text/html"}),
    Answer(404, {"detail": "Not Found"}),
    Answer(404, {"statusCode": 404, "message": "Resource not found"}),
    refusal(404, "RegistryNotFound"),
    refusal(404, "InvalidResourceType"),
    refusal(404, "UserError", "Registry azureml-meta not found"),
]


@pytest.mark.parametrize("absent", NOT_ITS_WORD)
@pytest.mark.parametrize("number", [None, "9"])
async def test_a_404_that_is_not_about_the_model_does_not_say_that_there_is_none(
    wire: Wire, absent: Answer, number: str | None
) -> None:
    wire.script.will(place(wire), absent)
    with pytest.raises(CloudError) as caught:
        await wire.cloud.model(ModelRef(LLAMA.registry, LLAMA.name, number))
    assert caught.value.fault.status == 404
    assert caught.value.fault.resource == (f"{LLAMA.id}/versions/9" if number else LLAMA.id)


@pytest.mark.parametrize(
    "page",
    [{}, {"value": None}, {"value": "x"}, {"value": ["x"]}, {"value": [{"properties": {"a": 1}}]}],
)
async def test_a_page_that_names_no_version_is_unreadable(wire: Wire, page: dict[str, Any]) -> None:
    wire.script.will(place(wire), Answer(body=page))
    with pytest.raises(CloudError) as caught:
        await wire.cloud.model(LLAMA)
    assert caught.value.fault.code == "UnreadableAnswer"
    assert "/subscriptions/" not in caught.value.fault.message


async def test_a_version_without_anything_in_it_is_unreadable(wire: Wire) -> None:
    wire.script.will(place(wire), Answer(body={}))
    with pytest.raises(CloudError) as caught:
        await wire.cloud.model(ModelRef(LLAMA.registry, LLAMA.name, "9"))
    assert caught.value.fault.code == "UnreadableAnswer"


async def test_of_one_version_that_was_asked_for_no_further_page_is_read(wire: Wire) -> None:
    more = f"{wire.script.url}/more"
    wire.script.will(place(wire), Answer(body={"value": [version("9")], "nextLink": more}))
    found = await wire.cloud.model(LLAMA)
    assert found is not None
    assert found.ref.version == "9"
    assert len(wire.script.asked) == 2


def made(number: str, day: int) -> dict[str, Any]:
    return version(number) | {"systemData": {"createdAt": f"2025-01-{day:02}T00:00:00Z"}}


@pytest.mark.parametrize(
    ("pages", "newest"),
    [
        ([[version("1"), version("2"), version("10")]], "10"),
        ([[made("1", 1), made("2", 20), made("10", 3)]], "2"),
        ([[version("1"), version("2")], [version("3")]], "3"),
        ([[], [version("4")]], "4"),
    ],
)
async def test_a_registry_that_does_not_heed_the_order_is_read_whole(
    wire: Wire, pages: list[list[dict[str, Any]]], newest: str
) -> None:
    links = [f"{wire.script.url}/page-{n}" for n in range(1, len(pages))]
    answers = [
        Answer(body={"value": page, "nextLink": link})
        for page, link in zip(pages, [*links, None], strict=True)
    ]
    wire.script.will(place(wire), *answers)
    found = await wire.cloud.model(LLAMA)
    assert found is not None
    assert found.ref.version == newest


async def test_a_list_of_names_is_followed_by_the_version_itself(wire: Wire) -> None:
    whole = version("9", InferenceRetirementDate="2026-01-01")
    wire.script.will(place(wire), Answer(body={"value": [{"name": "9"}]}), Answer(body=whole))
    found = await wire.cloud.model(LLAMA)
    assert found is not None
    assert str(found.retirement) == "2026-01-01"
    assert wire.script.asked[-1].path == f"{PLANE}/models/{LLAMA.name}/versions/9"


async def test_what_is_called_something_else_keeps_the_name_that_was_asked_for(wire: Wire) -> None:
    other = version("9") | {"id": "azureml://registries/other/models/Other/versions/9"}
    wire.script.will(place(wire), Answer(body={"value": [other]}))
    found = await wire.cloud.model(LLAMA)
    assert found is not None
    assert found.ref.versioned_id == f"{LLAMA.id}/versions/9"


@pytest.mark.parametrize("hanging", ["/discovery", "/versions"])
async def test_a_registry_that_never_ends_its_answer_is_given_up(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, hanging: str
) -> None:
    monkeypatch.setattr("provisioner.azure.registry._LONGEST", 0.2)

    async def handler(asked: Asked) -> Answer:
        if asked.path.endswith(hanging):
            await asyncio.sleep(5)
        return place(wire)

    wire.script.handler = handler
    with pytest.raises(CloudError) as caught:
        await asyncio.wait_for(wire.cloud.model(LLAMA), 3)
    assert caught.value.fault.status == 0
    assert str(caught.value.fault.resource).startswith("azureml://registries/azureml-meta")


def listed(wire: Wire, **changes: Any) -> Callable[[Asked], Answer]:
    """A registry of two models; `changes` are its page's."""
    two: list[dict[str, Any]] = [
        {"id": f"azureml://registries/r/models/{name}", "name": name, "properties": {}}
        for name in ("One", "Two")
    ]

    def handler(asked: Asked) -> Answer:
        if asked.path.endswith("/discovery"):
            return place(wire)
        return Answer(body={"value": two} | changes)

    return handler


async def test_the_models_of_a_registry_are_listed(wire: Wire) -> None:
    wire.script.handler = listed(wire)
    assert await wire.cloud.models("azureml-meta") == ["One", "Two"]


async def test_a_list_does_not_lead_to_another_host(wire: Wire) -> None:
    wire.script.handler = listed(wire, nextLink="https://evil.example/next")
    with pytest.raises(CloudError, match="another host"):
        await wire.cloud.models("azureml-meta")


async def test_a_registry_that_is_not_found_is_not_looked_for_in_a_thread(wire: Wire) -> None:
    wire.script.will(Answer(404))
    with pytest.raises(CloudError) as caught:
        await wire.cloud.models("azureml-meta")
    assert caught.value.fault.resource == "azureml://registries/azureml-meta"
    assert len(wire.script.asked) == 1
