"""Where nothing can be made: feature stores, regions without the type, models that are closed."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioner.emulator.scenario import ScenarioError, parse
from tests.emulator.azure_client import (
    LLAMA,
    PHI,
    SMALL,
    SUB,
    WORKSPACE,
    azure,
    deployment,
    endpoint,
    error,
    serverless,
    subscription,
)

ONE = f"{WORKSPACE}/onlineEndpoints/managed"
MADE = (
    (f"{WORKSPACE}/serverlessEndpoints/phi", serverless(PHI)),
    (ONE, endpoint()),
    (f"{WORKSPACE}/marketplaceSubscriptions/llama", subscription(LLAMA)),
)
PROVIDER = f"{SUB}/providers/Microsoft.MachineLearningServices"


def tenant(workspace: str = "", subscription: str = "", more: str = "") -> str:
    return f"""
subscriptions:
  - id: 11111111-1111-1111-1111-111111111111
    name: One workspace
    quotas: {{"*": {{standardNCADSA100v4Family: 0/96, standardNCSv3Family: 0/96}}}}
    {subscription}
    resourceGroups:
      - name: rg-ml-prod
        location: eastus2
        workspaces: [{{name: mlw-prod, location: eastus2, {workspace}}}]
{more}
"""


@pytest.mark.parametrize("kind", ["Default", "Hub", "Project"])
async def test_workspaces_hubs_and_projects_host_endpoints(tmp_path: Path, kind: str) -> None:
    async with azure(tmp_path, tenant(f"kind: {kind}")) as client:
        for path, body in MADE:
            assert (await client.send("PUT", path, body)).status_code == 201


@pytest.mark.parametrize(("path", "body"), MADE)
async def test_a_feature_store_hosts_none(tmp_path: Path, path: str, body: object) -> None:
    async with azure(tmp_path, tenant("kind: FeatureStore")) as client:
        refused = await client.send("PUT", path, body)
        assert error(refused) == (400, "UserError")
        assert "kind 'FeatureStore'" in refused.json()["error"]["message"]
        listed = await client.get(path.rpartition("/")[0])
        assert listed["value"] == []


async def test_nothing_is_made_in_a_workspace_that_is_deleted(tmp_path: Path) -> None:
    async with azure(tmp_path, tenant("provisioningState: Deleting")) as client:
        for path, body in MADE:
            refused = await client.send("PUT", path, body)
            assert "'Deleting'" in refused.json()["error"]["message"]


async def test_a_type_is_made_only_where_the_provider_reports_it(tmp_path: Path) -> None:
    narrowed = (
        "resourceLocations: {workspaces/serverlessEndpoints: [westus3, eastus], "
        "workspaces/onlineEndpoints: [eastus2]}"
    )
    async with azure(tmp_path, tenant(subscription=narrowed)) as client:
        shown = await client.get(PROVIDER, "2022-12-01")
        places = {one["resourceType"]: one["locations"] for one in shown["resourceTypes"]}
        assert places["workspaces/serverlessEndpoints"] == ["East US", "West US 3"]
        assert places["workspaces/onlineEndpoints"] == ["East US 2"]
        assert "East US 2" in places["workspaces"]
        refused = await client.send("PUT", MADE[0][0], MADE[0][1])
        assert error(refused) == (400, "LocationNotAvailableForResourceType")
        assert "'eastus,westus3'" in refused.json()["error"]["message"]
        assert (await client.send("PUT", *MADE[1])).status_code == 201


async def test_deployments_have_regions_of_their_own(tmp_path: Path) -> None:
    narrowed = "resourceLocations: {workspaces/onlineEndpoints/deployments: [westus3]}"
    async with azure(tmp_path, tenant(subscription=narrowed)) as client:
        await client.do("PUT", ONE, endpoint())
        refused = await client.send("PUT", f"{ONE}/deployments/blue", deployment())
        assert error(refused) == (400, "LocationNotAvailableForResourceType")


def test_a_scenario_narrows_only_types_that_there_are() -> None:
    with pytest.raises(ScenarioError, match="resourceLocations has no 'workspaces/jobs'"):
        parse(tenant(subscription="resourceLocations: {workspaces/jobs: [eastus]}"))


CLOSING = """
models:
  - registry: azureml-meta
    name: Llama-3.2-1B-Instruct
    lifecycle: {deprecation: 2026-07-01}
clock: {start: 2026-06-30T12:00:00Z}
"""


async def test_a_deprecated_model_takes_no_new_managed_deployment(tmp_path: Path) -> None:
    async with azure(tmp_path, tenant(more=CLOSING)) as client:
        await client.do("PUT", ONE, endpoint())
        await client.do("PUT", f"{ONE}/deployments/blue", deployment())
        await client.advance("24h")
        refused = await client.send("PUT", f"{ONE}/deployments/green", deployment())
        assert error(refused) == (400, "UserError")
        assert refused.json()["error"]["message"].endswith(f"{SMALL} is not available.")
        scaled = await client.do("PUT", f"{ONE}/deployments/blue", deployment(2))
        assert scaled["status"] == "Succeeded"


UNLISTED = """
models:
  - registry: azureml
    name: No-List
    versions: ["1"]
    managed: {minSku: 24|4|400|64, instanceTypes: []}
"""


@pytest.mark.parametrize(
    ("size", "ends"),
    [("Standard_NC24ads_A100_v4", "Failed"), ("Standard_NC24s_v3", "Succeeded")],
)
async def test_where_no_sizes_are_listed_a_small_machine_fails_later(
    tmp_path: Path, size: str, ends: str
) -> None:
    async with azure(tmp_path, tenant(more=UNLISTED)) as client:
        await client.do("PUT", ONE, endpoint())
        model = "azureml://registries/azureml/models/No-List/versions/1"
        wanted = deployment(model=model, instanceType=size)
        status = await client.do("PUT", f"{ONE}/deployments/blue", wanted)
        assert status["status"] == ends
        shown = await client.get(f"{ONE}/deployments/blue")
        assert shown["properties"]["provisioningState"] == ends
        logs = await client.send("POST", f"{ONE}/deployments/blue/getLogs", {})
        assert ("4 GPUs" in logs.text) is (ends == "Failed")
