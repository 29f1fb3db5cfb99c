"""What the execution of steps shares: the cloud, patience, and the account of what was seen."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from provisioner.apply.watch import Stopped, Watcher
from provisioner.clock import Clock
from provisioner.cloud import Cloud
from provisioner.errors import Problem, Who, define
from provisioner.errors.cloud import CloudError, Verdict
from provisioner.errors.decode import decode, decode_told
from provisioner.errors.meanings import NAME_TAKEN
from provisioner.events import Emit, StepProgress, StepRetried
from provisioner.plan import Step
from provisioner.resources import (
    AgreementId,
    AnyLive,
    Kind,
    ResourceId,
    State,
    describe,
)

STEP_TIMED_OUT = define(
    "apply.timed-out",
    "a step took longer than it may",
    "The service had not finished when this step's time was up. Nothing was cancelled: the "
    "operation goes on in Azure.",
    Who.OPERATOR,
)
NOT_TAKEN = define(
    "apply.not-taken",
    "the service keeps another value than it was given",
    "Azure took the request and calls the resource ready, but shows other values than the manifest "
    "has until the step's time was up: it sets them itself.",
    Who.AUTHOR,
)
ENDED_BADLY = define(
    "apply.ended-badly",
    "the service could not do it",
    "The operation was accepted and then ended in a failed state.",
    Who.AUTHOR,
)
VANISHED = define(
    "apply.vanished",
    "a resource disappeared while it was waited for",
    "Somebody or something else deleted the resource in the meantime.",
    Who.OPERATOR,
)

TIMEOUTS = {
    Kind.MARKETPLACE_SUBSCRIPTION: timedelta(minutes=15),
    Kind.SERVERLESS_ENDPOINT: timedelta(minutes=30),
    Kind.ONLINE_ENDPOINT: timedelta(minutes=30),
    # A managed deployment takes 10 to 20 minutes, large images longer (AZURE.md §16).
    Kind.ONLINE_DEPLOYMENT: timedelta(minutes=90),
}

NAME_HELD = 900.0
"""Seconds for which a name can stay taken after its delete (AZURE.md §16: minutes)."""

Probe = Callable[[AnyLive, str], Awaitable[str | None]]
"""Calls one deployment (by name) of an endpoint; None when it answered, else what was wrong."""


class StepFailed(Exception):
    """A step's end without success, told as a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.what)
        self.problem = problem


@dataclass(slots=True)
class Settings:
    """How to execute. `timeout` and `wait_for_rbac` in seconds; None: the kind's own limit.

    `parallelism` bounds the steps under way at once; waiting costs next to nothing, so it is high.
    `verify` has every deployment called with `probe` afterwards, before its outputs are written.
    """

    parallelism: int = 2048
    timeout: float | None = None
    wait_for_rbac: float = 0.0
    probe: Probe | None = None
    verify: bool = False
    stop: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class Context:
    """One execution."""

    cloud: Cloud
    clock: Clock
    emit: Emit
    settings: Settings
    watcher: Watcher = field(init=False)
    lives: dict[ResourceId, AnyLive] = field(default_factory=dict)
    signing: dict[AgreementId, asyncio.Lock] = field(default_factory=dict)
    signed: set[AgreementId] = field(default_factory=set)
    """Agreements that were seen accepted: nobody asks for them again."""
    settling: dict[ResourceId, asyncio.Event] = field(default_factory=dict)
    performing: set[asyncio.Future[None]] = field(default_factory=set)
    """The steps under way."""
    freed: dict[ResourceId, float] = field(default_factory=dict)
    """When this run saw the last of what it deleted, on the clock's seconds."""

    def __post_init__(self) -> None:
        self.watcher = Watcher(self.cloud, self.clock)

    def deadline(self, kind: Kind) -> float:
        """The monotonic second by which a step on `kind` must be done."""
        limit = self.settings.timeout
        seconds = limit if limit is not None else TIMEOUTS[kind].total_seconds()
        return self.clock.monotonic() + seconds

    def settled(self, id: ResourceId) -> None:
        """A step on `id`'s endpoint ended: whoever was refused because of it may try again."""
        event = self.settling.pop(id.endpoint, None)
        if event is not None:
            event.set()

    async def pause(self, seconds: float, beside: ResourceId | None = None) -> None:
        """Sleep; shorter when a step on the endpoint of `beside` ends meanwhile.

        Raises Stopped when the run is stopped meanwhile.
        """
        tasks = [
            asyncio.ensure_future(self.settings.stop.wait()),
            asyncio.ensure_future(self._sleep(seconds)),
        ]
        if beside is not None:
            event = self.settling.setdefault(beside.endpoint, asyncio.Event())
            tasks.append(asyncio.ensure_future(event.wait()))
        _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        if self.settings.stop.is_set():
            raise Stopped

    async def _sleep(self, seconds: float) -> Literal[True]:
        await self.clock.sleep(seconds)
        return True

    async def persist(
        self,
        step: Step,
        write: Callable[[], Awaitable[None]],
        deadline: float,
        *,
        already: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        """Write, and write again while time alone can mend the refusal.

        `already` is asked after an answer that was lost or refused for another operation: the
        first try, or another run, may have done it. Raises CloudError, StepFailed or Stopped.
        """
        tries = 0
        lenient = self.clock.monotonic() + self.settings.wait_for_rbac
        while True:
            try:
                await write()
            except CloudError as error:
                if not self._patient(step, error, lenient):
                    raise
                if already is not None and await self._asked(already):
                    return
                tries += 1
                delay = error.fault.retry_after or _backoff(tries)
                if self.clock.monotonic() + delay > deadline:
                    raise
                reason = error.fault.code or f"HTTP {error.fault.status}"
                self.emit(StepRetried(step.id, reason, delay))
                busy = error.fault.status == 409
                await self.pause(delay, step.target if busy else None)
            else:
                return

    def _patient(self, step: Step, error: CloudError, lenient: float) -> bool:
        if decode(error.fault).code is NAME_TAKEN:
            return self._held(step)
        if error.verdict is Verdict.RETRY:
            return True
        # A role that was just assigned can take minutes to work (AZURE.md §16).
        return error.fault.status == 403 and self.clock.monotonic() < lenient

    def _held(self, step: Step) -> bool:
        """Whether a name is taken only because this run has just deleted what bore it: any other
        may be somebody else's for good, whichever status the refusal has."""
        freed = self.freed.get(step.target) if isinstance(step.target, ResourceId) else None
        return freed is not None and self.clock.monotonic() <= freed + NAME_HELD

    async def _asked(self, already: Callable[[], Awaitable[bool]]) -> bool:
        try:
            return await already()
        except CloudError:
            return False

    async def wait(
        self,
        step: Step,
        id: ResourceId,
        judge: Callable[[AnyLive | None], bool],
        deadline: float,
        purpose: str,
    ) -> AnyLive | None:
        """Watch `id` until `judge` is content or the deadline comes. Raises StepFailed, Stopped."""
        last: str | None = None

        def seen(live: AnyLive | None) -> None:
            nonlocal last
            if live is not None:
                self.lives[id] = live
            state = str(live.state) if live is not None else "not listed"
            if state != last:
                last = state
                self.emit(StepProgress(step.id, state))

        watch = asyncio.ensure_future(self.watcher.until(id, judge, purpose=purpose, seen=seen))
        timer = asyncio.ensure_future(self.clock.sleep(max(0.0, deadline - self.clock.monotonic())))
        try:
            done, _ = await asyncio.wait({watch, timer}, return_when=asyncio.FIRST_COMPLETED)
            if watch not in done:
                raise StepFailed(_timed_out(step, id, last))
            return watch.result()
        finally:
            watch.cancel()
            timer.cancel()
            await asyncio.gather(watch, timer, return_exceptions=True)

    async def failure(self, id: ResourceId, state: State | str) -> StepFailed:
        """The problem behind a failed state, with what the service tells of it."""
        details: list[str] = []
        meaning: Problem | None = None
        try:
            told = await self.cloud.explain(id)
            if told:
                details.append(told)
                meaning = decode_told(told, id.arm_id)
            if id.kind is Kind.ONLINE_DEPLOYMENT:
                details += await self.tail(id)
        except CloudError as error:
            details.append(f"(no explanation: {error})")
        return StepFailed(
            Problem(
                ENDED_BADLY,
                f"the {describe(id)} ended as {state}" + (f": {meaning.what}" if meaning else ""),
                f"{meaning.hint if meaning else 'mend what the service names above'}; then apply "
                "again: it is replaced then",
                resource=id.arm_id,
                who=meaning.mender if meaning else None,
                details=tuple(details),
            )
        )

    async def tail(self, id: ResourceId, lines: int = 20) -> list[str]:
        """The last lines of both containers of a deployment (AZURE.md §16)."""
        told: list[str] = []
        for container in ("StorageInitializer", "InferenceServer"):
            try:
                text = await self.cloud.logs(id, container)
            except CloudError:
                continue
            if text.strip():
                told.append(f"{container}:")
                told += [f"  {line}" for line in text.rstrip().splitlines()[-lines:]]
        return told


def _backoff(tries: int) -> float:
    """Full jitter under an exponential ceiling of 30 s."""
    ceiling = min(30.0, 0.5 * 2.0**tries)
    return random.uniform(ceiling / 2, ceiling)  # noqa: S311  # spreading load, not secrecy


def _timed_out(step: Step, id: ResourceId, state: str | None) -> Problem:
    return Problem(
        STEP_TIMED_OUT,
        f"{step.title}: still {state or 'not listed'} when its time was up",
        "run the same command again to go on waiting, or give it more time with --timeout",
        position=step.position,
        resource=id.arm_id,
    )
