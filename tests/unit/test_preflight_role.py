"""The smallest role: it grants what the plan needs, and each of its actions is missed when gone."""

from __future__ import annotations

import asyncio
import io
import json
import shlex
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from provisioner import manifest
from provisioner.cloud import Permission
from provisioner.desired import Desired, desired
from provisioner.observe import observe
from provisioner.plan import Plan, plan
from provisioner.preflight import Errands, roles, smallest_role
from provisioner.preflight.rights import Level, Need, allowed, needs
from tests.unit.preflight_cloud import FactCloud

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SUBSCRIPTION = "/subscriptions/11111111-1111-1111-1111-111111111111"
GROUP = f"{SUBSCRIPTION}/resourceGroups/rg-ml-prod"
WORKSPACE = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/mlw-prod"

HEAD = """\
apiVersion: provisioner.azureml/v1
kind: Workspace
metadata: {name: ml-prod}
spec:
  subscriptionId: 11111111-1111-1111-1111-111111111111
  resourceGroup: rg-ml-prod
  workspaceName: mlw-prod
  region: eastus2
---
apiVersion: provisioner.azureml/v1
kind: ModelDeployment
metadata: {name: llama}
spec:
  workspace: ml-prod
"""
SERVERLESS = HEAD + "  model: azureml-meta/Llama-3.3-70B-Instruct\n  target: {serverless: {}}\n"
MANAGED = (
    HEAD + "  model: azureml/Phi-4/versions/5\n"
    "  target: {managedCompute: {instanceType: Standard_NC24ads_A100_v4, instanceCount: 1}}\n"
)
OUTPUT = "  outputs: [{dotenv: {path: out/llama.env}}]\n"


def planned(text: str, facts: dict[str, object] | None = None) -> tuple[Plan, Desired]:
    loaded = manifest.load(["-"], stdin=io.StringIO(text))
    wanted = desired(loaded, stack="default", accept_terms=True)
    observed = asyncio.run(observe(FactCloud(facts or {}), wanted))
    return plan(wanted, observed, NOW), wanted


def test_subscribing_takes_a_role_on_the_subscription() -> None:
    role = smallest_role(*planned(SERVERLESS + OUTPUT))
    assert role.scopes == (SUBSCRIPTION,)
    assert role.document()["AssignableScopes"] == [SUBSCRIPTION]
    assert "Microsoft.SaaS/register/action" in role.actions
    assert not any("*" in action for action in role.actions)
    assert not any("onlineEndpoints" in action for action in role.actions)


def test_a_subscribed_workspace_takes_a_role_on_the_workspace_only() -> None:
    facts: dict[str, object] = {"live": {"subscriptions": ["azureml-meta/Llama-3.3-70B-Instruct"]}}
    role = smallest_role(*planned(SERVERLESS, facts))
    assert role.scopes == (WORKSPACE,)
    assert role.document()["AssignableScopes"] == [GROUP]
    assert not any(action.startswith("Microsoft.SaaS") for action in role.actions)
    assert not any("listKeys" in action for action in role.actions)


def test_outputs_take_the_keys() -> None:
    role = smallest_role(*planned(MANAGED + OUTPUT))
    assert f"{_ml('onlineEndpoints/listKeys/action')}" in role.actions


def test_keys_for_verifying_and_no_quota_for_shared() -> None:
    role = smallest_role(*planned(SERVERLESS), errands=Errands(verify=True))
    assert _ml("serverlessEndpoints/listKeys/action") in role.actions
    quota = "Microsoft.MachineLearningServices/locations/usages/read"
    shared = MANAGED.replace("instanceCount: 1", "instanceCount: 1, sharedQuota: true")
    assert quota in smallest_role(*planned(MANAGED)).actions
    assert quota not in smallest_role(*planned(shared)).actions


def test_removing_takes_deletes_of_what_is_named_or_of_any_kind() -> None:
    def deletes(errands: Errands) -> set[str]:
        actions = smallest_role(*planned(SERVERLESS), errands=errands).actions
        return {action for action in actions if action.endswith("/delete")}

    serverless = _ml("serverlessEndpoints/delete")
    subscription = _ml("marketplaceModelSubscriptions/delete")
    managed = {_ml("onlineEndpoints/delete"), _ml("onlineEndpoints/deployments/delete")}
    assert deletes(Errands()) == set()
    assert deletes(Errands(destroy=True)) == {serverless}
    assert deletes(Errands(destroy=True, prune_subscriptions=True)) == {serverless, subscription}
    assert deletes(Errands(prune=True)) == {serverless, *managed}


def test_roles_by_scope_hold_only_what_is_needed_there() -> None:
    found = roles(*planned(SERVERLESS))
    assert [one.scopes for one in found] == [(SUBSCRIPTION,), (GROUP,), (WORKSPACE,)]
    on_group = next(one for one in found if one.scopes == (GROUP,))
    assert set(on_group.actions) == {
        "Microsoft.SaaS/resources/read",
        "Microsoft.SaaS/resources/write",
    }
    together = {action for one in found for action in one.actions}
    assert together == set(smallest_role(*planned(SERVERLESS)).actions)


def test_commands_are_for_a_shell() -> None:
    role = smallest_role(*planned(MANAGED), "it's ours")
    define, *assign = (shlex.split(line) for line in role.commands())
    assert define[:-1] == ["az", "role", "definition", "create", "--role-definition"]
    assert json.loads(define[-1]) == role.document()
    assert [one[3:] for one in assign] == [
        ["create", "--assignee", "<object id>", "--role", "it's ours", "--scope", SUBSCRIPTION]
    ]


def test_every_need_is_in_the_role_and_each_lack_is_noticed() -> None:
    for text in (SERVERLESS + OUTPUT, MANAGED + OUTPUT):
        steps, wanted = planned(text)
        role = smallest_role(steps, wanted)
        wants = needs(steps, wanted)
        assert all(allowed([Permission(role.actions)], need) for need in wants)
        for need in wants:
            rest = tuple(action for action in role.actions if action != need.action)
            assert not allowed([Permission(rest)], need)


def _ml(tail: str) -> str:
    return f"Microsoft.MachineLearningServices/workspaces/{tail}"


_PARTS = st.sampled_from(["Microsoft.SaaS", "resources", "write", "read", "a"])
_ACTIONS = st.lists(_PARTS, min_size=2, max_size=4).map("/".join)


@given(action=_ACTIONS, cut=st.integers(0, 40), upper=st.booleans())
def test_a_wildcard_stands_for_any_text(action: str, cut: int, upper: bool) -> None:
    pattern = f"{action[: cut % len(action)]}*"
    need = Need(Level.GROUP, GROUP, (action.upper() if upper else action,))
    assert allowed([Permission((pattern,))], need)
    assert not allowed([Permission((pattern,), (pattern,))], need)
    assert allowed([Permission((pattern,), (pattern,)), Permission((action,))], need)


@given(action=_ACTIONS, other=_ACTIONS)
def test_without_a_wildcard_only_the_action_itself_is_meant(action: str, other: str) -> None:
    need = Need(Level.GROUP, GROUP, (action,))
    assert allowed([Permission((other,))], need) == (action.lower() == other.lower())


def test_a_dot_is_a_dot() -> None:
    need = Need(Level.GROUP, GROUP, ("MicrosoftXSaaS/resources/read",))
    assert not allowed([Permission(("Microsoft.SaaS/*",))], need)
