"""The flow that everything else widens: from nothing to a model that answers."""

from __future__ import annotations

from pathlib import Path

from tests.emulator.azure_client import (
    GROUP,
    LLAMA,
    LOCATION,
    PHI,
    SUB,
    WORKSPACE,
    azure,
    deployment,
    endpoint,
    error,
    serverless,
    subscription,
)

HELLO = {"messages": [{"role": "user", "content": "Hello"}]}


async def test_a_model_of_the_marketplace_is_subscribed_deployed_called_and_removed(
    tmp_path: Path,
) -> None:
    async with azure(tmp_path) as client:
        await client.do("PUT", f"{WORKSPACE}/marketplaceSubscriptions/llama", subscription())
        one = f"{WORKSPACE}/serverlessEndpoints/llama"
        began = await client.send("PUT", one, serverless())
        assert began.status_code == 201
        assert began.json()["properties"]["provisioningState"] == "Creating"
        assert began.json()["properties"]["inferenceEndpoint"] is None
        await client.advance("10s")
        shown = (await client.get(one))["properties"]
        assert (shown["provisioningState"], shown["endpointState"]) == ("Succeeded", "Online")
        assert shown["contentSafety"] == {"contentSafetyStatus": "Enabled"}
        key = (await client.keys(one))["primaryKey"]
        uri = shown["inferenceEndpoint"]["uri"]
        for path in ("/chat/completions", "/v1/chat/completions"):
            bearer = {"Authorization": f"Bearer {key}"}
            answer = await client.http.post(uri + path, headers=bearer, json=HELLO)
            assert answer.status_code == 200
            assert answer.json()["choices"][0]["message"]["role"] == "assistant"
        wrong = await client.http.post(
            f"{uri}/chat/completions", headers={"Authorization": "Bearer wrong"}, json=HELLO
        )
        assert wrong.status_code == 401
        await client.do("DELETE", one)
        assert error(await client.send("GET", one)) == (404, "ResourceNotFound")
        gone = await client.http.post(
            f"{uri}/chat/completions", headers={"Authorization": f"Bearer {key}"}, json=HELLO
        )
        assert gone.status_code == 404


async def test_a_managed_model_answers_once_traffic_reaches_its_deployment(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        one = f"{WORKSPACE}/onlineEndpoints/managed"
        await client.do("PUT", one, endpoint())
        await client.do("PUT", f"{one}/deployments/blue", deployment())
        key = (await client.keys(one))["primaryKey"]
        score = (await client.get(one))["properties"]["scoringUri"]
        bearer = {"Authorization": f"Bearer {key}"}
        before = await client.http.post(score, headers=bearer, json=HELLO)
        assert before.status_code >= 400
        named = {**bearer, "azureml-model-deployment": "blue"}
        assert (await client.http.post(score, headers=named, json=HELLO)).status_code == 200
        await client.do("PUT", one, endpoint({"blue": 100}))
        after = await client.http.post(score, headers=bearer, json=HELLO)
        assert after.status_code == 200
        assert after.headers["azureml-model-deployment"] == "blue"
        await client.do("DELETE", one)
        assert (await client.get(f"{WORKSPACE}/onlineEndpoints"))["value"] == []


async def test_a_model_that_microsoft_sells_needs_no_subscription(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        refused = await client.send(
            "PUT", f"{WORKSPACE}/marketplaceSubscriptions/phi", subscription(PHI)
        )
        assert error(refused) == (400, "MarketplacePlanNotRequiredForModel")
        done = await client.do("PUT", f"{WORKSPACE}/serverlessEndpoints/phi", serverless(PHI))
        assert done["status"] == "Succeeded"


async def test_terms_are_read_signed_canceled_and_listed(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        await client.do("PUT", f"{WORKSPACE}/marketplaceSubscriptions/llama", subscription())
        shown = await client.get(f"{WORKSPACE}/marketplaceSubscriptions/llama")
        plan = shown["properties"]["marketplacePlan"]
        assert shown["properties"]["modelId"] == LLAMA
        place = f"offers/{plan['offerId']}/plans/{plan['planId']}"
        ordering = f"{SUB}/providers/Microsoft.MarketplaceOrdering"
        current = (
            f"{ordering}/offerTypes/virtualmachine/publishers/{plan['publisherId']}/{place}"
            "/agreements/current"
        )
        first = await client.get(current, "2021-01-01")
        terms = await client.get(current, "2021-01-01")
        assert first["properties"]["signature"] != terms["properties"]["signature"]
        assert terms["properties"]["accepted"] is False
        first["properties"]["accepted"] = terms["properties"]["accepted"] = True
        stale = await client.send("PUT", current, first, version="2021-01-01")
        assert error(stale) == (400, "BadRequest")
        accepted = await client.send("PUT", current, terms, version="2021-01-01")
        assert accepted.json()["properties"]["accepted"] is True
        one = f"{ordering}/agreements/{plan['publisherId']}/{place}"
        agreement = await client.get(one, "2021-01-01")
        assert agreement["properties"]["state"] == "Active"
        assert "accepted" not in agreement["properties"]
        await client.send("POST", f"{one}/cancel", version="2021-01-01")
        listed = await client.get(f"{ordering}/agreements", "2021-01-01")
        assert [a["properties"]["state"] for a in listed["value"]] == ["Canceled"]
        await client.send("POST", f"{one}/sign", version="2021-01-01")
        assert (await client.get(current, "2021-01-01"))["properties"]["accepted"] is True


async def test_regenerated_keys_open_the_endpoint_and_the_old_one_no_longer(
    tmp_path: Path,
) -> None:
    async with azure(tmp_path) as client:
        await client.do("PUT", f"{WORKSPACE}/serverlessEndpoints/phi", serverless(PHI))
        await client.do("PUT", f"{WORKSPACE}/onlineEndpoints/managed", endpoint())
        for kind, name in (("serverlessEndpoints", "phi"), ("onlineEndpoints", "managed")):
            one = f"{WORKSPACE}/{kind}/{name}"
            before = await client.keys(one)
            answer = await client.send("POST", f"{one}/regenerateKeys", {"keyType": "Secondary"})
            assert answer.status_code == 202
            assert await client.keys(one) == before
            await client.advance("10s")
            after = await client.keys(one)
            assert after["primaryKey"] == before["primaryKey"]
            assert after["secondaryKey"] != before["secondaryKey"]
            result = await client.http.get(answer.headers["location"])
            shown = result.json() if result.content else None
            assert (result.status_code, shown) == (200, after if name == "phi" else None)
            wrong = await client.send("POST", f"{one}/regenerateKeys", {"keyType": "Third"})
            assert wrong.status_code == 400


async def test_cores_are_counted_where_deployments_hold_them(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        one = f"{WORKSPACE}/onlineEndpoints/managed"
        await client.do("PUT", one, endpoint())
        await client.do("PUT", f"{one}/deployments/blue", deployment(3))
        usages = (await client.get(f"{LOCATION}/usages"))["value"]
        row = next(u for u in usages if u["name"]["value"] == "standardNCADSA100v4Family")
        assert (row["currentValue"], row["limit"]) == (72, 192)
        refused = await client.send("PUT", f"{one}/deployments/green", deployment(6))
        assert error(refused) == (400, "BadRequest")
        assert "Not enough quota" in refused.json()["error"]["details"][0]["message"]
        await client.do("PATCH", f"{one}/deployments/blue", {"sku": {"capacity": 1}})
        await client.do("PUT", f"{one}/deployments/green", deployment(6))
        sizes = (await client.get(f"{LOCATION}/vmSizes"))["value"]
        assert {"name", "family", "vCPUs"} <= sizes[0].keys()


async def test_state_is_found_again_after_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "state.db"
    one = f"{WORKSPACE}/serverlessEndpoints/phi"
    async with azure(tmp_path, state=state) as client:
        began = await client.send("PUT", one, serverless(PHI))
        operation = began.headers["azure-asyncoperation"].split("/subscriptions", 1)[1]
        keys = await client.keys(one)
    async with azure(tmp_path, state=state) as client:
        await client.advance("10s")
        assert (await client.get(f"/subscriptions{operation}"))["status"] == "Succeeded"
        assert (await client.get(one))["properties"]["provisioningState"] == "Succeeded"
        assert await client.keys(one) == keys
        assert [
            g["name"] for g in (await client.get(f"{SUB}/resourceGroups", "2024-07-01"))["value"]
        ] == [
            "rg-ml-prod",
            "rg-ml-eu",
            "rg-ml-dev",
        ]
        assert (await client.get(GROUP, "2024-07-01"))["location"] == "eastus2"
