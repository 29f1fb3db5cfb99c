"""Random fleets: what manifests may wish for, and what may have happened to it in Azure."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from provisioner.desired import (
    Consent,
    Desired,
    Lifetime,
    Origin,
    Rollout,
    WantedDeployment,
    WantedEndpoint,
    WantedServerless,
    WantedWorkspace,
)
from provisioner.errors import Position
from provisioner.resources import (
    TAG_NAME,
    TAG_STACK,
    ContentSafety,
    Kind,
    MarketplacePlan,
    MarketplaceSubscription,
    ModelRef,
    OnlineDeployment,
    OnlineEndpoint,
    ResourceId,
    ServerlessEndpoint,
    State,
    WorkspaceId,
)
from tests.fake_clock import START
from tests.fakes import FakeCloud

STACK = "default"
REGION = "eastus2"
SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
WORKSPACES = tuple(WorkspaceId(SUBSCRIPTION, "rg-ml", name) for name in ("ws-a", "ws-b"))

OFFER_A = MarketplacePlan("metagenai", "llama-offer", "llama-plan")
OFFER_B = MarketplacePlan("acme", "mystery-offer", "mystery-plan")
KNOWN: dict[str, tuple[bool | None, MarketplacePlan | None, MarketplacePlan | None]] = {
    # name: what the catalogue says, the plan it knows, the offer that Azure asks for
    "llama": (True, OFFER_A, OFFER_A),
    "llama-chat": (True, OFFER_A, OFFER_A),
    "other-llama": (True, None, MarketplacePlan("metagenai", "other-offer", "other-plan")),
    "phi": (False, None, None),
    "mystery": (None, None, OFFER_B),
    "unknown-free": (None, None, None),
}


def searching(examples: int) -> settings:
    """Settings for a property over fleets: so many examples, times PROVISIONER_EXAMPLES."""
    return settings(
        max_examples=examples * int(os.environ.get("PROVISIONER_EXAMPLES", "1")),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def offer_of(model: ModelRef) -> MarketplacePlan | None:
    return KNOWN[model.name][2]


def model_ref(name: str, version: str | None = None) -> ModelRef:
    return ModelRef("azureml-meta", name, version)


def origin(name: str) -> Origin:
    return Origin(name, Position("fleet.yaml", 1, 1))


def own_tags(name: str, **labels: str) -> dict[str, str]:
    return {**labels, TAG_STACK: STACK, TAG_NAME: name}


LIFETIMES = st.sampled_from(
    [
        None,
        None,
        Lifetime(ttl=timedelta(hours=72)),
        Lifetime(expires_at=START + timedelta(days=30)),
        Lifetime(ttl=timedelta(hours=240)),
    ]
)
LABELS = st.sampled_from([{}, {"team": "search"}, {"team": "ads"}])


@st.composite
def serverless_wishes(draw: st.DrawFn) -> WantedServerless:
    place = draw(st.sampled_from(WORKSPACES))
    name = draw(st.sampled_from(["s1", "s2", "s3"]))
    model = draw(st.sampled_from(sorted(KNOWN)))
    manifest = f"{name}-{place.name}"
    subscribes, plan, _ = KNOWN[model]
    return WantedServerless(
        resource=ServerlessEndpoint(
            id=ResourceId(place, Kind.SERVERLESS_ENDPOINT, name),
            location=REGION,
            model=model_ref(model),
            content_safety=draw(st.sampled_from(ContentSafety)),
            tags=own_tags(manifest, **draw(LABELS)),
        ),
        origin=origin(manifest),
        subscribes=subscribes,
        plan=plan,
        consent=Consent("--accept-terms"),
        lifetime=draw(LIFETIMES),
    )


SPLITS: dict[int, list[tuple[int, ...]]] = {
    1: [(100,), (0,)],
    2: [(100, 0), (90, 10), (50, 50), (0, 0)],
    3: [(80, 15, 5), (0, 0, 100)],
}


@st.composite
def wanted_endpoints(draw: st.DrawFn) -> WantedEndpoint:
    place = draw(st.sampled_from(WORKSPACES))
    name = draw(st.sampled_from(["end-one", "end-two"]))
    id = ResourceId(place, Kind.ONLINE_ENDPOINT, name)
    chosen = draw(st.lists(st.sampled_from(["blue", "green", "red"]), min_size=1, unique=True))
    split = draw(st.sampled_from(SPLITS[len(chosen)]))
    shared = draw(st.booleans())
    lifetime = draw(LIFETIMES)
    if shared and lifetime is None:
        lifetime = Lifetime(ttl=timedelta(hours=168))
    parts = tuple(
        draw(wanted_deployments(id, one, share)) for one, share in zip(chosen, split, strict=True)
    )
    traffic = {one.resource.id.name: one.traffic for one in parts}
    return WantedEndpoint(
        resource=OnlineEndpoint(
            id=id,
            location=REGION,
            description=draw(st.sampled_from([None, "first", "second"])),
            traffic=traffic,
            tags=own_tags(name, **draw(LABELS)),
        ),
        deployments=parts,
        shared_quota=shared,
        lifetime=lifetime,
    )


@st.composite
def wanted_deployments(
    draw: st.DrawFn, endpoint: ResourceId, name: str, share: int
) -> WantedDeployment:
    rollout = draw(
        st.sampled_from([None, Rollout((10, 50, 100), 60.0, False), Rollout((100,), 0.0, True)])
    )
    return WantedDeployment(
        resource=OnlineDeployment(
            id=ResourceId(endpoint.workspace, Kind.ONLINE_DEPLOYMENT, name, endpoint.name),
            location=REGION,
            model=model_ref("llama", draw(st.sampled_from([None, "7", "8"]))),
            instance_type=draw(st.sampled_from(["Standard_A", "Standard_B"])),
            instance_count=draw(st.integers(1, 2)),
            environment_variables=draw(st.sampled_from([None, {}, {"MODE": "fast"}])),
            tags=own_tags(name, **draw(LABELS)),
        ),
        origin=origin(name),
        traffic=share,
        rollout=rollout,
    )


@st.composite
def fleets(draw: st.DrawFn, least: int = 0) -> Desired:
    """Wishes in up to two workspaces, no two for one name; at least `least` for each target."""
    serverless = draw(
        st.lists(
            serverless_wishes(),
            min_size=least,
            max_size=4,
            unique_by=lambda wish: wish.resource.id,
        )
    )
    endpoints = draw(
        st.lists(
            wanted_endpoints(),
            min_size=least,
            max_size=3,
            unique_by=lambda wish: wish.resource.id,
        )
    )
    return Desired(
        stack=STACK,
        workspaces={
            place: WantedWorkspace(place, REGION, Position("fleet.yaml", 1, 1))
            for place in WORKSPACES
        },
        serverless=tuple(serverless),
        endpoints=tuple(endpoints),
    )


KINDS = tuple(kind for kind in Kind if kind is not Kind.AGREEMENT)
RESTING = (State.SUCCEEDED, State.FAILED, State.CANCELED)
MOVING = (State.CREATING, State.UPDATING, State.SCALING, State.DELETING)


@st.composite
def mishaps(draw: st.DrawFn) -> Callable[[FakeCloud], None]:
    """What may happen to a fleet between two runs: another hand, a failure, an operation."""
    # One number decides all: drawn one by one, the choices come too much alike.
    dice = random.Random(draw(st.integers(0, 2**32)))
    what = dice.choice(["break", "move", "move", "move", "untag", "no traffic", "case", "ends"])
    kind, which = dice.choice(KINDS), dice.randrange(1000)
    state = dice.choice((*MOVING, *RESTING[1:]))
    ends_badly = dice.random() < 0.5
    condition = dice.choice(["Unsubscribed", "Suspended", "Subscribed"])

    def happen(cloud: FakeCloud) -> None:
        if not cloud.records:
            return
        ids = [id for id in cloud.records if id.kind is kind] or list(cloud.records)
        id = ids[which % len(ids)]
        record = cloud.records[id]
        match what:
            case "break":
                record.state, record.then = State.FAILED, None
                record.condition = None
            case "move" if state in MOVING:
                _begin(cloud, id, state, ends_badly=ends_badly)
            case "move":
                record.state, record.then = state, None
            case "untag" if not isinstance(record.resource, MarketplaceSubscription):
                tags = dict(record.resource.tags)
                tags.pop("team", None)
                record.resource = replace(record.resource, tags=tags)
            case "no traffic" if isinstance(record.resource, OnlineEndpoint):
                record.resource = replace(record.resource, traffic={})
            case "ends" if isinstance(record.resource, MarketplaceSubscription):
                record.condition = condition
            case "case" if isinstance(record.resource, OnlineEndpoint):
                upper = {name.upper(): share for name, share in record.resource.traffic.items()}
                record.resource = replace(record.resource, traffic=upper)
            case _:
                pass

    return happen


def _begin(cloud: FakeCloud, id: ResourceId, state: State, *, ends_badly: bool) -> None:
    record = cloud.records[id]
    if state is State.DELETING and id.kind is Kind.ONLINE_ENDPOINT:
        for other in list(cloud.records):
            if other.kind is Kind.ONLINE_DEPLOYMENT and other.endpoint == id:
                del cloud.records[other]
    if state is State.DELETING and id.kind is Kind.ONLINE_DEPLOYMENT:
        parent = cloud.records.get(id.endpoint)
        if parent is not None and isinstance(parent.resource, OnlineEndpoint):
            parent.resource = replace(parent.resource, traffic={})
    record.state, record.ends = state, cloud.clock.monotonic() + 30.0
    if state is State.DELETING:
        record.then = None
    else:
        record.then = State.FAILED if ends_badly else State.SUCCEEDED


@st.composite
def strangers(draw: st.DrawFn) -> Callable[[FakeCloud], None]:
    """Something of somebody else under a name that a fleet may want."""
    place = draw(st.sampled_from(WORKSPACES))
    stack = draw(st.sampled_from([None, "their-stack"]))
    tags = {} if stack is None else {TAG_STACK: stack, TAG_NAME: "theirs"}
    which = draw(st.sampled_from(["serverless", "endpoint", "deployment"]))
    state = draw(st.sampled_from([State.SUCCEEDED, State.FAILED, State.CREATING]))

    def appear(cloud: FakeCloud) -> None:
        endpoint = ResourceId(place, Kind.ONLINE_ENDPOINT, "end-one")
        if which == "serverless":
            name = ResourceId(place, Kind.SERVERLESS_ENDPOINT, "s1")
            if name not in cloud.records:
                cloud.seed(ServerlessEndpoint(name, REGION, model_ref("phi"), tags=tags), state)
            return
        if endpoint not in cloud.records:
            if which == "deployment":
                return
            cloud.seed(OnlineEndpoint(endpoint, REGION, tags=tags), State.SUCCEEDED)
        name = ResourceId(place, Kind.ONLINE_DEPLOYMENT, draw_name, endpoint.name)
        if name not in cloud.records:
            cloud.seed(
                OnlineDeployment(name, REGION, model_ref("phi", "1"), "Standard_A", 1, tags=tags),
                state,
            )

    draw_name = draw(st.sampled_from(["blue", "blue-2", "theirs"]))
    return appear
