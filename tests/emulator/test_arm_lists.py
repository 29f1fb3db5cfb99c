"""Lists and tags of ARM: filters, sorting, pages, links, limits of tags, existence."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.emulator.azure_client import (
    GROUP,
    PHI,
    STABLE,
    SUB,
    WORKSPACE,
    azure,
    endpoint,
    error,
    serverless,
)

RESOURCES = "2024-07-01"


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ({"a/b": ""}, "InvalidTagNameCharacters"),
        ({"": "x"}, "InvalidTagName"),
        ({"a" * 513: ""}, "InvalidTagName"),
        ({"a": "x" * 257}, "InvalidTagValueLength"),
        ({"a": "1", "A": "2"}, "InvalidRequestContent"),
        ({f"t{n}": "" for n in range(51)}, "InvalidTags"),
    ],
    ids=["characters", "no name", "long name", "long value", "twice", "many"],
)
async def test_tags_beyond_the_limits_are_refused_wherever_they_are_sent(
    tmp_path: Path, tags: dict[str, str], code: str
) -> None:
    async with azure(tmp_path) as client:
        new, kept = f"{WORKSPACE}/serverlessEndpoints/phi", f"{WORKSPACE}/onlineEndpoints/kept"
        await client.do("PUT", kept, endpoint())
        own = f"{kept}/providers/Microsoft.Resources/tags/default"
        group = {"location": "eastus2", "tags": tags}
        for method, path, body, version in (
            ("PUT", new, {**serverless(PHI), "tags": tags}, STABLE),
            ("PUT", kept, {**endpoint(), "tags": tags}, STABLE),
            ("PATCH", kept, {"tags": tags}, STABLE),
            ("PATCH", WORKSPACE, {"tags": tags}, STABLE),
            ("PUT", f"{SUB}/resourceGroups/rg-new", group, RESOURCES),
            ("PATCH", GROUP, {"tags": tags}, RESOURCES),
            ("PUT", own, {"properties": {"tags": tags}}, RESOURCES),
            ("PATCH", own, {"operation": "Merge", "properties": {"tags": tags}}, RESOURCES),
        ):
            refused = await client.send(method, path, body, version=version)
            assert error(refused) == (400, code), (method, path)


async def test_a_tag_is_the_same_whatever_its_case_and_a_null_is_empty(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        tags = f"{GROUP}/providers/Microsoft.Resources/tags/default"
        body: dict[str, object] = {"properties": {"tags": {"Team": "x", "n": None}}}
        await client.send("PUT", tags, body, version=RESOURCES)
        body = {"operation": "Merge", "properties": {"tags": {"TEAM": "y"}}}
        merged = await client.send("PATCH", tags, body, version=RESOURCES)
        assert merged.json()["properties"]["tags"] == {"n": "", "TEAM": "y"}
        body = {"operation": "Delete", "properties": {"tags": {"team": "y"}}}
        left = await client.send("PATCH", tags, body, version=RESOURCES)
        assert left.json()["properties"]["tags"] == {"n": ""}


WORKSPACES = "Microsoft.MachineLearningServices/workspaces"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("location eq 'East US 2'", ["mlw-prod", "phi"]),
        ("location ne 'eastus2'", ["mlw-eu", "mlw-dev"]),
        (f"resourceType eq '{WORKSPACES}' and location eq 'westus3'", ["mlw-dev"]),
        (f"resourceType ne '{WORKSPACES}'", ["phi"]),
        ("name eq 'PHI' or name eq 'mlw-eu'", ["mlw-eu", "phi"]),
        ("substringof('lw-', name) and resourceGroup ne 'rg-ml-eu'", ["mlw-prod", "mlw-dev"]),
        ("substringof('-eu', resourceGroup)", ["mlw-eu"]),
        ("startswith(tagName, 'depart')", ["phi"]),
        ("startswith(tagName,'x')", []),
        ("tagName eq 'Department' and tagValue eq 'rock and ''roll'", []),
        ('tagName eq "department"', None),
        ("tagName eq 'Department' and tagValue eq 'rock and ''roll'''", ["phi"]),
        ("identity/principalId eq 'x'", []),
        ("tagValue eq 'x'", None),
        ("tagName ne 'x'", None),
        ("name eq 'a' and", None),
        ("name eq 'a' name eq 'b'", None),
        ("substringof('a', location)", None),
        ("name eq 'a", None),
        ("(name eq 'a')", None),
        ("colour eq 'red'", None),
    ],
)
async def test_resources_are_filtered_as_the_specification_says(
    tmp_path: Path, text: str, names: list[str] | None
) -> None:
    async with azure(tmp_path) as client:
        one = f"{WORKSPACE}/serverlessEndpoints/phi"
        await client.do("PUT", one, {**serverless(PHI), "tags": {"department": "rock and 'roll'"}})
        query = {"api-version": RESOURCES, "$filter": text}
        answer = await client.http.get(f"{SUB}/resources", params=query)
        if names is None:
            assert error(answer) == (400, "InvalidFilterInQueryString")
        else:
            assert [r["name"] for r in answer.json()["value"]] == names


async def test_a_list_of_resources_shows_more_when_it_is_asked_to(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        query = {"api-version": RESOURCES, "$expand": "createdTime, changedTime,provisioningState"}
        shown = (await client.http.get(f"{SUB}/resources", params=query)).json()["value"][0]
        assert shown["provisioningState"] == "Succeeded"
        assert shown["createdTime"] <= shown["changedTime"]


async def test_whether_a_resource_is_there_is_answered_without_its_body(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        for path, status in ((WORKSPACE, 204), (f"{WORKSPACE}x", 404), (SUB, 204)):
            version = "2022-12-01" if path == SUB else STABLE
            answer = await client.send("HEAD", path, version=version)
            assert (answer.status_code, answer.content) == (status, b"")


async def test_links_hold_for_groups_with_names_beyond_ascii(tmp_path: Path) -> None:
    scenario = """
behaviour: {pageSize: 1, onePerModel: false}
subscriptions:
  - id: 11111111-1111-1111-1111-111111111111
    name: Mine
    resourceGroups:
      - name: rg-größe(1)
        location: eastus2
        workspaces: [{name: mlw-prod, location: eastus2}]
"""
    async with azure(tmp_path, scenario) as client:
        workspace = WORKSPACE.replace("rg-ml-prod", "rg-größe(1)")
        for name in ("one", "two"):
            made = await client.send("PUT", f"{workspace}/onlineEndpoints/{name}", endpoint())
            assert (await client.http.get(made.headers["location"])).json()["name"] == name
        page = await client.get(f"{workspace}/onlineEndpoints")
        assert page["nextLink"].isascii()
        assert [r["name"] for r in (await client.get(page["nextLink"]))["value"]] == ["two"]


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("CreatedAtDesc", "dcba"),
        ("createdatasc", "abcd"),
        ("UpdatedAtAsc", "acdb"),
        ("UpdatedAtDesc", "bdca"),
    ],
)
async def test_a_sorted_list_goes_on_where_its_page_ended(
    tmp_path: Path, order: str, names: str
) -> None:
    async with azure(tmp_path, "behaviour: {pageSize: 3}") as client:
        root = f"{WORKSPACE}/onlineEndpoints"
        for name in "abcd":
            await client.do("PUT", f"{root}/{name * 3}", endpoint())
        await client.do("PATCH", f"{root}/bbb", {"tags": {"a": "b"}})
        page = await client.get(f"{root}?orderBy={order}")
        assert len(page["value"]) == 3
        found = [r["name"][0] for r in page["value"]]
        page = await client.get(page["nextLink"])
        assert found + [r["name"][0] for r in page["value"]] == list(names)
        assert "nextLink" not in page


@pytest.mark.parametrize("query", ["computeType=Cluster", "orderBy=name"])
async def test_a_filter_with_a_word_that_there_is_not_is_a_400(tmp_path: Path, query: str) -> None:
    async with azure(tmp_path) as client:
        answer = await client.send("GET", f"{WORKSPACE}/onlineEndpoints?{query}")
        assert error(answer) == (400, "UserError")


async def test_the_names_of_tags_are_listed_with_how_often_each_is_used(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        await client.send("PATCH", GROUP, {"tags": {"Team": "x", "n": "1"}}, version=RESOURCES)
        await client.send("PATCH", WORKSPACE, {"tags": {"team": "y"}})
        shown = {t["tagName"]: t for t in (await client.get(f"{SUB}/tagNames", RESOURCES))["value"]}
        assert {name: tag["count"]["value"] for name, tag in shown.items()} == {"team": 2, "n": 1}
        assert sorted(value["tagValue"] for value in shown["team"]["values"]) == ["x", "y"]
