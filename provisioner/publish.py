"""Keys from Azure to the sinks that the manifests name, and nowhere else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from provisioner import outputs
from provisioner.apply import Report
from provisioner.cloud import Cloud, Observed
from provisioner.desired import Desired, Origin
from provisioner.errors import Problem, Who, define
from provisioner.errors.cloud import CloudError
from provisioner.errors.decode import decode
from provisioner.events import Emit, OutputWritten
from provisioner.inference import base_url
from provisioner.resources import (
    TAG_NAME,
    AnyLive,
    Keys,
    Kind,
    ModelRef,
    OnlineDeployment,
    ResourceId,
    tag_of,
)

NO_URL = define(
    "outputs.no-url",
    "an endpoint has no URL",
    "The endpoint exists, but the service reports no address for it.",
    Who.AZURE,
)


@dataclass(frozen=True, slots=True)
class Published:
    """One manifest's endpoint: where its outputs come from."""

    origin: Origin
    endpoint: ResourceId
    model: ModelRef
    deployment: str | None = None
    """A managed deployment's name in Azure."""

    def made(self, live: AnyLive) -> bool:
        """Whether a live deployment came from this manifest: another one may have the name that a
        rollout of this would give."""
        resource = live.resource
        tags = resource.tags if isinstance(resource, OnlineDeployment) else {}
        return tag_of(tags, TAG_NAME) == self.origin.name

    @property
    def target(self) -> str:
        serverless = self.endpoint.kind is Kind.SERVERLESS_ENDPOINT
        return "serverless" if serverless else "managedCompute"


def published(desired: Desired) -> Iterator[Published]:
    """Every deployment of the manifests with the endpoint that serves it."""
    for wish in desired.serverless:
        yield Published(wish.origin, wish.resource.id, wish.resource.model)
    for wanted in desired.endpoints:
        for one in wanted.deployments:
            id, model = one.resource.id, one.resource.model
            yield Published(one.origin, wanted.resource.id, model, id.name)


async def publish(
    desired: Desired,
    observed: Observed,
    report: Report,
    cloud: Cloud,
    context: outputs.Context,
    emit: Emit,
) -> list[outputs.SinkResult]:
    """Write the outputs of every deployment whose steps are all done.

    The keys of one endpoint are read once, however many deployments share it. A sink, or an
    endpoint, that fails does not keep the others from being written.
    """
    unfinished = report.unfinished
    chosen = [
        one
        for one in published(desired)
        if one.origin.outputs and one.origin.name not in unfinished
    ]
    lives = {**_seen(observed), **report.lives}
    ids = dict.fromkeys(one.endpoint for one in chosen)
    async with asyncio.TaskGroup() as group:
        reads = {id: group.create_task(_read(cloud, id, lives.get(id))) for id in ids}
        await outputs.prepare((output for one in chosen for output in one.origin.outputs), context)
        results: list[outputs.SinkResult] = []
        for one in chosen:  # in their order, each as soon as its keys are there
            results += await _write(one, await reads[one.endpoint], context)
    for result in results:
        if result.status is not outputs.Status.FAILED:
            changed = result.status is outputs.Status.WRITTEN
            emit(OutputWritten(result.deployment, result.sink, result.target, changed))
    return results


def _seen(observed: Observed) -> Mapping[ResourceId, AnyLive]:
    found: dict[ResourceId, AnyLive] = {}
    for view in observed.values():
        found.update((live.id, live) for live in view.serverless)
        found.update((live.id, live) for live in view.endpoints)
    return found


async def _read(cloud: Cloud, id: ResourceId, live: AnyLive | None) -> tuple[Keys, str] | Problem:
    try:
        if live is None or live.url is None:
            live = await cloud.get(id)
        keys = await cloud.keys(id)
    except CloudError as error:
        return decode(error.fault)
    if live is None or live.url is None:
        return Problem(
            NO_URL,
            f"the endpoint {id.name} reports no URL",
            "look at the endpoint in the Azure portal; apply again when it shows one",
            resource=id.arm_id,
        )
    return keys, live.url


async def _write(
    one: Published, fact: tuple[Keys, str] | Problem, context: outputs.Context
) -> list[outputs.SinkResult]:
    if isinstance(fact, Problem):
        return _all_failed(one, fact)
    keys, url = fact
    credentials = outputs.EndpointCredentials(
        one.origin.name, base_url(url), keys, one.model, one.target
    )
    return await outputs.write(credentials, one.origin.outputs, context)


def _all_failed(one: Published, problem: Problem) -> list[outputs.SinkResult]:
    return [
        outputs.SinkResult(
            one.origin.name,
            output.kind,
            output.target,
            outputs.Status.FAILED,
            problem.at(one.origin.position),
        )
        for output in one.origin.outputs
    ]
