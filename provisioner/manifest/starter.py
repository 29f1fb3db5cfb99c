"""The manifest that `provision init` writes."""

from __future__ import annotations

from typing import Final

_STARTER: Final = """\
# What you want to be callable. `provision plan -f THIS_FILE` shows what would be done about it,
# `provision apply -f THIS_FILE` does it. All keys: `provision schema`, or docs/manifest.md.

# Where: an existing Azure Machine Learning workspace.
apiVersion: provisioner.azureml/v1
kind: Workspace
metadata:
  name: ml-prod
spec:
  subscriptionId: 11111111-1111-1111-1111-111111111111
  resourceGroup: rg-ml-prod
  workspaceName: mlw-prod           # metadata.name when left out
  region: eastus2
---
# A serverless API endpoint: you pay for tokens, through Azure Marketplace.
apiVersion: provisioner.azureml/v1
kind: ModelDeployment
metadata:
  name: llama-33-70b                # also the endpoint's name, unless endpointName says otherwise
  labels: {team: search}            # chosen by -l team=search; become tags in Azure
spec:
  workspace: ml-prod
  model: azureml-meta/Llama-3.3-70B-Instruct
  target:
    serverless:
      contentSafety: enabled        # or disabled
  marketplace:
    acceptTerms: false              # true once you have read the offer's terms and price
  # lifetime: {ttl: 72h}            # taken down after that; see `provision reap`
  outputs:                          # where URL and key go, readable by you alone
    - dotenv: {path: out/llama-33-70b.env}
    # - json: {path: out/llama-33-70b.json}
    # - keyVault: {vaultUrl: https://kv-ml-prod.vault.azure.net}
---
# Managed compute: you pay for virtual machines, from the subscription's core quota.
apiVersion: provisioner.azureml/v1
kind: ModelDeployment
metadata:
  name: phi-4-blue                  # the deployment's name
spec:
  workspace: ml-prod
  model: azureml://registries/azureml/models/Phi-4/versions/7   # no version: the latest
  target:
    managedCompute:
      endpointName: phi-4           # several deployments may share one endpoint
      instanceType: Standard_NC24ads_A100_v4
      instanceCount: 1
      traffic: 100                  # the deployments of one endpoint add up to 100, or 0
      # sharedQuota: true           # no quota of your own: Azure deletes the endpoint after 168 h
      # rollout: {strategy: blueGreen, steps: [10, 50, 100], bake: 5m}
  outputs:
    - dotenv: {path: out/phi-4.env}
"""


def starter() -> str:
    """A commented manifest with both targets, to be changed to one's own."""
    return _STARTER
