"""Scenario files: strict, with places in their errors; what is left out is the default tenant.

Longer than other modules because every key of the scenario file has its case.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.emulator import faults, scenario_models, scenario_types
from provisioner.emulator.faults import Drop, Fail
from provisioner.emulator.models import load_models
from provisioner.emulator.offers import Buyer, subscribe_refusal
from provisioner.emulator.rights import Rights
from provisioner.emulator.scenario import ScenarioError, load, parse, parse_faults, ready
from provisioner.emulator.scenario_types import Behaviour, Durations, FamilyQuota, Span
from provisioner.emulator.scenario_yaml import camel, duration, instant
from provisioner.emulator.server import Emulator, Settings
from provisioner.emulator.throttle import Limit, Limits

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "emulator-scenarios.md"
SUB = "/subscriptions/11111111-1111-1111-1111-111111111111"


def problems(text: str) -> list[tuple[int, int, str]]:
    with pytest.raises(ScenarioError) as caught:
        parse(text, "file.yaml")
    for line in str(caught.value).splitlines():
        assert re.match(r"file\.yaml:\d+:\d+: .", line)
    return [(p.line, p.column, p.message) for p in caught.value.problems]


def test_the_default_tenant() -> None:
    tenant = load(None)
    (subscription,) = tenant.subscriptions
    assert (subscription.state, subscription.spending_limit) == ("Enabled", "Off")
    assert not subscription.free
    places = {
        (group.name, workspace.name, workspace.location)
        for group in subscription.resource_groups
        for workspace in group.workspaces
    }
    assert places == {
        ("rg-ml-prod", "mlw-prod", "eastus2"),
        ("rg-ml-eu", "mlw-eu", "swedencentral"),
        ("rg-ml-dev", "mlw-dev", "westus3"),
    }
    owner = tenant.principal("BBBBBBBB-0000-4000-8000-000000000001")
    assert owner is not None
    assert owner.secret == "emulator-only-secret"
    assert "emulator-only-secret" not in repr(tenant)
    rights = Rights(tenant.role_assignments)
    assert rights.allowed(owner.object_id, "Microsoft.X/y/write", SUB, 0)
    assert tenant.behaviour == Behaviour()
    assert tenant.durations == Durations()


def test_an_empty_file_is_the_default_tenant() -> None:
    assert parse("") == parse("# nothing\n") == parse("{}") == load(None)


def test_mappings_change_only_what_they_name_and_lists_replace() -> None:
    changed = parse(
        "behaviour: {buckets: {writes: {size: 3, refill: 1}}}\nprincipals: []\n"
        "roleAssignments: []\n"
    )
    assert changed.behaviour.buckets == dataclasses.replace(Limits(), writes=Limit(3, 1.0))
    assert changed.behaviour.page_size == Behaviour().page_size
    assert changed.principals == ()
    assert changed.subscriptions == load(None).subscriptions


def test_types_are_declared_not_guessed() -> None:
    text = (
        "subscriptions:\n  - {id: 11111111-1111-1111-1111-111111111111, name: 12:30, "
        "spendingLimit: Off, billingCountry: NO, paymentMethod: no, tags: {a: 010}}\n"
    )
    (subscription,) = parse(text).subscriptions
    assert subscription.name == "12:30"
    assert subscription.spending_limit == "Off"
    assert subscription.billing_country == "NO"
    assert subscription.payment_method is False
    assert subscription.tags == {"a": "010"}


def test_every_problem_is_reported_at_once_in_order_with_its_place() -> None:
    found = problems(
        "behavior: {}\n"
        "durations:\n"
        "  deployment: 2x\n"
        "clock: {speed: 0}\n"
        "faults:\n"
        "  - {operation: a}\n"
        "  - {fail: {status: 200}}\n"
        "subscriptions:\n"
        "  - id: 1\n"
    )
    assert [(line, column) for line, column, _ in found] == [
        (1, 1),
        (3, 15),
        (4, 8),
        (6, 5),
        (7, 12),
        (9, 5),
    ]
    assert found[0][2] == "unknown key 'behavior'; did you mean 'behaviour'?"
    assert "'2x' is not a duration" in found[1][2]
    assert "exactly one of" in found[3][2]
    assert found[5][2] == "'name' is missing"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "not YAML"),
        ("- 1", "a mapping of keys"),
        ("clock: {speed: 1, speed: 2}", "twice"),
        ("clock: {speed: fast}", "'fast' is not a number"),
        ("clock: {speed: .nan}", "not a number"),
        ("clock: {start: 2026-07-01T12:00:00}", "no time zone"),
        ("clock: {start: soon}", "not a time"),
        ("clock: {speed: [1]}", "a single value"),
        ("clock: {speed: }", "this is null"),
        ("clock: 3", "a mapping of keys"),
        ("subscriptions: 3", "a list is expected"),
        ("behaviour: {throttling: maybe}", "not true or false"),
        ("behaviour: {pageSize: 1.5}", "not a whole number"),
        ("behaviour: {pageSize: 0}", "between 1 and"),
        ("subscriptions: [{id: x, name: y}]", "not a GUID"),
        (
            "subscriptions: [{id: 11111111-1111-1111-1111-111111111111, name: y, state: On}]",
            "not one of Enabled",
        ),
        (
            "subscriptions: [{id: 11111111-1111-1111-1111-111111111111, name: y, "
            "billingCountry: us}]",
            "two capitals",
        ),
        (
            "subscriptions: [{id: 11111111-1111-1111-1111-111111111111, name: y, quotas: "
            "{eastus2: {standardNope: 0/1}}}]",
            "no VM family",
        ),
        (
            "subscriptions: [{id: 11111111-1111-1111-1111-111111111111, name: y, quotas: "
            "{eastus2: {standardDSv3Family: many}}}]",
            "used/limit",
        ),
        (
            "subscriptions: [{id: 11111111-1111-1111-1111-111111111111, name: y, resourceGroups: "
            "[{name: g, location: East US}]}]",
            "short name such as eastus2",
        ),
        ("roleAssignments: [{principal: nobody, role: Owner, scope: /}]", "not in principals"),
        ("roleAssignments: [{principal: reader, role: King, scope: /}]", "role 'King' is neither"),
        ("roleDefinitions: [{name: A, id: b, permissions: []}]", "not a GUID"),
        (
            "principals: [{name: a, clientId: bbbbbbbb-0000-4000-8000-000000000001},"
            " {name: A, clientId: bbbbbbbb-0000-4000-8000-000000000002}]",
            "there twice",
        ),
        ("models: [{registry: azureml-meta, name: X, lifecycle: {retirement: soon}}]", "soon"),
        ("models: [{registry: azureml-meta, name: X, lifecycel: {}}]", "did you mean 'lifecycle'"),
        ("faults: [{drop: maybe}]", "before, after"),
        ("faults: [{delay: 5}]", "not a duration"),
        ("faults: [{rate: 2, drop: before}]", "between 0 and 1"),
        ("? [a]\n: b", "a key must be a plain word"),
        ("a: !!python/object:os.system {}", "unknown key"),
        ("x: \x00", "not YAML"),
    ],
)
def test_what_is_wrong_is_said(text: str, words: str) -> None:
    assert any(words in message for _, _, message in problems(text)), problems(text)


def test_a_bomb_and_a_large_file_are_refused_quickly(tmp_path: Path) -> None:
    lines = ["tags0: &t0 {a: b}"]
    lines += [f"tags{n}: &t{n} [{', '.join([f'*t{n - 1}'] * 9)}]" for n in range(1, 9)]
    assert problems("\n".join(lines))
    nest = "&a0 {drop: before}"
    bomb = f"faults:\n  - {nest}\n" + "  - *a0\n" * 60_000
    assert any("more than" in m or "larger" in m for _, _, m in problems(bomb))
    large = tmp_path / "large.yaml"
    large.write_text("# " + "x" * 2_000_000)
    with pytest.raises(ScenarioError, match="larger than"):
        load(large)
    assert any(
        "nested too deeply" in m or "unknown" in m or "not YAML" in m
        for _, _, m in problems("a: " + "[" * 3000)
    )


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"No such file.*ready scenarios are .*free-trial"):
        load(tmp_path / "absent.yaml")
    with pytest.raises(ScenarioError, match="cannot be read"):
        load(tmp_path)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"# \xe9\n")
    with pytest.raises(ScenarioError, match="not UTF-8"):
        load(latin)


def test_a_file_is_loaded_and_errors_name_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("clock: {speed: 60}\n")
    assert load(path).clock.speed == 60
    path.write_text("clock: {spead: 60}\n")
    with pytest.raises(ScenarioError, match=re.escape(f"{path}:1:9: unknown key 'spead'")):
        load(path)


def test_ids_left_out_are_the_same_every_time() -> None:
    text = (
        "principals: [{name: a, clientId: bbbbbbbb-0000-4000-8000-000000000001}]\n"
        "roleDefinitions: [{name: R, permissions: [{actions: ['*']}]}]\n"
        "roleAssignments: [{principal: a, role: r, scope: /}]\n"
    )
    first, second = parse(text), parse(text)
    assert first == second
    (grant,) = first.role_assignments
    assert grant.principal_id == first.principals[0].object_id
    assert grant.role_definition_id == first.role_definitions[0].id


def test_locks_get_the_scope_they_are_written_under() -> None:
    locks = {lock.name: (lock.scope, lock.level) for lock in load("locked").locks}
    assert locks == {
        "keep": (f"{SUB}/resourceGroups/rg-ml-prod", "CanNotDelete"),
        "freeze": (f"{SUB}/resourceGroups/rg-ml-eu", "ReadOnly"),
    }
    text = (
        "subscriptions: [{id: 11111111-1111-1111-1111-111111111111, name: S, locks: [{name: a}],"
        " resourceGroups: [{name: g, location: eastus, workspaces: [{name: w, location: eastus,"
        " locks: [{name: b}]}]}]}]"
    )
    assert [lock.scope for lock in parse(text).locks] == [
        SUB,
        f"{SUB}/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w",
    ]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("250ms", 0.25),
        ("2s", 2),
        ("1.5s", 1.5),
        ("10m", 600),
        ("168h", 604800),
        ("7d", 604800),
        ("1h30m", 5400),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "1 s", "-1s", "1w", "1e3s", "0.s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        duration(text)


def test_instants() -> None:
    assert instant("1970-01-01T00:01:00Z") == 60
    assert instant("1970-01-01T01:00:00+01:00") == 0


@given(st.floats(0, 1e5), st.floats(0, 1e5), st.text(max_size=20))
def test_jitter_is_between_its_bounds_and_fixed_by_the_key(
    base: float, jitter: float, key: str
) -> None:
    span = Span(base, jitter)
    assert base <= span.of(key) <= base + jitter
    assert span.of(key) == Span(base, jitter).of(key)


def test_jitter_spreads() -> None:
    span = Span(10.0, 5.0)
    values = [span.of(f"operation {n}") for n in range(200)]
    assert min(values) < 11
    assert max(values) > 14


def test_quotas_are_written_in_two_ways() -> None:
    assert FamilyQuota.from_text("24/192") == FamilyQuota(24, 192)
    assert FamilyQuota.from_text("192") == FamilyQuota(0, 192)


def test_faults_alone_in_yaml_and_json() -> None:
    expected = parse_faults("faults:\n  - {call: 2, fail: {status: 502, html: true}}\n")
    assert parse_faults('{"faults": [{"call": 2, "fail": {"status": 502, "html": true}}]}') == (
        expected
    )
    assert expected[0].effect == Fail(502, html=True)
    with pytest.raises(ScenarioError, match="unknown key 'clock'"):
        parse_faults("faults: []\nclock: {}")
    with pytest.raises(ScenarioError, match="'faults' is missing"):
        parse_faults("{}")


def test_the_ready_scenarios_all_load_and_are_on_the_page() -> None:
    page = PAGE.read_text("utf-8").partition("## Ready scenarios")[2]
    assert len(ready()) == 13
    for name in ready():
        assert load(name) != load(None), f"{name} changes nothing"
        assert f"`{name}`" in page, f"{name} is not on the page"


def test_a_file_of_that_name_comes_before_the_ready_scenario(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bench").write_text("clock: {speed: 7}")
    assert load("bench").clock.speed == 7


def test_what_ready_scenarios_play() -> None:
    assert load("free-trial").subscriptions[0].free
    flaky = load("flaky-5-percent").faults
    assert sum(fault.rate or 0 for fault in flaky) == pytest.approx(0.05)
    assert Drop("after") in [fault.effect for fault in flaky]
    bench, throttled = load("bench"), load("bench-throttled")
    assert (bench.behaviour.latency, bench.behaviour.throttling) == (0.02, False)
    assert (bench.durations.subscription.base, bench.durations.serverless_endpoint.base) == (1, 2)
    assert not bench.behaviour.one_per_model
    assert dataclasses.replace(throttled.behaviour, throttling=False) == bench.behaviour
    slow = load("slow-services-30s-no-retry-after")
    assert (slow.durations.deployment.base, slow.behaviour.retry_after) == (30, False)


def test_the_reader_only_tenant_cannot_write() -> None:
    tenant = load("reader-only")
    rights = Rights(tenant.role_assignments)
    who = tenant.principals[0].object_id
    assert rights.allowed(who, "Microsoft.X/y/read", SUB, 0)
    assert not rights.allowed(who, "Microsoft.X/y/write", SUB, 0)


def test_the_custom_role_deploys_and_cannot_buy() -> None:
    tenant = load("custom-role-notactions")
    rights = Rights(tenant.role_assignments, {r.id: r for r in tenant.role_definitions})
    who = tenant.principals[0].object_id
    workspaces = "Microsoft.MachineLearningServices/workspaces"
    assert rights.allowed(who, f"{workspaces}/serverlessEndpoints/write", SUB, 0)
    assert not rights.allowed(who, f"{workspaces}/marketplaceSubscriptions/write", SUB, 0)
    assert not rights.allowed(
        who, "Microsoft.MarketplaceOrdering/agreements/offers/plans/sign/action", SUB, 0
    )


def test_the_european_tenant_refuses_for_the_country() -> None:
    tenant = load("eu-only")
    model = load_models()["azureml-mistral", "mistral-nemo"]
    who = Buyer(
        tenant.subscriptions[0],
        "swedencentral",
        dt.date(2025, 1, 1),
        tenant.offer_availability,
    )
    said = subscribe_refusal(model, model.asset_id, who)
    assert said is not None
    assert said.code == "AvailabilityNotInRegion"


def test_the_retired_model_is_retired() -> None:
    models = load_models(load("retired-model").models)
    today = dt.date(2026, 11, 22)
    assert models["azureml-meta", "llama-3.3-70b-instruct"].stage(today, serverless=True) == (
        "Retired"
    )
    scout = models["azureml-meta", "llama-4-scout-17b-16e-instruct"]
    assert scout.stage(today, serverless=True) == "Deprecated"


def blocks() -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def test_the_page_has_its_three_examples() -> None:
    assert len(blocks()) == 3


@pytest.mark.parametrize("number", [0, 1, 2])
def test_each_example_of_the_page_loads(number: int) -> None:
    tenant = parse(blocks()[number], f"example {number + 1}")
    assert tenant != load(None)
    load_models(tenant.models)


def test_every_key_is_on_the_page() -> None:
    page = PAGE.read_text("utf-8")
    modules = (scenario_types, scenario_models, faults)
    kinds = [
        kind
        for module in modules
        for kind in vars(module).values()
        if isinstance(kind, type)
        and dataclasses.is_dataclass(kind)
        and kind.__module__ == module.__name__
        and kind not in (faults.Counters, faults.FaultState)
    ]
    keys = {camel(field.name) for kind in kinds for field in dataclasses.fields(kind)}
    # `when`, `seconds`, `used` and `limit` are written without their names.
    keys -= {"when", "seconds", "used", "limit"}
    assert len(keys) > 80
    assert not {key for key in keys if not re.search(rf"`{key}`|^ *-? *{key}:", page, re.MULTILINE)}


def test_every_kind_of_operation_is_on_the_page(tmp_path: Path) -> None:
    emulator = Emulator(Settings(tmp_path, load(None)))
    routes = emulator.app.router.routes
    emulator.socket.close()
    emulator.store.close()
    named = PAGE.read_text("utf-8").partition("### Names of operations")[2]
    own = ("metadata", "emulator", "entra", "graph", "registryManagement")
    kinds = {faults.names_of(route.operation)[-1].partition(".")[0] for route in routes}
    assert len(kinds) > 15
    assert not {kind for kind in kinds if not kind.startswith(own) and f"`{kind}`" not in named}
