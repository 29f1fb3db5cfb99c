"""Does what was applied answer? One call per deployment, before anybody gets its key."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from provisioner.apply import Report
from provisioner.apply.context import Probe
from provisioner.clock import Clock
from provisioner.cloud import CloudReader
from provisioner.desired import Desired
from provisioner.errors import Problem, Who, define
from provisioner.errors.cloud import CloudError
from provisioner.errors.decode import decode
from provisioner.events import Emit, Outcome, StepFinished, StepStarted
from provisioner.plan.scene import other_slot
from provisioner.publish import Published, published
from provisioner.resources import Kind, State

NO_ANSWER: Final = define(
    "verify.no-answer",
    "a deployment does not answer",
    "The deployment is in place, but the call that --verify makes failed. Its outputs were not "
    "written.",
    Who.OPERATOR,
)

_AT_ONCE: Final = 32


@dataclass(frozen=True, slots=True)
class Verification:
    """What is needed to call; `probe` is told a deployment's name, empty for a serverless one."""

    cloud: CloudReader
    clock: Clock
    emit: Emit
    probe: Probe

    async def run(self, desired: Desired, report: Report) -> Mapping[str, Problem]:
        """By manifest: what was wrong with each deployment that is done and does not answer."""
        unfinished = report.unfinished
        chosen = [one for one in published(desired) if one.origin.name not in unfinished]
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one_of(one: Published) -> Problem | None:
            async with gate:
                return await self._judge(one)

        found = await asyncio.gather(*map(one_of, chosen))
        return {
            one.origin.name: problem.at(one.origin.position)
            for one, problem in zip(chosen, found, strict=True)
            if problem is not None
        }

    async def _judge(self, one: Published) -> Problem | None:
        id = f"verify {one.origin.name}"
        title = f"call {one.origin.name}"
        self.emit(StepStarted(id, title))
        begun = self.clock.monotonic()
        problem = await self._call(one)
        outcome = Outcome.DONE if problem is None else Outcome.FAILED
        took = self.clock.monotonic() - begun
        self.emit(StepFinished(id, title, outcome, took, problem))
        return problem

    async def _call(self, one: Published) -> Problem | None:
        try:
            live = await self.cloud.get(one.endpoint)
            names = await self._slots(one)
        except CloudError as error:
            return decode(error.fault)
        if live is None:
            return _wrong(one, "the endpoint is gone")
        for name in names:
            wrong = await self.probe(live, name)
            if wrong is not None:
                return _wrong(one, wrong)
        return None

    async def _slots(self, one: Published) -> list[str]:
        """The live names of a managed deployment: blue/green rollouts use two by turns."""
        if one.endpoint.kind is not Kind.ONLINE_ENDPOINT:
            return [""]
        own = one.deployment or one.origin.name
        second = other_slot(own).lower()
        found = await self.cloud.online_deployments(one.endpoint)
        ready = [live for live in found if live.state is State.SUCCEEDED]
        return [
            live.id.name
            for live in ready
            if live.id.name.lower() == own.lower()
            or (live.id.name.lower() == second and one.made(live))
        ] or [""]


def without(desired: Desired, names: Mapping[str, object]) -> Desired:
    """The same wishes but those of the named manifests."""
    endpoints = (
        replace(
            wanted,
            deployments=tuple(one for one in wanted.deployments if one.origin.name not in names),
        )
        for wanted in desired.endpoints
    )
    return replace(
        desired,
        serverless=tuple(one for one in desired.serverless if one.origin.name not in names),
        endpoints=tuple(wanted for wanted in endpoints if wanted.deployments),
    )


def _wrong(one: Published, what: str) -> Problem:
    return Problem(
        NO_ANSWER,
        f"{one.origin.name} does not answer: {what}",
        "look at the deployment, then apply again with --verify; "
        "`provision output NAME --write` writes the outputs all the same",
        resource=one.endpoint.arm_id,
    )
