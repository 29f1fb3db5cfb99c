"""The outputs of the manifest's schema: where URL and key go."""

from __future__ import annotations

from typing import Annotated, ClassVar, assert_never

from pydantic import Field

from provisioner.manifest.base import EMPTY, Choice, Choosing, Document, Text
from provisioner.manifest.scalars import Name, OutputPath

Prefix = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
_VAULT = r"^https://[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(:[0-9]{1,5})?/?$"
"""A host and nothing else: `https://kv.vault.azure.net@elsewhere` only looks like the vault."""
SecretName = Annotated[str, Field(pattern=r"^[0-9a-zA-Z-]{1,127}$")]


class Dotenv(Document):
    """A file of NAME=value lines, mode 0600."""

    path: OutputPath = Field(description="The file.", examples=["out/llama.env"])
    prefix: Prefix | None = Field(
        default=None,
        description="Begins each variable's name; nothing when left out. Deployments that share a "
        "file need different ones.",
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

    vault_url: Annotated[str, Field(pattern=_VAULT)] = Field(
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


class Output(Choosing):
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
    github_output: Annotated[GithubOutput | None, EMPTY] = Field(
        default=None, description="Outputs of a GitHub Actions step."
    )
    azure_dev_ops: Annotated[AzureDevOps | None, EMPTY] = Field(
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

    @property
    def target(self) -> str:
        """Where it writes, for people: a path, a vault's URL, a variable."""
        match self.sink:
            case Dotenv(path=path) | JsonFile(path=path) | YamlFile(path=path):
                return path
            case KubernetesSecret(path=path, namespace=namespace, name=name):
                return path or f"secret {namespace}/{name}"
            case GithubOutput():
                return "$GITHUB_OUTPUT"
            case AzureDevOps():
                return "pipeline variables"
            case KeyVault(vault_url=url):
                return url
            case _ as other:
                assert_never(other)


Sink = Dotenv | JsonFile | YamlFile | GithubOutput | AzureDevOps | KeyVault | KubernetesSecret
