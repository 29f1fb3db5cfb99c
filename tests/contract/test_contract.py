"""Everything the emulator serves, through the wire, judged by the published specifications."""

from __future__ import annotations

import asyncio
import dataclasses
import fnmatch
import json
import re
import ssl
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from provisioner.emulator.routing import Router
from provisioner.emulator.scenario import parse
from provisioner.emulator.scenario_types import Scenario
from provisioner.emulator.server import Settings, running
from tests.contract.described import (
    UNDESCRIBED,
    Served,
    described_versions,
    is_undescribed,
    route_of,
    served,
    stand_in,
    to_judge,
)
from tests.contract.drive import WORKSPACE, Driver
from tests.contract.judge import Verdict, judge
from tests.contract.recorder import Exchange, Recorder
from tests.shared import shared_dir

TERMS = {
    "publisher",
    "product",
    "plan",
    "licenseTextLink",
    "privacyPolicyLink",
    "marketplaceTermsLink",
    "retrieveDatetime",
    "signature",
    "accepted",
}


def is_ml(exchange: Exchange) -> bool:
    return "/providers/microsoft.machinelearningservices/" in exchange.path.lower()


def nullable(schema: Any) -> Any:
    """OpenAPI 3.0's `nullable` in the words of JSON Schema."""
    if isinstance(schema, list):
        return [nullable(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: nullable(value) for name, value in schema.items() if name != "nullable"}
    if schema.get("nullable") is True and "type" in schema:
        found["type"] = [schema["type"], "null"]
    return found


@dataclass(frozen=True, slots=True)
class Run:
    """One drive through the emulator."""

    exchanges: list[Exchange]
    router: Router
    failed: list[str]
    wanted: list[Served]


async def drive(folder: Path, scenario: Scenario, specs: Path) -> Run:
    async with running(Settings(folder, scenario)) as emulator:
        recorder = Recorder(emulator.app)
        config = emulator.server.config
        config.loaded_app = recorder
        wanted = served(emulator.app.router.routes, described_versions(specs))

        def versions(operation: str) -> list[str]:
            return sorted({each.version for each in wanted if each.operation == operation})

        trust = ssl.create_default_context(cafile=str(emulator.ca_bundle))
        async with httpx.AsyncClient(base_url=emulator.url, verify=trust, timeout=30) as http:
            http.headers["Authorization"] = f"Bearer {await sign_in(http, scenario)}"
            driver = Driver(http, versions)
            await driver.everything()
        return Run(recorder.exchanges, emulator.app.router, driver.failed, wanted)


async def sign_in(http: httpx.AsyncClient, scenario: Scenario) -> str:
    principal = scenario.principals[0]
    form = {
        "grant_type": "client_credentials",
        "client_id": principal.client_id,
        "client_secret": principal.secret or "",
        "scope": "https://management.azure.com/.default",
    }
    answer = await http.post(f"/{scenario.tenant_id}/oauth2/v2.0/token", data=form)
    return str(answer.raise_for_status().json()["access_token"])


@pytest.fixture(scope="module")
def specs() -> Path:
    return shared_dir("azure-specs", "specification").parent


@pytest.fixture(scope="module")
def run(specs: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    scenario = parse(
        "behaviour: {throttling: false}\n"
        "denyAssignments: [{name: none, scope: /, permission: {actions: [Microsoft.None/*]}}]\n"
    )
    return asyncio.run(drive(tmp_path_factory.mktemp("emulator"), scenario, specs))


@pytest.fixture(scope="module")
def verdicts(run: Run, specs: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Verdict]:
    arm = to_judge(run.router, run.exchanges)
    return judge(arm, specs, tmp_path_factory.mktemp("judge"), stand_in)


def test_good_requests_are_answered_as_expected(run: Run) -> None:
    assert not run.failed, "\n".join(run.failed)


def test_every_exchange_agrees_with_the_specification(verdicts: list[Verdict]) -> None:
    wrong = [
        f"{verdict.exchange}\n    {problem}" for verdict in verdicts for problem in verdict.problems
    ]
    assert not wrong, f"{len(wrong)} problems\n" + "\n".join(dict.fromkeys(wrong))


def test_every_operation_served_is_validated(
    run: Run, verdicts: list[Verdict], capsys: pytest.CaptureFixture[str]
) -> None:
    validated = set()
    for verdict in verdicts:
        route = route_of(run.router, verdict.exchange)
        good = verdict.operation and not verdict.problems and verdict.exchange.status < 400
        if route is not None and good:
            version = verdict.exchange.version.lower()
            validated.add(Served(route.operation, route.method, route.template, version))
    missing = [each for each in run.wanted if each not in validated]
    count = len(run.wanted) - len(missing)
    with capsys.disabled():  # on stderr, which the workers of xdist pass through
        sys.stderr.write(
            f"\ncontract: {count} of {len(run.wanted)} operations × api-versions validated, "
            f"{len(verdicts)} exchanges\n"
        )
    assert not missing, "\n".join(map(str, missing))


def test_nothing_is_left_out_but_by_name(run: Run) -> None:
    covered = {(each.method, each.template) for each in run.wanted}
    left_out = [
        f"{route.operation} ({route.method} {route.template})"
        for route in run.router.routes
        if (route.method, route.template) not in covered and not is_undescribed(route.operation)
    ]
    assert not left_out
    names = {route.operation for route in run.router.routes}
    idle = [glob for glob in UNDESCRIBED if not fnmatch.filter(names, glob)]
    assert not idle, "named as not described, but not served"


def test_what_takes_time_says_where_to_ask(run: Run) -> None:
    begun = [each for each in run.exchanges if each.status in (201, 202) and is_ml(each)]
    kinds = {(each.method, each.status) for each in begun}
    assert kinds >= {("PUT", 201), ("PATCH", 202), ("DELETE", 202), ("POST", 202)}
    for exchange in begun:
        if "/mfeoperation" in exchange.path.lower():
            continue
        assert re.search(r"/mfeOperationsStatus/", exchange.headers["azure-asyncoperation"])
        wanted = exchange.path if exchange.method == "PUT" else "/mfeOperationResults/"
        assert wanted in exchange.headers["location"], str(exchange)
        assert exchange.headers["x-ms-async-operation-timeout"] == "PT30M"


def test_statuses_go_from_running_to_succeeded(run: Run) -> None:
    seen: dict[str, list[str]] = {}
    for exchange in run.exchanges:
        if "/mfeoperationsstatus/" in exchange.path.lower():
            assert exchange.body["id"].lower() == exchange.path.lower()
            seen.setdefault(exchange.path, []).append(exchange.body["status"])
    assert len(seen) > 50
    for path, statuses in seen.items():
        assert statuses[-1] == "Succeeded", path
        assert "Succeeded" not in statuses[:-1], path


def test_endpoints_name_their_model_and_terms_are_whole(run: Run) -> None:
    endpoints = [
        each.body["properties"]
        for each in run.exchanges
        if re.search(r"/serverlessEndpoints/[^/]+$", each.path) and each.status in (200, 201)
    ]
    assert len(endpoints) >= 10
    for properties in endpoints:
        assert properties["modelSettings"]["modelId"].startswith("azureml://registries/")
    terms = [
        each.body["properties"]
        for each in run.exchanges
        if each.path.endswith("/agreements/current") and each.status == 200
    ]
    assert terms
    for properties in terms:
        assert all(properties[name] for name in TERMS - {"accepted"})
        assert isinstance(properties["accepted"], bool)


def test_every_answer_carries_what_arm_sends_always(run: Run) -> None:
    for exchange in run.exchanges:
        if exchange.path.startswith("/subscriptions"):
            assert exchange.headers["x-ms-request-id"]
            assert exchange.headers["x-ms-correlation-request-id"]
            if exchange.status >= 400 and exchange.method != "HEAD":
                error = exchange.body["error"]
                assert error["code"]
                assert error["message"]


def test_discovery_agrees_with_its_own_description(run: Run, specs: Path) -> None:
    (file,) = specs.rglob("registry-discovery.json")
    document = json.loads(file.read_text("utf-8"))
    schema = nullable({"$ref": "#/components/schemas/RegistryDiscoveryDto", **document})
    answers = [each for each in run.exchanges if each.path.endswith("/discovery")]
    assert answers
    for answer in answers:
        assert answer.body.pop("registryFqdns"), "clients read it, the description lacks it"
        jsonschema.Draft202012Validator(schema).validate(answer.body)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft202012Validator(schema).validate({**answer.body, "registryName": 7})


# A change that makes a good exchange wrong, and a word of what must be said about it.
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"body": {"id": "x", "location": "y", "properties": {"authMode": "Word"}}}, "ENUM"),
    ({"body": {"id": "x", "location": "y", "properties": {}}}, "authMode"),
    ({"body": {"id": "x", "location": "y", "properties": {"authMode": "Key", "z": 1}}}, "z"),
    ({"status": 204}, "status 204 is not among"),
    ({"status": 404}, "Additional properties not allowed"),
    ({"headers": {"content-type": "application/json"}}, "Azure-AsyncOperation is missing"),
    ({"request_body": {"properties": {"authMode": "Key"}}}, "location"),
    ({"request_body": {"id": "x", "location": "y", "properties": {"authMode": "Key"}}}, "/id"),
    (
        {
            "request_body": {
                "location": "y",
                "properties": {"authMode": "Key", "provisioningState": "Succeeded"},
            }
        },
        "/properties/provisioningState is read-only",
    ),
    ({"query": "api-version=2099-01-01"}, "NOT_FOUND"),
    ({"path": f"{WORKSPACE}/nonsense/one"}, "NOT_FOUND"),
    ({"path": f"{WORKSPACE}/serverlessEndpoints/1-one"}, "PATTERN"),
]


def test_the_judge_finds_what_is_wrong(specs: Path, tmp_path: Path) -> None:
    body = {
        "id": f"{WORKSPACE}/serverlessEndpoints/one",
        "location": "eastus2",
        "properties": {"authMode": "Key", "provisioningState": "Creating"},
    }
    good = Exchange(
        "PUT",
        f"{WORKSPACE}/serverlessEndpoints/one",
        "api-version=2024-10-01",
        {"content-type": "application/json"},
        {"location": "eastus2", "properties": {"authMode": "Key"}},
        201,
        {
            "content-type": "application/json",
            "azure-asyncoperation": "https://x",
            "x-ms-async-operation-timeout": "PT30M",
        },
        body,
    )
    exchanges = [good, *(dataclasses.replace(good, **change) for change, _ in WRONG)]
    right, *wrong = judge(exchanges, specs, tmp_path)
    assert not right.problems
    for verdict, (change, words) in zip(wrong, WRONG, strict=True):
        assert any(words in problem for problem in verdict.problems), (change, verdict.problems)
