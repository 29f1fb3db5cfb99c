"""The managed compute target of the manifest's schema."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from provisioner.manifest.base import EMPTY, TUPLE, Document, Percent, Text
from provisioner.manifest.scalars import OnlineName, Seconds, fault


class DataCollection(Document):
    """Inference data collection (preview) of a managed deployment."""

    inputs: bool = Field(default=True, description="Collect the model's inputs.")
    outputs: bool = Field(default=True, description="Collect the model's outputs.")
    sampling_rate: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Share of the calls that is collected, 0 to 1.",
        examples=[0.1],
    )


class Rollout(Document):
    """How a deployment is replaced when its model or instance type changes."""

    strategy: Literal["recreate", "blueGreen"] = Field(
        default="recreate",
        description="`recreate` deletes, then creates; `blueGreen` creates the new deployment"
        " beside the old one and moves traffic in steps.",
    )
    steps: Annotated[tuple[Annotated[int, Field(ge=1, le=100)], ...], TUPLE] = Field(
        default=(10, 50, 100),
        min_length=1,
        max_length=20,
        description="Percent of the traffic that the new deployment has after each step; rising,"
        " 100 last.",
    )
    bake: Seconds = Field(
        default=300.0,
        description="How long each step is watched before the next.",
        examples=["5m"],
        json_schema_extra={"default": "5m"},
    )
    probe: bool = Field(
        default=False, description="Call the new deployment before it gets traffic."
    )

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if list(self.steps) != sorted(set(self.steps)) or self.steps[-1] != 100:
            raise fault(
                "the steps of a rollout must rise and end at 100",
                "write them like [10, 50, 100]",
                key="steps",
            )
        return self


class RequestSettings(Document):
    """Limits of one deployment's scoring requests."""

    request_timeout: Seconds | None = Field(
        default=None, description="How long one call may take.", examples=["90s"]
    )
    max_concurrent_requests_per_instance: int | None = Field(
        default=None, ge=1, description="Calls that one instance takes at a time."
    )
    max_queue_wait: Seconds | None = Field(
        default=None, description="How long a call may wait in the queue.", examples=["500ms"]
    )


class Probe(Document):
    """When a container counts as alive or ready."""

    initial_delay: Seconds | None = Field(
        default=None, description="Wait before the first probe.", examples=["10m"]
    )
    period: Seconds | None = Field(
        default=None, description="Time from probe to probe.", examples=["10s"]
    )
    timeout: Seconds | None = Field(default=None, description="How long one probe may take.")
    success_threshold: int | None = Field(
        default=None, ge=1, description="Successes in a row that make it healthy."
    )
    failure_threshold: int | None = Field(
        default=None, ge=1, description="Failures in a row that make it unhealthy."
    )


class Identity(Document):
    """The managed identity of the online endpoint, in Azure's own words."""

    type: Literal["SystemAssigned", "UserAssigned"] = Field(
        default="SystemAssigned", description="Azure makes the identity, or you name your own."
    )
    user_assigned: Annotated[tuple[Text, ...], TUPLE] = Field(
        default=(), description="ARM ids of your identities, for type UserAssigned."
    )

    @model_validator(mode="after")
    def _named(self) -> Self:
        if (self.type == "UserAssigned") != bool(self.user_assigned):
            raise fault(
                "userAssigned and type UserAssigned belong together",
                "give both or neither",
                key="userAssigned",
            )
        return self


class ManagedCompute(Document):
    """A managed online deployment: pays for VM instances, from the subscription's quota."""

    endpoint_name: OnlineName | None = Field(
        default=None,
        description="The online endpoint, which several deployments may share;"
        " metadata.name when left out.",
        examples=["llama-8b"],
    )
    deployment_name: OnlineName | None = Field(
        default=None,
        description="The deployment's name in its endpoint; metadata.name when left out. Names"
        " such as `blue` may recur in several endpoints, metadata.name may not.",
        examples=["blue"],
    )
    instance_type: Text = Field(description="The VM size.", examples=["Standard_NC24ads_A100_v4"])
    instance_count: int = Field(default=1, ge=1, le=50, description="How many instances.")
    traffic: Percent | None = Field(
        default=None,
        description="Percent of the endpoint's traffic. The deployments of one endpoint add up to"
        " 100 or 0; a deployment that is alone on its endpoint has 100 when left out.",
    )
    shared_quota: bool = Field(
        default=False,
        description="Use Azure's shared quota, and acknowledge that Azure deletes the endpoint"
        " after 168 hours.",
    )
    content_safety: Literal["disabled"] = Field(
        default="disabled", description="ARM cannot express anything else for managed compute."
    )
    description: Annotated[str, Field(max_length=5000)] | None = Field(
        default=None, description="Description of the online endpoint."
    )
    data_collection: DataCollection | None = Field(
        default=None, description="Inference data collection (preview); off when left out."
    )
    rollout: Annotated[Rollout, EMPTY] = Field(
        default=Rollout(), description="How a change of model or instance type is rolled out."
    )
    environment_variables: dict[str, str] | None = Field(
        default=None, description="Environment of the model's container; values are text."
    )
    request_settings: RequestSettings | None = Field(
        default=None, description="Time limits and concurrency of calls."
    )
    liveness_probe: Probe | None = Field(
        default=None, description="When the container is restarted."
    )
    readiness_probe: Probe | None = Field(
        default=None, description="When the container gets traffic."
    )
    identity: Identity | None = Field(
        default=None, description="The endpoint's identity; SystemAssigned when left out."
    )
