"""Resource groups made and removed; the directory as `az role assignment` asks it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.emulator.azure_client import GROUP, READER, SUB, azure, connect, error

VERSION = "2025-04-01"
MADE = f"{SUB}/resourceGroups/rg-made"
EAST = {"location": "East US 2", "tags": {"a": "b"}}
READER_OBJECT = "cccccccc-0000-4000-8000-000000000002"


async def test_a_group_is_made_changed_and_removed(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        made = await client.send("PUT", MADE, EAST, version=VERSION)
        assert made.status_code == 201
        assert made.json()["location"] == "eastus2"
        again = await client.send("PUT", MADE, {"location": "eastus2"}, version=VERSION)
        assert (again.status_code, again.json()["tags"]) == (200, {})
        moved = await client.send("PUT", MADE, {"location": "westus"}, version=VERSION)
        assert error(moved) == (409, "InvalidResourceGroupLocation")
        async with connect(client.emulator, READER) as reader:
            refused = await reader.send("DELETE", MADE, version=VERSION)
            assert error(refused) == (403, "AuthorizationFailed")
        assert (await client.send("DELETE", MADE, version=VERSION)).status_code == 200
        assert (await client.send("GET", MADE, version=VERSION)).status_code == 404


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("rg-x", {"location": "atlantis"}, "LocationNotAvailableForResourceGroup"),
        ("rg-ends.", EAST, "InvalidResourceGroup"),
        ("rg%3Fx", EAST, "InvalidResourceGroup"),
    ],
)
async def test_groups_that_cannot_be(
    tmp_path: Path, name: str, body: dict[str, str], code: str
) -> None:
    async with azure(tmp_path) as client:
        path = f"{SUB}/resourceGroups/{name}"
        assert error(await client.send("PUT", path, body, version=VERSION)) == (400, code)


async def test_half_a_surrogate_pair_is_no_fault_of_the_emulators(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        body = b'{"location": "eastus2", "tags": {"a": "\\ud800"}}'
        url = f"{MADE}?api-version={VERSION}"
        json = {"content-type": "application/json"}
        made = await client.http.put(url, content=body, headers=json)
        assert (made.status_code, made.json()["tags"]) == (201, {"a": "?"})


async def test_a_group_with_workspaces_stays(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        refused = await client.send("DELETE", GROUP, version=VERSION)
        assert error(refused) == (409, "ResourceGroupNotEmpty")


async def test_principals_by_id_by_application_and_by_filter(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        asked = {"ids": [READER_OBJECT.upper(), "nobody"], "types": ["servicePrincipal"]}
        found = (await client.http.post("/v1.0/directoryObjects/getByIds", json=asked)).json()
        assert [each["displayName"] for each in found["value"]] == ["reader"]
        assert found["value"][0]["@odata.type"] == "#microsoft.graph.servicePrincipal"
        application = found["value"][0]["appId"]
        for condition in (
            f"servicePrincipalNames/any(c:c eq '{application}')",
            f"appId eq '{application}'",
            "displayName eq 'reader'",
        ):
            listed = await client.http.get("/v1.0/servicePrincipals", params={"$filter": condition})
            assert [each["id"] for each in listed.json()["value"]] == [READER_OBJECT]
        one = await client.http.get(f"/v1.0/servicePrincipals/{READER_OBJECT}")
        assert one.json()["appId"] == application
        assert (await client.http.get("/v1.0/users")).json()["value"] == []
        missing = await client.http.get("/v1.0/servicePrincipals/nobody")
        assert error(missing) == (404, "Request_ResourceNotFound")
        odd = await client.http.get("/v1.0/users", params={"$filter": "startswith(a,'b')"})
        assert error(odd) == (400, "Request_UnsupportedQuery")
        without = await client.http.get("/v1.0/users", headers={"Authorization": ""})
        assert without.status_code == 401
