"""From a deployment's name to its URL and keys, for the commands that use them."""

from __future__ import annotations

from collections.abc import Sequence

from provisioner.cli import codes
from provisioner.cloud import Cloud
from provisioner.errors import Failed, Problem, UsageError
from provisioner.errors.cloud import CloudError
from provisioner.errors.decode import decode
from provisioner.inference import base_url
from provisioner.manifest.near import near
from provisioner.outputs import EndpointCredentials
from provisioner.outputs.content import secret_of
from provisioner.outputs.types import SinkError
from provisioner.publish import NO_URL, Published
from provisioner.resources import Kind, Secret, describe


def choose(name: str, candidates: Sequence[Published]) -> Published:
    """The deployment of that name. Raises UsageError that names those there are."""
    for one in candidates:
        if one.origin.name == name:
            return one
    raise UsageError(
        Problem(
            codes.UNKNOWN_NAME,
            f'No deployment of these manifests is called "{name}".',
            _advice(name, [one.origin.name for one in candidates]),
        )
    )


def require_managed(chosen: Published, deployment: str | None) -> None:
    """Raises UsageError when a deployment is asked for that no serverless endpoint has."""
    if deployment is not None and chosen.endpoint.kind is not Kind.ONLINE_ENDPOINT:
        raise UsageError(
            Problem(
                codes.USAGE,
                f"{chosen.origin.name} is a serverless endpoint, which has no deployments.",
                "leave --deployment out",
            )
        )


def _advice(name: str, names: Sequence[str]) -> str:
    meant = near(name, names)
    if meant is not None:
        return f'did you mean "{meant}"?'
    return (
        f"name one of: {', '.join(names)}"
        if names
        else "give the manifest that has it with -f, and no -l that leaves it out"
    )


async def credentials(cloud: Cloud, chosen: Published) -> EndpointCredentials:
    """URL and keys as Azure has them now. Raises Failed."""
    id = chosen.endpoint
    try:
        live = await cloud.get(id)
        if live is None:
            raise Failed(
                Problem(
                    codes.NOT_DEPLOYED,
                    f"The {describe(id)} does not exist.",
                    "deploy it first: provision apply -f …",
                    position=chosen.origin.position,
                    resource=id.arm_id,
                )
            )
        keys = await cloud.keys(id)
    except CloudError as error:
        raise Failed(decode(error.fault).at(chosen.origin.position)) from error
    if not live.url:
        raise Failed(
            Problem(
                NO_URL,
                f"The {describe(id)} reports no URL; its state is {live.state}.",
                "wait until it is ready: provision status -f …",
                resource=id.arm_id,
            )
        )
    return EndpointCredentials(
        chosen.origin.name, base_url(live.url), keys, chosen.model, chosen.target
    )


def key_of(found: EndpointCredentials) -> Secret:
    """The key to call with. Raises Failed when Azure gave none."""
    try:
        return secret_of(found)
    except SinkError as error:
        raise Failed(error.problem) from error
