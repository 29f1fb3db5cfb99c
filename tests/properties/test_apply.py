"""Properties of observe, plan and the executor together, on a cloud where everything takes time.

The clock is a fake one, so that a run of an hour costs milliseconds; faults, lost answers and the
death of the process come at random.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

from hypothesis import event, given
from hypothesis import strategies as st

from provisioner.apply import Report, Settings, execute
from provisioner.apply.executor import NOT_TAKEN, RUNS_ON
from provisioner.desired import Desired
from provisioner.errors import ExitCode
from provisioner.errors.cloud import CloudError, ServiceFault
from provisioner.events import Outcome, ignore
from provisioner.observe import observe
from provisioner.plan import Options, Plan, plan, resolve, unresolved
from provisioner.plan.steps import Await, Create, Delete, Replace, Rollout
from provisioner.resources import ResourceId
from tests.fakes import LATEST, Crash, FakeCloud
from tests.fleets import fleets, searching
from tests.properties.test_plan import describe, histories, holdings, new_cloud, outages

PRUNE = Options(prune=True)


@dataclass(slots=True)
class Trouble:
    """What goes wrong on the wire: a share of writes is refused, another's answer is lost."""

    seed: int
    refused: float
    lost: float

    def infest(self, cloud: FakeCloud) -> None:
        dice = random.Random(self.seed)
        faults = [
            ServiceFault(409, "Conflict", "Another operation with ID [x] is already running"),
            ServiceFault(500, "InternalServerError", "try again"),
            ServiceFault(503, "", "the gateway is tired"),
            ServiceFault(429, "TooManyRequests", "Retry again after 2 seconds.", retry_after=2.0),
        ]

        def fault(what: str, id: ResourceId) -> CloudError | None:
            return CloudError(dice.choice(faults)) if dice.random() < self.refused else None

        cloud.fault = fault
        cloud.lost = lambda what, id: dice.random() < self.lost
        cloud.seconds = lambda what, id: dice.choice([0.0, 1.0, 7.0, 40.0, 400.0])

    @staticmethod
    def leave(cloud: FakeCloud) -> None:
        cloud.fault = lambda what, id: None
        cloud.lost = lambda what, id: False


TROUBLES = st.builds(
    Trouble,
    seed=st.integers(0, 2**32),
    refused=st.sampled_from([0.0, 0.05, 0.3]),
    lost=st.sampled_from([0.0, 0.1]),
)


async def look(wish: Desired, cloud: FakeCloud) -> Plan:
    """Observe and plan; no write is allowed meanwhile."""
    cloud.frozen = True
    found = plan(wish, await observe(cloud, wish, whole=True), cloud.clock.now(), PRUNE)
    cloud.frozen = False
    return resolve(found, {model.id.lower(): LATEST for model in unresolved(found)})


async def one_run(wish: Desired, cloud: FakeCloud) -> Report:
    return await execute(await look(wish, cloud), cloud, cloud.clock, ignore)


def run(wish: Desired, cloud: FakeCloud) -> Report | None:
    """One command; None when the process died in it."""
    try:
        return cloud.clock.run(one_run(wish, cloud))
    except BaseExceptionGroup as group:
        if group.subgroup(Crash) is None:
            raise
        return None
    except Crash:
        return None


def failures(report: Report) -> list[str]:
    return [
        f"{one.step.id}: {one.problem.what} {one.problem.details}"
        for one in report.results
        if one.outcome is Outcome.FAILED and one.problem is not None
    ]


@searching(20)
@given(cloud=histories(), wish=fleets(), trouble=TROUBLES)
def test_apply_converges_in_spite_of_faults_and_a_second_one_does_nothing(
    cloud: FakeCloud, wish: Desired, trouble: Trouble
) -> None:
    cloud.finish()
    trouble.infest(cloud)
    report = run(wish, cloud)
    assert report is not None
    assert not failures(report)
    assert not cloud.violations, cloud.violations
    before = len(cloud.writes)
    last = cloud.clock.run(look(wish, cloud))
    assert last.empty, describe(last)
    assert run(wish, cloud) is not None
    assert len(cloud.writes) == before


@searching(20)
@given(
    cloud=histories(),
    wish=fleets(),
    trouble=TROUBLES,
    deaths=st.lists(
        st.tuples(st.integers(0, 12), st.booleans(), st.sampled_from([0.0, 5.0, 3600.0])),
        min_size=1,
        max_size=3,
    ),
)
def test_killed_at_any_write_and_run_again_ends_where_a_whole_run_ends(
    cloud: FakeCloud,
    wish: Desired,
    trouble: Trouble,
    deaths: list[tuple[int, bool, float]],
) -> None:
    clean = new_cloud()
    assert run(wish, clean) is not None
    trouble.infest(cloud)
    for write, after, pause in deaths:
        cloud.crash_at, cloud.crash_after = len(cloud.writes) + write, after
        event(f"died: {run(wish, cloud) is None}")
        cloud.clock.advance(pause)
    cloud.crash_at = None
    for _ in range(3):
        report = run(wish, cloud)
        assert report is not None
        if not failures(report) and cloud.clock.run(look(wish, cloud)).empty:
            break
    last = cloud.clock.run(look(wish, cloud))
    assert last.empty, describe(last)
    assert not cloud.violations, cloud.violations
    assert holdings(cloud) == holdings(clean)


@searching(20)
@given(
    cloud=histories(),
    wish=fleets(),
    trouble=TROUBLES,
    after=st.sampled_from([0.0, 0.3, 2.0, 9.0, 60.0, 500.0]),
)
def test_after_a_stop_nothing_is_written_and_what_runs_on_is_named(
    cloud: FakeCloud, wish: Desired, trouble: Trouble, after: float
) -> None:
    trouble.infest(cloud)
    clock, settings = cloud.clock, Settings()

    async def stopped() -> Report:
        found = await look(wish, cloud)
        cloud.taken.clear()
        running = asyncio.ensure_future(execute(found, cloud, clock, ignore, settings))
        await clock.sleep(after)
        settings.stop.set()
        count = len(cloud.writes)
        report = await running
        assert len(cloud.writes) == count
        return report

    report = clock.run(stopped())
    took = {id for _, id in cloud.taken}
    for result in report.results:
        event(f"{result.outcome}: {result.because}"[:60])
        if result.because == NOT_TAKEN and isinstance(result.step, Create):
            assert result.step.target not in took, result.step.id
        if result.because == RUNS_ON and not isinstance(result.step, Await):
            assert result.step.target in took, result.step.id
    # What had failed by itself when the stop came is a failure, not an interruption.
    cut = [one for one in report.results if one.outcome not in (Outcome.DONE, Outcome.FAILED)]
    assert not (cut and report.stopped) or report.exit_code is ExitCode.INTERRUPTED
    for _ in range(3):
        run(wish, cloud)
    last = clock.run(look(wish, cloud))
    assert last.empty, describe(last)
    assert not cloud.violations, cloud.violations


@searching(20)
@given(cloud=histories(), wish=fleets(least=1), trouble=TROUBLES)
def test_a_live_endpoint_answers_all_the_time_if_another_deployment_can(
    cloud: FakeCloud, wish: Desired, trouble: Trouble
) -> None:
    cloud.finish()
    trouble.infest(cloud)
    cloud.shifts.clear()
    found = cloud.clock.run(look(wish, cloud))
    cloud.clock.run(execute(found, cloud, cloud.clock, ignore))
    assert not outages(cloud, wish, found), describe(found)


@searching(20)
@given(wish=fleets(), other=fleets(), trouble=TROUBLES)
def test_two_pipelines_at_once_make_one_of_everything(
    wish: Desired, other: Desired, trouble: Trouble
) -> None:
    cloud = new_cloud()
    run(other, cloud)
    trouble.infest(cloud)
    clock = cloud.clock

    async def both() -> None:
        plans = [await look(wish, cloud), await look(wish, cloud)]
        reports = await asyncio.gather(*(execute(one, cloud, clock, ignore) for one in plans))
        # What one takes down under the other's hands may fail for it; what is made may not.
        if not any(isinstance(step, Replace | Delete | Rollout) for step in plans[0]):
            assert not [failure for one in reports for failure in failures(one)]

    clock.run(both())
    for _ in range(3):
        if clock.run(look(wish, cloud)).empty:
            break
        run(wish, cloud)
    last = clock.run(look(wish, cloud))
    assert last.empty, describe(last)
    clean = new_cloud()
    run(wish, clean)
    assert holdings(cloud) == holdings(clean)
