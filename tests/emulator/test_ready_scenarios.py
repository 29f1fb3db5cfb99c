"""The scenarios that come with the emulator do over the wire what their names say."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import httpx
import pytest

from tests.emulator.azure_client import (
    LLAMA,
    LOCATION,
    PHI,
    SMALL,
    SUB,
    WORKSPACE,
    Client,
    Json,
    azure,
    error,
    subscription,
)

EU = f"{SUB}/resourceGroups/rg-ml-eu/providers/Microsoft.MachineLearningServices/workspaces/mlw-eu"
SCOUT = "azureml://registries/azureml-meta/models/Llama-4-Scout-17B-16E-Instruct"
GRETEL = "azureml://registries/azureml-gretel/models/Gretel-Navigator-Tabular"
NEMO = "azureml://registries/azureml-mistral/models/Mistral-Nemo"


def ready(name: str) -> str:
    return (files("provisioner.emulator") / "data" / "scenarios" / f"{name}.yaml").read_text(
        "utf-8"
    )


def endpoint(model: str, location: str = "eastus2") -> Json:
    return {
        "location": location,
        "properties": {"authMode": "Key", "modelSettings": {"modelId": model}},
    }


async def buy(client: Client, model: str = LLAMA, workspace: str = WORKSPACE) -> httpx.Response:
    return await client.send(
        "PUT", f"{workspace}/marketplaceSubscriptions/one", subscription(model)
    )


async def deploy(client: Client, model: str, location: str = "eastus2") -> httpx.Response:
    workspace = WORKSPACE if location == "eastus2" else EU
    return await client.send(
        "PUT", f"{workspace}/serverlessEndpoints/one", endpoint(model, location)
    )


def message(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["message"])


async def test_a_free_trial_can_have_no_model(tmp_path: Path) -> None:
    async with azure(tmp_path, ready("free-trial")) as client:
        shown = await client.get(SUB, "2022-12-01")
        assert shown["subscriptionPolicies"]["quotaId"].startswith("FreeTrial")
        assert shown["subscriptionPolicies"]["spendingLimit"] == "On"
        for answer in (await buy(client), await deploy(client, PHI)):
            assert answer.status_code == 400
            assert message(answer).endswith("is not available.")


async def test_no_quota_means_no_deployment(tmp_path: Path) -> None:
    async with azure(tmp_path, ready("no-quota")) as client:
        rows = (await client.get(f"{LOCATION}/usages"))["value"]
        limits = {row["name"]["value"]: (row["currentValue"], row["limit"]) for row in rows}
        assert limits["standardNCADSA100v4Family"] == (0, 0)
        assert limits["standardDSv3Family"] == (2, 10)
        managed = f"{WORKSPACE}/onlineEndpoints/one"
        body = {"location": "eastus2", "properties": {"authMode": "Key"}}
        await client.do("PUT", managed, body)
        deployment = {
            "location": "eastus2",
            "sku": {"name": "Default", "capacity": 1},
            "properties": {
                "endpointComputeType": "Managed",
                "model": SMALL,
                "instanceType": "Standard_NC24ads_A100_v4",
            },
        }
        answer = await client.send("PUT", f"{managed}/deployments/blue", deployment)
        assert error(answer) == (400, "BadRequest")
        assert "Current usage/limit: 0/0. Additional needed: 24" in answer.text


async def test_a_reader_only_reads(tmp_path: Path) -> None:
    async with azure(tmp_path, ready("reader-only")) as client:
        await client.get(WORKSPACE)
        answer = await buy(client)
        assert error(answer) == (403, "AuthorizationFailed")
        assert "marketplaceModelSubscriptions/write" in message(answer)


async def test_the_custom_role_deploys_and_does_not_buy(tmp_path: Path) -> None:
    async with azure(tmp_path, ready("custom-role-notactions")) as client:
        assert error(await buy(client)) == (403, "AuthorizationFailed")
        assert (await deploy(client, PHI)).status_code == 201


async def test_small_buckets_are_soon_empty(tmp_path: Path) -> None:
    async with azure(tmp_path, ready("throttled")) as client:
        answers = [await client.send("GET", WORKSPACE) for _ in range(40)]
        throttled = [answer for answer in answers if answer.status_code == 429]
        assert throttled
        assert error(throttled[0]) == (429, "SubscriptionRequestsThrottled")
        assert int(throttled[0].headers["retry-after"]) >= 1


async def test_one_call_in_twenty_goes_wrong_the_same_in_each_run(tmp_path: Path) -> None:
    runs = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with azure(folder, ready("flaky-5-percent")) as client:
            runs.append([await outcome(client) for _ in range(200)])
    assert runs[0] == runs[1]
    wrong = [each for each in runs[0] if each != 200]
    assert 3 <= len(wrong) <= 25
    assert {502, 503, 0} & set(wrong)


async def outcome(client: Client) -> int:
    try:
        return (await client.send("GET", WORKSPACE)).status_code
    except httpx.TransportError:
        return 0


async def test_models_at_the_end_of_their_lives_take_no_deployments(tmp_path: Path) -> None:
    async with azure(tmp_path, ready("retired-model")) as client:
        for model in (LLAMA, SCOUT):
            answer = await buy(client, model)
            assert answer.status_code == 400
            assert message(answer) == f"The requested model {model} is not available."


async def test_locks_stop_deletes_here_and_writes_there(tmp_path: Path) -> None:
    async with azure(tmp_path, ready("locked")) as client:
        await client.do("PUT", f"{WORKSPACE}/serverlessEndpoints/one", endpoint(PHI))
        answer = await client.send("DELETE", f"{WORKSPACE}/serverlessEndpoints/one")
        assert error(answer) == (409, "ScopeLocked")
        assert error(await deploy(client, PHI, "swedencentral")) == (409, "ScopeLocked")


async def test_the_country_and_the_region_are_two_refusals(tmp_path: Path) -> None:
    async with azure(tmp_path, ready("eu-only")) as client:
        assert error(await buy(client, NEMO, EU)) == (400, "AvailabilityNotInRegion")
        assert error(await buy(client, GRETEL, EU)) == (400, "ServerlessModelNotAvailableInRegion")
        assert (await buy(client, LLAMA, EU)).status_code == 201


@pytest.mark.parametrize("seconds", [5, 30])
async def test_slow_services_are_slow_and_say_nothing_of_it(tmp_path: Path, seconds: int) -> None:
    async with azure(tmp_path, ready(f"slow-services-{seconds}s-no-retry-after")) as client:
        begun = await buy(client)
        assert begun.status_code == 201
        assert "retry-after" not in begun.headers
        one = f"{WORKSPACE}/marketplaceSubscriptions/one"
        await client.advance(f"{seconds - 2}s")
        assert (await client.get(one))["properties"]["provisioningState"] == "Creating"
        await client.advance("3s")
        assert (await client.get(one))["properties"]["provisioningState"] == "Succeeded"


async def test_the_bench_takes_many_of_one_model_and_counts_only_when_told(tmp_path: Path) -> None:
    async with azure(tmp_path, ready("bench")) as client:
        for name in ("one", "two"):
            path = f"{WORKSPACE}/serverlessEndpoints/{name}"
            answer = await client.send("PUT", path, endpoint(PHI))
            assert answer.status_code == 201
            assert "x-ms-ratelimit-remaining-subscription-writes" not in answer.headers
    other = tmp_path / "throttled"
    other.mkdir()
    async with azure(other, ready("bench-throttled")) as client:
        answer = await client.send("GET", WORKSPACE)
        assert int(answer.headers["x-ms-ratelimit-remaining-subscription-reads"]) >= 240


def in_state(state: str) -> str:
    """The tenant with its Azure subscription in another state."""
    return (
        "subscriptions:\n"
        f"  - {{id: 11111111-1111-1111-1111-111111111111, name: S, state: {state},\n"
        "     resourceGroups: [{name: rg-ml-prod, location: eastus2, workspaces: [\n"
        "       {name: mlw-prod, location: eastus2}]}]}\n"
    )


@pytest.mark.parametrize("state_of_it", ["Warned", "Disabled"])
async def test_what_was_bought_is_suspended_when_nobody_pays(
    state_of_it: str, tmp_path: Path
) -> None:
    state = tmp_path / "state.db"
    async with azure(tmp_path, state=state) as client:
        await client.do("PUT", f"{WORKSPACE}/marketplaceSubscriptions/one", subscription())
        await client.do("PUT", f"{WORKSPACE}/serverlessEndpoints/one", endpoint(LLAMA))
    async with azure(tmp_path, in_state(state_of_it), state=state) as client:
        bought = await client.get(f"{WORKSPACE}/marketplaceSubscriptions/one")
        assert bought["properties"]["marketplaceSubscriptionStatus"] == "Suspended"
        deployed = await client.get(f"{WORKSPACE}/serverlessEndpoints/one")
        assert deployed["properties"]["endpointState"] == "Suspended"
        answer = await deploy(client, PHI)
        assert error(answer) == (409, "ReadOnlyDisabledSubscription")
        assert "is disabled and therefore marked as read only" in message(answer)
        called = await client.send("POST", f"{WORKSPACE}/serverlessEndpoints/one/listKeys")
        assert error(called) == (409, "ReadOnlyDisabledSubscription")
        gone = await client.send("DELETE", f"{WORKSPACE}/serverlessEndpoints/one")
        assert gone.status_code == 202


async def test_what_is_past_due_still_works(tmp_path: Path) -> None:
    async with azure(tmp_path, in_state("PastDue")) as client:
        await client.do("PUT", f"{WORKSPACE}/marketplaceSubscriptions/one", subscription())
        await client.do("PUT", f"{WORKSPACE}/serverlessEndpoints/one", endpoint(LLAMA))
        bought = await client.get(f"{WORKSPACE}/marketplaceSubscriptions/one")
        assert bought["properties"]["marketplaceSubscriptionStatus"] == "Subscribed"
        deployed = await client.get(f"{WORKSPACE}/serverlessEndpoints/one")
        assert deployed["properties"]["endpointState"] == "Online"
