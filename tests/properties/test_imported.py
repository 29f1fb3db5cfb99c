"""What import writes describes what is live: read again, it plans nothing, or only an adoption."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from datetime import timedelta

import yaml
from hypothesis import given
from hypothesis import strategies as st

from provisioner.cloud import Workspace, WorkspaceSeen
from provisioner.desired import desired
from provisioner.imported import Wanted, _deployment, _text, describe_workspace, dns_label
from provisioner.manifest.load import load_text
from provisioner.plan import Options, Plan, plan
from provisioner.plan.steps import Update
from provisioner.resources import (
    TAG_EXPIRES,
    TAG_NAME,
    TAG_ON_EXPIRY,
    TAG_STACK,
    ContentSafety,
    DataCollection,
    Identity,
    Kind,
    Live,
    MarketplacePlan,
    MarketplaceSubscription,
    ModelRef,
    OnlineDeployment,
    OnlineEndpoint,
    Probe,
    RequestSettings,
    ResourceId,
    ServerlessEndpoint,
    State,
    WorkspaceId,
    instant_text,
)
from tests.fake_clock import START
from tests.fleets import searching

PLACE = WorkspaceId("11111111-1111-1111-1111-111111111111", "rg-ml", "Mlw_Prod-1")
REGION = "eastus2"
SERVERLESS = tuple(
    ModelRef("azureml-meta", name)
    for name in ("Llama-3.3-70B-Instruct", "Meta-Llama-3.1-8B-Instruct", "Llama-3.2-1B-Instruct")
)
MANAGED = ModelRef("azureml", "Phi-4", "7")
OWN = ModelRef("", "azureml:my-own-model:3")
"""A model of the workspace itself: out of a manifest's reach."""

LETTERS = string.ascii_letters
NAMES = st.from_regex(r"[a-zA-Z][a-zA-Z0-9-]{1,20}[a-zA-Z0-9]", fullmatch=True)
LABELS = st.dictionaries(
    st.sampled_from(["team", "cost center", "größe", "a.b", "x" * 128]),
    st.sampled_from(["search", "", "no", "1e3", "2026-01-01", ": {", "ü # x", "null", "~", "'"]),
    max_size=3,
)
TIMES = st.one_of(
    st.none(),
    st.integers(1, 900_000).map(float),
    st.integers(1, 900_000).map(lambda milliseconds: milliseconds / 1000),
)
COUNTS = st.one_of(st.none(), st.integers(1, 50))
VARIABLES = st.dictionaries(st.text(LETTERS + "_", min_size=1), st.text(max_size=9), max_size=2)
PROBES = st.one_of(st.none(), st.builds(Probe, TIMES, TIMES, TIMES, COUNTS, COUNTS))
REQUESTS = st.one_of(st.none(), st.builds(RequestSettings, TIMES, COUNTS, TIMES))
COLLECTIONS = st.one_of(
    st.none(),
    st.builds(DataCollection, st.booleans(), st.booleans(), st.sampled_from([0.1, 0.25, 1.0])),
)


@st.composite
def scenes(draw: st.DrawFn, *, ours: bool = True) -> WorkspaceSeen:
    """A workspace with everything healthy in it, all ours or all somebody else's."""
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique_by=dns_label))
    cut = draw(st.integers(0, len(names)))
    serverless = [draw(_serverless(name, ours=ours)) for name in names[:cut]]
    endpoints, parts = [], {}
    for name in names[cut:]:
        endpoint, deployments = draw(_endpoint(name, ours=ours))
        endpoints.append(endpoint)
        parts[endpoint.id] = deployments
    subscriptions = [
        Live(
            MarketplaceSubscription(
                ResourceId(PLACE, Kind.MARKETPLACE_SUBSCRIPTION, f"sub-{number}"), model
            ),
            State.SUCCEEDED,
            condition="Subscribed",
            plan=MarketplacePlan("metagenai", f"offer-{number}", "plan"),
        )
        for number, model in enumerate(SERVERLESS)
    ]
    place = Workspace(PLACE, REGION)
    return WorkspaceSeen(PLACE, place, subscriptions, serverless, endpoints, parts)


def _owned(tags: Mapping[str, str], name: str, *, ours: bool) -> dict[str, str]:
    return {**tags, TAG_STACK: "default", TAG_NAME: name} if ours else dict(tags)


@st.composite
def _expiry(draw: st.DrawFn, *, ours: bool) -> dict[str, str]:
    if not ours or draw(st.booleans()):
        return {}
    tags = {TAG_EXPIRES: instant_text(START + timedelta(hours=draw(st.integers(25, 2000))))}
    return {**tags, TAG_ON_EXPIRY: "renew"} if draw(st.booleans()) else tags


@st.composite
def _serverless(draw: st.DrawFn, name: str, *, ours: bool) -> Live[ServerlessEndpoint]:
    tags = _owned(draw(LABELS), dns_label(name), ours=ours) | draw(_expiry(ours=ours))
    resource = ServerlessEndpoint(
        ResourceId(PLACE, Kind.SERVERLESS_ENDPOINT, name),
        REGION,
        draw(st.sampled_from(SERVERLESS)),
        draw(st.sampled_from([ContentSafety.ENABLED, ContentSafety.DISABLED])),
        tags=tags,
    )
    return Live(resource, State.SUCCEEDED, "Online", "https://x.invalid", START)


@st.composite
def _endpoint(
    draw: st.DrawFn, name: str, *, ours: bool
) -> tuple[Live[OnlineEndpoint], list[Live[OnlineDeployment]]]:
    blue, green = draw(st.sampled_from([("blue", "green"), ("a-1", "b-2"), ("Blue", "x-y")]))
    slots = (blue, green)[: draw(st.integers(1, 2))]
    share = draw(st.sampled_from([0, 10, 50, 100]))
    traffic = {slots[0]: 100} if len(slots) == 1 else {blue: share, green: 100 - share}
    shared = draw(LABELS)
    tags = dict(shared)
    if ours:
        tags |= {TAG_STACK: "default", TAG_NAME: name}
    identity = Identity("UserAssigned", (f"{PLACE.group_scope}/providers/x/y/id",))
    endpoint = OnlineEndpoint(
        ResourceId(PLACE, Kind.ONLINE_ENDPOINT, name),
        REGION,
        description=draw(st.sampled_from([None, "For everybody: yes # really"])),
        traffic=traffic,
        identity=draw(st.sampled_from([None, Identity("SystemAssigned"), identity])),
        tags=tags | draw(_expiry(ours=ours)),
    )
    deployments = [
        Live(
            OnlineDeployment(
                ResourceId(PLACE, Kind.ONLINE_DEPLOYMENT, slot, name),
                REGION,
                MANAGED,
                "Standard_NC24ads_A100_v4",
                draw(st.integers(1, 3)),
                draw(VARIABLES),
                draw(REQUESTS),
                draw(PROBES),
                draw(PROBES),
                draw(COLLECTIONS),
                _owned(shared, f"{dns_label(name)}-{number}", ours=ours),
            ),
            State.SUCCEEDED,
        )
        for number, slot in enumerate(slots)
    ]
    return Live(endpoint, State.SUCCEEDED, None, "https://x.invalid/score", START), deployments


def replan(seen: WorkspaceSeen, *, environment: bool, adopt: bool) -> Plan:
    imported = describe_workspace(seen, Wanted(environment=environment))
    assert imported.problems == []
    wanted = desired(load_text(imported.text(), "imported.yaml"), stack="default")
    return plan(wanted, {seen.id: seen}, START, Options(adopt=adopt))


@given(scenes(ours=True), st.booleans())
@searching(60)
def test_what_is_ours_plans_as_no_change(seen: WorkspaceSeen, environment: bool) -> None:
    made = replan(seen, environment=environment, adopt=False)
    assert made.steps == (), [(step.title, step.reason) for step in made.steps]


@given(scenes(ours=False), st.booleans())
@searching(60)
def test_what_is_not_is_adopted_by_its_tags_alone(seen: WorkspaceSeen, environment: bool) -> None:
    steps = replan(seen, environment=environment, adopt=True).steps
    assert steps
    for step in steps:
        assert isinstance(step, Update), step.title
        assert step.adopts
        assert step.fields == {"tags"}, step.changes


@given(scenes())
@searching(30)
def test_what_was_imported_names_no_place_and_no_value(seen: WorkspaceSeen) -> None:
    for document in yaml.safe_load_all(describe_workspace(seen).text()):
        spec = document["spec"]
        assert "outputs" not in spec
        managed = spec.get("target", {}).get("managedCompute", {})
        assert "environmentVariables" not in managed


def test_a_model_of_the_workspace_is_left_out_by_name() -> None:
    host = ResourceId(PLACE, Kind.ONLINE_ENDPOINT, "mine")
    part = OnlineDeployment(
        ResourceId(PLACE, Kind.ONLINE_DEPLOYMENT, "blue", "mine"), REGION, OWN, "Standard_DS3_v2", 1
    )
    seen = WorkspaceSeen(
        PLACE,
        Workspace(PLACE, REGION),
        endpoints=[Live(OnlineEndpoint(host, REGION), State.SUCCEEDED)],
        deployments={host: [Live(part, State.SUCCEEDED)]},
    )
    imported = describe_workspace(seen)
    assert len(imported.documents) == 1
    (problem,) = imported.problems
    assert "azureml:my-own-model:3" in problem.what


def test_a_workspace_that_is_not_there() -> None:
    assert describe_workspace(WorkspaceSeen(PLACE, None)).documents == []


def test_imported_tags_command_no_runner_and_no_terminal() -> None:
    nasty = {
        "a": "##vso[task.complete]x",
        "b": "\u202etxt.exe",
        "c": "word " * 30 + "::add-mask::x",
        "##[error]d": "\x9b31m",
    }
    document = _deployment("x", nasty, {})
    text = _text(document)
    assert yaml.safe_load(text) == document
    assert not re.search(r"##vso\[|##\[|^\s*::[^\n]*?::|[\x80-\x9f\u202e]", text, re.MULTILINE)
