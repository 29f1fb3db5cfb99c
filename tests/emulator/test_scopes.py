"""Scopes of roles, locks and tags: those that there are, and the others."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from provisioner.emulator.errors import ArmError
from provisioner.emulator.scopes import check_scope
from tests.emulator.azure_client import GROUP, SUB, WORKSPACE, azure, error


@pytest.mark.parametrize(
    "scope",
    [
        "/",
        SUB,
        GROUP,
        WORKSPACE,
        f"{WORKSPACE}/onlineEndpoints/e/deployments/d",
        f"{WORKSPACE}/providers/Microsoft.Authorization/locks/l",
        f"{SUB}/providers/Microsoft.Compute/galleries/g",
        "/providers/Microsoft.Management/managementGroups/g",
        WORKSPACE.upper().replace("/", "//"),
    ],
)
def test_a_scope_that_there_can_be(scope: str) -> None:
    check_scope(scope)


@pytest.mark.parametrize(
    ("scope", "code"),
    [
        ("/subscriptions", "MissingSubscription"),
        ("/foo/bar", "MissingSubscription"),
        (f"{SUB}/resourceGroups", "InvalidResourceId"),
        (f"{SUB}/x/y", "InvalidResourceId"),
        (f"{GROUP}/providers", "InvalidResourceId"),
        (f"{GROUP}/providers/A.B", "InvalidResourceId"),
        (f"{GROUP}/providers/A.B/c", "InvalidResourceId"),
        (f"{WORKSPACE}/onlineEndpoints", "InvalidResourceId"),
        (f"{WORKSPACE}/providers/A.B/c", "InvalidResourceId"),
    ],
)
def test_a_scope_that_can_name_nothing(scope: str, code: str) -> None:
    with pytest.raises(ArmError) as refused:
        check_scope(scope)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "tail",
    [
        "Microsoft.Authorization/permissions?api-version=2022-04-01",
        "Microsoft.Authorization/roleDefinitions?api-version=2022-04-01",
        "Microsoft.Authorization/roleAssignments?api-version=2022-04-01",
        "Microsoft.Authorization/denyAssignments?api-version=2022-04-01",
        "Microsoft.Authorization/locks?api-version=2020-05-01",
        "Microsoft.Resources/tags/default?api-version=2024-07-01",
    ],
)
async def test_every_operation_at_a_scope_refuses_one_that_names_nothing(
    tmp_path: Path, tail: str
) -> None:
    async with azure(tmp_path) as client:
        for scope in ("/subscriptions", "/foo"):
            answer = await client.http.get(f"{scope}/providers/{tail}")
            assert error(answer) == (404, "MissingSubscription")
        answer = await client.http.get(f"{SUB}/x/y/providers/{tail}")
        assert error(answer) == (400, "InvalidResourceId")


async def test_nothing_is_set_at_a_resource_that_is_not_there(tmp_path: Path) -> None:
    role = f"{SUB}/providers/Microsoft.Authorization/roleDefinitions/{uuid.UUID(int=1)}"
    grant = {"properties": {"roleDefinitionId": role, "principalId": str(uuid.UUID(int=2))}}
    async with azure(tmp_path) as client:
        for tail, body, version in (
            ("locks/keep", {"properties": {"level": "ReadOnly"}}, "2020-05-01"),
            (f"roleAssignments/{uuid.uuid4()}", grant, "2022-04-01"),
        ):
            path = f"{WORKSPACE}x/providers/Microsoft.Authorization/{tail}"
            answer = await client.send("PUT", path, body, version=version)
            assert error(answer) == (404, "ResourceNotFound")
