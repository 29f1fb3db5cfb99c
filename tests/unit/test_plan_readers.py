"""A plan's readers: JSON under its published schema, the digest, Markdown, and text."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from provisioner.errors import Position
from provisioner.plan import Plan
from provisioner.plan.diff import diff
from provisioner.plan.json import digest, document
from provisioner.plan.markdown import markdown
from provisioner.plan.schema import schema
from provisioner.plan.schema import text as published
from provisioner.plan.steps import (
    Change,
    Create,
    Delivery,
    Expiry,
    Rollout,
    SetTraffic,
    Unchanged,
    Update,
)
from provisioner.plan.text import Tone, lines, text
from provisioner.plan.words import camel, change_text, duration, moves, traffic_text
from provisioner.resources import Identity, Kind, OnlineDeployment, OnlineEndpoint, ResourceId
from tests.fake_clock import START
from tests.plan_cases import PLACE, Case, cases

DOCS = Path(__file__).resolve().parents[2] / "docs"
BY_NAME = {case.path.stem: case for case in cases()}
ENDPOINT = ResourceId(PLACE, Kind.ONLINE_ENDPOINT, "chat")


def planned(name: str) -> Plan:
    return BY_NAME[name].plan()


def test_the_published_schema_is_current() -> None:
    assert (DOCS / "plan.schema.json").read_text() == published(), (
        "write it anew: the command is at the top of provisioner/plan/schema.py"
    )
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.path.stem)
def test_every_plan_is_valid_under_the_schema(case: Case) -> None:
    plain = json.loads(json.dumps(document(case.plan())))
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    jsonschema.Draft202012Validator(schema(), format_checker=checker).validate(plain)
    ids = [step["id"] for step in plain["steps"]]
    assert len(set(ids)) == len(ids)
    assert all(
        need in ids[:number] for number, step in enumerate(plain["steps"]) for need in step["needs"]
    )


def test_the_schema_refuses_what_is_not_a_plan() -> None:
    plain: Any = document(planned("bluegreen-start"))
    validator = jsonschema.Draft202012Validator(schema())
    broken: list[Any] = [json.loads(json.dumps(plain)) for _ in range(4)]
    broken[0].pop("stack")
    broken[1].update(schemaVersion=2)
    broken[2]["steps"][1].pop("traffic")
    broken[3]["steps"][0].update(action="explode")
    assert validator.is_valid(json.loads(json.dumps(plain)))
    assert not [one for one in broken if validator.is_valid(one)]


def test_hidden_values_appear_in_no_reader() -> None:
    found = planned("managed-scale")
    step = found.steps[0]
    assert isinstance(step, Update)
    assert isinstance(step.resource, OnlineDeployment)
    assert step.resource.environment_variables is not None
    assert step.resource.environment_variables["TOKEN"] == "hunter2"
    created = replace(found, steps=(Create(id="create:x", reason="", resource=step.resource),))
    for one in (found, created):
        for told in (text(one), json.dumps(document(one)), markdown(one)):
            assert "hunter2" not in told
            assert "TOKEN" in told


def test_a_hidden_change_hides_even_if_it_carries_the_value() -> None:
    found = planned("managed-scale")
    step = found.steps[0]
    assert isinstance(step, Update)
    loose = replace(
        step, changes=(Change("environment_variables.A", "s3cret", "n3w", hidden=True),)
    )
    told = replace(found, steps=(loose,))
    assert not [w for w in ("s3cret", "n3w") if w in text(told) + json.dumps(document(told))]


def later(name: str, **more: Any) -> Plan:
    """The same case, planned an hour later."""
    case = BY_NAME[name]
    found = case.plan()
    step = timedelta(hours=1)
    moved = [
        replace(one, instant=one.instant + step) if one.counted else one for one in found.expiries
    ]
    return replace(found, now=found.now + step, expiries=tuple(moved), **more)


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_the_digest_of_a_case_is_its_own(name: str) -> None:
    assert digest(planned(name)) == digest(planned(name)) == digest(later(name))


def test_no_two_cases_that_do_something_share_a_digest() -> None:
    """But for those that do the same from different beginnings."""
    found: dict[str, list[str]] = {}
    for name in BY_NAME:
        if planned(name).steps:
            found.setdefault(digest(planned(name)), []).append(name)
    for twins in found.values():
        assert len({json.dumps(document(planned(name))["steps"]) for name in twins}) == 1, twins


def test_the_digest_sees_a_hidden_value_change() -> None:
    found = planned("managed-scale")
    step = found.steps[0]
    assert isinstance(step, Update)
    assert isinstance(step.resource, OnlineDeployment)
    other = replace(step.resource, environment_variables={"TOKEN": "other", "KEEP": "same"})
    assert digest(replace(found, steps=(replace(step, resource=other),))) != digest(found)


def test_the_digest_sees_a_fixed_deadline_change_but_not_a_counted_one() -> None:
    wish = BY_NAME["serverless-first"].content["manifests"]
    fixed = [
        Case(
            Path("x"), {"manifests": f"{wish}  lifetime: {{expiresAt: 2026-07-0{day}T00:00:00Z}}\n"}
        )
        for day in (1, 2)
    ]
    assert digest(fixed[0].plan()) != digest(fixed[1].plan())
    counted = Case(Path("x"), {"manifests": f"{wish}  lifetime: {{ttl: 72h}}\n"}).plan()
    assert [one.counted for one in counted.expiries] == [True]
    assert "2026-06-04T12:00:00Z" in text(counted)


def test_positions_do_not_count_for_the_digest() -> None:
    found = planned("managed-first")
    moved = tuple(replace(step, position=Position("b.yaml", 9, 9)) for step in found.steps)
    assert digest(replace(found, steps=moved)) == digest(found)


def test_markdown_escapes_what_comes_from_elsewhere() -> None:
    nasty = Change("tags.team", "`a` | b", "<img src=x> @all [click](http://x)\n# big")
    found = planned("serverless-content-safety")
    step = found.steps[0]
    assert isinstance(step, Update)
    told = markdown(replace(found, steps=(replace(step, changes=(nasty,), reason="<b>*x*"),)))
    table = told.split("<details>")[0]
    row = next(line for line in table.splitlines() if "serverless endpoint" in line)
    assert row.replace("\\|", "").count("|") == 4
    assert "<b>" not in table
    assert "\n# big" not in told
    assert told.count("<details>") == told.count("</details>") == 1


def test_markdown_of_a_large_plan_fits_in_a_comment() -> None:
    found = planned("serverless-no-marketplace")
    step = found.steps[0]
    many = tuple(replace(step, id=f"create:{n}") for n in range(3000))
    told = markdown(replace(found, steps=many))
    assert len(told) < 65_536
    assert "and 2800 more steps" in told


def test_markdown_says_when_there_is_nothing_and_when_it_is_refused() -> None:
    assert "**No changes.**" in markdown(planned("serverless-unchanged"))
    refused = markdown(planned("serverless-foreign"))
    assert "This plan is refused." in refused
    assert "`plan.not-ours`" in refused


def test_an_output_is_told_by_its_place_alone_and_many_are_counted() -> None:
    found = planned("outputs-of-what-is-unchanged")
    assert document(found)["outputs"] == [
        {"deployment": "llama", "sink": "dotenv", "target": "out/llama.env"},
        {"deployment": "llama", "sink": "json", "target": "out/llama.json"},
        {"deployment": "llama", "sink": "keyVault", "target": "https://kv-ml-prod.vault.azure.net"},
    ]
    shared = tuple(Delivery(f"m{number}", "dotenv", "out/all.env") for number in range(9))
    assert "out/all.env (dotenv).\n" in text(replace(found, outputs=shared))
    many = replace(
        found, outputs=tuple(Delivery("m", "json", f"out/{number}.json") for number in range(9))
    )
    for told in (text(many), markdown(many).partition("<details>")[0]):
        assert "out/3.json" in told
        assert "out/4.json" not in told
        assert "and 5 more." in told
    assert "    > m: out/8.json (json)\n" in text(many, verbose=True)


def test_a_refused_plan_names_no_outputs_and_they_are_no_part_of_the_digest() -> None:
    found = planned("outputs-of-what-is-unchanged")
    refused = replace(found, refusals=planned("serverless-foreign").refusals)
    assert "Outputs" not in text(refused)
    assert "Outputs" not in markdown(refused)
    assert digest(replace(found, outputs=())) == digest(found)


def test_traffic_reads_as_moves() -> None:
    assert traffic_text({"blue": 100}, {"blue": 90, "green": 10}) == "blue 100 → 90, green 0 → 10"
    assert moves(SetTraffic(id="x", reason="", endpoint=ENDPOINT, before={}, after={})) == (
        "no traffic",
    )
    step = Rollout(
        id="x",
        reason="",
        endpoint=ENDPOINT,
        old="a",
        new="b",
        shares=(50, 100),
        weight=30,
        others={"c": 70},
        bake=90.0,
        probe=True,
        begun=33,
    )
    assert moves(step) == ("a 20 → 15, b 10 → 15", "a 15 → 0, b 15 → 30")


def test_no_line_of_text_is_wider_than_it_may_be() -> None:
    for name in BY_NAME:
        for width in (40, 80, 120):
            for line in lines(planned(name), width=width, verbose=True):
                words = line.text.split()
                assert len(line.text) <= width or max(map(len, words)) > width - 16, line.text


def test_lines_carry_tones_and_no_control_characters() -> None:
    found = planned("serverless-first")
    tones = {span.tone for line in lines(found) for span in line.spans}
    assert {Tone.CREATE, Tone.STRONG, Tone.FAINT} <= tones
    evil = replace(found, steps=(replace(found.steps[0], reason="\x1b[31mred\x07\r\n"),))
    assert all(char.isprintable() for line in lines(evil) for char in line.text)


def test_verbose_names_every_unchanged_resource() -> None:
    told = text(planned("managed-latest-live"), verbose=True)
    assert "online endpoint chat in mlw-prod: matches its manifest" in told
    assert "online deployment chat/blue in mlw-prod: matches its manifest" in told


def test_a_plan_for_nothing_says_so() -> None:
    assert text(Plan("default", START)).startswith("No changes.")


def test_an_unchanged_resource_with_a_step_is_not_called_unchanged() -> None:
    found = planned("managed-traffic-left-at-zero")
    doubled = replace(found, unchanged=(*found.unchanged, Unchanged(ENDPOINT, "matches")))
    assert ENDPOINT.arm_id not in [one["resourceId"] for one in document(doubled)["unchanged"]]  # type: ignore[attr-defined]


def test_words() -> None:
    assert camel("request_settings.max_queue_wait") == "requestSettings.maxQueueWait"
    assert camel("tags.my_tag") == "tags.my_tag"
    assert camel("environment_variables.A_B") == "environmentVariables.A_B"
    assert [duration(x) for x in (0, 45, 300, 5400)] == ["0s", "45s", "5m", "1h30m"]
    past = replace(
        planned("serverless-unchanged"),
        steps=planned("serverless-content-safety").steps,
        expiries=(
            Expiry(
                ResourceId(PLACE, Kind.SERVERLESS_ENDPOINT, "llama"), START - timedelta(hours=2)
            ),
        ),
    )
    assert "2h 00m ago" in text(past)


def test_writes_of_one_endpoints_traffic_wait_for_each_other() -> None:
    """Each is counted from the one before: the other way round, the shares would be stale."""
    writes = [
        step for step in planned("managed-both-recreate").steps if isinstance(step, SetTraffic)
    ]
    assert len(writes) == 3
    assert writes[0].id in writes[1].needs
    assert {writes[0].id, writes[1].id} <= set(writes[2].needs)


def test_what_forces_a_replacement_is_never_torn_apart() -> None:
    plan = planned("managed-recreate")
    for width in range(40, 121):
        for line in text(plan, width=width).splitlines():
            assert not line.rstrip().endswith(("#", "# forces"))
    assert "\N{NO-BREAK SPACE}" not in text(plan, width=60)
    assert "  # forces replacement" in text(plan, width=200)


def test_a_changed_identity_is_told_by_name() -> None:
    place = "/subscriptions/1/resourceGroups/rg/providers/Microsoft.ManagedIdentity"
    ids = [f"{place}/userAssignedIdentities/{name}" for name in ("one", "two")]
    live, wanted = (
        OnlineEndpoint(
            id=ResourceId(PLACE, Kind.ONLINE_ENDPOINT, "chat"),
            location="eastus2",
            identity=Identity("UserAssigned", (id,)),
        )
        for id in ids
    )
    (change,) = diff(wanted, live)
    assert change_text(change) == "identity: UserAssigned (one) → UserAssigned (two)"
