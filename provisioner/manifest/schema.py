"""The manifest's schema (DESIGN, "Manifest"): both kinds, both targets.

Keys are camelCase in a manifest and snake_case here; unknown keys are errors; values keep the
type that was written (`"1"` is not 1). What one document alone can tell is checked here; what
needs several documents or the catalogue is checked in `check`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from provisioner.manifest.base import EMPTY, TUPLE, Choice, Choosing, Document, Text
from provisioner.manifest.managed import (
    DataCollection,
    Identity,
    ManagedCompute,
    Probe,
    RequestSettings,
    Rollout,
)
from provisioner.manifest.scalars import (
    CENTURY,
    Guid,
    Instant,
    LabelKey,
    LabelValue,
    Name,
    ResourceGroup,
    Seconds,
    ServerlessName,
    WorkspaceName,
    fault,
)
from provisioner.manifest.sinks import (
    AzureDevOps,
    Dotenv,
    GithubOutput,
    JsonFile,
    KeyVault,
    KubernetesSecret,
    Output,
    Sink,
    YamlFile,
)

__all__ = [
    "API_VERSION",
    "KINDS",
    "SHARED_QUOTA_LIFE",
    "AzureDevOps",
    "Choice",
    "DataCollection",
    "Document",
    "Dotenv",
    "GithubOutput",
    "Identity",
    "InlineWorkspace",
    "JsonFile",
    "KeyVault",
    "KubernetesSecret",
    "Lifetime",
    "ManagedCompute",
    "Marketplace",
    "Metadata",
    "ModelDeployment",
    "ModelDeploymentSpec",
    "Output",
    "Probe",
    "RequestSettings",
    "Rollout",
    "Serverless",
    "Sink",
    "Target",
    "Workspace",
    "WorkspaceRef",
    "WorkspaceSpec",
    "YamlFile",
]

API_VERSION: Final = "provisioner.azureml/v1"
SHARED_QUOTA_LIFE: Final = 168 * 3600.0
"""Seconds after which Azure deletes an endpoint on shared quota (AZURE.md §16)."""


class Metadata(Document):
    """What names a document and groups it with others."""

    name: Name = Field(
        description="Names the document. Unique per kind over all files of a run; the default of"
        " endpointName, and the name of a managed deployment.",
        examples=["llama-33-70b"],
    )
    labels: dict[LabelKey, LabelValue] = Field(
        default={},
        max_length=40,
        description="Chosen by `-l key=value`, and put on the Azure resources as tags.",
        examples=[{"team": "search"}],
    )
    annotations: dict[str, str] = Field(default={}, description="Notes for people and other tools.")

    @field_validator("labels")
    @classmethod
    def _distinct(cls, labels: dict[str, str]) -> dict[str, str]:
        """Azure takes the names of tags without regard to case."""
        first: dict[str, str] = {}
        for name in labels:
            other = first.setdefault(name.lower(), name)
            if other != name:
                raise fault(
                    f'the labels "{other}" and "{name}" differ by case alone, and tags may not',
                    "keep one of them",
                )
        return labels


class WorkspaceSpec(Document):
    """Where an existing workspace is."""

    subscription_id: Guid = Field(
        description="The Azure subscription, a GUID.",
        examples=["11111111-1111-1111-1111-111111111111"],
    )
    resource_group: ResourceGroup = Field(
        description="The resource group of the workspace.", examples=["rg-ml-prod"]
    )
    workspace_name: WorkspaceName | None = Field(
        default=None,
        description="The workspace's name in Azure; metadata.name when left out.",
        examples=["mlw-prod"],
    )
    region: Text = Field(
        description="The Azure region of the workspace, as Azure spells it in ids.",
        examples=["eastus2"],
    )


class Workspace(Document):
    """An existing Azure Machine Learning workspace that deployments refer to by name."""

    api_version: Literal["provisioner.azureml/v1"] = Field(
        description="The version of this format."
    )
    kind: Literal["Workspace"] = Field(description="What the document is.")
    metadata: Metadata = Field(description="Name and labels.")
    spec: WorkspaceSpec = Field(description="What is wanted.")

    @property
    def azure_name(self) -> str:
        """The workspace's name in Azure."""
        return self.spec.workspace_name or self.metadata.name


class InlineWorkspace(Document):
    """A workspace named in place, instead of by a Workspace document."""

    subscription_id: Guid = Field(
        description="The Azure subscription, a GUID.",
        examples=["11111111-1111-1111-1111-111111111111"],
    )
    resource_group: ResourceGroup = Field(
        description="The resource group of the workspace.", examples=["rg-ml-prod"]
    )
    workspace_name: WorkspaceName = Field(
        description="The workspace's name in Azure.", examples=["mlw-prod"]
    )
    region: Text = Field(description="The workspace's Azure region.", examples=["eastus2"])


class Serverless(Document):
    """A serverless API endpoint (models as a service): pays for tokens."""

    endpoint_name: ServerlessName | None = Field(
        default=None,
        description="The endpoint's name, part of its URL and unique in the Azure region;"
        " metadata.name when left out.",
        examples=["llama-33-70b"],
    )
    content_safety: Literal["enabled", "disabled"] = Field(
        default="enabled", description="Azure AI Content Safety on prompts and completions."
    )
    auth_mode: Literal["key"] = Field(
        default="key", description="How callers prove who they are; the stable API has keys only."
    )


class Target(Choosing):
    """How the model is served: exactly one of the two."""

    choices: ClassVar = (Choice(("serverless", "managedCompute"), required=True),)
    serverless: Annotated[Serverless | None, EMPTY] = Field(
        default=None, description="A serverless API endpoint."
    )
    managed_compute: ManagedCompute | None = Field(
        default=None, description="A managed online deployment."
    )


class Marketplace(Document):
    """Consent to the terms of the model's Azure Marketplace offer."""

    accept_terms: bool = Field(
        default=False,
        description="You accept the offer's terms and price; without it (or `--accept-terms`) a"
        " plan that must sign refuses to apply.",
    )
    publisher: Text | None = Field(
        default=None, description="The offer's publisher, where not known."
    )
    offer: Text | None = Field(default=None, description="The offer, where not known.")
    plan: Text | None = Field(default=None, description="The offer's plan, where not known.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if len({self.publisher is None, self.offer is None, self.plan is None}) > 1:
            raise fault(
                "a Marketplace plan is named by publisher, offer and plan together",
                "give all three, or none and let the service say",
            )
        return self


class Lifetime(Choosing):
    """When the endpoint goes; fixed when it is created, applying again never moves it."""

    choices: ClassVar = (Choice(("ttl", "expiresAt"), required=False),)
    ttl: Seconds | None = Field(
        default=None, description="Time to live from its creation.", examples=["72h"]
    )
    expires_at: Instant | None = Field(
        default=None,
        description="The instant, with its time zone.",
        examples=["2030-01-31T18:00:00Z"],
    )
    on_expiry: Literal["delete", "renew"] = Field(
        default="delete",
        description="`renew` makes the endpoint again under the same name, with a new deadline.",
    )

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if self.ttl is not None and self.ttl < 60:
            raise fault(
                "a ttl under one minute would be over before the endpoint is up",
                'give it longer, such as "72h"',
                key="ttl",
            )
        if self.ttl is not None and self.ttl > CENTURY:
            raise fault(
                "a ttl of more than a hundred years leads beyond any deadline",
                "give it shorter, or remove lifetime: then the endpoint has no deadline",
                key="ttl",
            )
        return self


def _workspace_form(value: object) -> str:
    return "inline" if isinstance(value, dict | InlineWorkspace) else "name"


WorkspaceRef = Annotated[
    Annotated[Name, Tag("name")] | Annotated[InlineWorkspace, Tag("inline")],
    Discriminator(_workspace_form),
]


class ModelDeploymentSpec(Document):
    """One model, served in one workspace by one target."""

    workspace: WorkspaceRef = Field(
        description="The name of a Workspace document, or the workspace itself.",
        examples=["ml-prod"],
    )
    region: Text | None = Field(
        default=None,
        description="The workspace's region, as a check: an error when it is elsewhere.",
        examples=["eastus2"],
    )
    model: Text = Field(
        description="`registry/name`, or the registry id `azureml://registries/…/models/…`."
        " Managed compute may add `/versions/N`; without it, the latest version is resolved once.",
        examples=["azureml-meta/Llama-3.3-70B-Instruct"],
    )
    target: Target = Field(description="How the model is served.")
    marketplace: Marketplace = Field(
        default=Marketplace(), description="Consent to the Marketplace offer's terms."
    )
    lifetime: Lifetime | None = Field(default=None, description="When the endpoint is taken down.")
    outputs: Annotated[tuple[Output, ...], TUPLE] = Field(
        default=(), max_length=50, description="Where URL and key are written."
    )


class ModelDeployment(Document):
    """A model that is to be callable."""

    api_version: Literal["provisioner.azureml/v1"] = Field(
        description="The version of this format."
    )
    kind: Literal["ModelDeployment"] = Field(description="What the document is.")
    metadata: Metadata = Field(description="Name and labels.")
    spec: ModelDeploymentSpec = Field(description="What is wanted.")

    @property
    def endpoint_name(self) -> str:
        """The endpoint's name: the target's own, else metadata.name."""
        target = self.spec.target.serverless or self.spec.target.managed_compute
        return (target.endpoint_name if target else None) or self.metadata.name

    @property
    def expires_at(self) -> datetime | None:
        return self.spec.lifetime.expires_at if self.spec.lifetime else None


KINDS: Final[dict[str, type[Workspace] | type[ModelDeployment]]] = {
    "Workspace": Workspace,
    "ModelDeployment": ModelDeployment,
}
