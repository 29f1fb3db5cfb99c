"""The adapter against the emulator, over TLS: the whole life of both targets."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import aiohttp
import pytest

from provisioner.azure import Patience, Settings, connect
from provisioner.azure.adapter import AzureCloud
from provisioner.emulator import control
from provisioner.errors.cloud import CloudError, Verdict
from provisioner.resources import (
    SHARED_CAPACITY,
    TAG_STACK,
    AgreementId,
    AnyLive,
    ContentSafety,
    DataCollection,
    KeyName,
    Kind,
    Live,
    MarketplacePlan,
    MarketplaceSubscription,
    ModelRef,
    OnlineDeployment,
    OnlineEndpoint,
    RequestSettings,
    ResourceId,
    Secret,
    ServerlessEndpoint,
    State,
    WorkspaceId,
)

SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
WORKSPACE = WorkspaceId(SUBSCRIPTION, "rg-ml-prod", "mlw-prod")
LLAMA = ModelRef.parse("azureml-meta/Llama-3.3-70B-Instruct")
SMALL = ModelRef("azureml-meta", "Meta-Llama-3.1-8B-Instruct", "4")
QUICK = """\
durations: {subscription: 150ms, serverlessEndpoint: 150ms, onlineEndpoint: 150ms,
            deployment: 300ms, scale: 100ms, update: 100ms, delete: 100ms}
"""
LOSSES = {
    "faults": [
        {"operation": "onlineEndpoints.*", "every": 5, "fail": {"status": 503}},
        {"operation": "onlineEndpoints.*", "every": 7, "drop": "after"},
        {"operation": "onlineEndpoints.*", "every": 6, "drop": "before"},
        {"operation": "*.listKeys", "times": 2, "throttle": {"retryAfter": "1s"}},
    ]
}


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Iterator[control.Record]:
    folder = tmp_path_factory.mktemp("emulator")
    scenario = folder / "scenario.yaml"
    scenario.write_text(QUICK, encoding="utf-8")
    record = asyncio.run(control.start(folder, scenario=scenario))
    yield record
    asyncio.run(control.stop(folder))


@pytest.fixture(scope="module")
def settings(record: control.Record) -> Settings:
    return Settings(
        arm_endpoint=record.url,
        authority=record.url,
        ca_bundle=Path(record.ca_bundle),
        emulator=True,
        tenant_id=record.tenant_id,
        client_id=record.client_id,
        client_secret=Secret(record.client_secret),
    )


@pytest.fixture
async def cloud(settings: Settings) -> AsyncIterator[AzureCloud]:
    async with connect(settings) as cloud:
        yield cloud


async def settled(cloud: AzureCloud, id: ResourceId) -> AnyLive | None:
    """The resource once nothing is in progress; None when it is gone."""
    async with asyncio.timeout(20):
        live = await cloud.get(id)
        while live is not None and live.state.in_progress:
            await asyncio.sleep(0.05)
            live = await cloud.get(id)
        return live


async def test_the_facts_above_a_workspace(cloud: AzureCloud) -> None:
    facts = await cloud.subscription(SUBSCRIPTION)
    assert (facts.state, facts.quota_id) == ("Enabled", "PayAsYouGo_2014-09-01")
    assert facts in await cloud.subscriptions()
    provider = await cloud.provider(SUBSCRIPTION, "Microsoft.MachineLearningServices")
    assert provider.registration == "Registered"
    assert "eastus2" in provider.locations["workspaces"]
    workspace = await cloud.workspace(WORKSPACE)
    assert workspace is not None
    assert workspace.region == "eastus2"
    assert workspace in await cloud.workspaces(SUBSCRIPTION)
    assert await cloud.workspace(WorkspaceId(SUBSCRIPTION, "rg-ml-prod", "none")) is None
    assert await cloud.locks(WORKSPACE.arm_id) == []
    families = {usage.id: usage for usage in await cloud.usages(SUBSCRIPTION, "East US 2")}
    assert families["standardNCADSA100v4Family"].limit == 192
    sizes = {size.name: size for size in await cloud.vm_sizes(SUBSCRIPTION, "eastus2")}
    assert sizes["Standard_NC24ads_A100_v4"].vcpus == 24


async def test_rights_at_each_scope(cloud: AzureCloud) -> None:
    for scope in (WORKSPACE.group_scope, WORKSPACE.arm_id):
        granted = await cloud.permissions(scope)
        assert granted is not None
        assert any("*" in permission.actions for permission in granted)


async def test_an_unknown_azure_subscription_is_an_error(cloud: AzureCloud) -> None:
    with pytest.raises(CloudError) as caught:
        await cloud.workspaces("00000000-1111-1111-1111-111111111111")
    assert caught.value.verdict is Verdict.NEEDS_USER
    assert caught.value.fault.correlation_id


async def test_the_models_of_a_registry(cloud: AzureCloud) -> None:
    before = os.environ.get("AZUREML_CURRENT_CLOUD")
    latest, pinned, absent = await asyncio.gather(
        cloud.model(LLAMA), cloud.model(SMALL), cloud.model(ModelRef("azureml-meta", "None-8B"))
    )
    assert latest is not None
    assert latest.ref.version
    assert latest.skus
    assert latest.task == "chat-completion"
    assert pinned is not None
    assert pinned.ref == SMALL
    assert absent is None
    assert "Llama-3.3-70B-Instruct" in await cloud.models("azureml-meta")
    with pytest.raises(CloudError):
        await cloud.models("no-such-registry")
    assert os.environ.get("AZUREML_CURRENT_CLOUD") == before


async def test_the_life_of_a_serverless_endpoint(cloud: AzureCloud) -> None:
    subscription = MarketplaceSubscription(
        ResourceId(WORKSPACE, Kind.MARKETPLACE_SUBSCRIPTION, "llama-33-sub"), LLAMA
    )
    await cloud.put(subscription)
    subscribed = await settled(cloud, subscription.id)
    assert subscribed is not None
    assert subscribed.condition == "Subscribed"
    assert subscribed.plan is not None
    agreement = AgreementId(SUBSCRIPTION, subscribed.plan)
    await cloud.sign(agreement)
    await cloud.sign(agreement)
    terms = await cloud.agreement(agreement)
    assert terms is not None
    assert terms.accepted
    assert terms.links["terms"].startswith("https://")
    unknown = AgreementId(SUBSCRIPTION, MarketplacePlan("x", "y", "z"))
    assert await cloud.agreement(unknown) is None

    endpoint = ServerlessEndpoint(
        ResourceId(WORKSPACE, Kind.SERVERLESS_ENDPOINT, "llama-33"),
        "eastus2",
        LLAMA,
        tags={TAG_STACK: "one"},
    )
    await cloud.put(endpoint)
    ready = await settled(cloud, endpoint.id)
    assert ready is not None
    assert ready.resource == endpoint
    assert ready.url
    assert [live.id for live in await cloud.serverless_endpoints(WORKSPACE)] == [endpoint.id]

    keys = await cloud.keys(endpoint.id)
    await cloud.regenerate_key(endpoint.id, KeyName.SECONDARY)
    rotated = await cloud.keys(endpoint.id)
    assert rotated.primary == keys.primary
    assert rotated.secondary != keys.secondary

    changed = dataclasses.replace(
        endpoint, tags={TAG_STACK: "two"}, content_safety=ContentSafety.DISABLED
    )
    await cloud.update(changed, frozenset({"tags", "content_safety"}))
    after = await settled(cloud, endpoint.id)
    assert after is not None
    assert after.resource == changed

    for id in (endpoint.id, subscription.id):
        await cloud.delete(id)
        assert await settled(cloud, id) is None
        await cloud.delete(id)


async def test_the_life_of_a_managed_deployment(cloud: AzureCloud) -> None:
    endpoint = OnlineEndpoint(
        ResourceId(WORKSPACE, Kind.ONLINE_ENDPOINT, "llama-8b"),
        "eastus2",
        properties={SHARED_CAPACITY: "true"},
        tags={TAG_STACK: "one"},
    )
    await cloud.put(endpoint)
    created = await settled(cloud, endpoint.id)
    assert created is not None
    assert created.url
    deployment = OnlineDeployment(
        ResourceId(WORKSPACE, Kind.ONLINE_DEPLOYMENT, "blue", "llama-8b"),
        "eastus2",
        SMALL,
        "Standard_NC24ads_A100_v4",
        1,
        request_settings=RequestSettings(90),
        data_collection=DataCollection(inputs=True, outputs=True, sampling_rate=0.1),
        tags={TAG_STACK: "one"},
    )
    await cloud.put(deployment)
    deployed = await settled(cloud, deployment.id)
    assert deployed is not None
    assert deployed.state is State.SUCCEEDED
    assert await cloud.explain(deployment.id) is None
    assert await cloud.logs(deployment.id, "InferenceServer")

    await cloud.update(dataclasses.replace(endpoint, traffic={"blue": 100}), frozenset({"traffic"}))
    routed = await settled(cloud, endpoint.id)
    assert routed is not None
    assert isinstance(routed.resource, OnlineEndpoint)
    assert routed.resource.traffic == {"blue": 100}
    assert routed.resource.shared_quota

    scaled = dataclasses.replace(deployment, instance_count=2)
    await cloud.update(scaled, frozenset({"instance_count"}))
    await settled(cloud, deployment.id)
    (found,) = await cloud.online_deployments(endpoint.id)
    assert found.resource.instance_count == 2
    assert found.resource.data_collection == deployment.data_collection
    assert (await cloud.keys(endpoint.id)).primary is not None
    tagged = await cloud.tagged(SUBSCRIPTION, TAG_STACK)
    assert {id.lower() for id in tagged} >= {endpoint.id.key}
    placed = await cloud.placed(SUBSCRIPTION, [endpoint.id.kind])
    assert (endpoint.id, endpoint.location) in {(one.id, one.region) for one in placed}

    await cloud.update(dataclasses.replace(endpoint, traffic={}), frozenset({"traffic"}))
    await settled(cloud, endpoint.id)
    for id in (deployment.id, endpoint.id):
        await cloud.delete(id)
        assert await settled(cloud, id) is None
    assert await cloud.online_deployments(endpoint.id) == []


@pytest.fixture
async def admin(record: control.Record) -> AsyncIterator[aiohttp.ClientSession]:
    """The emulator's own operations; its faults are cleared at the end."""
    context = ssl.create_default_context(cafile=record.ca_bundle)
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(record.url, connector=connector) as admin:
        yield admin
        await admin.delete("/emulator/faults")


async def quiet(cloud: AzureCloud) -> Sequence[Live[OnlineEndpoint]]:
    """The workspace's online endpoints once nothing is in progress; one list a look."""
    async with asyncio.timeout(20):
        found = await cloud.online_endpoints(WORKSPACE)
        while any(live.state.in_progress for live in found):
            await asyncio.sleep(0.1)
            found = await cloud.online_endpoints(WORKSPACE)
        return found


async def test_losses_and_refusals_leave_one_of_everything(
    settings: Settings, admin: aiohttp.ClientSession
) -> None:
    """Requests fail, and answers are lost after the service acted: each endpoint is made once."""
    hasty = dataclasses.replace(settings, patience=Patience(attempts=12, first_delay=0.02))
    async with connect(hasty) as cloud:
        await storm(cloud, admin)


async def storm(cloud: AzureCloud, admin: aiohttp.ClientSession) -> None:
    wishes = [
        OnlineEndpoint(ResourceId(WORKSPACE, Kind.ONLINE_ENDPOINT, f"storm-{number}"), "eastus2")
        for number in range(20)
    ]
    async with admin.post("/emulator/faults", json=LOSSES) as answer:
        assert answer.status == 200, await answer.text()
    await asyncio.gather(*(cloud.put(wish) for wish in wishes))
    found = await quiet(cloud)
    assert sorted(live.id.name for live in found) == sorted(wish.id.name for wish in wishes)
    assert all(live.state is State.SUCCEEDED for live in found)
    assert (await cloud.keys(wishes[0].id)).primary is not None
    async with admin.get("/emulator/faults") as answer:
        struck = [fault["struck"] for fault in (await answer.json())["faults"]]
    assert all(count > 0 for count in struck), "every kind of fault struck"
    await asyncio.gather(*(cloud.delete(wish.id) for wish in wishes))
    assert await quiet(cloud) == []


async def test_a_burst_beyond_the_bucket_meets_no_429(
    cloud: AzureCloud, admin: aiohttp.ClientSession
) -> None:
    """The service counts 250 reads; we keep to that by ourselves."""
    await asyncio.sleep(1)  # what earlier tests took comes back; this client does not know of it
    await admin.delete("/emulator/requests")
    await asyncio.gather(*(cloud.workspace(WORKSPACE) for _ in range(290)))
    async with admin.get("/emulator/requests", params={"limit": "10000"}) as answer:
        log = (await answer.json())["requests"]
    statuses = [line["status"] for line in log if "/workspaces/" in line["path"]]
    assert set(statuses) == {200}
    assert len(statuses) == 290, [line for line in log if line["path"] != WORKSPACE.arm_id]


async def test_a_broken_registry_discovery_is_a_cloud_error(
    cloud: AzureCloud, admin: aiohttp.ClientSession
) -> None:
    fault = {"operation": "*", "path": "*/registrymanagement/*", "fail": {"status": 400}}
    await admin.post("/emulator/faults", json={"faults": [fault]})
    with pytest.raises(CloudError) as caught:
        await cloud.model(LLAMA)
    assert caught.value.fault.status == 400
    await admin.delete("/emulator/faults")
    assert await cloud.model(LLAMA) is not None
