"""The plan as people read it: golden text at 80 columns, Markdown, field names."""

from __future__ import annotations

from datetime import UTC, datetime

from provisioner.cli.render.plans import field_name, plan_markdown, plan_text, summary_line
from provisioner.desired import Consent
from provisioner.errors import Code, Problem, Severity, Who
from provisioner.plan.steps import (
    Await,
    Because,
    Change,
    Create,
    Delete,
    Effect,
    Expiry,
    Plan,
    Replace,
    Rollout,
    SetTraffic,
    Subscribe,
    Unchanged,
    Until,
    Update,
)
from provisioner.resources import (
    TAG_STACK,
    Kind,
    MarketplaceSubscription,
    ModelRef,
    OnlineDeployment,
    OnlineEndpoint,
    ResourceId,
    ServerlessEndpoint,
    WorkspaceId,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)
PROD = WorkspaceId("11111111-1111-1111-1111-111111111111", "rg-ml-prod", "mlw-prod")
EU = WorkspaceId("11111111-1111-1111-1111-111111111111", "rg-ml-eu", "mlw-eu")
LLAMA = ModelRef("azureml-meta", "Llama-3.3-70B-Instruct")


def serverless(name: str) -> ServerlessEndpoint:
    id = ResourceId(PROD, Kind.SERVERLESS_ENDPOINT, name)
    return ServerlessEndpoint(id, "eastus2", LLAMA, tags={TAG_STACK: "default", "team": "search"})


ENDPOINT = ResourceId(EU, Kind.ONLINE_ENDPOINT, "llama-8b")
DEPLOYMENT = ResourceId(EU, Kind.ONLINE_DEPLOYMENT, "blue", "llama-8b")
BLUE = OnlineDeployment(
    DEPLOYMENT,
    "swedencentral",
    ModelRef("azureml-meta", "Meta-Llama-3.1-8B-Instruct"),
    "Standard_NC24ads_A100_v4",
    2,
)
SUBSCRIPTION = MarketplaceSubscription(
    ResourceId(PROD, Kind.MARKETPLACE_SUBSCRIPTION, "llama-3-3"), LLAMA
)

PLAN = Plan(
    stack="default",
    now=NOW,
    steps=(
        Subscribe(
            id="1",
            reason="the workspace is not subscribed to this model's offer yet",
            resource=SUBSCRIPTION,
            consent=Consent("manifests/serverless.yaml:20:30"),
        ),
        Create(id="2", reason="does not exist", resource=serverless("llama-33-70b")),
        Replace(
            id="3",
            reason="its model changed",
            resource=serverless("old"),
            changes=(Change("model", "azureml-meta/A", LLAMA.short, Effect.REPLACES),),
        ),
        Create(
            id="4",
            reason="does not exist",
            resource=OnlineEndpoint(
                ENDPOINT, "swedencentral", properties={"SharedComputeCapacityEnabled": "true"}
            ),
        ),
        Create(id="5", reason="does not exist", resource=BLUE),
        Update(
            id="6",
            reason="differs in 3 fields",
            resource=BLUE,
            changes=(
                Change("instance_count", "1", "2"),
                Change("request_settings.request_timeout", None, "90"),
                Change("environment_variables.TOKEN", "(hidden)", "(hidden)", hidden=True),
            ),
            fields=frozenset({"instance_count"}),
        ),
        Update(
            id="7",
            reason="exists without our tags, and --adopt was given",
            resource=BLUE,
            changes=(Change("tags.provisioner-stack", None, "default"),),
            fields=frozenset({"tags"}),
            adopts=True,
        ),
        SetTraffic(
            id="8", reason="traffic differs", endpoint=ENDPOINT, before={"a": 100}, after={"b": 100}
        ),
        Rollout(
            id="9",
            reason="its model changed",
            endpoint=ENDPOINT,
            old="blue",
            new="blue-2",
            shares=(10, 50, 100),
            weight=100,
            others={},
            bake=300.0,
            probe=True,
        ),
        Delete(
            id="10",
            reason="no manifest names it any more",
            resource_id=DEPLOYMENT,
            because=Because.PRUNED,
        ),
        Await(
            id="11",
            reason="somebody started it",
            resource_id=ENDPOINT,
            until=Until.READY,
            state="Creating",
        ),
    ),
    unchanged=(Unchanged(serverless("same").id, "as described"),),
    expiries=(Expiry(ENDPOINT, datetime(2030, 1, 8, tzinfo=UTC), by_azure=True),),
)

GOLDEN = """\
workspace mlw-prod (resource group rg-ml-prod)
    + marketplace subscription llama-3-3
        model  azureml-meta/Llama-3.3-70B-Instruct
        offer  named by Azure when subscribing
        terms  accepted by manifests/serverless.yaml:20:30
        reason: the workspace is not subscribed to this model's offer yet
    + serverless endpoint llama-33-70b
        model          azureml-meta/Llama-3.3-70B-Instruct
        location       eastus2
        contentSafety  Enabled
        tags.team      search
        reason: does not exist
  -/+ serverless endpoint old
        model  azureml-meta/A → azureml-meta/Llama-3.3-70B-Instruct  (forces
               replacement)
        reason: its model changed

workspace mlw-eu (resource group rg-ml-eu)
    + online endpoint llama-8b
        location     swedencentral
        sharedQuota  true: Azure deletes it after 168 h
        reason: does not exist
    + online deployment llama-8b/blue
        model          azureml-meta/Meta-Llama-3.1-8B-Instruct (latest)
        instanceType   Standard_NC24ads_A100_v4
        instanceCount  2
        reason: does not exist
    ~ online deployment llama-8b/blue
        instanceCount                   1 → 2
        requestSettings.requestTimeout  90 (was not set)
        environmentVariables.TOKEN      (changed; values are not shown)
        reason: differs in 3 fields
   <= online deployment llama-8b/blue
        tags.provisioner-stack  default (was not set)
        reason: exists without our tags, and --adopt was given
    ~ online endpoint llama-8b
        traffic.a  100 → 0
        traffic.b  0 → 100
        reason: traffic differs
    ~ online endpoint llama-8b
        traffic.blue-2  0 → 10 → 50 → 100 percent of 100
        bake            300 s after each, then a probe
        reason: its model changed
    - online deployment llama-8b/blue
        reason: no manifest names it any more
  ... online endpoint llama-8b
        state  Creating; until ready
        reason: somebody started it

  online endpoint llama-8b: Azure deletes it (shared quota) 2030-01-08 00:00 UTC

    = serverless endpoint same: as described

Plan: 4 to create, 3 to change, 1 to adopt, 1 to replace, 1 to delete, 1 to wait
for. 1 unchanged.
"""


def test_the_plan_at_80_columns() -> None:
    assert plan_text(PLAN, width=80) == GOLDEN


def test_no_line_is_wider_than_the_screen() -> None:
    for line in plan_text(PLAN, width=80, color=False).splitlines():
        assert len(line) <= 80


def test_piped_text_is_not_wrapped() -> None:
    wide = plan_text(PLAN)
    assert "accepted by manifests/serverless.yaml:20:30" in wide
    assert "reason: the workspace is not subscribed to this model's offer yet\n" in wide


def test_an_empty_plan_says_why() -> None:
    same = tuple(Unchanged(serverless(f"s{n}").id, "as described") for n in range(2))
    text = plan_text(Plan("default", NOW, unchanged=same))
    assert text == (
        "    = serverless endpoint s0: as described\n"
        "    = serverless endpoint s1: as described\n"
        "\n"
        "No changes: all 2 as described.\n"
    )


def test_many_unchanged_are_counted() -> None:
    same = tuple(Unchanged(serverless(f"s{n}").id, "as described") for n in range(21))
    plan = Plan("default", NOW, unchanged=same)
    assert "21 more need nothing" in plan_text(plan)
    assert plan_text(plan, verbose=True).count(": as described\n") == 21


def test_colour() -> None:
    assert "\x1b[" in plan_text(PLAN, color=True)
    assert "\x1b[" not in plan_text(PLAN)


def test_summary() -> None:
    assert summary_line(PLAN) == (
        "Plan: 4 to create, 3 to change, 1 to adopt, 1 to replace, 1 to delete, "
        "1 to wait for. 1 unchanged."
    )


def test_markdown_is_a_diff_that_cannot_be_broken_out_of() -> None:
    evil = Create(id="x", reason="``` <script>", resource=serverless("x"))
    problem = Problem(
        Code("test.odd", "odd", "Odd.", Who.OPERATOR), "a <b>", "mend", severity=Severity.WARNING
    )
    text = plan_markdown(Plan("default", NOW, steps=(evil,), notices=(problem,)))
    assert text.startswith("### provision: Plan: 1 to create.")
    assert "````diff" in text
    assert "a &lt;b>" in text
    assert "\n+    + serverless endpoint x" in text


def test_field_names_are_the_manifests() -> None:
    assert field_name("instance_count") == "instanceCount"
    assert field_name("request_settings.max_queue_wait") == "requestSettings.maxQueueWait"
    assert field_name("tags.cost_center") == "tags.cost_center"
    assert field_name("environment_variables.MY_VAR") == "environmentVariables.MY_VAR"
