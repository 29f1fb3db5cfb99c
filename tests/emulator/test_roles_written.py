"""Role assignments and definitions as clients write them: what is kept, and what is refused."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from tests.emulator.azure_client import GROUP, SUB, WORKSPACE, Client, azure, endpoint, error

PROVIDER = "providers/Microsoft.Authorization"
VERSION = "2022-04-01"
SOMEBODY = "cccccccc-0000-4000-8000-000000000002"
READER_ROLE = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
OWNER_ROLE = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"


def _grant(**changes: object) -> dict[str, object]:
    role = f"{SUB}/{PROVIDER}/roleDefinitions/{READER_ROLE}"
    return {"properties": {"roleDefinitionId": role, "principalId": SOMEBODY, **changes}}


def _assignment(scope: str = GROUP) -> str:
    return f"{scope}/{PROVIDER}/roleAssignments/{uuid.uuid4()}"


async def _put(client: Client, path: str, body: object) -> tuple[int, dict[str, object]]:
    answer = await client.send("PUT", path, body, version=VERSION)
    found: dict[str, object] = answer.json()
    return answer.status_code, found


async def test_what_an_assignment_says_is_kept_and_can_be_changed(tmp_path: Path) -> None:
    state = tmp_path / "state.db"
    path = _assignment()
    said = {"description": "why", "condition": "@Resource[x] StringEquals 'y'"}
    async with azure(tmp_path, state=state) as client:
        status, _ = await _put(client, path, _grant(**said, conditionVersion="2.0"))
        assert status == 201
        shown = (await client.get(path, VERSION))["properties"]
        assert shown["description"] == "why"
        assert (shown["condition"], shown["conditionVersion"]) == (said["condition"], "2.0")
        status, _ = await _put(client, path, _grant(description="because"))
        assert status == 200
    async with azure(tmp_path, state=state) as client:
        again = (await client.get(path, VERSION))["properties"]
        assert (again["description"], again["condition"]) == ("because", None)
        assert again["createdOn"] == shown["createdOn"] < again["updatedOn"]


async def test_an_assignment_of_the_scenario_is_described_once_more(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        root = f"{SUB}/{PROVIDER}/roleAssignments"
        given = (await client.get(f"{root}?$filter=principalId eq '{SOMEBODY}'", VERSION))["value"]
        path = given[0]["id"]
        assert (await _put(client, path, _grant(description="x")))[0] == 200
        found = (await client.get(f"{root}?$filter=principalId eq '{SOMEBODY}'", VERSION))["value"]
        assert [(a["id"], a["properties"]["description"]) for a in found] == [(path, "x")]


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"principalId": "nobody"}, 400, "InvalidPrincipalId"),
        ({"principalId": str(uuid.UUID(int=5))}, 400, "PrincipalNotFound"),
        ({"principalType": "User"}, 400, "UnmatchedPrincipalType"),
        ({"roleDefinitionId": str(uuid.UUID(int=5))}, 404, "RoleDefinitionDoesNotExist"),
    ],
)
async def test_an_assignment_that_cannot_be(
    tmp_path: Path, changes: dict[str, object], status: int, code: str
) -> None:
    async with azure(tmp_path) as client:
        answer = await client.send("PUT", _assignment(), _grant(**changes), version=VERSION)
        assert error(answer) == (status, code)


async def test_an_assignment_has_one_name_one_place_and_one_holder(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        path = _assignment()
        await _put(client, path, _grant())
        other = _grant(principalId="cccccccc-0000-4000-8000-000000000001")
        answer = await client.send("PUT", path, other, version=VERSION)
        assert error(answer) == (409, "RoleAssignmentUpdateNotPermitted")
        twice = await client.send("PUT", _assignment(), _grant(), version=VERSION)
        assert error(twice) == (409, "RoleAssignmentExists")
        assert path.rsplit("/", 1)[1].replace("-", "") in twice.text
        absent = _assignment(f"{SUB}/resourceGroups/rg-absent")
        answer = await client.send("PUT", absent, _grant(), version=VERSION)
        assert error(answer) == (404, "ResourceGroupNotFound")
        misnamed = f"{GROUP}/{PROVIDER}/roleAssignments/mine"
        answer = await client.send("PUT", misnamed, _grant(), version=VERSION)
        assert error(answer) == (400, "InvalidRoleAssignmentId")


async def test_an_identity_and_a_principal_of_a_stated_type_need_no_entry_in_the_directory(
    tmp_path: Path,
) -> None:
    async with azure(tmp_path) as client:
        one = f"{WORKSPACE}/onlineEndpoints/mine"
        await client.do("PUT", one, endpoint())
        identity = (await client.get(one))["identity"]["principalId"]
        workspace = (await client.get(WORKSPACE))["identity"]["principalId"]
        for body in (
            _grant(principalId=identity),
            _grant(principalId=workspace),
            _grant(principalId=str(uuid.UUID(int=5)), principalType="ServicePrincipal"),
        ):
            assert (await _put(client, _assignment(), body))[0] == 201


@pytest.mark.parametrize("kind", ["roleAssignments", "roleDefinitions", "denyAssignments"])
async def test_a_filter_that_nobody_knows_is_refused(tmp_path: Path, kind: str) -> None:
    async with azure(tmp_path) as client:
        for text in ("colour eq 'red'", "bogus", "atScope() or atScope()"):
            query = {"api-version": VERSION, "$filter": text}
            answer = await client.http.get(f"{SUB}/{PROVIDER}/{kind}", params=query)
            assert error(answer) == (400, "InvalidFilter")
        query = {"api-version": VERSION, "$filter": "atScope()"}
        answer = await client.http.get(f"{SUB}/{PROVIDER}/{kind}", params=query)
        assert answer.status_code == 200


async def test_a_definition_needs_its_name_permissions_and_scopes(tmp_path: Path) -> None:
    permissions = [{"actions": ["*/read"]}]
    whole = {"roleName": "R", "permissions": permissions, "assignableScopes": [SUB]}
    async with azure(tmp_path) as client:
        path = f"{SUB}/{PROVIDER}/roleDefinitions/{uuid.uuid4()}"
        for name, value in whole.items():
            for empty in (None, type(value)()):
                body = {"properties": {**whole, name: empty}}
                answer = await client.send("PUT", path, body, version=VERSION)
                assert error(answer) == (400, "BadRequestFormat")
        misnamed = f"{SUB}/{PROVIDER}/roleDefinitions/mine"
        answer = await client.send("PUT", misnamed, {"properties": whole}, version=VERSION)
        assert error(answer) == (400, "InvalidRoleDefinitionId")
        owner = f"{SUB}/{PROVIDER}/roleDefinitions/{OWNER_ROLE}"
        for method in ("PUT", "DELETE"):
            answer = await client.send(method, owner, {"properties": whole}, version=VERSION)
            assert error(answer) == (403, "RoleDefinitionCannotBeModified")
        assert (await _put(client, path, {"properties": whole}))[0] == 201
