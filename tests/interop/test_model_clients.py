"""Clients of the deployed model, unmodified, with the URL and key that the endpoint gives out."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import openai
import pytest
from azure.core.credentials import TokenCredential

from provisioner.emulator.control import Record
from tests.interop.conftest import HERE, client_environment

LLAMA = "azureml://registries/azureml-meta/models/Llama-3.3-70B-Instruct"


@dataclass(frozen=True, slots=True)
class Deployed:
    """A serverless endpoint that is online."""

    url: str
    key: str


@pytest.fixture(scope="module")
def deployed(emulator: Record, credential: TokenCredential) -> Iterator[Deployed]:
    """An endpoint made with nothing but HTTP, as the documentation's curl samples do it."""
    token = credential.get_token("https://management.azure.com/.default").token
    workspace = (
        f"{emulator.url}/subscriptions/{emulator.subscription_id}/resourceGroups/rg-ml-dev"
        "/providers/Microsoft.MachineLearningServices/workspaces/mlw-dev"
    )
    with httpx.Client(
        verify=emulator.ca_bundle,
        params={"api-version": "2024-10-01"},
        headers={"Authorization": f"Bearer {token}"},
    ) as arm:
        subscription = {"properties": {"modelId": LLAMA}}
        _put(arm, f"{workspace}/marketplaceSubscriptions/clients", subscription)
        properties = {"authMode": "Key", "modelSettings": {"modelId": LLAMA}}
        endpoint = f"{workspace}/serverlessEndpoints/clients-70b"
        made = _put(arm, endpoint, {"location": "westus3", "properties": properties})
        keys = arm.post(f"{endpoint}/listKeys").json()
        yield Deployed(made["properties"]["inferenceEndpoint"]["uri"], keys["primaryKey"])
        arm.delete(endpoint)


def _put(arm: httpx.Client, url: str, body: Any) -> Any:
    """Creates something and lets the emulated clock run until it is there."""
    reply = arm.put(url, json=body)
    assert reply.status_code in (200, 201), reply.text
    origin = reply.url.copy_with(raw_path=b"/emulator/clock")
    assert arm.post(origin, json={"advance": "1m"}).status_code == 200
    shown = arm.get(url).json()
    assert shown["properties"]["provisioningState"] == "Succeeded", shown
    return shown


def test_openai(deployed: Deployed) -> None:
    with openai.OpenAI(base_url=f"{deployed.url}/v1", api_key=deployed.key) as client:
        plain = client.chat.completions.create(
            model="any", messages=[{"role": "user", "content": "What is Azure?"}]
        )
        stream = client.chat.completions.create(
            model="any", messages=[{"role": "user", "content": "What is Azure?"}], stream=True
        )
        parts = [chunk.choices[0].delta.content or "" for chunk in stream]
        text = client.completions.create(model="any", prompt="Once")
    said = plain.choices[0].message.content
    assert said is not None
    assert said.startswith("This is the Azure ML emulator")
    assert "".join(parts) == said
    assert text.choices[0].finish_reason == "length"


def test_openai_with_a_wrong_key(deployed: Deployed) -> None:
    with (
        openai.OpenAI(base_url=f"{deployed.url}/v1", api_key="wrong") as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.models.list()


def run_snippet(name: str, deployed: Deployed) -> Any:
    """What a script prints in the environment of the clients; it knows only URL and key."""
    python = client_environment("clients") / "python"
    told = {
        "MODEL_URL": deployed.url,
        "MODEL_KEY": deployed.key,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    done = subprocess.run(
        [str(python), str(HERE / "snippets" / f"{name}.py")],
        env={**os.environ, **told},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_langchain(deployed: Deployed) -> None:
    found = run_snippet("langchain_chat", deployed)
    assert found["plain"] == found["streamed"]
    assert "emulator" in found["plain"]
    assert found["city"] == {"name": "emulator", "size": 0}


def test_litellm(deployed: Deployed) -> None:
    found = run_snippet("litellm_chat", deployed)
    for model in ("openai/llama", "azure_ai/llama"):
        assert found[model]["plain"] == found[model]["streamed"]
        assert "emulator" in found[model]["plain"]
    assert found["wrong key"] == "refused"


def test_azure_ai_inference(deployed: Deployed) -> None:
    found = run_snippet("azure_ai_inference_chat", deployed)
    assert found["info"] == "Llama-3.3-70B-Instruct"
    assert found["plain"] == found["streamed"]
