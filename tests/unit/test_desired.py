"""Manifests → wishes, and the first observation."""

from __future__ import annotations

from datetime import timedelta

import pytest

from provisioner.desired import Desired, desired
from provisioner.errors import InvalidManifest
from provisioner.manifest.load import load_text
from provisioner.manifest.selector import Selector
from provisioner.observe import observe
from provisioner.resources import (
    TAG_EXPIRES,
    TAG_NAME,
    TAG_ON_EXPIRY,
    TAG_STACK,
    ContentSafety,
    Kind,
    OnlineEndpoint,
    ResourceId,
    WorkspaceId,
)
from tests.fake_clock import FakeClock
from tests.fakes import FakeCloud
from tests.plan_cases import HEAD, PLACE, WORKSPACE

MODEL = "azureml://registries/azureml-meta/models/Meta-Llama-3.1-8B-Instruct"


def wishes(*specs: str, accept: bool = False) -> Desired:
    texts = [WORKSPACE, *(HEAD + one for one in specs)]
    manifests = load_text("---\n".join(texts), file="w.yaml")
    return desired(manifests, stack="default", accept_terms=accept)


def serverless(name: str, target: str = "{}", more: str = "") -> str:
    return (
        f"metadata: {{name: {name}, labels: {{team: search}}}}\n"
        "spec:\n  workspace: ml-prod\n  model: azureml-meta/Llama-3.3-70B-Instruct\n"
        f"  target: {{serverless: {target}}}\n{more}"
    )


def managed(name: str, target: str, more: str = "") -> str:
    return (
        f"metadata: {{name: {name}}}\n"
        f"spec:\n  workspace: ml-prod\n  model: {MODEL}/versions/4\n"
        "  target: {managedCompute: {endpointName: chat, "
        f"instanceType: Standard_NC24ads_A100_v4, {target}}}}}\n{more}"
    )


def test_serverless_takes_its_name_from_the_manifest_and_never_a_version() -> None:
    text = serverless("llama").replace("azureml-meta/Llama", "azureml-meta/Llama")
    (wish,) = wishes(text).serverless
    assert wish.resource.id == ResourceId(PLACE, Kind.SERVERLESS_ENDPOINT, "llama")
    assert wish.resource.model.version is None
    assert wish.resource.location == "eastus2"
    assert wish.resource.content_safety is ContentSafety.ENABLED
    assert wish.resource.tags == {"team": "search", TAG_STACK: "default", TAG_NAME: "llama"}
    assert wish.consent is None


def test_consent_says_where_it_was_given() -> None:
    (flag,) = wishes(serverless("llama"), accept=True).serverless
    assert flag.consent is not None
    assert flag.consent.by == "--accept-terms"
    (own,) = wishes(serverless("llama", more="  marketplace: {acceptTerms: true}\n")).serverless
    assert own.consent is not None
    assert own.consent.by.startswith("w.yaml:")


def test_ids_compare_without_case_so_two_spellings_of_one_endpoint_are_one() -> None:
    (endpoint,) = wishes(
        managed("blue", "traffic: 60"),
        managed("green", "traffic: 40").replace("chat", "CHAT"),
    ).endpoints
    assert endpoint.resource.traffic == {"blue": 60, "green": 40}


def test_a_deployment_alone_takes_all_traffic_unless_it_says_otherwise() -> None:
    assert wishes(managed("blue", "")).endpoints[0].resource.traffic == {"blue": 100}
    assert wishes(managed("blue", "traffic: 0")).endpoints[0].resource.traffic == {"blue": 0}


def test_selecting_one_deployment_leaves_what_is_its_endpoints_as_all_of_them_say() -> None:
    blue = managed("blue", "traffic: 100").replace(
        "name: blue}", "name: blue, labels: {team: search, color: blue}}"
    )
    green = managed("green", "").replace(
        "name: green}", "name: green, labels: {team: search, color: green}}"
    )
    manifests = load_text("---\n".join([WORKSPACE, HEAD + blue, HEAD + green]))
    (whole,) = desired(manifests, stack="default").endpoints
    chosen = manifests.select(Selector.of(["color=green"]))
    (part,) = desired(chosen, stack="default").endpoints
    assert part.resource.tags == whole.resource.tags
    assert part.resource.tags["team"] == "search"
    assert part.resource.traffic == {"green": 0}  # not alone: blue has it all


def test_shared_quota_lives_as_long_as_azure_lets_it() -> None:
    (endpoint,) = wishes(managed("blue", "sharedQuota: true")).endpoints
    assert endpoint.lifetime is not None
    assert endpoint.lifetime.ttl == timedelta(hours=168)


def test_renewal_stands_on_the_endpoint_and_no_deadline_is_known_yet() -> None:
    life = "  lifetime: {ttl: 72h, onExpiry: renew}\n"
    (wish,) = wishes(serverless("llama", more=life)).serverless
    assert wish.resource.tags[TAG_ON_EXPIRY] == "renew"
    assert TAG_EXPIRES not in wish.resource.tags


def test_contradictions_of_one_endpoint_are_refused_with_a_place() -> None:
    with pytest.raises(InvalidManifest) as refusal:
        wishes(
            managed("blue", "traffic: 60", "  lifetime: {ttl: 24h}\n"),
            managed("green", "traffic: 40", "  lifetime: {ttl: 48h}\n"),
        )
    assert refusal.value.problems[0].position is not None


def test_blue_green_is_a_rollout_and_recreate_is_none() -> None:
    (green,) = wishes(managed("blue", "rollout: {strategy: blueGreen, bake: 1m}")).endpoints
    assert green.deployments[0].rollout is not None
    assert green.deployments[0].rollout.bake == 60.0
    assert wishes(managed("blue", "")).endpoints[0].deployments[0].rollout is None


def test_only_what_the_wishes_need_is_listed() -> None:
    cloud = FakeCloud(FakeClock())
    cloud.clock.run(observe(cloud, wishes(serverless("llama"))))
    assert cloud.reads == 3  # workspace, subscriptions, serverless endpoints
    cloud.reads = 0
    cloud.seed(OnlineEndpoint(ResourceId(PLACE, Kind.ONLINE_ENDPOINT, "chat"), "eastus2"))
    cloud.seed(OnlineEndpoint(ResourceId(PLACE, Kind.ONLINE_ENDPOINT, "other"), "eastus2"))
    cloud.clock.run(observe(cloud, wishes(managed("blue", ""))))
    assert cloud.reads == 3  # workspace, online endpoints, the deployments of the wanted one


def test_pruning_looks_into_workspaces_that_no_deployment_names_any_more() -> None:
    cloud = FakeCloud(FakeClock())
    idle = WORKSPACE.replace("ml-prod", "ml-idle").replace("mlw-prod", "mlw-idle")
    manifests = load_text(f"{WORKSPACE}---\n{idle}---\n{HEAD}{serverless('llama')}", file="w.yaml")
    wish = desired(manifests, stack="default")
    place = WorkspaceId(PLACE.subscription, "rg-ml-idle", "mlw-idle")
    assert place not in cloud.clock.run(observe(cloud, wish))
    assert place in cloud.clock.run(observe(cloud, wish, whole=True))


def test_a_workspace_that_is_not_there_is_observed_as_such() -> None:
    cloud = FakeCloud(FakeClock(), missing={PLACE})
    seen = cloud.clock.run(observe(cloud, wishes(serverless("llama")), whole=True))
    assert seen[PLACE].workspace is None
