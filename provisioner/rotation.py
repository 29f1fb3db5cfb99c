"""Both keys of an endpoint anew, while whoever reads a sink can call at every moment.

    sinks on the primary → new secondary → sinks on it → new primary → sinks back on the primary
    (resumed)      sinks on the secondary → new primary → sinks on it → new secondary

A key is regenerated only after every sink was moved off it and callers had time to read them
again. Nothing is written down about how far this is: the sinks tell. When one of them holds the
secondary, a run before this one ended early, and this one goes on from there; so it may be
stopped anywhere and started again, on any machine that sees the same sinks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from provisioner import outputs
from provisioner.clock import Clock
from provisioner.cloud import Keyring
from provisioner.errors import Failed, Partial, Problem, Who, define
from provisioner.errors.cloud import CloudError, Verdict
from provisioner.errors.decode import decode
from provisioner.events import Emit, Outcome, OutputWritten, StepFinished, StepProgress, StepStarted
from provisioner.outputs.held import holds, lasting
from provisioner.publish import Published
from provisioner.resources import KeyName, Keys, ResourceId, Secret, describe

NO_KEYS: Final = define(
    "keys.none",
    "the endpoint has no pair of keys",
    "Only an endpoint that authenticates with two keys can have them rotated.",
    Who.OPERATOR,
)
SINK_FAILED: Final = define(
    "keys.sink-failed",
    "rotation stopped: an output could not be written",
    "A key is not regenerated as long as some output may still hold it.",
    Who.OPERATOR,
)
NOT_CHANGED: Final = define(
    "keys.not-changed",
    "the service did not change the key",
    "The regeneration was asked for, and the key is still the old one.",
    Who.AZURE,
)
NOT_ADMITTED: Final = define(
    "keys.not-admitted",
    "the endpoint does not take its new key",
    "The key was regenerated, but calls with it are refused; the outputs stay on the other key.",
    Who.AZURE,
)
LEFT_BEHIND: Final = define(
    "keys.left-behind",
    "an output holds the secondary key",
    "Both keys are new and work, but an output could not be moved back to the primary.",
    Who.OPERATOR,
)

PATIENCE: Final = 600.0
"""Seconds in which a key must be changed; another operation may have to end first."""

_LOOK_AGAIN: Final = 2.0

Admits = Callable[[Secret], Awaitable[Problem | None]]
"""Whether the endpoint takes a key: None, or what was wrong."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to rotate: an endpoint, its base URL, and the manifests' deployments that share it.

    `grace` is how many seconds callers get to read the sinks again.
    """

    endpoint: ResourceId
    url: str
    sharing: Sequence[Published]
    grace: float


@dataclass(slots=True)
class Rotation:
    """One run. `results` are of the last writing of the sinks."""

    job: Job
    keyring: Keyring
    clock: Clock
    emit: Emit
    context: outputs.Context
    admits: Admits
    results: list[outputs.SinkResult] = field(default_factory=list)

    async def run(self) -> None:
        """Raises Failed, with every sink on a key that works; Partial when both keys are new but
        some sink still holds the secondary."""
        keys = await self._keys()
        self._require(keys)
        resumed = await self._on_secondary(keys)
        first = KeyName.PRIMARY if resumed else KeyName.SECONDARY
        for which in (first, _other(first)):
            await self._move(keys, _other(which))
            keys = await self._renew(which)
        await self._home(keys)

    def _require(self, keys: Keys) -> None:
        if keys.primary is None or keys.secondary is None:
            id = self.job.endpoint
            raise Failed(
                Problem(
                    NO_KEYS,
                    f"The {describe(id)} has no two keys.",
                    "see its authMode in the portal; rotate only endpoints with keys",
                    resource=id.arm_id,
                )
            )

    async def _on_secondary(self, keys: Keys) -> bool:
        """Whether some sink holds the secondary key now."""
        assert keys.secondary is not None
        for one in self.job.sharing:
            found = self._credentials(one, keys, KeyName.SECONDARY)
            for output in filter(lasting, one.origin.outputs):
                if await holds(found, output, keys.secondary, self.context):
                    return True
        return False

    async def _move(self, keys: Keys, use: KeyName) -> None:
        """Every lasting sink to the key `use`, and time for callers to read them again.

        A sink that fails stops the rotation: the key that it holds must live.
        """
        results = await self._write(keys, use, ephemeral=False)
        failed = [one.problem for one in results if one.problem is not None]
        if failed:
            stopped = Problem(
                SINK_FAILED,
                "An output could not be written; both keys go on working.",
                "mend the output, then run the same command again: it goes on from here",
                resource=self.job.endpoint.arm_id,
            )
            raise Failed(stopped, *failed)
        if any(one.status is outputs.Status.WRITTEN for one in results) and self.job.grace > 0:
            with self._step("wait", f"wait {self.job.grace:g} s for callers to read the new key"):
                await self.clock.sleep(self.job.grace)

    async def _home(self, keys: Keys) -> None:
        """Every sink on the primary at the end, so that an apply finds nothing to write."""
        results = await self._write(keys, KeyName.PRIMARY, ephemeral=True)
        failed = [one.problem for one in results if one.problem is not None]
        if failed:
            behind = Problem(
                LEFT_BEHIND,
                "Both keys are new; an output could not be written and holds the secondary, "
                "which works.",
                "mend the output, then: provision output NAME --write",
                resource=self.job.endpoint.arm_id,
            )
            raise Partial(behind, *failed)

    async def _write(
        self, keys: Keys, use: KeyName, *, ephemeral: bool
    ) -> list[outputs.SinkResult]:
        self.results = []
        for one in self.job.sharing:
            found = self._credentials(one, keys, use)
            chosen = [sink for sink in one.origin.outputs if lasting(sink)]
            if ephemeral:  # a pipeline's variables, where this runs in that pipeline
                rest = [sink for sink in one.origin.outputs if not lasting(sink)]
                chosen += [
                    sink for sink in rest if not await outputs.check_writable([sink], self.context)
                ]
            self.results += await outputs.write(found, chosen, self.context)
        for result in self.results:
            if result.status is outputs.Status.WRITTEN:
                self.emit(OutputWritten(result.deployment, result.sink, result.target, True))
        return self.results

    def _credentials(self, one: Published, keys: Keys, use: KeyName) -> outputs.EndpointCredentials:
        name = one.origin.name
        return outputs.EndpointCredentials(name, self.job.url, keys, one.model, one.target, use)

    async def _renew(self, which: KeyName) -> Keys:
        """Regenerate one key and see that it is another one, and taken. Raises Failed."""
        noun = f"the {which.value.lower()} key of {self.job.endpoint.name}"
        with self._step(f"regenerate {which}", f"regenerate {noun}"):
            before = _one(await self._keys(), which)
            keys = await self._changed(which, before)
        with self._step(f"try {which}", f"call with {noun}"):
            key = _one(keys, which)
            assert key is not None
            problem = await self.admits(key)
            if problem is not None:
                raise Failed(
                    Problem(
                        NOT_ADMITTED,
                        f"The endpoint {self.job.endpoint.name} refuses its new "
                        f"{which.value.lower()} key.",
                        "run the same command again in some minutes; callers go on meanwhile "
                        "with the key that the outputs hold",
                        resource=self.job.endpoint.arm_id,
                        details=(problem.what, *problem.details),
                    )
                )
        return keys

    async def _changed(self, which: KeyName, before: Secret | None) -> Keys:
        """Ask for another key until there is one. An answer that was lost, or a refusal because
        another operation runs, is no reason to ask twice before looking."""
        deadline = self.clock.monotonic() + PATIENCE
        asked = False
        while True:
            delay, refusal = _LOOK_AGAIN, None
            if not asked:
                try:
                    await self.keyring.regenerate_key(self.job.endpoint, which)
                    asked = True
                except CloudError as error:
                    if error.verdict is not Verdict.RETRY:
                        raise Failed(decode(error.fault)) from error
                    refusal = error
                    delay = error.fault.retry_after or _LOOK_AGAIN
                else:
                    delay = 0.0
            if delay:
                if self.clock.monotonic() + delay > deadline:
                    raise Failed(decode(refusal.fault) if refusal else self._unchanged(which))
                self.emit(StepProgress(f"regenerate {which}", "waiting"))
                await self.clock.sleep(delay)
            keys = await self._keys()
            if _one(keys, which) not in (None, before):
                return keys

    def _unchanged(self, which: KeyName) -> Problem:
        return Problem(
            NOT_CHANGED,
            f"The {which.value.lower()} key of {self.job.endpoint.name} is still the old one.",
            "run the same command again; nothing else has changed",
            resource=self.job.endpoint.arm_id,
        )

    async def _keys(self) -> Keys:
        try:
            return await self.keyring.keys(self.job.endpoint)
        except CloudError as error:
            raise Failed(decode(error.fault)) from error

    @contextmanager
    def _step(self, id: str, title: str) -> Iterator[None]:
        """Tell of a step; one that raises has failed."""
        self.emit(StepStarted(id, title))
        begun, outcome = self.clock.monotonic(), Outcome.INTERRUPTED
        try:
            yield
            outcome = Outcome.DONE
        except Failed:
            outcome = Outcome.FAILED
            raise
        finally:
            self.emit(StepFinished(id, title, outcome, self.clock.monotonic() - begun))


def _one(keys: Keys, which: KeyName) -> Secret | None:
    return keys.primary if which is KeyName.PRIMARY else keys.secondary


def _other(which: KeyName) -> KeyName:
    return KeyName.SECONDARY if which is KeyName.PRIMARY else KeyName.PRIMARY
