"""Live resources → manifests that describe them. Pure.

What is written plans as no change for what is ours, and as an adoption only for what is not.
Outputs are left as comments, and values of environment variables are left out unless they are
asked for: neither a place for keys nor a secret should appear because nobody thought of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields

import yaml

from provisioner.cloud import WorkspaceSeen
from provisioner.errors import Problem, Severity, Who, define
from provisioner.errors.harmless import plain_in_yaml, yaml_text
from provisioner.manifest.scalars import label_key
from provisioner.resources import (
    TAG_EXPIRES,
    TAG_NAME,
    TAG_ON_EXPIRY,
    ContentSafety,
    Live,
    ModelRef,
    OnlineDeployment,
    OnlineEndpoint,
    Probe,
    RequestSettings,
    ServerlessEndpoint,
    WorkspaceId,
    describe,
    instant_text,
    parse_instant,
    tag_of,
)

NOT_DESCRIBABLE = define(
    "import.not-describable",
    "a live resource that a manifest cannot describe",
    "Manifests describe models of registries; a model of the workspace itself, or a deployment "
    "without one, is outside of that.",
    Who.OPERATOR,
)

API_VERSION = "provisioner.azureml/v1"
Document = dict[str, object]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to write besides the plain description."""

    environment: bool = False


@dataclass(slots=True)
class Imported:
    """Documents in order, and what could not be described."""

    documents: list[Document] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def name(self, *candidates: str | None) -> str:
        """A free metadata.name: the first candidate that is free, else a numbered one."""
        plain = [label for one in candidates if one and (label := dns_label(one))]
        for label in plain:
            if label not in self.names:
                self.names.add(label)
                return label
        number = 2
        while f"{plain[-1][:60]}-{number}" in self.names:
            number += 1
        return self.name(f"{plain[-1][:60]}-{number}")

    def text(self) -> str:
        """The manifests as one YAML file."""
        return "---\n".join(_text(document) for document in self.documents)


def describe_workspace(seen: WorkspaceSeen, wanted: Wanted | None = None) -> Imported:
    """Manifests of a workspace and of every endpoint in it."""
    imported = Imported()
    if seen.workspace is None:
        return imported
    reference = imported.name(seen.id.name)
    imported.documents.append(_workspace(reference, seen.id, seen.workspace.region))
    options = wanted or Wanted()
    for serverless in sorted(seen.serverless, key=lambda live: live.id.key):
        _serverless(imported, reference, serverless)
    for endpoint in sorted(seen.endpoints, key=lambda live: live.id.key):
        parts = sorted(seen.deployments.get(endpoint.id, ()), key=lambda live: live.id.key)
        _managed(imported, reference, endpoint, parts, options)
    return imported


def dns_label(text: str) -> str:
    """`text` as a metadata.name: lower case, digits and hyphens, at most 63."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:63].rstrip("-")


def _workspace(name: str, id: WorkspaceId, region: str) -> Document:
    spec: Document = {"subscriptionId": id.subscription, "resourceGroup": id.resource_group}
    if id.name != name:
        spec["workspaceName"] = id.name
    spec["region"] = region
    return {
        "apiVersion": API_VERSION,
        "kind": "Workspace",
        "metadata": {"name": name},
        "spec": spec,
    }


def _serverless(imported: Imported, workspace: str, live: Live[ServerlessEndpoint]) -> None:
    resource = live.resource
    if not _known(imported, live.id.arm_id, describe(live.id), resource.model):
        return
    name = imported.name(tag_of(resource.tags, TAG_NAME), live.id.name)
    target: Document = {}
    if live.id.name != name:
        target["endpointName"] = live.id.name
    if resource.content_safety is ContentSafety.DISABLED:
        target["contentSafety"] = "disabled"
    spec: Document = {
        "workspace": workspace,
        "model": resource.model.short,
        "target": {"serverless": target},
        **_lifetime(resource.tags),
    }
    imported.documents.append(_deployment(name, _labels(resource.tags), spec))


def _managed(
    imported: Imported,
    workspace: str,
    endpoint: Live[OnlineEndpoint],
    parts: Sequence[Live[OnlineDeployment]],
    options: Wanted,
) -> None:
    host = endpoint.resource
    kept = [
        live
        for live in parts
        if _known(imported, live.id.arm_id, describe(live.id), live.resource.model)
    ]
    for live in kept:
        resource = live.resource
        name = imported.name(
            tag_of(resource.tags, TAG_NAME), live.id.name, f"{endpoint.id.name}-{live.id.name}"
        )
        target: Document = {"endpointName": endpoint.id.name}
        if live.id.name != name:
            target["deploymentName"] = live.id.name
        target |= {
            "instanceType": resource.instance_type,
            "instanceCount": resource.instance_count,
            "traffic": host.traffic.get(live.id.name, 0),
            **dict(_endpoint_facts(host)),
            **dict(_deployment_facts(resource, options)),
        }
        spec: Document = {
            "workspace": workspace,
            "model": resource.model.versioned_id if resource.model.version else resource.model.id,
            "target": {"managedCompute": target},
            **_lifetime(host.tags),
        }
        # A label of all deployments describes their endpoint too, so it must be there already.
        shared = {key: value for key, value in resource.tags.items() if host.tags.get(key) == value}
        imported.documents.append(_deployment(name, _labels(shared), spec))


def _known(imported: Imported, arm_id: str, what: str, model: ModelRef) -> bool:
    if model.registry:
        return True
    imported.problems.append(
        Problem(
            NOT_DESCRIBABLE,
            f"the {what} is left out: its model is {model.name or 'not named'}",
            "keep it with the tool that made it; a plan never touches it",
            severity=Severity.WARNING,
            resource=arm_id,
        )
    )
    return False


def _endpoint_facts(host: OnlineEndpoint) -> Iterator[tuple[str, object]]:
    if host.shared_quota:
        yield "sharedQuota", True
    if host.description:
        yield "description", host.description
    if host.identity is not None and host.identity.user_assigned:
        yield (
            "identity",
            {"type": "UserAssigned", "userAssigned": list(host.identity.user_assigned)},
        )


def _deployment_facts(resource: OnlineDeployment, options: Wanted) -> Iterator[tuple[str, object]]:
    collection = resource.data_collection
    if collection is not None and (collection.inputs or collection.outputs):
        yield (
            "dataCollection",
            {
                "inputs": collection.inputs,
                "outputs": collection.outputs,
                "samplingRate": collection.sampling_rate,
            },
        )
    if options.environment and resource.environment_variables:
        yield "environmentVariables", dict(resource.environment_variables)
    for key, settings in (
        ("requestSettings", resource.request_settings),
        ("livenessProbe", resource.liveness_probe),
        ("readinessProbe", resource.readiness_probe),
    ):
        values = dict(_settings(settings)) if settings is not None else {}
        if values:
            yield key, values


_COUNTS = frozenset(
    {"max_concurrent_requests_per_instance", "success_threshold", "failure_threshold"}
)


def _settings(settings: RequestSettings | Probe) -> Iterator[tuple[str, object]]:
    for part in fields(settings):
        value = getattr(settings, part.name)
        if value is not None:
            yield _camel(part.name), value if part.name in _COUNTS else _seconds(value)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _seconds(value: float) -> str:
    """A duration that reads back as exactly the same number of seconds."""
    if value == int(value):
        return f"{int(value)}s"
    return f"{value * 1000:g}ms"


def _lifetime(tags: Mapping[str, str]) -> Document:
    instant = parse_instant(tag_of(tags, TAG_EXPIRES))
    if instant is None:
        return {}
    lifetime: Document = {"expiresAt": instant_text(instant)}
    if (tag_of(tags, TAG_ON_EXPIRY) or "").lower() == "renew":
        lifetime["onExpiry"] = "renew"
    return {"lifetime": lifetime}


def _labels(tags: Mapping[str, str]) -> dict[str, str]:
    labels = {}
    for key, value in tags.items():
        try:
            labels[label_key(key)] = value
        except ValueError:
            continue  # ours, or not a label
    return labels


def _deployment(name: str, labels: Mapping[str, str], spec: Document) -> Document:
    metadata: Document = {"name": name}
    if labels:
        metadata["labels"] = dict(labels)
    return {
        "apiVersion": API_VERSION,
        "kind": "ModelDeployment",
        "metadata": metadata,
        "spec": spec,
    }


class _Dumper(yaml.SafeDumper):
    """Quotes text that would not read back as it is: PyYAML writes for YAML 1.1, in which 1e3 is
    text, while manifests are read by the JSON-like rules of YAML 1.2."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "'" if _NUMBER_LIKE.match(text) else None
    if not plain_in_yaml(text) or _BREAK_LIKE.search(text):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_NUMBER_LIKE = re.compile(r"[-+]?\.?[0-9]")
_BREAK_LIKE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
"""What YAML takes for a line break or drops: only double quotes keep it, escaped."""
_Dumper.add_representer(str, _represent_text)


def _text(document: Document) -> str:
    text = yaml_text(
        yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    )
    if document["kind"] != "ModelDeployment":
        return text
    metadata = document["metadata"]
    name = metadata["name"] if isinstance(metadata, dict) else "name"
    return f"{text}  # outputs:\n  #   - dotenv: {{path: out/{name}.env}}\n"
