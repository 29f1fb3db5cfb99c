"""A client that calls every operation of the emulator, in each api-version, with good requests.

It knows Azure from AZURE.md and the specifications, and the emulator only by its address. Time is
the emulator's: its clock is moved forward to let operations end, so nothing here waits.

Longer than other modules because it names every operation once, in order.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx

SUB = "/subscriptions/11111111-1111-1111-1111-111111111111"
GROUP = f"{SUB}/resourceGroups/rg-ml-prod"
ML = "providers/Microsoft.MachineLearningServices"
WORKSPACE = f"{GROUP}/{ML}/workspaces/mlw-prod"
REGION = "eastus2"
LOCATION = f"{SUB}/{ML}/locations/{REGION}"
OFFER = (
    "metagenai",
    "meta-llama-4-scout-17b-16e-instruct-offer",
    "meta-llama-4-scout-17b-16e-instruct-plan",
)
LLAMA = "azureml://registries/azureml-meta/models/Llama-4-Scout-17B-16E-Instruct"
MANAGED = "azureml://registries/azureml-meta/models/Llama-3.2-1B-Instruct/versions/1"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
SOMEBODY = "cccccccc-0000-4000-8000-000000000002"
STABLE = "2024-10-01"

Json = dict[str, Any]
Versions = Callable[[str], Iterable[str]]


@dataclass(slots=True)
class Driver:
    """One signed-in client. `versions` gives the api-versions to try for an operation."""

    http: httpx.AsyncClient
    versions: Versions
    runs: int = 0
    failed: list[str] = field(default_factory=list)

    async def everything(self) -> None:
        """Every area once; what an area makes it also deletes."""
        for area in (
            self.tenants,
            self.groups,
            self.tags,
            self.providers,
            self.capacity,
            self.workspaces,
            self.authorization,
            self.terms,
            self.registries,
            self.subscriptions,
            self.serverless,
            self.online,
            self.errors,
        ):
            await area()

    async def call(
        self, method: str, path: str, version: str, *statuses: int, body: Json | None = None
    ) -> Any:
        """One request; the answer's parsed body. A status that was not expected is noted."""
        separator = "&" if "?" in path else "?"
        url = f"{path}{separator}api-version={version}"
        answer = await self.http.request(method, url, json=body)
        if answer.status_code not in (statuses or (200,)):
            self.failed.append(f"{method} {url} -> {answer.status_code} {answer.text[:300]}")
        if "json" in answer.headers.get("content-type", "") and answer.content:
            return answer.json()
        return None

    async def finish(self) -> None:
        """Let whatever is running end."""
        answer = await self.http.post("/emulator/clock", json={"advance": "1h"})
        answer.raise_for_status()

    async def follow(self, method: str, path: str, version: str, body: Json | None = None) -> Any:
        """A write that takes time: the status while it runs, then after; then the result."""
        separator = "&" if "?" in path else "?"
        url = f"{path}{separator}api-version={version}"
        answer = await self.http.request(method, url, json=body)
        if answer.status_code not in (200, 201, 202, 204):
            self.failed.append(f"{method} {url} -> {answer.status_code} {answer.text[:300]}")
            return None
        links = [answer.headers.get(h) for h in ("azure-asyncoperation", "location")]
        followed = [link for link in links if link and "/mfeOperation" in link]
        for link in followed:
            await self.http.get(link)
        await self.finish()
        last = None
        for link in followed:
            done = await self.http.get(link)
            if done.status_code not in (200, 204):
                self.failed.append(f"GET {link} -> {done.status_code} {done.text[:300]}")
            last = done
        return last.json() if last is not None and last.content else None

    async def tenants(self) -> None:
        for version in self.versions("subscriptions.list"):
            await self.call("GET", "/subscriptions", version)
            await self.call("GET", SUB, version)
            await self.call("GET", f"{SUB}/locations", version)
            await self.call("GET", "/tenants", version)
            await self.call("GET", SUB[:-1] + "2", version, 404)

    async def groups(self) -> None:
        for version in self.versions("resourceGroups.list"):
            groups = f"{SUB}/resourcegroups"
            await self.call("GET", groups, version)
            await self.call("GET", f"{groups}/rg-ml-prod", version)
            await self.call("HEAD", f"{groups}/rg-ml-prod", version, 204)
            await self.call("HEAD", f"{groups}/absent", version, 404)
            await self.call("GET", f"{groups}/absent", version, 404)
            await self.call("PATCH", f"{groups}/rg-ml-prod", version, body={"tags": {"a": "b"}})
            made = {"location": REGION, "tags": {"a": "b"}}
            await self.call("PUT", f"{groups}/rg-made", version, 200, 201, body=made)
            await self.call("PUT", f"{groups}/rg-made", version, 200, body=made)
            await self.follow("DELETE", f"{groups}/rg-made", version)
            await self.call("GET", f"{groups}/rg-made", version, 404)
            await self.call("GET", f"{SUB}/resources", version)
            query = "$filter=tagName eq 'a' and tagValue eq 'b'"
            await self.call("GET", f"{SUB}/resources?{query}", version)
            await self.call("GET", f"{GROUP}/resources", version)

    async def tags(self) -> None:
        for version in self.versions("tags.list"):
            await self.call("GET", f"{SUB}/tagNames", version)
        for version in self.versions("tags.get"):
            for scope in (SUB, GROUP, WORKSPACE):
                path = f"{scope}/providers/Microsoft.Resources/tags/default"
                tags = {"properties": {"tags": {"one": "1"}}}
                await self.call("PUT", path, version, 200, 202, body=tags)
                await self.call("GET", path, version)
                for operation in ("Merge", "Replace", "Delete"):
                    change = {"operation": operation, **tags}
                    await self.call("PATCH", path, version, 200, 202, body=change)
                await self.call("DELETE", path, version, 200, 202)

    async def providers(self) -> None:
        for version in self.versions("providers.get"):
            await self.call("GET", f"{SUB}/providers", version)
            one = f"{SUB}/providers/Microsoft.MachineLearningServices"
            await self.call("GET", one, version)
            await self.call("POST", f"{one}/register", version)
            await self.call("POST", f"{SUB}/providers/Microsoft.Nothing/register", version, 404)
            saas = f"{SUB}/providers/Microsoft.SaaS"
            await self.call("POST", f"{saas}/unregister", version)
            await self.finish()
            await self.call("POST", f"{saas}/register", version)
            await self.finish()

    async def capacity(self) -> None:
        for version in self.versions("usages.list"):
            await self.call("GET", f"{LOCATION}/usages", version)
            if version > "2021":  # before, the specification has no answer but 200
                await self.call("GET", f"{SUB}/{ML}/locations/nowhere/usages", version, 400, 404)
        for version in self.versions("vmSizes.list"):
            await self.call("GET", f"{LOCATION}/vmSizes", version)
        for version in self.versions("quotas.update"):
            await self.call("GET", f"{LOCATION}/quotas", version)
            name = "standardDSv3Family"
            wish = {"id": f"{LOCATION}/quotas/{name}", "limit": 7, "unit": "Count"}
            wish["type"] = "Microsoft.MachineLearningServices/workspaces/quotas"
            body: Json = {"value": [wish]}
            if version > "2021":
                body["location"] = REGION
            await self.call("POST", f"{LOCATION}/updateQuotas", version, body=body)

    async def workspaces(self) -> None:
        for version in self.versions("workspaces.get"):
            await self.call("GET", WORKSPACE, version)
            await self.call("GET", f"{GROUP}/{ML}/workspaces", version)
            await self.call("GET", f"{SUB}/{ML}/workspaces", version)
            await self.call("GET", f"{GROUP}/{ML}/workspaces/absent", version, 404)
            await self.call("PATCH", WORKSPACE, version, 200, 202, body={"tags": {"team": "x"}})
            whole = {"location": REGION, "tags": {"team": "y"}, "properties": {"description": "z"}}
            await self.call("PUT", WORKSPACE, version, 200, 202, body=whole)
            await self.finish()

    async def authorization(self) -> None:
        for version in self.versions("roleAssignments.put"):
            provider = "providers/Microsoft.Authorization"
            for scope in (SUB, GROUP, WORKSPACE):
                await self.call("GET", f"{scope}/{provider}/roleAssignments", version)
                await self.call("GET", f"{scope}/{provider}/denyAssignments", version)
                await self.call("GET", f"{scope}/{provider}/roleDefinitions", version)
            await self.call("GET", f"{GROUP}/{provider}/permissions", version)
            parent = f"{GROUP}/{ML}//workspaces/mlw-prod"  # the doubled slash is azure-mgmt's
            await self.call("GET", f"{parent}/{provider}/permissions", version)
            query = "$filter=atScope()"
            await self.call("GET", f"{SUB}/{provider}/roleAssignments?{query}", version)
            await self._role(version, provider)
            await self._definition(version, provider)
            denials = f"{SUB}/{provider}/denyAssignments"
            found = await self.call("GET", denials, version)
            await self.call("GET", f"{denials}/{found['value'][0]['name']}", version)
            await self.call("GET", f"{denials}/{uuid.UUID(int=7)}", version, 404)

    async def _role(self, version: str, provider: str) -> None:
        path = f"{GROUP}/{provider}/roleAssignments/{uuid.UUID(int=1)}"
        properties = {
            "roleDefinitionId": f"{SUB}/{provider}/roleDefinitions/{READER}",
            "principalId": SOMEBODY,
        }
        await self.call("PUT", path, version, 200, 201, body={"properties": properties})
        await self.call("GET", path, version)
        await self.call("GET", f"{path.replace('/resourceGroups/', '/resourcegroups/')}", version)
        await self.call("DELETE", path, version, 200, 204)
        await self.call("DELETE", path, version, 200, 204)
        await self.call("GET", path, version, 404)

    async def _definition(self, version: str, provider: str) -> None:
        path = f"{SUB}/{provider}/roleDefinitions/{uuid.UUID(int=2)}"
        await self.call("GET", f"{SUB}/{provider}/roleDefinitions/{READER}", version)
        properties = {
            "roleName": "Contract",
            "description": "Made by a test.",
            "type": "CustomRole",
            "permissions": [{"actions": ["*/read"], "notActions": []}],
            "assignableScopes": [SUB],
        }
        await self.call("PUT", path, version, 200, 201, body={"properties": properties})
        await self.call("GET", path, version)
        await self.call("DELETE", path, version, 200, 204)

    async def terms(self) -> None:
        for version in self.versions("agreements.sign"):
            ordering = f"{SUB}/providers/Microsoft.MarketplaceOrdering"
            publisher, offer, plan = OFFER
            named = f"publishers/{publisher}/offers/{offer}/plans/{plan}"
            current = f"{ordering}/offerTypes/virtualmachine/{named}/agreements/current"
            terms = await self.call("GET", current, version)
            if terms:
                terms["properties"]["accepted"] = True
                body = {"properties": terms["properties"]}
                await self.call("PUT", current, version, body=body)
            agreement = f"{ordering}/agreements/{publisher}/offers/{offer}/plans/{plan}"
            for verb in ("sign", "cancel", "sign"):
                await self.call("POST", f"{agreement}/{verb}", version)
            await self.call("GET", agreement, version)
            await self.call("GET", f"{ordering}/agreements", version)

    async def registries(self) -> None:
        found = await self.http.get(
            "/registrymanagement/v1.0/registries/azureml/discovery?api-version=v1.0"
        )
        place = found.json()
        group = f"/subscriptions/{place['subscriptionId']}/resourceGroups/{place['resourceGroup']}"
        registry = f"{group}/{ML}/registries/azureml"
        for version in self.versions("Registries_Get"):
            await self.call("GET", registry, version)
            await self.call("GET", f"{group}/{ML}/registries", version)
            await self.call("GET", f"{SUB}/{ML}/registries", version)
            await self.call("GET", f"{group}/{ML}/registries/absent", version, 404)
        doors = (
            ("RegistryModelVersions_Get", registry),
            ("ModelVersions_Get", f"/mferp/managementfrontend{registry}"),
        )
        for operation, door in doors:
            for version in self.versions(operation):
                models = f"{door}/models"
                await self.call("GET", f"{models}?listViewType=ActiveOnly", version)
                one = f"{models}/Phi-4"
                await self.call("GET", one, version)
                query = "$orderBy=createdtime desc&$top=1"
                latest = await self.call("GET", f"{one}/versions?{query}", version)
                name = latest["value"][0]["name"]
                await self.call("GET", f"{one}/versions/{name}", version)
                await self.call("GET", f"{models}/absent", version, 404)

    async def subscriptions(self) -> None:
        for version in self.versions("marketplaceSubscriptions.put"):
            all_of_them = f"{WORKSPACE}/marketplaceSubscriptions"
            one = f"{all_of_them}/scout"
            body: Json = {"properties": {"modelId": LLAMA}}
            await self.call("GET", one, version, 404)
            await self.follow("PUT", one, version, body)
            await self.call("PUT", one, version, 200, 201, body=body)
            await self.finish()
            await self.call("GET", one, version)
            await self.call("GET", all_of_them, version)
            wrong = {"properties": {"modelId": f"{LLAMA}-absent"}}
            await self.call("PUT", f"{all_of_them}/wrong", version, 400, body=wrong)
            await self.follow("DELETE", one, version)
            await self.call("DELETE", one, version, 204)

    async def serverless(self) -> None:
        for version in self.versions("serverlessEndpoints.put"):
            self.runs += 1
            subscription = f"{WORKSPACE}/marketplaceSubscriptions/scout"
            await self.follow("PUT", subscription, version, {"properties": {"modelId": LLAMA}})
            all_of_them = f"{WORKSPACE}/serverlessEndpoints"
            one = f"{all_of_them}/contract-{self.runs}"
            properties: Json = {"authMode": "Key", "modelSettings": {"modelId": LLAMA}}
            if version >= STABLE:
                properties["contentSafety"] = {"contentSafetyStatus": "Disabled"}
            body = {
                "location": REGION,
                "sku": {"name": "Consumption"},
                "tags": {"a": "b"},
                "properties": properties,
            }
            await self.call("GET", one, version, 404)
            await self.call("PUT", one, version, 201, body=body)
            await self.call("GET", one, version)
            await self.call("PUT", one, version, 409, body=body)
            await self.finish()
            await self.call("PUT", one, version, body=body)
            await self.finish()
            await self.call("GET", one, version)
            await self.call("GET", all_of_them, version)
            await self.follow("PATCH", one, version, {"tags": {"c": "d"}})
            await self.call("POST", f"{one}/listKeys", version)
            await self.follow("POST", f"{one}/regenerateKeys", version, {"keyType": "Primary"})
            await self.follow("DELETE", one, version)
            await self.call("DELETE", one, version, 204)
            await self.follow("DELETE", subscription, version)

    async def online(self) -> None:
        for version in self.versions("onlineEndpoints.put"):
            self.runs += 1
            all_of_them = f"{WORKSPACE}/onlineEndpoints"
            one = f"{all_of_them}/contract-{self.runs}"
            await self.call("GET", one, version, 404)
            await self.follow("PUT", one, version, _endpoint({}))
            await self.call("GET", one, version)
            await self.call("GET", f"{all_of_them}?count=5", version)
            for deployments in self.versions("onlineDeployments.put"):
                if deployments == version:
                    await self._deployments(one, deployments)
            await self.follow("PUT", one, version, _endpoint({}))
            await self.follow("PATCH", one, version, {"tags": {"c": "d"}})
            await self.call("POST", f"{one}/listKeys", version)
            key = {"keyType": "Secondary", "keyValue": "k" * 32}
            await self.follow("POST", f"{one}/regenerateKeys", version, key)
            await self.follow("DELETE", one, version)
            await self.call("DELETE", one, version, 204)
            await self._token(f"{all_of_them}/token-{self.runs}", version)

    async def errors(self) -> None:
        """Answers of ARM's and the provider's that are no success, in each version's envelope."""
        for version in self.versions("serverlessEndpoints.list"):
            path = f"{WORKSPACE}/serverlessEndpoints"
            signed_in = self.http.headers.pop("Authorization")
            await self.call("GET", path, version, 401)
            self.http.headers["Authorization"] = signed_in
            for status in (403, 404, 409, 429, 500, 502, 503, 504):
                fault = {"path": path, "times": 1, "fail": {"status": status}}
                answer = await self.http.post("/emulator/faults", json={"faults": [fault]})
                answer.raise_for_status()
                await self.call("GET", path, version, status)
            throttle: Json = {"path": path, "times": 1, "throttle": {}}
            answer = await self.http.post("/emulator/faults", json={"faults": [throttle]})
            answer.raise_for_status()
            await self.call("GET", path, version, 429)

    async def _token(self, one: str, version: str) -> None:
        body = _endpoint({})
        body["properties"]["authMode"] = "AMLToken"
        await self.follow("PUT", one, version, body)
        await self.call("POST", f"{one}/token", version)
        await self.follow("DELETE", one, version)

    async def _deployments(self, endpoint: str, version: str) -> None:
        all_of_them = f"{endpoint}/deployments"
        one = f"{all_of_them}/blue"
        await self.call("GET", one, version, 404)
        await self.follow("PUT", one, version, _deployment(1))
        await self.call("GET", one, version)
        await self.call("GET", all_of_them, version)
        await self.follow("PUT", endpoint, version, _endpoint({"blue": 100}))
        await self.follow("PATCH", one, version, {"sku": {"name": "Default", "capacity": 2}})
        await self.follow("PUT", one, version, _deployment(2))
        logs = {"containerType": "InferenceServer", "tail": 10}
        await self.call("POST", f"{one}/getLogs", version, body=logs)
        await self.call("GET", f"{one}/skus", version)
        greedy = _deployment(40)
        await self.call("PUT", f"{all_of_them}/greedy", version, 400, body=greedy)
        await self.follow("PUT", endpoint, version, _endpoint({}))
        await self.follow("DELETE", one, version)
        await self.call("DELETE", one, version, 204)


def _endpoint(traffic: dict[str, int]) -> Json:
    return {
        "location": REGION,
        "identity": {"type": "SystemAssigned"},
        "tags": {},
        "properties": {"authMode": "Key", "properties": {}, "traffic": traffic},
    }


def _deployment(instances: int) -> Json:
    return {
        "location": REGION,
        "sku": {"name": "Default", "capacity": instances},
        "tags": {},
        "properties": {
            "endpointComputeType": "Managed",
            "model": MANAGED,
            "instanceType": "Standard_NC24ads_A100_v4",
            "environmentVariables": {"A": "b"},
            "appInsightsEnabled": False,
            "properties": {},
        },
    }
