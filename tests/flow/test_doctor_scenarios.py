"""What would fail in the middle of an apply is found before its first write, and only that.

Each scene stands beside its neighbour, which differs in one thing and in which no check may say no;
tests/flow/scenes.py plays them. Longer than other modules because it is a list.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flow.scenes import (
    READER,
    Scene,
    Theatre,
    cores,
    in_second,
    locked,
    managed,
    managed_set,
    opened,
    second_workspace,
    serverless,
    tenant,
    two_workspaces,
)

pytestmark = pytest.mark.slow

SCENES = [
    Scene("good order, serverless", tenant(), serverless(), None),
    Scene("good order, managed", tenant(), managed(), None),
    Scene(
        "free trial",
        tenant(quotaId="FreeTrial_2014-09-01"),
        serverless(),
        "preflight.free-subscription",
    ),
    Scene(
        "students' starter",
        tenant(quotaId="DreamSpark_2015-02-01"),
        serverless("azureml/Phi-4"),
        "preflight.free-subscription",
    ),
    Scene(
        "directory alone, without a way to pay",
        tenant(quotaId="AAD_2015-09-01"),
        serverless("azureml/Phi-4"),
        "preflight.free-subscription",
    ),
    Scene("free trial, managed", tenant(quotaId="FreeTrial_2014-09-01"), managed(), None),
    Scene(
        "spending limit",
        tenant(spendingLimit="On"),
        serverless(),
        "preflight.spending-limit",
    ),
    Scene(
        "spending limit, nothing to buy",
        tenant(spendingLimit="On"),
        serverless("azureml/Phi-4"),
        None,
    ),
    Scene(
        "spending limit of the period only",
        tenant(spendingLimit="CurrentPeriodOff"),
        serverless(),
        None,
    ),
    Scene("disabled", tenant(state="Disabled"), serverless(), "preflight.subscription-state"),
    Scene(
        "warned",
        tenant(state="Warned"),
        serverless("azureml/Phi-4"),
        "preflight.subscription-state",
        says=("nothing can be made or changed", "Cost Management + Billing"),
    ),
    Scene(
        "past due",
        tenant(state="PastDue"),
        serverless(),
        None,
        warns="preflight.subscription-state",
    ),
    Scene(
        "provider not registered",
        tenant(registeredProviders=["Microsoft.SaaS", "Microsoft.MarketplaceOrdering"]),
        managed(),
        "preflight.provider-not-registered",
    ),
    Scene(
        "SaaS not registered",
        tenant(registeredProviders=["Microsoft.MachineLearningServices"]),
        serverless(),
        None,
    ),
    Scene(
        "SaaS not registered, nothing to buy",
        tenant(registeredProviders=["Microsoft.MachineLearningServices"]),
        serverless("azureml/Phi-4"),
        None,
    ),
    Scene(
        "region of the model",
        tenant({"location": "westeurope"}),
        serverless(),
        "preflight.model-region",
        region="westeurope",
    ),
    Scene(
        "another region of the model",
        tenant({"location": "swedencentral"}),
        serverless(),
        None,
        region="swedencentral",
    ),
    Scene(
        "workspace that is not there",
        tenant({"name": "mlw-other"}),
        serverless(),
        "preflight.workspace-missing",
    ),
    Scene(
        "managed network not ready",
        tenant({"managedNetwork": {"isolationMode": "AllowInternetOutbound"}}),
        managed(),
        "preflight.managed-network",
    ),
    Scene(
        "managed network ready",
        tenant({"managedNetwork": {"isolationMode": "AllowInternetOutbound", "status": "Active"}}),
        managed(),
        None,
    ),
    Scene(
        "retired",
        tenant(),
        serverless("azureml-meta/Meta-Llama-3.1-8B-Instruct"),
        "preflight.model-retired",
    ),
    Scene(
        "version that is not there",
        tenant(),
        managed(model="azureml/Phi-4/versions/99"),
        "preflight.model-missing",
    ),
    Scene("no version", tenant(), managed(model="azureml/Phi-4"), None),
    Scene(
        "instance type",
        tenant(),
        managed(", instanceType: Standard_DS3_v2"),
        "preflight.instance-type",
    ),
    Scene(
        "shared quota forbidden",
        tenant(),
        managed(
            ", instanceType: Standard_NC48ads_A100_v4, sharedQuota: true",
            "azureml-meta/Meta-Llama-3.1-70B/versions/2",
        ),
        "preflight.shared-quota",
    ),
    Scene("shared quota", tenant(), managed(", sharedQuota: true"), None),
    Scene(
        "one core too few",
        tenant(quotas=cores("73/96")),
        managed(),
        "preflight.quota-short",
    ),
    Scene("just enough cores", tenant(quotas=cores("72/96")), managed(), None),
    Scene(
        "no cores, shared quota",
        tenant(quotas=cores("0/0")),
        managed(", sharedQuota: true"),
        None,
    ),
    Scene(
        "reserve of 20 %",
        tenant(quotas=cores("0/24", "standardNCSv3Family")),
        managed(", instanceType: Standard_NC24s_v3"),
        "preflight.quota-short",
    ),
    Scene(
        "room for the reserve",
        tenant(quotas=cores("0/48", "standardNCSv3Family")),
        managed(", instanceType: Standard_NC24s_v3"),
        None,
    ),
    Scene(
        "two of one model",
        tenant(),
        serverless() + serverless(name="llama-b"),
        "preflight.one-per-model",
    ),
    Scene("reader", tenant(), serverless(), "preflight.rights-missing", who=READER),
    Scene(
        "read-only lock",
        tenant(group=locked("ReadOnly")),
        serverless(),
        "preflight.locked",
    ),
    Scene("delete lock", tenant(group=locked("CanNotDelete")), serverless(), None),
    Scene(
        "delete lock, destroying",
        tenant(group=locked("CanNotDelete")),
        serverless("azureml/Phi-4"),
        "preflight.locked",
        first=serverless("azureml/Phi-4"),
        destroys=True,
    ),
    Scene(
        "destroying",
        tenant(),
        serverless("azureml/Phi-4"),
        None,
        first=serverless("azureml/Phi-4"),
        destroys=True,
    ),
    Scene(
        "21 deployments of one endpoint",
        tenant(quotas=cores("0/999")),
        managed_set(range(21)),
        "preflight.too-many",
        first=managed_set(range(20)),
    ),
    Scene(
        "20 deployments of one endpoint",
        tenant(quotas=cores("0/999")),
        managed_set(range(20)),
        None,
        first=managed_set(range(19)),
    ),
    Scene(
        "scaling beyond the quota",
        tenant(quotas=cores("48/96")),
        managed().replace("instanceCount: 1", "instanceCount: 3"),
        "preflight.quota-short",
        first=managed(),
    ),
    Scene(
        "scaling within the quota",
        tenant(quotas=cores("48/96")),
        managed().replace("instanceCount: 1", "instanceCount: 2"),
        None,
        first=managed(),
    ),
    Scene(
        "name that another workspace has",
        two_workspaces("eastus2"),
        second_workspace("eastus2") + serverless("azureml/Phi-4") + in_second(3, "Phi-4", "next"),
        "preflight.name-clash",
        first=second_workspace("eastus2") + in_second(2, "Phi-4-mini-instruct", "llama"),
    ),
    Scene(
        "name that another workspace has in another region",
        two_workspaces("westus3"),
        second_workspace("westus3") + serverless("azureml/Phi-4") + in_second(3, "Phi-4", "next"),
        None,
        first=second_workspace("westus3") + in_second(2, "Phi-4-mini-instruct", "llama"),
    ),
    Scene(
        "name that a workspace has which no manifest names",
        two_workspaces("eastus2"),
        serverless("azureml/Phi-4"),
        "preflight.name-clash",
        first=second_workspace("eastus2") + in_second(0, "Phi-4", "llama"),
        says=("by the workspace mlw-second", "choose another endpointName"),
    ),
    Scene(
        "name that such a workspace has in another region",
        two_workspaces("westus3"),
        serverless("azureml/Phi-4"),
        None,
        first=second_workspace("westus3") + in_second(0, "Phi-4", "llama"),
    ),
    Scene(
        "endpoint that moves to another workspace",
        two_workspaces("eastus2"),
        second_workspace("eastus2") + serverless("azureml/Phi-4"),
        None,
        first=second_workspace("eastus2") + in_second(1, "Phi-4", "llama"),
        prunes=True,
    ),
    Scene(
        "managed endpoint that moves to another workspace",
        two_workspaces("eastus2"),
        second_workspace("eastus2") + managed(),
        None,
        first=second_workspace("eastus2") + managed().replace("ml-prod", "ml-second"),
        prunes=True,
    ),
    Scene(
        "another name for the one endpoint of a model",
        tenant(),
        serverless("azureml/Phi-4", "other"),
        "preflight.one-per-model",
        first=serverless("azureml/Phi-4"),
    ),
    Scene(
        "another name for the one endpoint of a model, pruning",
        tenant(),
        serverless("azureml/Phi-4", "other"),
        None,
        first=serverless("azureml/Phi-4"),
        prunes=True,
    ),
    Scene("no consent", tenant(), serverless(), "preflight.consent-missing", accept=False),
]


@pytest.fixture(scope="module")
def theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    with opened(tmp_path_factory.mktemp("doctor"), SCENES) as found:
        yield found


@pytest.mark.parametrize("scene", SCENES, ids=str)
def test_scene(
    scene: Scene, theatre: Theatre, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theatre.play(scene, tmp_path, monkeypatch)
