"""What the execution of steps shares: the cloud, patience, and the account of what was seen."""

from __future__ import annotations

import asyncio
import random
from collections import deque
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
ENDED_BADLY = define(
    "apply.ended-badly",
    "the service could not do it",
    "The operation was accepted and then ended in a failed state.",
    Who.AUTHOR,
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
WAIT_FOR_NAME = 30.0
"""Seconds for which a taken name is waited for that may have been deleted just before this run: the
service does not tell it from one that somebody else has for good."""
NAME_PERHAPS_FREED = "the name is taken; one that was just deleted becomes free in some minutes"
SIBLING = 60.0
"""Seconds after which a write is tried again although a step beside it has not ended."""

Probe = Callable[[AnyLive, str], Awaitable[str | None]]
"""Calls one deployment (by name) of an endpoint; None when it answered, else what was wrong."""


class StepFailed(Exception):
    """A step's end without success, told as a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.what)
        self.problem = problem


@dataclass(slots=True)
class Settings:
    """How to execute. `timeout` in seconds; None: the kind's own limit. `wait_for_rbac` and
    `wait_for_name`: for how many seconds a refusal for want of rights, or because an endpoint's
    name is taken, may be one that time mends.

    `parallelism` bounds the steps under way at once; waiting costs next to nothing, so it is high.
    `verify` has every deployment called with `probe` afterwards, before its outputs are written.
    """

    parallelism: int = 2048
    timeout: float | None = None
    wait_for_rbac: float = 0.0
    wait_for_name: float = WAIT_FOR_NAME
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
    unsigned: dict[AgreementId, CloudError] = field(default_factory=dict)
    """Agreements that could not be signed, after all patience: nobody tries again."""
    queues: dict[ResourceId, deque[asyncio.Event]] = field(default_factory=dict)
    """Who waits for a step on the same endpoint to end, in turn."""
    asked: set[str] = field(default_factory=set)
    """Steps with a write of which nobody knows whether the service took it."""
    begun: dict[str, ResourceId] = field(default_factory=dict)
    """Steps of which an operation runs in Azure, and their endpoints."""
    touched: set[str] = field(default_factory=set)
    """Steps that have changed something."""
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
        """A step on `id`'s endpoint ended: whoever was refused first because of it may try again.

        One at a time: the service runs one operation on an endpoint and all that is in it, so
        that of several only one would be taken.
        """
        queue = self.queues.get(id.endpoint)
        if queue:
            queue.popleft().set()

    def rested(self, step: Step) -> None:
        """What `step` had begun is over in Azure."""
        self.begun.pop(step.id, None)
        self.asked.discard(step.id)

    def _taken(self, step: Step) -> None:
        self.asked.discard(step.id)
        self.touched.add(step.id)
        self.begun[step.id] = step.target.endpoint

    def _beside(self, step: Step) -> bool:
        """Whether this run has an operation under way on the endpoint of `step`."""
        mine = step.target.endpoint
        return any(id == mine for other, id in self.begun.items() if other != step.id)

    async def pause(self, seconds: float, beside: ResourceId | None = None) -> None:
        """Sleep; shorter when a step on the endpoint of `beside` ends meanwhile.

        Raises Stopped when the run is stopped meanwhile.
        """
        tasks = [
            asyncio.ensure_future(self.settings.stop.wait()),
            asyncio.ensure_future(self._sleep(seconds)),
        ]
        turn = asyncio.Event()
        queue = self.queues.setdefault(beside.endpoint, deque()) if beside is not None else None
        if queue is not None:
            queue.append(turn)
            tasks.append(asyncio.ensure_future(turn.wait()))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if queue is not None and turn in queue:
                queue.remove(turn)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
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
        unless: Callable[[], Awaitable[bool]] | None = None,
    ) -> bool:
        """Write, and write again while time alone can mend the refusal.

        `already` is asked after an answer that was lost or refused for another operation: the
        first try, or another run, may have done it; `unless` before every try, where a second
        one would undo what another run did meanwhile. Whether this run wrote is the answer.
        Raises CloudError, StepFailed or Stopped.
        """
        tries = 0
        begun = self.clock.monotonic()
        while True:
            if unless is not None and await self.sees(unless):
                return False
            if self.settings.stop.is_set():
                raise Stopped
            self.asked.add(step.id)
            try:
                await write()
            except CloudError as error:
                if error.fault.status and error.fault.status < 500:
                    self.asked.discard(step.id)
                patience = self._patience(step, error, begun)
                if patience is None:
                    raise
                if already is not None and await self.sees(already):
                    self._taken(step)
                    return False
                tries += 1
                await self._retry(step, error, tries, min(deadline, patience))
            else:
                self._taken(step)
                return True

    async def _retry(self, step: Step, error: CloudError, tries: int, deadline: float) -> None:
        """Wait before another try. Raises the error where that would come too late."""
        fault = error.fault
        busy = fault.status == 409
        delay = fault.retry_after or _backoff(tries)
        left = deadline - self.clock.monotonic()
        if delay > left:
            raise error
        sooner = busy and fault.retry_after is None and self._beside(step)
        if sooner:
            # A step of this run beside it wakes it up when it ends: no need to ask all the time.
            delay = min(SIBLING, left)
        reason = fault.code or f"HTTP {fault.status}"
        taken = decode(fault).code is NAME_TAKEN
        self.emit(StepRetried(step.id, NAME_PERHAPS_FREED if taken else reason, delay, sooner))
        await self.pause(delay, step.target if busy else None)

    def _patience(self, step: Step, error: CloudError, begun: float) -> float | None:
        """Until which second of the clock a write that was refused is tried again; None: it is
        not. `begun` is when it was first tried."""
        if decode(error.fault).code is NAME_TAKEN:
            freed = self._freed(step)
            held = freed + NAME_HELD if freed is not None else begun + self.settings.wait_for_name
            return held if self.clock.monotonic() <= held else None
        if error.verdict is Verdict.RETRY:
            return float("inf")
        # A role that was just assigned can take minutes to work (AZURE.md §16).
        lenient = begun + self.settings.wait_for_rbac
        if error.fault.status == 403 and self.clock.monotonic() < lenient:
            return float("inf")
        return None

    def _freed(self, step: Step) -> float | None:
        """When this run deleted what bore the name of the step's target, in whichever workspace;
        None where it did not: then the name may be somebody else's for good."""
        wanted = step.target
        named = (wanted.kind, wanted.name.lower())
        freed = (at for one, at in self.freed.items() if (one.kind, one.name.lower()) == named)
        return max(freed, default=None)

    async def sees(self, question: Callable[[], Awaitable[bool]]) -> bool:
        """The answer to a question, or False where the service gives none."""
        try:
            return await question()
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
