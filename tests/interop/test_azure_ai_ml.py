"""azure-ai-ml, unmodified, against the emulator: what its users call."""

from __future__ import annotations

import json
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential

from provisioner.emulator.control import Record

with warnings.catch_warnings():  # what its import deprecates is its own to mend
    warnings.simplefilter("ignore")
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import (
        ManagedOnlineDeployment,
        ManagedOnlineEndpoint,
        MarketplaceSubscription,
        ServerlessEndpoint,
    )

LLAMA = "azureml://registries/azureml-meta/models/Llama-3.3-70B-Instruct"
SMALL = "azureml://registries/azureml-meta/models/Meta-Llama-3.1-8B-Instruct/versions/4"
SIZE = "Standard_NC24ads_A100_v4"


@pytest.fixture(scope="module")
def ml(emulator: Record, credential: ClientSecretCredential) -> MLClient:
    """A client that finds its cloud through ARM_CLOUD_METADATA_URL, by the name it has there."""
    return MLClient(
        credential,
        emulator.subscription_id,
        "rg-ml-prod",
        "mlw-prod",
        cloud="AzureEmulator",
        polling_interval=1,
        enable_telemetry=False,
    )


def test_workspaces(ml: MLClient) -> None:
    workspace = ml.workspaces.get("mlw-prod")
    assert (workspace.name, workspace.location) == ("mlw-prod", "eastus2")
    assert "mlw-prod" in [each.name for each in ml.workspaces.list()]
    with pytest.raises(ResourceNotFoundError):
        ml.workspaces.get("mlw-nowhere")


def test_serverless_from_the_subscription_to_the_keys(ml: MLClient) -> None:
    subscription = ml.marketplace_subscriptions.begin_create_or_update(
        MarketplaceSubscription(name="llama-interop", model_id=LLAMA)
    ).result()
    assert subscription.status == "subscribed"
    assert subscription.provisioning_state == "succeeded"
    assert subscription.marketplace_plan.publisher_id == "metagenai"
    assert ml.marketplace_subscriptions.get("llama-interop").model_id == LLAMA
    assert "llama-interop" in [each.name for each in ml.marketplace_subscriptions.list()]

    made = ml.serverless_endpoints.begin_create_or_update(
        ServerlessEndpoint(name="interop-70b", model_id=LLAMA)
    ).result()
    assert made.provisioning_state == "succeeded"
    assert made.scoring_uri == f"{made.scoring_uri.rpartition('/')[0]}/interop-70b"
    assert ml.serverless_endpoints.get("interop-70b").model_id == LLAMA
    assert "interop-70b" in [each.name for each in ml.serverless_endpoints.list()]
    keys = ml.serverless_endpoints.get_keys("interop-70b")
    assert keys.primary_key != keys.secondary_key
    with pytest.raises(TypeError):
        # The SDK passes a name that its own generated client does not know (AZURE.md §19).
        ml.serverless_endpoints.begin_regenerate_keys("interop-70b", key_type="secondary")

    ml.serverless_endpoints.begin_delete("interop-70b").result()
    with pytest.raises(ResourceNotFoundError):
        ml.serverless_endpoints.get("interop-70b")
    ml.marketplace_subscriptions.begin_delete("llama-interop").result()
    with pytest.raises(ResourceNotFoundError):
        ml.marketplace_subscriptions.get("llama-interop")


def test_a_model_that_needs_no_subscription_says_so(ml: MLClient) -> None:
    phi = "azureml://registries/azureml/models/Phi-4"
    with pytest.raises(HttpResponseError, match="MarketplacePlanNotRequiredForModel"):
        ml.marketplace_subscriptions.begin_create_or_update(
            MarketplaceSubscription(name="phi", model_id=phi)
        ).result()


def test_online_from_the_endpoint_to_an_answer(ml: MLClient, tmp_path: Path) -> None:
    made = ml.online_endpoints.begin_create_or_update(
        ManagedOnlineEndpoint(name="interop-8b", auth_mode="key", tags={"team": "search"})
    ).result()
    assert made.provisioning_state == "Succeeded"
    assert made.tags["team"] == "search"
    deployment = ml.online_deployments.begin_create_or_update(
        ManagedOnlineDeployment(
            name="blue",
            endpoint_name="interop-8b",
            model=SMALL,
            instance_type=SIZE,
            instance_count=1,
        )
    ).result()
    assert deployment.provisioning_state == "Succeeded"
    assert (deployment.instance_count, deployment.instance_type) == (1, SIZE)
    made.traffic = {"blue": 100}
    moved = ml.online_endpoints.begin_create_or_update(made).result()
    assert moved.traffic == {"blue": 100}
    assert ml.online_endpoints.get("interop-8b").traffic == {"blue": 100}
    assert [each.name for each in ml.online_endpoints.list()] == ["interop-8b"]
    assert [each.name for each in ml.online_deployments.list("interop-8b")] == ["blue"]

    question = tmp_path / "question.json"
    question.write_text(json.dumps({"input_data": {"input_string": ["What is Azure?"]}}))
    answer = ml.online_endpoints.invoke("interop-8b", request_file=str(question))
    assert "emulator" in json.loads(answer)[0]["0"]
    logs = ml.online_deployments.get_logs("blue", "interop-8b", lines=20)
    assert isinstance(logs, str)

    keys = ml.online_endpoints.get_keys("interop-8b")
    ml.online_endpoints.begin_regenerate_keys("interop-8b", key_type="secondary").result()
    again = ml.online_endpoints.get_keys("interop-8b")
    assert again.primary_key == keys.primary_key


def test_online_scale_out_and_delete(ml: MLClient) -> None:
    deployment = ml.online_deployments.get("blue", "interop-8b")
    deployment.instance_count = 2
    scaled = ml.online_deployments.begin_create_or_update(deployment).result()
    assert scaled.instance_count == 2
    assert usages(ml)["standardNCADSA100v4Family"]["currentValue"] == 48
    endpoint = ml.online_endpoints.get("interop-8b")
    endpoint.traffic = {"blue": 0}
    ml.online_endpoints.begin_create_or_update(endpoint).result()
    ml.online_deployments.begin_delete("blue", "interop-8b").result()
    with pytest.raises(ResourceNotFoundError):
        ml.online_deployments.get("blue", "interop-8b")
    ml.online_endpoints.begin_delete("interop-8b").result()
    with pytest.raises(ResourceNotFoundError):
        ml.online_endpoints.get("interop-8b")


def test_more_cores_than_the_quota_are_refused(ml: MLClient) -> None:
    ml.online_endpoints.begin_create_or_update(
        ManagedOnlineEndpoint(name="interop-quota", auth_mode="key")
    ).result()
    with pytest.raises(HttpResponseError, match="quota"):
        ml.online_deployments.begin_create_or_update(
            ManagedOnlineDeployment(
                name="blue",
                endpoint_name="interop-quota",
                model=SMALL,
                instance_type="Standard_ND96isr_H100_v5",
                instance_count=1,
            )
        ).result()
    ml.online_endpoints.begin_delete("interop-quota").result()


def test_compute_usage_and_sizes(ml: MLClient) -> None:
    assert usages(ml)["standardNCADSA100v4Family"]["limit"] == 192
    sizes = {size.name: vars(size) for size in ml.compute.list_sizes()}
    assert (sizes[SIZE]["vCPUs"], sizes[SIZE]["gpus"]) == (24, 1)


def usages(ml: MLClient) -> dict[str, dict[str, Any]]:
    """Usage by family. The SDK leaves the wire's names on its entities: `current_value` is never
    set and `currentValue` is."""
    return {usage.name["value"]: vars(usage) for usage in ml.compute.list_usage()}


def test_a_cloud_that_is_described_by_hand(
    emulator: Record, credential: ClientSecretCredential
) -> None:
    metadata = {
        "azure_portal": "https://portal.azure.com/",
        "resource_manager": f"{emulator.url}/",
        "active_directory": emulator.url,
        "aml_resource_id": "https://ml.azure.com",
        "storage_endpoint": "core.windows.net",
        "registry_discovery_endpoint": f"{emulator.url}/",
    }
    cloud: dict[str, Any] = {"cloud": f"ByHand{time.time_ns()}", "cloud_metadata": metadata}
    own = MLClient(credential, emulator.subscription_id, "rg-ml-prod", "mlw-prod", **cloud)
    assert own.workspaces.get("mlw-prod").location == "eastus2"


def test_registry_models_by_version_by_label_and_listed(credential: ClientSecretCredential) -> None:
    registry = MLClient(
        credential, registry_name="azureml-meta", cloud="AzureEmulator", enable_telemetry=False
    )
    by_version = registry.models.get("Llama-3.3-70B-Instruct", version="7")
    assert by_version.version == "7"
    by_label = registry.models.get("Llama-3.3-70B-Instruct", label="latest")
    assert by_label.version == "9"
    assert by_label.properties["SharedComputeCapacityEnabled"] == "true"
    names = [model.name for model in registry.models.list()]
    assert "Meta-Llama-3.1-8B-Instruct" in names
    versions = [m.version for m in registry.models.list(name="Meta-Llama-3.1-8B-Instruct")]
    assert sorted(versions) == ["1", "2", "3", "4", "5"]
    with pytest.raises((ResourceNotFoundError, HttpResponseError)):
        registry.models.get("Nothing", version="1")
