"""ARM around the resources: headers, budgets, pages, tags, locks, providers, conditions."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from tests.emulator.azure_client import (
    GROUP,
    LOCATION,
    PHI,
    READER,
    STABLE,
    SUB,
    WORKSPACE,
    Client,
    azure,
    connect,
    deployment,
    endpoint,
    error,
    serverless,
    subscription,
)

RESOURCES = "2024-07-01"


async def test_every_answer_carries_ids_and_what_is_left_of_the_budget(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        mine = {"x-ms-client-request-id": "mine", "x-ms-return-client-request-id": "true"}
        path = f"{WORKSPACE}?api-version={STABLE}"
        answer = await client.http.get(path, headers=mine)
        assert uuid.UUID(answer.headers["x-ms-request-id"])
        assert answer.headers["x-ms-correlation-request-id"]
        assert answer.headers["x-ms-client-request-id"] == "mine"
        assert int(answer.headers["x-ms-ratelimit-remaining-subscription-reads"]) < 250
        written = await client.send("DELETE", f"{WORKSPACE}/serverlessEndpoints/absent")
        assert written.status_code == 204
        assert int(written.headers["x-ms-ratelimit-remaining-subscription-deletes"]) == 199
        tenant = await client.send("GET", "/subscriptions", version="2022-12-01")
        assert "x-ms-ratelimit-remaining-tenant-reads" in tenant.headers


async def test_a_spent_bucket_gives_429_until_it_refills(tmp_path: Path) -> None:
    scenario = """
behaviour: {buckets: {reads: {size: 3, refill: 0.5}}}
clock: {start: "2026-07-01T00:00:00Z", speed: 0.000001}
"""
    async with azure(tmp_path, scenario) as client:
        answers = [await client.send("GET", WORKSPACE) for _ in range(4)]
        assert [a.status_code for a in answers] == [200, 200, 200, 429]
        assert error(answers[3]) == (429, "SubscriptionRequestsThrottled")
        assert answers[3].headers["retry-after"] == "2"
        async with connect(client.emulator, READER) as other:
            assert (await other.send("GET", WORKSPACE)).status_code == 200
        await client.advance("2s")
        assert (await client.send("GET", WORKSPACE)).status_code == 200


async def test_pages_hold_each_resource_once_also_when_one_goes_in_between(
    tmp_path: Path,
) -> None:
    scenario = "behaviour: {pageSize: 2, onePerModel: false}"
    async with azure(tmp_path, scenario) as client:
        names = [f"e{n}" for n in range(5)]
        for name in names:
            await client.do("PUT", f"{WORKSPACE}/serverlessEndpoints/{name}", serverless(PHI))
        first = await client.get(f"{WORKSPACE}/serverlessEndpoints")
        await client.do("DELETE", f"{WORKSPACE}/serverlessEndpoints/e0")
        found = [r["name"] for r in first["value"]]
        link = first["nextLink"]
        while link:
            assert f"api-version={STABLE}" in link
            page = await client.get(link)
            found += [r["name"] for r in page["value"]]
            link = page.get("nextLink")
        assert found == names


async def test_tags_are_merged_replaced_deleted_and_found_by_an_index_without_tags(
    tmp_path: Path,
) -> None:
    async with azure(tmp_path) as client:
        one = f"{WORKSPACE}/serverlessEndpoints/phi"
        await client.do("PUT", one, {**serverless(PHI), "tags": {"stack": "a"}})
        tags = f"{one}/providers/Microsoft.Resources/tags/default"

        async def patch(operation: str, **given: str) -> object:
            body = {"operation": operation, "properties": {"tags": given}}
            answer = await client.send("PATCH", tags, body, version=RESOURCES)
            return answer.json()["properties"]["tags"]

        assert await patch("Merge", team="x") == {"stack": "a", "team": "x"}
        assert await patch("Delete", stack="other") == {"stack": "a", "team": "x"}
        assert await patch("Delete", team="x") == {"stack": "a"}
        assert await patch("Replace", owner="o") == {"owner": "o"}
        assert (await client.get(one))["tags"] == {"owner": "o"}
        path = f"{SUB}/resources?$filter=tagName eq 'OWNER' and tagValue eq 'o'"
        found = (await client.get(path, RESOURCES))["value"]
        assert [(r["id"], "tags" in r) for r in found] == [(one, False)]
        kind = "Microsoft.MachineLearningServices/workspaces/serverlessEndpoints"
        path = f"{GROUP}/resources?$filter=resourceType eq '{kind}'"
        found = (await client.get(path, RESOURCES))["value"]
        assert [(r["id"], r["tags"]) for r in found] == [(one, {"owner": "o"})]
        many = {"properties": {"tags": {f"t{n}": "" for n in range(51)}}}
        refused = await client.send("PUT", tags, many, version=RESOURCES)
        assert error(refused) == (400, "InvalidTags")


async def test_the_index_behind_the_list_lags(tmp_path: Path) -> None:
    async with azure(tmp_path, "behaviour: {indexLag: 10s}\nclock: {speed: 0.001}") as client:
        one = f"{WORKSPACE}/serverlessEndpoints/phi"
        await client.send("PUT", one, {**serverless(PHI), "tags": {"stack": "a"}})
        path = f"{SUB}/resources?$filter=tagName eq 'stack'"
        assert (await client.get(path, RESOURCES))["value"] == []
        await client.advance("11s")
        assert len((await client.get(path, RESOURCES))["value"]) == 1


@pytest.mark.parametrize(("level", "write"), [("CanNotDelete", 201), ("ReadOnly", 409)])
async def test_a_lock_stops_what_its_level_says(tmp_path: Path, level: str, write: int) -> None:
    async with azure(tmp_path) as client:
        kept = f"{WORKSPACE}/serverlessEndpoints/phi"
        await client.do("PUT", kept, serverless(PHI))
        lock = f"{GROUP}/providers/Microsoft.Authorization/locks/keep"
        body = {"properties": {"level": level, "notes": "mine"}}
        assert (await client.send("PUT", lock, body, version="2020-05-01")).status_code == 201
        deleted = await client.send("DELETE", kept)
        assert error(deleted) == (409, "ScopeLocked")
        written = await client.send("PUT", f"{WORKSPACE}/onlineEndpoints/new", endpoint())
        assert written.status_code == write
        assert (await client.send("GET", kept)).status_code == 200
        await client.send("DELETE", lock, version="2020-05-01")
        assert (await client.send("DELETE", kept)).status_code == 202


async def test_a_provider_is_registered_some_time_after_it_was_asked_for(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        one = f"{SUB}/providers/Microsoft.MachineLearningServices"
        await client.send("POST", f"{one}/unregister", version=RESOURCES)
        refused = await client.send("PUT", f"{WORKSPACE}/serverlessEndpoints/phi", serverless(PHI))
        assert error(refused) == (409, "MissingSubscriptionRegistration")
        asked = await client.send("POST", f"{one}/register", version=RESOURCES)
        assert asked.json()["registrationState"] == "Registering"
        await client.advance("10s")
        shown = await client.get(one, RESOURCES)
        assert shown["registrationState"] == "Registered"
        kinds = {t["resourceType"]: t for t in shown["resourceTypes"]}
        assert STABLE in kinds["workspaces/serverlessEndpoints"]["apiVersions"]
        assert "East US 2" in kinds["workspaces"]["locations"]


async def test_a_reader_reads_and_is_told_which_right_is_missing(tmp_path: Path) -> None:
    async with azure(tmp_path, who=READER) as client:
        permissions = await client.get(
            f"{GROUP}/providers/Microsoft.Authorization/permissions", "2022-04-01"
        )
        assert permissions["value"][0]["actions"] == ["*/read"]
        assert (await client.send("GET", WORKSPACE)).status_code == 200
        one = f"{WORKSPACE}/serverlessEndpoints/phi"
        for method, path, action, scope in (
            ("PUT", one, "serverlessEndpoints/write", one),
            ("DELETE", one, "serverlessEndpoints/delete", one),
            ("POST", f"{one}/listKeys", "serverlessEndpoints/listKeys/action", one),
        ):
            answer = await client.send(method, path, {})
            assert error(answer) == (403, "AuthorizationFailed")
            message = answer.json()["error"]["message"]
            assert f"'Microsoft.MachineLearningServices/workspaces/{action}'" in message
            assert f"over scope '{scope}'" in message


async def test_a_new_role_works_after_a_while_and_only_below_its_scope(tmp_path: Path) -> None:
    who = "cccccccc-0000-4000-8000-000000000002"
    data_scientist = "f6c7c914-8db3-469d-8ca1-694a8f32e121"
    scenario = "behaviour: {rbacDelay: 5m}\nclock: {speed: 0.001}"
    async with azure(tmp_path, scenario) as client, connect(client.emulator, READER) as other:
        one = f"{WORKSPACE}/onlineEndpoints/mine"
        assert (await other.send("PUT", one, endpoint())).status_code == 403
        provider = "providers/Microsoft.Authorization"
        assignment = f"{WORKSPACE}/{provider}/roleAssignments/{uuid.uuid4()}"
        role = f"{SUB}/{provider}/roleDefinitions/{data_scientist}"
        body = {"properties": {"roleDefinitionId": role, "principalId": who}}
        made = await client.send("PUT", assignment, body, version="2022-04-01")
        assert made.status_code == 201
        assert (await other.send("PUT", one, endpoint())).status_code == 403
        await client.advance("6m")
        assert (await other.send("PUT", one, endpoint())).status_code == 201
        elsewhere = one.replace("rg-ml-prod", "rg-ml-dev").replace("mlw-prod", "mlw-dev")
        assert (await other.send("PUT", elsewhere, endpoint())).status_code == 403
        # The workspace's role does not buy: the offer's terms belong to the subscription.
        bought = await other.send(
            "PUT", f"{WORKSPACE}/marketplaceSubscriptions/llama", subscription()
        )
        assert error(bought) == (403, "AuthorizationFailed")
        assert "MarketplaceOrdering" in bought.json()["error"]["message"]
        await client.send("DELETE", assignment, version="2022-04-01")
        assert (await other.send("DELETE", one)).status_code == 403


async def test_a_custom_role_gives_what_its_not_actions_leave(tmp_path: Path) -> None:
    async with azure(tmp_path) as client, connect(client.emulator, READER) as other:
        provider, guid = "providers/Microsoft.Authorization", str(uuid.uuid4())
        kind = "Microsoft.MachineLearningServices/workspaces/serverlessEndpoints"
        definition = {
            "properties": {
                "roleName": "Endpoints without keys",
                "type": "CustomRole",
                "permissions": [{"actions": [f"{kind}/*"], "notActions": [f"{kind}/listKeys/*"]}],
                "assignableScopes": [SUB],
            }
        }
        path = f"{SUB}/{provider}/roleDefinitions/{guid}"
        made = await client.send("PUT", path, definition, version="2022-04-01")
        assert made.status_code == 201
        body = {
            "properties": {
                "roleDefinitionId": made.json()["id"],
                "principalId": "cccccccc-0000-4000-8000-000000000002",
            }
        }
        assignment = f"{SUB}/{provider}/roleAssignments/{uuid.uuid4()}"
        await client.send("PUT", assignment, body, version="2022-04-01")
        one = f"{WORKSPACE}/serverlessEndpoints/phi"
        await other.do("PUT", one, serverless(PHI))
        assert (await other.send("POST", f"{one}/listKeys")).status_code == 403
        in_use = await client.send("DELETE", path, version="2022-04-01")
        assert error(in_use) == (400, "RoleDefinitionHasAssignments")


async def test_subscriptions_that_nobody_gave_a_role_in_are_not_shown(tmp_path: Path) -> None:
    other = "22222222-2222-2222-2222-222222222222"
    scenario = f"""
subscriptions:
  - {{id: 11111111-1111-1111-1111-111111111111, name: Mine}}
  - {{id: {other}, name: Other, state: Disabled}}
"""
    async with azure(tmp_path, scenario) as client:
        shown = (await client.get("/subscriptions", "2022-12-01"))["value"]
        assert [s["displayName"] for s in shown] == ["Mine"]
        refused = await client.send("GET", f"/subscriptions/{other}", version="2022-12-01")
        assert error(refused) == (403, "AuthorizationFailed")


async def _names(client: Client, path: str) -> list[str]:
    return [r["name"] for r in (await client.get(path))["value"]]


async def test_online_endpoints_are_filtered_as_the_specification_says(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        root = f"{WORKSPACE}/onlineEndpoints"
        await client.do("PUT", f"{root}/one", {**endpoint(), "tags": {"a": "1"}})
        await client.do("PUT", f"{root}/two", {**endpoint(), "tags": {"a": "2"}})
        assert await _names(client, root) == ["one", "two"]
        assert await _names(client, f"{root}?name=TWO") == ["two"]
        assert await _names(client, f"{root}?tags=a=1") == ["one"]
        assert await _names(client, f"{root}?tags=a") == ["one", "two"]
        assert await _names(client, f"{root}?count=1") == ["one"]
        assert await _names(client, f"{root}?computeType=Kubernetes") == []


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


async def test_null_is_the_same_as_leaving_a_property_out(tmp_path: Path) -> None:
    async with azure(tmp_path) as client:
        before = (await client.get(WORKSPACE))["properties"]
        nulls = {"description": None, "publicNetworkAccess": None}
        await client.do("PATCH", WORKSPACE, {"properties": nulls})
        assert (await client.get(WORKSPACE))["properties"] == before
        one = f"{WORKSPACE}/onlineEndpoints/one"
        await client.do("PUT", one, endpoint())
        body = deployment(1, livenessProbe={"period": None, "timeout": "PT9S"})
        await client.do("PUT", f"{one}/deployments/blue", body)
        probe = (await client.get(f"{one}/deployments/blue"))["properties"]["livenessProbe"]
        assert (probe["period"], probe["timeout"]) == ("PT10S", "PT9S")
        wishes = {"value": [{"id": None, "limit": 5}]}
        asked = await client.send("POST", f"{LOCATION}/updateQuotas", wishes)
        assert "id" not in asked.json()["value"][0]
