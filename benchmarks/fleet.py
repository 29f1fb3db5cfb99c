"""A fleet to deploy: the emulator's tenant and the manifests, of any size.

`workspaces` workspaces; in each, `models` models with `each` serverless endpoints: so
workspaces × models subscriptions and workspaces × models × each endpoints.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
GROUP = "rg-bench"
REGION = "eastus2"
MODELS = (
    "azureml-meta/models/Llama-3.3-70B-Instruct",
    "azureml-meta/models/Llama-3.2-3B-Instruct",
    "azureml-mistral/models/Mistral-Nemo",
    "azureml-mistral/models/Ministral-3B",
)


@dataclass(frozen=True, slots=True)
class Fleet:
    """How many of what."""

    workspaces: int
    models: int
    each: int

    @property
    def endpoints(self) -> int:
        return self.workspaces * self.models * self.each

    @property
    def names(self) -> list[str]:
        return [f"mlw-{number:03d}" for number in range(self.workspaces)]

    def wishes(self) -> list[tuple[str, str, str]]:
        """(workspace, endpoint, model id) of every endpoint."""
        return [
            (workspace, f"ep-{workspace[4:]}-{model}-{number:03d}", self.model_id(model))
            for workspace in self.names
            for model in range(self.models)
            for number in range(self.each)
        ]

    def model_id(self, index: int) -> str:
        return f"azureml://registries/{MODELS[index]}"


def scenario(fleet: Fleet, base: str) -> str:
    """The scenario `base` (its text) with a tenant that holds the fleet's workspaces."""
    workspaces = "\n".join(
        f"          - {{name: {name}, location: {REGION}}}" for name in fleet.names
    )
    return f"""{base}
subscriptions:
  - id: {SUBSCRIPTION}
    name: Benchmarks
    state: Enabled
    quotaId: PayAsYouGo_2014-09-01
    spendingLimit: Off
    billingCountry: US
    resourceGroups:
      - name: {GROUP}
        location: {REGION}
        workspaces:
{workspaces}
principals:
  - name: provisioner-ci
    clientId: bbbbbbbb-0000-4000-8000-000000000001
    objectId: cccccccc-0000-4000-8000-000000000001
    secret: emulator-only-secret
roleAssignments:
  - principal: provisioner-ci
    role: Owner
    scope: /subscriptions/{SUBSCRIPTION}
"""


def manifests(fleet: Fleet, *, outputs: bool = True) -> str:
    """One multi-document manifest of the whole fleet."""
    parts = [
        f"""apiVersion: provisioner.azureml/v1
kind: Workspace
metadata: {{name: {name}}}
spec: {{subscriptionId: {SUBSCRIPTION}, resourceGroup: {GROUP}, region: {REGION}}}
"""
        for name in fleet.names
    ]
    for workspace, endpoint, model in fleet.wishes():
        sinks = f"\n  outputs: [{{json: {{path: out/{endpoint}.json}}}}]" if outputs else ""
        parts.append(
            f"""apiVersion: provisioner.azureml/v1
kind: ModelDeployment
metadata: {{name: {endpoint}}}
spec:
  workspace: {workspace}
  model: {model}
  target: {{serverless: {{}}}}
  marketplace: {{acceptTerms: true}}{sinks}
"""
        )
    return "---\n".join(parts)


def write(folder: Path, fleet: Fleet, base: str) -> tuple[Path, Path]:
    """Write scenario.yaml and fleet.yaml to `folder`; their paths."""
    scene, wishes = folder / "scenario.yaml", folder / "fleet.yaml"
    scene.write_text(scenario(fleet, base), "utf-8")
    wishes.write_text(manifests(fleet), "utf-8")
    return scene, wishes
