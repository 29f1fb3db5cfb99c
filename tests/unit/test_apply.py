"""What the executor does beside somebody else, where a name is taken, and when it is stopped.

Longer than other modules because all its cases share one run on a fake cloud.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from provisioner.apply import Report, Settings, execute
from provisioner.apply.context import NAME_PERHAPS_FREED, SIBLING, WAIT_FOR_NAME
from provisioner.apply.executor import HALFWAY, NOT_TAKEN, PERHAPS, RUNS_ON
from provisioner.apply.ready import DOUBT
from provisioner.errors import ExitCode
from provisioner.errors.cloud import CloudError, ServiceFault
from provisioner.events import Event, Outcome, StepProgress, StepRetried, TrafficMoved
from provisioner.plan import Plan, Step
from provisioner.plan.steps import (
    Await,
    Because,
    Change,
    Create,
    Delete,
    Replace,
    Rollout,
    SetTraffic,
    Until,
    Update,
)
from provisioner.resources import (
    TAG_NAME,
    TAG_STACK,
    AnyLive,
    Kind,
    Live,
    ModelRef,
    OnlineDeployment,
    OnlineEndpoint,
    Resource,
    ResourceId,
    ServerlessEndpoint,
    State,
    WorkspaceId,
)
from tests.fake_clock import START, FakeClock
from tests.fakes import FakeCloud
from tests.plan_cases import PLACE

TAGS = {TAG_STACK: "default", TAG_NAME: "phi"}
PHI = ServerlessEndpoint(
    ResourceId(PLACE, Kind.SERVERLESS_ENDPOINT, "phi"),
    "eastus2",
    ModelRef("azureml-meta", "phi"),
    tags=TAGS,
)
CHAT = OnlineEndpoint(ResourceId(PLACE, Kind.ONLINE_ENDPOINT, "chat"), "eastus2", tags=TAGS)


def deployment(name: str, **more: object) -> OnlineDeployment:
    id = ResourceId(PLACE, Kind.ONLINE_DEPLOYMENT, name, "chat")
    model = ModelRef("azureml-meta", "llama", "7")
    one = OnlineDeployment(id, "eastus2", model, "Standard_A", 1, tags=TAGS)
    return replace(one, **more)  # type: ignore[arg-type]


def create(resource: Resource, *needs: str) -> Create:
    id = f"create:{resource.id.name}"
    return Create(id=id, reason="does not exist", resource=resource, needs=needs)


@dataclass(slots=True)
class Run:
    """One execution on a cloud of its own; `settings.stop` is set at the second `stops`."""

    clock: FakeClock = field(default_factory=FakeClock)
    settings: Settings = field(default_factory=Settings)
    events: list[Event] = field(default_factory=list)
    stops: float | None = None
    cloud: FakeCloud = field(init=False)

    def __post_init__(self) -> None:
        self.cloud = FakeCloud(self.clock)

    def __call__(self, *steps: Step) -> Report:
        return self.clock.run(self._run(steps))

    async def _run(self, steps: Sequence[Step]) -> Report:
        plan = Plan("default", self.clock.now(), tuple(steps))
        stopper = asyncio.ensure_future(self._stop())
        try:
            return await execute(plan, self.cloud, self.clock, self.events.append, self.settings)
        finally:
            stopper.cancel()

    async def _stop(self) -> None:
        if self.stops is not None:
            await self.clock.sleep(self.stops)
            self.settings.stop.set()

    @property
    def seconds(self) -> float:
        return self.clock.monotonic()


def codes(report: Report) -> list[str]:
    return [problem.code.id for problem in report.problems]


def refusal(status: int, code: str = "", message: str = "no") -> CloudError:
    return CloudError(ServiceFault(status, code, message))


def once(error: CloudError, meanwhile: Callable[[], None] = lambda: None) -> object:
    """A fault of the first write only, after which `meanwhile` happens."""
    left = [error]

    def fault(what: str, id: ResourceId) -> CloudError | None:
        if not left:
            return None
        meanwhile()
        return left.pop()

    return fault


# --- somebody else at the same time ---------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "code"),
    [({TAG_STACK: "theirs"}, "plan.other-stack"), ({}, "plan.not-ours")],
)
def test_a_resource_that_somebody_else_made_meanwhile_is_not_overwritten(
    tags: dict[str, str], code: str
) -> None:
    run = Run()
    theirs = replace(PHI, tags=tags)
    run.cloud.fault = once(  # type: ignore[assignment]
        refusal(409, "Conflict"), lambda: run.cloud.seed(theirs, State.CREATING)
    )
    report = run(create(PHI))
    assert codes(report) == [code]
    record = run.cloud.records[PHI.id]
    assert isinstance(record.resource, ServerlessEndpoint)
    assert TAG_NAME not in record.resource.tags
    assert not run.cloud.violations


def test_two_stacks_that_create_one_endpoint_at_once_do_not_wait_for_each_other() -> None:
    run = Run()
    theirs = replace(PHI, tags={TAG_STACK: "theirs", TAG_NAME: "phi"})

    def overwritten(what: str, id: ResourceId) -> bool:
        run.cloud.seed(theirs)
        return False

    run.cloud.lost = overwritten
    report = run(create(PHI))
    assert codes(report) == ["plan.other-stack"]
    assert run.seconds < 10


def test_values_that_the_service_sets_itself_are_told_and_not_waited_for() -> None:
    run = Run()
    labelled = replace(PHI, tags={**TAGS, "team": "search"})

    def rewritten(what: str, id: ResourceId) -> bool:
        run.cloud.seed(replace(PHI, tags={**TAGS, "team": "everybody"}))
        return False

    run.cloud.lost = rewritten
    report = run(create(labelled))
    assert codes(report) == ["apply.other-values"]
    (problem,) = report.problems
    assert problem.details == ("tags.team is everybody, not search",)
    assert DOUBT <= run.seconds < DOUBT + 60


class Lagging(FakeCloud):
    """Every second list comes from a replica that knows nothing yet."""

    looks = 0

    async def serverless_endpoints(
        self, workspace: WorkspaceId
    ) -> Sequence[Live[ServerlessEndpoint]]:
        Lagging.looks += 1
        found = await super().serverless_endpoints(workspace)
        return [] if Lagging.looks % 2 == 0 else found


def test_a_list_that_misses_a_resource_for_a_moment_is_not_believed() -> None:
    run = Run()
    run.cloud = Lagging(run.clock)
    report = run(create(PHI))
    assert not report.problems
    assert Lagging.looks > 2


def test_a_subscription_that_vanished_is_not_waited_for() -> None:
    run = Run()
    id = ResourceId(PLACE, Kind.MARKETPLACE_SUBSCRIPTION, "llama")
    step = Await(id="a", reason="is Creating", resource_id=id, until=Until.READY, state="Creating")
    report = run(step)
    (problem,) = report.problems
    assert "deleted by somebody else" in problem.what
    assert run.seconds < 10


def test_a_resource_that_vanishes_while_it_is_changed_is_told_soon() -> None:
    run = Run()
    run.cloud.seed(PHI)

    def deleted(what: str, id: ResourceId) -> bool:
        del run.cloud.records[id]
        return False

    run.cloud.lost = deleted
    change = Change("tags.team", None, "search")
    wanted = replace(PHI, tags={**TAGS, "team": "search"})
    step = Update(
        id="u", reason="differs", resource=wanted, changes=(change,), fields=frozenset({"tags"})
    )
    report = run(step)
    assert codes(report) == ["apply.vanished"]
    assert run.seconds < 10


def test_what_another_run_has_replaced_is_not_replaced_again() -> None:
    run = Run()
    run.cloud.seed(PHI)  # as the other run left it
    report = run(Replace(id="r", reason="is Failed", resource=PHI, changes=()))
    assert not report.problems
    assert not run.cloud.writes


def test_what_another_run_replaces_at_the_moment_is_waited_for() -> None:
    run = Run()
    old = replace(PHI, model=ModelRef("azureml-meta", "llama"))
    run.cloud.seed(old)
    run.cloud.fault = once(  # type: ignore[assignment]
        refusal(409, "Conflict"), lambda: run.cloud.seed(PHI, State.CREATING)
    )
    report = run(Replace(id="r", reason="model", resource=PHI, changes=()))
    assert not report.problems
    assert run.cloud.writes == [("delete", PHI.id)]
    assert run.cloud.records[PHI.id].state is State.SUCCEEDED


def test_an_endpoint_that_another_run_made_keeps_its_traffic() -> None:
    run = Run()
    run.cloud.seed(replace(CHAT, traffic={"blue": 100}))
    run.cloud.seed(deployment("blue"))
    report = run(create(CHAT))
    assert not report.problems
    assert not run.cloud.writes
    assert not run.cloud.shifts


def test_a_delete_that_comes_to_nothing_is_told() -> None:
    run = Run()
    run.cloud.seed(PHI)
    run.cloud.seconds = lambda what, id: 5.0
    step = Delete(id="d", reason="pruned", resource_id=PHI.id, because=Because.PRUNED)

    async def main() -> Report:
        plan = Plan("default", START, (step,))
        running = asyncio.ensure_future(
            execute(plan, run.cloud, run.clock, run.events.append, run.settings)
        )
        await run.clock.sleep(3)
        run.cloud.seed(PHI)  # a lock, or another run
        return await running

    report = run.clock.run(main())
    assert codes(report) == ["apply.came-back"]
    assert run.seconds < 90


@pytest.mark.parametrize(
    ("wanted", "tags", "expected"),
    [
        (None, TAGS, ["apply.came-back"]),
        (PHI, {TAG_STACK: "theirs"}, ["plan.other-stack"]),
        (PHI, TAGS, []),
    ],
)
def test_a_delete_of_somebody_else_that_comes_to_nothing(
    wanted: Resource | None, tags: dict[str, str], expected: list[str]
) -> None:
    """Who waits for it to be gone is told; who would make it again is glad of it, if it is ours."""
    run = Run()
    run.cloud.seed(replace(PHI, tags=tags))
    step = Await(
        id="a", reason="is Deleting", resource_id=PHI.id, until=Until.ABSENT, state="Deleting",
        resource=wanted,
    )  # fmt: skip
    assert codes(run(step)) == expected
    assert run.seconds < 90


# --- names ----------------------------------------------------------------------------------

TAKEN = refusal(400, "EndpointNameNotAvailable", "The specified endpoint name 'phi' is not free")


def test_a_name_that_was_deleted_just_before_the_run_is_waited_for() -> None:
    run = Run(settings=Settings(wait_for_name=120.0))
    free_at = 75.0
    run.cloud.fault = lambda what, id: TAKEN if run.seconds < free_at else None
    report = run(create(PHI))
    assert not report.problems
    told = [one for one in run.events if isinstance(one, StepRetried)]
    assert {one.reason for one in told} == {NAME_PERHAPS_FREED}
    assert free_at <= run.seconds < free_at + 45


def test_a_name_that_somebody_else_has_is_not_waited_for_long() -> None:
    run = Run()
    run.cloud.fault = lambda what, id: TAKEN
    report = run(create(PHI))
    assert codes(report) == ["service.name-taken"]
    assert WAIT_FOR_NAME / 2 <= run.seconds <= WAIT_FOR_NAME


def test_waiting_for_a_name_can_be_forbidden() -> None:
    run = Run(settings=Settings(wait_for_name=0.0))
    run.cloud.fault = lambda what, id: TAKEN
    assert codes(run(create(PHI))) == ["service.name-taken"]
    assert len(run.cloud.writes) == 1


def test_a_name_that_this_run_has_freed_is_waited_for_whatever_the_limit() -> None:
    run = Run(settings=Settings(wait_for_name=0.0))
    run.cloud.seed(replace(PHI, model=ModelRef("azureml-meta", "llama")))
    run.cloud.fault = lambda what, id: TAKEN if what == "put" and run.seconds < 300 else None
    report = run(Replace(id="r", reason="model", resource=PHI, changes=()))
    assert not report.problems


# --- siblings of one endpoint ---------------------------------------------------------------


def one_at_a_time(run: Run) -> None:
    """The service runs one operation on an endpoint and all that is in it."""

    def fault(what: str, id: ResourceId) -> CloudError | None:
        run.cloud.settle()
        busy = any(
            record.state.in_progress and other.endpoint == id.endpoint
            for other, record in run.cloud.records.items()
        )
        return refusal(409, "AnotherOperationInProgress", "busy") if busy else None

    run.cloud.fault = fault


def test_siblings_take_turns_without_asking_all_the_time() -> None:
    run = Run()
    run.cloud.seed(CHAT)
    run.cloud.seconds = lambda what, id: 50.0
    one_at_a_time(run)
    names = ["blue", "green", "red", "gray"]
    report = run(*(create(deployment(name)) for name in names))
    assert not report.problems
    refused = len(run.cloud.writes) - len(names)
    assert refused <= 8, "three at the start, and few because a pause was over before a turn came"
    assert run.seconds < 4 * 50 * 1.15
    told = [one for one in run.events if isinstance(one, StepRetried)]
    assert any(one.sooner and one.delay == SIBLING for one in told), "no fixed time is promised"


def test_siblings_run_at_once_where_the_service_allows_it() -> None:
    run = Run()
    run.cloud.seed(CHAT)
    run.cloud.seconds = lambda what, id: 50.0
    report = run(create(deployment("blue")), create(deployment("green")))
    assert not report.problems
    assert run.seconds < 50 * 1.15


# --- stopping -------------------------------------------------------------------------------


def outcome_of(report: Report) -> tuple[Outcome, str | None]:
    (result,) = report.results
    return result.outcome, result.because


def test_what_the_service_took_is_left_running() -> None:
    run = Run(stops=3.0)
    report = run(create(PHI))
    assert outcome_of(report) == (Outcome.INTERRUPTED, RUNS_ON)
    assert report.exit_code is ExitCode.INTERRUPTED


def test_what_the_service_never_took_is_not() -> None:
    run = Run(stops=3.0)
    run.cloud.fault = lambda what, id: refusal(409, "Conflict", "busy")
    report = run(create(PHI))
    assert outcome_of(report) == (Outcome.SKIPPED, NOT_TAKEN)
    assert report.exit_code is ExitCode.INTERRUPTED


def test_what_was_not_answered_may_be_running() -> None:
    run = Run(stops=3.0)
    run.cloud.fault = lambda what, id: refusal(0, "", "the connection was reset")
    assert outcome_of(run(create(PHI))) == (Outcome.INTERRUPTED, PERHAPS)


def test_a_rollout_that_rests_between_two_shares_is_halfway() -> None:
    run = Run(stops=40.0)
    run.cloud.seed(replace(CHAT, traffic={"blue": 100}))
    run.cloud.seed(deployment("blue"))
    run.cloud.seed(deployment("blue-2"))
    report = run(rollout())
    assert outcome_of(report) == (Outcome.INTERRUPTED, HALFWAY)
    assert run.cloud.shifts[-1][2] == {"blue": 90, "blue-2": 10}
    told = [one for one in run.events if isinstance(one, TrafficMoved)]
    assert told == [TrafficMoved("rollout", "blue-2", 10, 60.0)]


def test_nothing_is_written_after_a_stop() -> None:
    """Not even the second half of a step that is half done."""
    run = Run()

    class Stopping(FakeCloud):
        async def get(self, id: ResourceId) -> AnyLive | None:
            found = await super().get(id)
            if found is None:
                run.settings.stop.set()
            return found

    run.cloud = Stopping(run.clock)
    run.cloud.seed(replace(PHI, model=ModelRef("azureml-meta", "llama")))
    report = run(Replace(id="r", reason="model", resource=PHI, changes=()))
    assert [what for what, _ in run.cloud.writes] == ["delete"]
    assert outcome_of(report) == (Outcome.INTERRUPTED, HALFWAY)


# --- rollouts -------------------------------------------------------------------------------


def rollout() -> Rollout:
    return Rollout(
        id="rollout", reason="other definition", endpoint=CHAT.id, old="blue", new="blue-2",
        shares=(10, 100), weight=100, others={}, bake=60.0, probe=False,
    )  # fmt: skip


def test_a_rollout_that_cannot_give_back_says_so() -> None:
    run = Run()
    run.cloud.seed(replace(CHAT, traffic={"blue": 100}))
    run.cloud.seed(deployment("blue"))
    run.cloud.seed(deployment("blue-2"))

    def fault(what: str, id: ResourceId) -> CloudError | None:
        if not run.cloud.shifts:
            return None
        run.cloud.records[deployment("blue-2").id].state = State.FAILED
        return refusal(403, "AuthorizationFailed", "no more")

    run.cloud.fault = fault
    run.cloud.settle()

    async def main() -> Report:
        running = asyncio.ensure_future(
            execute(
                Plan("default", START, (rollout(),)),
                run.cloud,
                run.clock,
                run.events.append,
                run.settings,
            )
        )
        await run.clock.sleep(30)
        run.cloud.records[deployment("blue-2").id].state = State.FAILED
        return await running

    report = run.clock.run(main())
    (problem,) = report.problems
    assert "its traffic could not be given back to blue" in problem.what
    assert any("no more" in line for line in problem.details)


def test_a_rollout_that_another_run_has_finished_is_not_taken_back() -> None:
    """Not even where the old colour is gone already."""
    run = Run()
    run.cloud.seed(replace(CHAT, traffic={"blue-2": 100}))
    run.cloud.seed(deployment("blue-2"))
    assert not run(rollout()).problems
    assert not run.cloud.shifts


def test_a_rollout_that_another_run_overtakes_goes_on_from_there() -> None:
    run = Run()
    run.cloud.seed(replace(CHAT, traffic={"blue": 100}))
    for name in ("blue", "blue-2"):
        run.cloud.seed(deployment(name))

    def overtaken(what: str, id: ResourceId) -> bool:
        run.cloud.seed(replace(CHAT, traffic={"blue-2": 100}))
        return False

    run.cloud.lost = overtaken
    assert not run(rollout()).problems
    assert len(run.cloud.writes) == 1


def test_traffic_that_another_run_sets_otherwise_is_told() -> None:
    run = Run()
    run.cloud.seed(replace(CHAT, traffic={"blue": 100}))
    for name in ("blue", "green"):
        run.cloud.seed(deployment(name))

    def overruled(what: str, id: ResourceId) -> bool:
        run.cloud.seed(replace(CHAT, traffic={"blue": 50, "green": 50}))
        return False

    run.cloud.lost = overruled
    step = SetTraffic(
        id="t", reason="differs", endpoint=CHAT.id, before={"blue": 100}, after={"green": 100}
    )
    report = run(step)
    (problem,) = report.problems
    assert problem.code.id == "apply.other-values"
    assert "traffic of green is 50, not 100" in problem.details
    assert run.seconds < timedelta(minutes=4).total_seconds()


def test_progress_is_told_once_per_state() -> None:
    run = Run()
    run(create(PHI))
    states = [one.state for one in run.events if isinstance(one, StepProgress)]
    assert states == ["Creating", "Succeeded"]
