"""Names that the catalogue lacks: a slip of the pen is an error, what may well exist is not."""

from __future__ import annotations

import pytest

from provisioner.errors import InvalidManifest, Severity
from provisioner.manifest import Manifests
from provisioner.manifest.load import load_text
from provisioner.manifest.near import is_slip

MANAGED = """\
apiVersion: provisioner.azureml/v1
kind: ModelDeployment
metadata: {name: one}
spec:
  workspace: {subscriptionId: 22222222-2222-2222-2222-222222222222, resourceGroup: rg,
              workspaceName: mlw, region: eastus2}
  model: MODEL
  target: {managedCompute: {instanceType: SIZE}}
"""


def with_(model: str = "azureml/Phi-4", size: str = "Standard_NC24ads_A100_v4") -> Manifests:
    return load_text(MANAGED.replace("MODEL", model).replace("SIZE", size))


@pytest.mark.parametrize(
    "model",
    [
        "azureml/Phi-4-reasoning-plus",
        "azureml/Phi-5",
        "azureml/Phi-3.5-MoE-instruct",
        "azureml/Phi-3-mini-128k-instruct",
        "azureml-meta/Meta-Llama-3.1-405B",
        "azureml-meta/Llama-3.2-90B-Vision",
        "azureml-meta/Llama-3.3-70B-Instruct-FP8",
        "azureml-meta/CodeLlama-7b-hf",
        "azureml-mistral/mistral-medium-2508",
        "azureml-mistral/magistral-medium-2506",
        "azureml-deepseek/DeepSeek-V3.1",
        "azureml-cohere/Cohere-embed-v4",
    ],
)
def test_a_model_beside_a_known_one_may_exist(model: str) -> None:
    assert all(one.severity is Severity.WARNING for one in with_(model).warnings)


@pytest.mark.parametrize(
    "model",
    [
        "azureml-meta/Llama-3.3-70B-Instuct",
        "azureml-meta/Llama-3.3-70B-Instrcut",
        "azureml-meta/Llama-3.3-70B-Instructt",
        "azureml-meta/Lama-3.3-70B-Instruct",
        "azureml-meta/Llama3.3-70B-Instruct",
    ],
)
def test_a_slip_of_the_pen_is_an_error(model: str) -> None:
    with pytest.raises(InvalidManifest) as caught:
        with_(model)
    (problem,) = caught.value.problems
    assert problem.code.id == "manifest.unknown-model"
    assert "azureml-meta/Llama-3.3-70B-Instruct" in problem.hint


@pytest.mark.parametrize(
    "size",
    [
        "Standard_NC24rs_v3",
        "Standard_NV12s_v3",
        "Standard_NCC40ads_H100_v5",
        "Standard_ND96isrf_H100_v5",
        "Standard_ND128isr_NDR_GB200_v6",
    ],
)
def test_a_size_beside_a_known_one_may_exist(size: str) -> None:
    assert all(one.severity is Severity.WARNING for one in with_(size=size).warnings)


@pytest.mark.parametrize(
    ("word", "meant", "slip"),
    [
        ("codestral", "codestral", True),
        ("Code_Stral", "codestral", True),
        ("codestal", "codestral", True),
        ("coedstral", "codestral", True),
        ("codestrql", "codestral", True),
        ("codestrall", "codestral", True),
        ("coedstrql", "codestral", False),
        ("bert-base-cased", "bert-base-uncased", False),
        ("gpt-4o", "gpt-4", False),
        ("v3", "r3", False),
        ("phi-4", "phi-5", False),
        ("", "phi", False),
    ],
)
def test_slips(word: str, meant: str, slip: bool) -> None:
    assert is_slip(word, meant) is slip
    assert is_slip(meant, word) is slip
