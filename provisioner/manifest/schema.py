"""The manifest's schema (DESIGN, "Manifest"): both kinds, both targets.

Keys are camelCase in a manifest and snake_case here; unknown keys are errors; values keep the
type that was written (`"1"` is not 1). What one document alone can tell is checked here; what
needs several documents or the catalogue is checked in `check`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Final, Literal, NamedTuple, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from provisioner.manifest.scalars import (
    Guid,
    Instant,
    LabelKey,
    LabelValue,
    Name,
    OnlineName,
    OutputPath,
    ResourceGroup,
    Seconds,
    ServerlessName,
    WorkspaceName,
    fault,
)

API_VERSION: Final = "provisioner.azureml/v1"
SHARED_QUOTA_LIFE: Final = 168 * 3600.0
"""Seconds after which Azure deletes an endpoint on shared quota (AZURE.md §16)."""


class Choice(NamedTuple):
    """Keys of which only one may be given; `required`: and one must be."""

    keys: tuple[str, ...]
    required: bool


class Document(BaseModel):
    """Base of all parts: frozen, strict, camelCase, and exact about its keys."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=False,
        validate_by_alias=True,
        hide_input_in_errors=True,
        protected_namespaces=(),
    )
    choices: ClassVar[tuple[Choice, ...]] = ()

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        fields = type(self).model_fields
        for choice in self.choices:
            given = [name for name in self.model_fields_set if fields[name].alias in choice.keys]
            if len(given) > 1 or (choice.required and not given):
                raise PydanticCustomError("choice", "exactly one")
        return self


def _empty(value: object) -> object:
    """`serverless:` with nothing after it means `serverless: {}`."""
    return {} if value is None else value


def _sequence(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


_EMPTY: Final = BeforeValidator(_empty)
_TUPLE: Final = BeforeValidator(_sequence)
Text = Annotated[str, Field(min_length=1, max_length=2048)]
Percent = Annotated[int, Field(ge=0, le=100)]


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

    api_version: Literal["provisioner.azureml/v1"]
    kind: Literal["Workspace"]
    metadata: Metadata
    spec: WorkspaceSpec

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
    steps: Annotated[tuple[Annotated[int, Field(ge=1, le=100)], ...], _TUPLE] = Field(
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
    user_assigned: Annotated[tuple[Text, ...], _TUPLE] = Field(
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
    rollout: Annotated[Rollout, _EMPTY] = Field(
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
        default=None, description="The endpoint's identity; systemAssigned when left out."
    )


class Target(Document):
    """How the model is served: exactly one of the two."""

    choices: ClassVar = (Choice(("serverless", "managedCompute"), required=True),)
    serverless: Annotated[Serverless, _EMPTY] | None = Field(
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


class Lifetime(Document):
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
        return self


Prefix = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
SecretName = Annotated[str, Field(pattern=r"^[0-9a-zA-Z-]{1,127}$")]


class Dotenv(Document):
    """A file of NAME=value lines, mode 0600."""

    path: OutputPath = Field(description="The file.", examples=["out/llama.env"])
    prefix: Prefix | None = Field(
        default=None,
        description="Begins each variable's name; made from metadata.name when left out.",
        examples=["LLAMA_"],
    )


class JsonFile(Document):
    """A JSON file, mode 0600."""

    path: OutputPath = Field(description="The file.", examples=["out/llama.json"])


class YamlFile(Document):
    """A YAML file, mode 0600."""

    path: OutputPath = Field(description="The file.", examples=["out/llama.yaml"])


class GithubOutput(Document):
    """Outputs of a GitHub Actions step (`$GITHUB_OUTPUT`); the key is masked first."""

    prefix: Prefix | None = Field(default=None, description="Begins each output's name.")


class AzureDevOps(Document):
    """Variables of an Azure Pipelines job; the key is a secret variable."""

    prefix: Prefix | None = Field(default=None, description="Begins each variable's name.")


class KeyVault(Document):
    """Secrets in Azure Key Vault; a new version only when the value changed."""

    vault_url: Annotated[str, Field(pattern=r"^https://[^\s/]+/?$")] = Field(
        description="The vault.", examples=["https://kv-ml-prod.vault.azure.net"]
    )
    url_secret: SecretName | None = Field(
        default=None, description="Secret that gets the URL; `<name>-url` when left out."
    )
    key_secret: SecretName | None = Field(
        default=None, description="Secret that gets the key; `<name>-key` when left out."
    )


class KubernetesSecret(Document):
    """A Kubernetes Secret, applied to a cluster or written as a manifest."""

    name: Name = Field(description="The Secret's name.", examples=["llama"])
    namespace: Name = Field(default="default", description="Its namespace.")
    path: OutputPath | None = Field(
        default=None, description="Write a manifest to this file instead of asking a cluster."
    )
    context: Text | None = Field(
        default=None, description="The kubeconfig context; the current one."
    )


class Output(Document):
    """Where URL and key go: exactly one sink."""

    choices: ClassVar = (
        Choice(
            (
                "dotenv",
                "json",
                "yaml",
                "githubOutput",
                "azureDevOps",
                "keyVault",
                "kubernetesSecret",
            ),
            required=True,
        ),
    )
    dotenv: Dotenv | None = Field(default=None, description="A file of NAME=value lines.")
    json_: JsonFile | None = Field(default=None, alias="json", description="A JSON file.")
    yaml: YamlFile | None = Field(default=None, description="A YAML file.")
    github_output: Annotated[GithubOutput, _EMPTY] | None = Field(
        default=None, description="Outputs of a GitHub Actions step."
    )
    azure_dev_ops: Annotated[AzureDevOps, _EMPTY] | None = Field(
        default=None, description="Variables of an Azure Pipelines job."
    )
    key_vault: KeyVault | None = Field(default=None, description="Secrets in Azure Key Vault.")
    kubernetes_secret: KubernetesSecret | None = Field(
        default=None, description="A Kubernetes Secret."
    )

    @property
    def sink(self) -> Sink:
        """The one that is given."""
        for value in (
            self.dotenv,
            self.json_,
            self.yaml,
            self.github_output,
            self.azure_dev_ops,
            self.key_vault,
            self.kubernetes_secret,
        ):
            if value is not None:
                return value
        raise AssertionError("an Output has a sink")  # the schema sees to it

    @property
    def kind(self) -> str:
        """The sink's key in the manifest, such as `dotenv`."""
        (name,) = self.model_fields_set
        return type(self).model_fields[name].alias or name


Sink = Dotenv | JsonFile | YamlFile | GithubOutput | AzureDevOps | KeyVault | KubernetesSecret


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
    outputs: Annotated[tuple[Output, ...], _TUPLE] = Field(
        default=(), max_length=50, description="Where URL and key are written."
    )


class ModelDeployment(Document):
    """A model that is to be callable."""

    api_version: Literal["provisioner.azureml/v1"]
    kind: Literal["ModelDeployment"]
    metadata: Metadata
    spec: ModelDeploymentSpec

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
