"""Cores that are short with every way out taken, counts per region, and deadlines that cannot hold.

Each scene stands beside its neighbour; tests/flow/scenes.py plays them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from provisioner import pipeline
from provisioner.clock import SystemClock
from provisioner.errors import InvalidManifest
from provisioner.events import ignore
from provisioner.manifest.load import load_text
from provisioner.pipeline import Errand
from provisioner.plan import Plan, Step
from provisioner.plan.steps import Create
from provisioner.preflight import Options, blocking
from provisioner.resources import OnlineDeployment
from tests.flow.scenes import (
    Scene,
    Theatre,
    carried_out,
    cores,
    managed,
    opened,
    second_workspace,
    serverless,
    subscription_of,
    tenant,
    two_workspaces,
)

pytestmark = pytest.mark.slow

A100, H100 = "standardNCADSA100v4Family", "standardNCADSH100v5Family"
H100_SIZE = ", instanceType: Standard_NC40ads_H100_v5"
CENTURY = '  lifetime: {expiresAt: "2090-01-01T00:00:00Z"}\n'
GUARDED = "azureml-meta/Meta-Llama-3-8B/versions/2"
"""A model that may not run on shared quota."""


def in_two_regions(model_quota: str = "0/0", there: str = "0/96") -> dict[str, Any]:
    quotas = {"eastus2": {A100: model_quota, H100: "0/80"}, "westus3": {A100: there}}
    return {**two_workspaces("westus3"), "quotas": quotas}


def there(text: str) -> str:
    return second_workspace("westus3") + text.replace("workspace: ml-prod", "workspace: ml-second")


WAYS = (
    "1 × 24 cores = 24 needed, 0 free",
    "set sharedQuota: true",
    "Standard_NC40ads_H100_v5 (1 × 40 cores = 40, 80 free)",
    "deploy to the workspace mlw-second in westus3 (96 free)",
    "ask for 24 more cores of standardNCADSA100v4Family in eastus2 at https://ml.azure.com/quota",
)

SCENES = [
    Scene("no cores", in_two_regions(), managed(), "preflight.quota-short", says=WAYS),
    Scene("the way of shared quota", in_two_regions(), managed(", sharedQuota: true"), None),
    Scene("the way of another size", in_two_regions(), managed(H100_SIZE), None),
    Scene("the way of another region", in_two_regions(), there(managed()), None),
    Scene("the way of an increase", in_two_regions("0/24"), managed(), None),
    Scene(
        "no cores, and no other way than an increase",
        tenant(quotas=cores("0/0")),
        managed(model=GUARDED),
        "preflight.quota-short",
        says=(
            "at https://ml.azure.com/quota",
            "not: sharedQuota",
            "not: instanceType",
            "not: workspace",
        ),
    ),
    Scene(
        "from shared quota to none of one's own",
        tenant(quotas=cores("0/0")),
        managed(),
        "preflight.quota-short",
        first=managed(", sharedQuota: true"),
    ),
    Scene(
        "from shared quota to enough of one's own",
        tenant(quotas=cores("0/24")),
        managed(),
        None,
        first=managed(", sharedQuota: true"),
    ),
    Scene(
        "each fits, together they do not",
        {**two_workspaces("eastus2"), "quotas": cores("0/36")},
        second_workspace("eastus2")
        + managed()
        + managed().replace("ml-prod", "ml-second").replace("phi-NUMBER", "phi-second"),
        "preflight.quota-short",
        says=("48 needed by phi", "36 free"),
    ),
    Scene(
        "together they fit",
        {**two_workspaces("eastus2"), "quotas": cores("0/48")},
        second_workspace("eastus2")
        + managed()
        + managed().replace("ml-prod", "ml-second").replace("phi-NUMBER", "phi-third"),
        None,
    ),
]


def sized(name: str, count: int, *, settings: str = "", version: int = 7) -> str:
    """A deployment on an endpoint of its own, or on the one that the settings name."""
    text = managed(settings, f"azureml/Phi-4/versions/{version}")
    return text.replace("name: phi-", f"name: {name}-").replace(
        "instanceCount: 1", f"instanceCount: {count}"
    )


BESIDE = ", rollout: {strategy: blueGreen, steps: [100], bake: 0s}"
ONE_ENDPOINT = ", endpointName: both-NUMBER"
ORDERS = [
    Scene(
        "one shrinks, another grows",
        tenant(quotas=cores("0/96")),
        sized("a", 3) + sized("b", 1),
        None,
        first=sized("a", 1) + sized("b", 3),
    ),
    Scene(
        "one shrinks, another grows by more",
        tenant(quotas=cores("0/96")),
        sized("a", 4) + sized("b", 1),
        "preflight.quota-short",
        first=sized("a", 1) + sized("b", 3),
        says=("24 needed by a-", "ask for 24 more cores"),
    ),
    Scene(
        "what is pruned makes room",
        tenant(quotas=cores("0/24")),
        sized("b", 1),
        None,
        first=sized("a", 1),
        prunes=True,
        warns="preflight.freed-first",
        says=("first takes a-",),
    ),
    Scene(
        "room for what is pruned and for the new",
        tenant(quotas=cores("0/48")),
        sized("b", 1),
        None,
        first=sized("a", 1),
        prunes=True,
    ),
    Scene(
        "another name on an endpoint, pruning, without room for both",
        tenant(quotas=cores("0/24")),
        sized("b", 1, settings=ONE_ENDPOINT),
        "preflight.quota-short",
        first=sized("a", 1, settings=ONE_ENDPOINT),
        prunes=True,
        says=("removed only afterwards", "first apply --prune without b-"),
    ),
    Scene(
        "another name on an endpoint, pruning, with room for both",
        tenant(quotas=cores("0/48")),
        sized("b", 1, settings=ONE_ENDPOINT),
        None,
        first=sized("a", 1, settings=ONE_ENDPOINT),
        prunes=True,
    ),
    Scene(
        "an endpoint that moves to shared quota makes room",
        tenant(quotas=cores("0/24")),
        sized("a", 1, settings=", sharedQuota: true") + sized("b", 1),
        None,
        first=sized("a", 1),
        warns="preflight.freed-first",
    ),
    Scene(
        "a rollout without room for both",
        tenant(quotas=cores("0/24")),
        sized("a", 1, settings=BESIDE),
        "preflight.quota-short",
        first=sized("a", 1, version=6),
        says=("remove rollout from a-",),
    ),
    Scene(
        "the way of a replacement in place",
        tenant(quotas=cores("0/24")),
        sized("a", 1),
        None,
        first=sized("a", 1, version=6),
    ),
    Scene(
        "two rollouts with room for one at a time",
        tenant(quotas=cores("0/72")),
        sized("a", 1, settings=BESIDE) + sized("b", 1, settings=BESIDE),
        None,
        first=sized("a", 1, version=6) + sized("b", 1, version=6),
    ),
]


def living(until: str) -> str:
    """A serverless endpoint with a lifetime."""
    text = serverless("azureml/Phi-4")
    return text.replace("{serverless: {}}", f"{{serverless: {{}}}}, lifetime: {{{until}}}")


TO_COME = Scene("a deadline to come", tenant(), living("ttl: 72h"), None)
PAST = Scene(
    "a deadline that has passed",
    tenant(),
    living('expiresAt: "2026-01-01T00:00:00Z"'),
    "preflight.deadline-past",
    says=("2026-01-01T00:00:00Z, which has passed", "a later expiresAt, or a ttl such as 72h"),
    fails=False,
)
BEYOND = Scene(
    "a deadline beyond Azure's own",
    tenant(),
    managed(", sharedQuota: true") + CENTURY,
    None,
    warns="preflight.deadline-beyond",
    says=("Azure deletes it 168 h after its creation", "a ttl of at most 168h"),
)
OWN_QUOTA = Scene("a deadline as far on a quota of one's own", tenant(), managed() + CENTURY, None)
FIFTY = Scene(
    "50 instances",
    tenant(quotas=cores("0/1224")),
    managed().replace("instanceCount: 1", "instanceCount: 50"),
    None,
)


def crowd(endpoints: int, deployments: int = 1) -> str:
    """So many online endpoints with so many deployments each, which carry no traffic."""
    return "".join(
        managed(f", endpointName: crowd-NUMBER-{one}, traffic: 0").replace(
            "name: phi-NUMBER}", f"name: crowd-{one}-{part}}}"
        )
        for one in range(endpoints)
        for part in range(deployments)
    )


def rolled(others: int, version: int) -> str:
    """A deployment that is replaced beside the old one, and others of its endpoint."""
    one = managed(
        ", endpointName: crowd-NUMBER-0, traffic: 100"
        ", rollout: {strategy: blueGreen, steps: [100], bake: 0s}",
        f"azureml/Phi-4/versions/{version}",
    )
    return one + crowd(1, others)


def labelled(prefix: str, count: int) -> str:
    labels = ", ".join(f"{prefix}{number}: x" for number in range(count))
    text = serverless("azureml/Phi-4")
    return text.replace("metadata: {name", f"metadata: {{labels: {{{labels}}}, name")


TAGS = [
    Scene(
        "51 tags, with those that former labels left",
        tenant(),
        labelled("new", 10),
        "preflight.too-many-tags",
        first=labelled("old", 39),
        says=("39 of them are live", "az tag update"),
    ),
    Scene("50 tags", tenant(), labelled("new", 10), None, first=labelled("old", 38)),
]
ROOMY = tenant(quotas=cores("0/99999"))
COUNTS = [
    Scene(
        "101 endpoints in a region",
        ROOMY,
        crowd(101),
        "preflight.too-many",
        says=(
            "more than 100 online endpoints in eastus2",
            "spread them over regions",
            "open a support request",
            "--ignore-limits",
        ),
        seconds=60,
    ),
    Scene("100 endpoints in a region", ROOMY, crowd(100), None),
    Scene(
        "100 endpoints in a region, one of them in another's place",
        ROOMY,
        crowd(99) + sized("other", 1),
        None,
        first=crowd(100),
        prunes=True,
        warns="preflight.freed-first",
        says=("first takes crowd-",),
    ),
    Scene(
        "100 endpoints in a workspace that no manifest names",
        {**two_workspaces("eastus2"), "quotas": cores("0/99999")},
        sized("one-more", 1),
        "preflight.too-many",
        first=second_workspace("eastus2") + crowd(100).replace("ml-prod", "ml-second"),
        says=("more than 100 online endpoints in eastus2",),
    ),
    Scene(
        "100 endpoints in such a workspace of another region",
        {**two_workspaces("westus3"), "quotas": cores("0/99999")},
        sized("one-more", 1),
        None,
        first=second_workspace("westus3") + crowd(100).replace("ml-prod", "ml-second"),
    ),
    Scene(
        "101 endpoints where the limit was raised",
        tenant(quotas=cores("0/99999"), endpointLimit=200),
        crowd(101),
        None,
        warns="preflight.too-many",
        ignores=Options(ignore_limits=True),
    ),
    Scene(
        "501 deployments in a region",
        ROOMY,
        crowd(25, 20) + managed(", traffic: 0"),
        "preflight.too-many",
        says=("more than 500 online deployments in eastus2",),
        seconds=60,
    ),
    Scene("500 deployments in a region", ROOMY, crowd(25, 20), None),
    Scene(
        "a rollout on an endpoint of 19",
        ROOMY,
        rolled(18, 7),
        None,
        first=rolled(18, 6),
    ),
    Scene(
        "a rollout on an endpoint of 20",
        ROOMY,
        rolled(19, 7),
        "preflight.too-many",
        first=rolled(19, 6),
        says=("more than 20 deployments", "give some another endpointName"),
    ),
]
ALL = [*SCENES, *ORDERS, *TAGS, *COUNTS, TO_COME, PAST, FIFTY]


@pytest.fixture(scope="module")
def theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    with opened(tmp_path_factory.mktemp("counts"), ALL) as found:
        yield found


@pytest.mark.parametrize("scene", [*SCENES, *ORDERS, *TAGS], ids=str)
def test_scene(
    scene: Scene, theatre: Theatre, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theatre.play(scene, tmp_path, monkeypatch)


@pytest.mark.parametrize("scene", COUNTS, ids=str)
def test_count(
    scene: Scene, theatre: Theatre, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theatre.play(scene, tmp_path, monkeypatch)


async def test_the_51st_instance(theatre: Theatre) -> None:
    """The manifest itself is refused; the service would refuse it as well, and takes 50."""
    text = theatre.text(FIFTY, FIFTY.manifests)
    with pytest.raises(InvalidManifest) as caught:
        load_text(text.replace("instanceCount: 50", "instanceCount: 51"))
    (problem,) = caught.value.problems
    assert "50" in problem.hint
    async with theatre.signed_in() as cloud:
        found = await theatre.judged(cloud, FIFTY, FIFTY.manifests)
        assert not blocking(found.findings)
        (failure,) = await carried_out(cloud, with_instances(found.plan, 51), 5)
        assert "51 is not between 1 and 50" in " ".join((failure.what, *failure.details))
        assert not await carried_out(cloud, found.plan, 60)


def with_instances(plan: Plan, count: int) -> Plan:
    def changed(step: Step) -> Step:
        if isinstance(step, Create) and isinstance(step.resource, OnlineDeployment):
            return replace(step, resource=replace(step.resource, instance_count=count))
        return step

    return replace(plan, steps=tuple(changed(step) for step in plan.steps))


async def due(theatre: Theatre, scene: Scene) -> list[str]:
    """What a reaper would take down of the scene's endpoints now."""
    places = (subscription_of(scene, theatre.scenes),)
    async with theatre.signed_in() as cloud:
        errand = Errand(timedelta(0), places)
        _, doomed = await pipeline.prepare_reap(cloud, errand, SystemClock(), ignore)
    return [one.id.name for one in doomed]


def test_a_deadline_that_has_passed(
    theatre: Theatre, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Azure would make the endpoint; the next reaper would take it away at once."""
    theatre.play(PAST, tmp_path, monkeypatch)
    assert asyncio.run(due(theatre, PAST)) == [f"llama-{ALL.index(PAST)}"]
    theatre.play(TO_COME, tmp_path, monkeypatch)
    assert asyncio.run(due(theatre, TO_COME)) == []


def test_a_deadline_beyond_azures_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On shared quota the endpoint is gone after 168 h, on a quota of one's own it is not."""
    scenes = [BEYOND, OWN_QUOTA]
    with opened(tmp_path, scenes) as own:
        for scene in scenes:
            own.play(scene, tmp_path, monkeypatch)
        own.advance("169h")
        assert asyncio.run(endpoints(own, BEYOND)) == []
        assert asyncio.run(endpoints(own, OWN_QUOTA)) == ["phi-1"]


async def endpoints(theatre: Theatre, scene: Scene) -> list[str]:
    async with theatre.signed_in() as cloud:
        found = await theatre.judged(cloud, scene, scene.manifests)
    return [live.id.name for view in found.observed.values() for live in view.endpoints]
