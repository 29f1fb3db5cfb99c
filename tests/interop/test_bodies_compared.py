"""For the same intent: what our adapter PUTs beside what azure-ai-ml PUTs, property by property.

docs/differences-azure-ai-ml.md lists and explains every difference; this test keeps it complete
and free of stale rows.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest
from azure.core.credentials import TokenCredential
from azure.core.pipeline.transport import RequestsTransport

from provisioner.azure import marketplace, online_deployments, online_endpoints, serverless
from provisioner.emulator.control import Record
from provisioner.resources import (
    Kind,
    MarketplaceSubscription,
    ModelRef,
    OnlineDeployment,
    OnlineEndpoint,
    Probe,
    RequestSettings,
    ResourceId,
    ServerlessEndpoint,
    WorkspaceId,
)
from tests.interop.conftest import ROOT

with warnings.catch_warnings():  # what its import deprecates is its own to mend
    warnings.simplefilter("ignore")
    from azure.ai.ml import MLClient, entities

LLAMA = "azureml://registries/azureml-meta/models/Llama-3.3-70B-Instruct"
SMALL = "azureml://registries/azureml-meta/models/Meta-Llama-3.1-8B-Instruct/versions/4"
SIZE = "Standard_NC24ads_A100_v4"
REGION = "westus3"
TAGS = {"team": "search"}
SHARED = {
    "SharedComputeCapacityEnabled": "true",
    "TargetAutoDeletionTime": "Thu, 01 Jan 2099 00:00:00 GMT",
}
DOCUMENT = ROOT / "docs" / "differences-azure-ai-ml.md"
Row = tuple[str, str, str, str]


class Recording(RequestsTransport):  # type: ignore[misc]
    """Sends everything on its way and remembers the bodies of PUTs by the resource's id."""

    def __init__(self) -> None:
        super().__init__()
        self.puts: dict[str, Any] = {}

    def send(self, request: Any, **kwargs: Any) -> Any:
        if request.method == "PUT":
            self.puts[urlsplit(request.url).path.lower()] = json.loads(request.body)
        return super().send(request, **kwargs)


@pytest.fixture(scope="module")
def transport() -> Recording:
    return Recording()


@pytest.fixture(scope="module")
def theirs(emulator: Record, credential: TokenCredential, transport: Recording) -> MLClient:
    return MLClient(
        credential,
        emulator.subscription_id,
        "rg-ml-dev",
        "mlw-dev",
        cloud="AzureEmulator",
        transport=transport,
        polling_interval=1,
        enable_telemetry=False,
    )


def resource(emulator: Record, kind: Kind, name: str, parent: str | None = None) -> ResourceId:
    workspace = WorkspaceId(emulator.subscription_id, "rg-ml-dev", "mlw-dev")
    return ResourceId(workspace, kind, name, parent)


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every leaf of a body with its path; an empty object counts as a leaf."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}" if path else name)
    else:
        yield path, json.dumps(value)


def compared(kind: Kind, ours: Any, theirs: Any) -> set[Row]:
    """Kind, property, our value, their value, wherever the two bodies differ."""
    left, right = dict(leaves(ours)), dict(leaves(theirs))
    name = kind.value.rpartition("/")[2]
    return {
        (name, path, left.get(path, "-"), right.get(path, "-"))
        for path in left.keys() | right.keys()
        if left.get(path) != right.get(path)
    }


def documented() -> set[Row]:
    """The rows of the document's table, without the reasons."""
    rows = re.findall(
        r"^\| (\w+) \| `([^`]+)` \| `([^`]+)` \| `([^`]+)` \| \S.*\|$",
        DOCUMENT.read_text("utf-8"),
        re.M,
    )
    return {(kind, path, ours, theirs) for kind, path, ours, theirs in rows}


def test_every_difference_is_documented(
    emulator: Record, theirs: MLClient, transport: Recording
) -> None:
    found: set[Row] = set()

    id = resource(emulator, Kind.MARKETPLACE_SUBSCRIPTION, "compared")
    theirs.marketplace_subscriptions.begin_create_or_update(
        entities.MarketplaceSubscription(name=id.name, model_id=LLAMA)
    ).result()
    wish = marketplace.body(MarketplaceSubscription(id, ModelRef.parse(LLAMA)))
    found |= compared(id.kind, wish, transport.puts[id.key])

    id = resource(emulator, Kind.SERVERLESS_ENDPOINT, "compared-70b")
    theirs.serverless_endpoints.begin_create_or_update(
        entities.ServerlessEndpoint(name=id.name, model_id=LLAMA, tags=TAGS)
    ).result()
    endpoint = ServerlessEndpoint(id, REGION, ModelRef.parse(LLAMA), tags=TAGS)
    found |= compared(id.kind, serverless.body(endpoint), transport.puts[id.key])
    theirs.serverless_endpoints.begin_delete(id.name).result()

    id = resource(emulator, Kind.ONLINE_ENDPOINT, "compared-8b")
    theirs.online_endpoints.begin_create_or_update(
        entities.ManagedOnlineEndpoint(
            name=id.name, auth_mode="key", description="Search", tags=TAGS, properties=SHARED
        )
    ).result()
    online = OnlineEndpoint(id, REGION, description="Search", tags=TAGS, properties=SHARED)
    found |= compared(id.kind, online_endpoints.body(online), transport.puts[id.key])

    id = resource(emulator, Kind.ONLINE_DEPLOYMENT, "blue", "compared-8b")
    theirs.online_deployments.begin_create_or_update(their_deployment(id)).result()
    found |= compared(id.kind, online_deployments.body(our_deployment(id)), transport.puts[id.key])
    theirs.online_endpoints.begin_delete("compared-8b").result()

    listed = documented()
    assert found - listed == set(), "differences that the document does not list"
    assert listed - found == set(), "rows of the document that are no difference any more"


def their_deployment(id: ResourceId) -> Any:
    return entities.ManagedOnlineDeployment(
        name=id.name,
        endpoint_name=str(id.parent),
        model=SMALL,
        instance_type=SIZE,
        instance_count=2,
        tags=TAGS,
        environment_variables={"MODE": "fast"},
        request_settings=entities.OnlineRequestSettings(
            request_timeout_ms=90_000, max_concurrent_requests_per_instance=4
        ),
        liveness_probe=entities.ProbeSettings(initial_delay=600, period=30, failure_threshold=5),
        readiness_probe=entities.ProbeSettings(initial_delay=600, timeout=10),
    )


def our_deployment(id: ResourceId) -> OnlineDeployment:
    return OnlineDeployment(
        id,
        REGION,
        ModelRef.parse(SMALL),
        SIZE,
        2,
        environment_variables={"MODE": "fast"},
        request_settings=RequestSettings(90, 4),
        liveness_probe=Probe(initial_delay=600, period=30, failure_threshold=5),
        readiness_probe=Probe(initial_delay=600, timeout=10),
        tags=TAGS,
    )
