"""Runs a plan: independent steps at once, dependent ones in order, each with its own outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from provisioner.apply.context import Context, Settings, StepFailed
from provisioner.apply.report import Report, Result
from provisioner.apply.steps import perform
from provisioner.apply.watch import Stopped
from provisioner.clock import Clock
from provisioner.cloud import Cloud
from provisioner.errors import Problem
from provisioner.errors.cloud import CloudError
from provisioner.errors.decode import decode
from provisioner.events import Emit, Outcome, StepFinished, StepStarted
from provisioner.plan import Plan, Step
from provisioner.plan.steps import Await

_FATES: Final = {
    Outcome.DONE: "is done",
    Outcome.FAILED: "failed",
    Outcome.SKIPPED: "was skipped",
    Outcome.INTERRUPTED: "was interrupted",
}
GRACE = 5.0
"""Seconds that a request which is under way gets to finish when the run is stopped."""
RUNS_ON = "left running in Azure"
PERHAPS = "perhaps left running in Azure: no answer had come"
HALFWAY = "stopped halfway; the same command goes on from here"
NOT_TAKEN = "the run was interrupted before Azure took it"


async def execute(
    plan: Plan,
    cloud: Cloud,
    clock: Clock,
    emit: Emit,
    settings: Settings | None = None,
) -> Report:
    """Carry out `plan`. A step that fails fails alone; what needs it is skipped.

    Setting `settings.stop` lets no new step start and ends the waits of the running ones; requests
    that are under way are finished, if that takes no longer than a moment (`GRACE`): one that was
    told to come back in minutes is given up. Raises nothing but what is a fault of this program.
    """
    context = Context(cloud, clock, emit, settings or Settings())
    slots = asyncio.Semaphore(context.settings.parallelism)
    finished: dict[str, asyncio.Future[Result]] = {}
    loop = asyncio.get_running_loop()
    for step in plan.steps:
        finished[step.id] = loop.create_future()
    stopper = asyncio.create_task(_stop_watching(context))
    try:
        async with asyncio.TaskGroup() as group:
            for step in plan.steps:
                group.create_task(_run(context, step, finished, slots))
    finally:
        stopper.cancel()
        await asyncio.gather(stopper, return_exceptions=True)
        await context.watcher.close()
    results = tuple(finished[step.id].result() for step in plan.steps)
    return Report(results, context.lives, stopped=context.settings.stop.is_set())


async def _stop_watching(context: Context) -> None:
    await context.settings.stop.wait()
    context.watcher.stop()
    await context.clock.sleep(GRACE)
    for task in tuple(context.performing):
        task.cancel()


async def _run(
    context: Context,
    step: Step,
    finished: Mapping[str, asyncio.Future[Result]],
    slots: asyncio.Semaphore,
) -> None:
    before = [await finished[need] for need in step.needs if need in finished]
    blocker = next((one for one in before if one.outcome is not Outcome.DONE), None)
    if blocker is not None:
        because = f'"{blocker.step.title}" {_FATES[blocker.outcome]}'
        result = Result(step, Outcome.SKIPPED, because=because)
    else:
        async with slots:
            result = await _perform(context, step)
        context.rested(step)
        context.settled(step.target)
    context.emit(
        StepFinished(
            step.id, step.title, result.outcome, result.seconds, result.problem, result.because
        )
    )
    finished[step.id].set_result(result)


async def _perform(context: Context, step: Step) -> Result:
    if context.settings.stop.is_set():
        return Result(step, Outcome.SKIPPED, because="the run was interrupted before it started")
    started = context.clock.monotonic()
    context.emit(StepStarted(step.id, step.title))

    def result(
        outcome: Outcome, problem: Problem | None = None, because: str | None = None
    ) -> Result:
        now = context.clock.monotonic()
        return Result(step, outcome, now - started, problem, because, now)

    try:
        await _stoppable(context, step)
    except Stopped:
        return _stopped(context, step, result)
    except StepFailed as error:
        return result(Outcome.FAILED, problem=error.problem.at(step.position))
    except CloudError as error:
        return result(Outcome.FAILED, problem=decode(error.fault, position=step.position))
    return result(Outcome.DONE)


def _stopped(context: Context, step: Step, result: Callable[..., Result]) -> Result:
    """What is left of a step that was given up: only what Azure took goes on there."""
    if step.id in context.begun or isinstance(step, Await):
        return result(Outcome.INTERRUPTED, because=RUNS_ON)
    if step.id in context.asked:
        return result(Outcome.INTERRUPTED, because=PERHAPS)
    if step.id in context.touched:
        return result(Outcome.INTERRUPTED, because=HALFWAY)
    return result(Outcome.SKIPPED, because=NOT_TAKEN)


async def _stoppable(context: Context, step: Step) -> None:
    """`perform`, given up with Stopped where a stopped run cancels it."""
    task = asyncio.ensure_future(perform(context, step))
    context.performing.add(task)
    try:
        await task
    except asyncio.CancelledError:
        if task.cancelled() and context.settings.stop.is_set():
            raise Stopped from None
        task.cancel()
        raise
    finally:
        context.performing.discard(task)
