"""azure-ai-ml as its documentation shows it, one after the other or in threads.

`python -m benchmarks.contenders.sdk apply|find URL CA THREADS WORKSPACES MODELS EACH`
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ["AZURE_AI_ML_DISABLE_TELEMETRY"] = "1"
from azure.ai.ml import MLClient
from azure.ai.ml.entities import MarketplaceSubscription, ServerlessEndpoint
from azure.identity import ClientSecretCredential

from benchmarks.fleet import GROUP, REGION, SUBSCRIPTION, Fleet


def client(url: str, ca: str, workspace: str) -> MLClient:
    credential = ClientSecretCredential(
        "aaaaaaaa-0000-4000-8000-000000000001",
        "bbbbbbbb-0000-4000-8000-000000000001",
        "emulator-only-secret",
        authority=url,
        disable_instance_discovery=True,
        connection_verify=ca,
    )
    metadata = {
        "azure_portal": url,
        "resource_manager": f"{url}/",
        "active_directory": url,
        "aml_resource_id": url,
        "storage_endpoint": "core.windows.net",
        "registry_discovery_endpoint": f"{url}/",
    }
    return MLClient(
        credential,
        SUBSCRIPTION,
        GROUP,
        workspace,
        cloud="Bench",
        cloud_metadata=metadata,
        connection_verify=ca,
        polling_interval=1,
    )


def subscribe(ml: MLClient, index: int, fleet: Fleet) -> None:
    wish = MarketplaceSubscription(name=f"model-{index}", model_id=fleet.model_id(index))
    ml.marketplace_subscriptions.begin_create_or_update(wish).result()


def deploy(ml: MLClient, endpoint: str, model: str, out: Path) -> None:
    wish = ServerlessEndpoint(name=endpoint, model_id=model)
    wish.location = REGION  # saves the workspace's GET, as its documentation does not say
    ml.serverless_endpoints.begin_create_or_update(wish).result()
    keys = ml.serverless_endpoints.get_keys(endpoint)
    (out / f"{endpoint}.json").write_text(json.dumps({"key": keys.primary_key}), "utf-8")


def find(ml: MLClient) -> int:
    ml.workspaces.get(ml.workspace_name)
    list(ml.marketplace_subscriptions.list())
    found = len(list(ml.serverless_endpoints.list()))
    list(ml.online_endpoints.list())
    return found


def main(job: str, url: str, ca: str, threads: int, fleet: Fleet) -> None:
    started = time.perf_counter()
    out = Path("sdk-out")
    out.mkdir(exist_ok=True)
    with contextlib.redirect_stdout(sys.stderr), ThreadPoolExecutor(threads) as pool:
        clients = {name: client(url, ca, name) for name in fleet.names}
        if job == "find":
            found = sum(pool.map(find, clients.values()))
            if found != fleet.endpoints:
                raise SystemExit(f"found {found} of {fleet.endpoints}")
        else:
            terms = [(ml, index) for ml in clients.values() for index in range(fleet.models)]
            list(pool.map(lambda one: subscribe(one[0], one[1], fleet), terms))
            wishes = fleet.wishes()
            list(pool.map(lambda one: deploy(clients[one[0]], one[1], one[2], out), wishes))
    print(json.dumps({"seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    job, url, ca, threads, *sizes = sys.argv[1:]
    main(job, url, ca, int(threads), Fleet(*map(int, sizes)))
