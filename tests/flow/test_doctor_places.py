"""Workspaces, regions, models and rights: what the emulator refuses, the check refuses before it.

Each scene stands beside its neighbour; tests/flow/scenes.py plays them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioner.preflight import Options
from tests.flow.scenes import (
    READER,
    Scene,
    Theatre,
    locked,
    managed,
    opened,
    serverless,
    subscription_of,
    tenant,
)

pytestmark = pytest.mark.slow

PHI = "azureml/Phi-4"
MINISTRAL = "azureml-mistral/Ministral-3B"
UNLISTED = "azureml/No-List/versions/1"
V100 = {"*": {"standardNCSv3Family": "0/96", "standardNCADSA100v4Family": "0/96"}}


def offered(kind: str, *regions: str) -> dict[str, Any]:
    return tenant(resourceLocations={kind: list(regions)})


def person(name: str) -> tuple[str, str]:
    """A principal of the scenario that has the role of the same name."""
    number = list(ROLES).index(name) + 1
    return f"cccccccc-0000-4000-8000-{number:012}", f"secret-of-{name}-for-the-emulator"


_ML = "Microsoft.MachineLearningServices"
ROLES: dict[str, dict[str, Any]] = {
    "wildcard": {"actions": [f"{_ML}/*"]},
    "no-purchases": {
        "actions": ["*"],
        "notActions": [
            f"{_ML}/workspaces/marketplaceSubscriptions/write",
            f"{_ML}/workspaces/marketplaceModelSubscriptions/write",
        ],
    },
    "one-spelling": {
        "actions": ["*"],
        "notActions": [f"{_ML}/workspaces/marketplaceModelSubscriptions/*"],
    },
    "documented-spelling": {
        "actions": [
            "Microsoft.MarketplaceOrdering/agreements/offers/plans/read",
            "Microsoft.MarketplaceOrdering/agreements/offers/plans/sign/action",
            "Microsoft.MarketplaceOrdering/offerTypes/publishers/offers/plans/agreements/read",
            "Microsoft.Marketplace/offerTypes/publishers/offers/plans/agreements/read",
            "Microsoft.SaaS/register/action",
            "Microsoft.SaaS/resources/read",
            "Microsoft.SaaS/resources/write",
            f"{_ML}/workspaces/read",
            f"{_ML}/workspaces/marketplaceModelSubscriptions/*",
            f"{_ML}/workspaces/serverlessEndpoints/*",
        ]
    },
}

SCENES = [
    # The workspace.
    Scene(
        "feature store, serverless",
        tenant({"kind": "FeatureStore"}),
        serverless(),
        "preflight.workspace-kind",
        says=("kind Default, Hub or Project",),
    ),
    Scene(
        "feature store, managed",
        tenant({"kind": "FeatureStore"}),
        managed(),
        "preflight.workspace-kind",
    ),
    Scene("hub", tenant({"kind": "Hub"}), serverless(), None),
    Scene("project", tenant({"kind": "Project"}), managed(), None),
    Scene(
        "workspace that is being deleted",
        tenant({"provisioningState": "Deleting"}),
        serverless(PHI),
        "preflight.workspace-not-ready",
    ),
    Scene(
        "workspace whose last operation failed",
        tenant({"provisioningState": "Failed"}),
        serverless(PHI),
        None,
        warns="preflight.workspace-not-ready",
    ),
    Scene(
        "workspace in another region than declared",
        tenant({"location": "westus3"}),
        serverless(PHI),
        "preflight.region-differs",
        says=("write region: westus3",),
    ),
    Scene("as declared", tenant({"location": "westus3"}), serverless(PHI), None, region="westus3"),
    # What the resource provider itself reports.
    Scene(
        "serverless endpoints elsewhere only",
        offered("workspaces/serverlessEndpoints", "westus3", "eastus"),
        serverless(),
        "preflight.provider-region",
        says=("eastus and westus3",),
    ),
    Scene(
        "serverless endpoints here too",
        offered("workspaces/serverlessEndpoints", "westus3", "eastus2"),
        serverless(),
        None,
    ),
    Scene(
        "serverless endpoints elsewhere, managed",
        offered("workspaces/serverlessEndpoints", "westus3"),
        managed(),
        None,
    ),
    Scene(
        "online endpoints elsewhere only",
        offered("workspaces/onlineEndpoints", "swedencentral"),
        managed(),
        "preflight.provider-region",
        says=("swedencentral",),
    ),
    Scene(
        "deployments elsewhere only",
        offered("workspaces/onlineEndpoints/deployments", "swedencentral"),
        managed(),
        "preflight.provider-region",
    ),
    # A region that Azure has added since the catalogue was made.
    Scene(
        "a region that the catalogue does not list",
        tenant({"location": "westeurope"}),
        serverless(MINISTRAL),
        "preflight.model-region",
        region="westeurope",
        says=("where Azure serves it in westeurope by now: --ignore-regions",),
        fails=False,
    ),
    Scene(
        "a region that the catalogue does not list, ignored",
        tenant({"location": "westeurope"}),
        serverless(MINISTRAL),
        None,
        region="westeurope",
        warns="preflight.model-region",
        ignores=Options(ignore_regions=True),
    ),
    Scene(
        "a region without the model, ignored",
        tenant({"location": "westeurope"}),
        serverless(),
        None,
        region="westeurope",
        warns="preflight.model-region",
        ignores=Options(ignore_regions=True),
        fails=True,
    ),
    # The model.
    Scene(
        "no such model",
        tenant(),
        serverless("azureml/No-Such-Model"),
        "preflight.model-missing",
        says=("provision models list",),
    ),
    Scene(
        "model that its registry no longer has",
        tenant(),
        serverless("azureml-cohere/cohere-command-a"),
        "preflight.model-missing",
        says=("in the catalogue of", "--ignore-lifecycle"),
    ),
    Scene(
        "another model of that registry",
        tenant(),
        serverless("azureml-cohere/Cohere-embed-v3-english"),
        None,
    ),
    Scene(
        "retired in its registry, not in the catalogue",
        tenant(),
        serverless("azureml-meta/Llama-3.2-3B-Instruct"),
        "preflight.model-retired",
        says=("retired since 2026-01-01", "--ignore-lifecycle"),
    ),
    Scene(
        "legacy in its registry, not in the catalogue",
        tenant(),
        serverless("azureml-meta/Llama-3.2-1B-Instruct"),
        None,
        warns="preflight.model-legacy",
    ),
    Scene(
        "deprecated, managed",
        tenant(),
        managed(model="azureml/Closed-Model/versions/1"),
        "preflight.model-retired",
        says=("--ignore-lifecycle",),
    ),
    Scene(
        "legacy, managed",
        tenant(),
        managed(model="azureml/Legacy-Model/versions/1"),
        None,
        warns="preflight.model-legacy",
    ),
    Scene(
        "too few GPUs",
        tenant(quotas=V100),
        managed(model=UNLISTED),
        "preflight.instance-type",
        says=("1 GPU where 4 are needed", "Standard_NC24s_v3"),
    ),
    Scene(
        "enough GPUs",
        tenant(quotas=V100),
        managed(", instanceType: Standard_NC24s_v3", UNLISTED),
        None,
    ),
    Scene(
        "instance type that is not there",
        tenant(),
        managed(", instanceType: Standard_NC999ads_A100_v4"),
        "preflight.instance-type-missing",
        says=("Standard_NC24ads_A100_v4",),
    ),
    Scene(
        "model without a serverless offer",
        tenant(),
        serverless("azureml-meta/Prompt-Guard-86M"),
        None,
        warns="preflight.model-target",
        fails=True,
        says=("use the target managedCompute",),
    ),
    Scene(
        "model that managed compute does not take",
        tenant(),
        managed(model="azureml-mistral/Mistral-Large-2411/versions/1"),
        None,
        warns="preflight.model-target",
        fails=True,
        says=("use the target serverless",),
    ),
    # Purchases that only the service can judge.
    Scene(
        "partner that sells nothing",
        tenant(quotaId="CSP_2015-05-01", offerRestrictions=[{"cause": "CspOptedOut"}]),
        serverless(),
        None,
        warns="preflight.purchase-doubtful",
        fails=True,
        says=("ask the partner",),
    ),
    Scene("partner that sells", tenant(quotaId="CSP_2015-05-01"), serverless(), None),
    # Rights.
    Scene(
        "machine learning only, nothing to buy",
        tenant(),
        serverless(PHI) + managed(),
        None,
        who=person("wildcard"),
    ),
    Scene(
        "machine learning only, to buy",
        tenant(),
        serverless(),
        "preflight.rights-missing",
        who=person("wildcard"),
        says=(
            "Microsoft.SaaS/register/action",
            "Microsoft.SaaS/resources/write",
            "not: workspaces/serverlessEndpoints",
            "provision role --assign-command",
        ),
    ),
    Scene(
        "machine learning only, bought before",
        tenant(),
        serverless().replace("{serverless: {}}", "{serverless: {endpointName: next-NUMBER}}"),
        None,
        who=person("wildcard"),
        first=serverless(),
        ignores=Options(ignore_limits=True),
        fails=True,  # a second endpoint of the model; its rights suffice
    ),
    Scene(
        "purchases taken away",
        tenant(),
        serverless(),
        "preflight.rights-missing",
        who=person("no-purchases"),
        says=("workspaces/marketplaceModelSubscriptions/write",),
    ),
    Scene(
        "purchases taken away, nothing to buy",
        tenant(),
        serverless(PHI),
        None,
        who=person("no-purchases"),
    ),
    Scene(
        "the documented spelling of the action",
        tenant(),
        serverless(),
        None,
        who=person("documented-spelling"),
    ),
    Scene(
        "one spelling of the action taken away",
        tenant(),
        serverless(),
        None,
        who=person("one-spelling"),
        warns="preflight.rights-doubtful",
        says=("marketplaceModelSubscriptions", "or neither"),
    ),
    Scene(
        "one spelling of the action taken away, nothing to buy",
        tenant(),
        serverless(PHI),
        None,
        who=person("one-spelling"),
    ),
    Scene("reader, nothing to do", tenant(), serverless(), None, who=READER, first=serverless()),
    # Locks.
    Scene(
        "read-only lock on the subscription",
        tenant(**locked("ReadOnly")),
        managed(),
        "preflight.locked",
        says=("az lock delete",),
    ),
    Scene(
        "read-only lock on the workspace",
        tenant(locked("ReadOnly")),
        serverless(),
        "preflight.locked",
    ),
]


def scenario() -> dict[str, Any]:
    """Principals with a role each, and models that have no entry in the catalogue."""
    a100 = {"minSku": "12|1|64|64", "instanceTypes": ["Standard_NC24ads_A100_v4"]}
    return {
        "models": [
            {
                "registry": "azureml-mistral",
                "name": "Ministral-3B",
                "serverless": {"regions": ["eastus2", "westeurope"]},
            },
            {
                "registry": "azureml",
                "name": "No-List",
                "managed": {"minSku": "24|4|400|64", "instanceTypes": []},
            },
            {
                "registry": "azureml",
                "name": "Closed-Model",
                "managed": a100,
                "lifecycle": {"deprecation": "2026-01-01", "retirement": "2099-01-01"},
            },
            {
                "registry": "azureml-meta",
                "name": "Llama-3.2-3B-Instruct",
                "lifecycle": {"deprecation": "2025-06-01", "retirement": "2026-01-01"},
            },
            {
                "registry": "azureml-meta",
                "name": "Llama-3.2-1B-Instruct",
                "lifecycle": {"legacy": "2026-01-01", "deprecation": "2099-01-01"},
            },
            {
                "registry": "azureml",
                "name": "Legacy-Model",
                "managed": a100,
                "lifecycle": {"legacy": "2026-01-01", "deprecation": "2099-01-01"},
            },
        ],
        "principals": [
            {
                "name": "provisioner-ci",
                "clientId": "bbbbbbbb-0000-4000-8000-000000000001",
                "secret": "emulator-only-secret",
            },
            {
                "name": "reader",
                "clientId": "bbbbbbbb-0000-4000-8000-000000000002",
                "secret": "emulator-reader-secret",
            },
            *(
                {"name": name, "clientId": person(name)[0], "secret": person(name)[1]}
                for name in ROLES
            ),
        ],
        "roleDefinitions": [{"name": name, "permissions": [role]} for name, role in ROLES.items()],
        "roleAssignments": [
            {
                "principal": name,
                "role": name,
                "scope": f"/subscriptions/{subscription_of(scene, SCENES)}",
            }
            for name in ROLES
            for scene in SCENES
        ],
    }


@pytest.fixture(scope="module")
def theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    with opened(tmp_path_factory.mktemp("places"), SCENES, scenario()) as found:
        yield found


@pytest.mark.parametrize("scene", SCENES, ids=str)
def test_scene(
    scene: Scene, theatre: Theatre, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theatre.play(scene, tmp_path, monkeypatch)
