"""The stages, in order.

    manifests → desired → observe → plan → constraints → preflight      prepare()
                                apply → verify → outputs                carry_out()

Destroying and reaping are the same line with a smaller desired state. Nothing here writes to a
screen or knows Azure: the cloud is an argument, and what happens is told as events.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from provisioner import apply, outputs, preflight
from provisioner import plan as planning
from provisioner.clock import Clock, ServiceClock
from provisioner.cloud import Cloud, CloudReader, Observed
from provisioner.desired import Desired, desired
from provisioner.errors import ExitCode, Failed, Problem, Refused, Severity, Who, define
from provisioner.errors.cloud import CloudError
from provisioner.errors.decode import decode
from provisioner.events import Emit, Noticed, StageFinished, StageStarted
from provisioner.manifest import Manifests
from provisioner.observe import constraints, observe, observe_tagged
from provisioner.plan import Plan
from provisioner.plan.words import span
from provisioner.preflight import Constraints, Findings, blocking
from provisioner.publish import publish
from provisioner.reap import Doomed, expiring
from provisioner.verify import Verification, without

WRONG_CLOCK = define(
    "pipeline.wrong-clock",
    "the machine's clock is wrong",
    "The service's answers carry another time than this machine's. Deadlines are Azure's, so its "
    "time is used.",
    Who.OPERATOR,
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the person asked for besides the manifests. `who` is signed in, if that is known: terms
    are accepted in that name."""

    stack: str = "default"
    accept_terms: bool = False
    planning: planning.Options = field(default_factory=planning.Options)
    checks: preflight.Options = field(default_factory=preflight.Options)
    who: str | None = None


@dataclass(frozen=True, slots=True)
class Errand:
    """What to reap: where (Azure subscription ids; none: all that are visible), whose, how soon."""

    within: timedelta
    subscriptions: tuple[str, ...] = ()
    stack: str | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan with all that it rests on; `findings` says what is wrong with it."""

    desired: Desired
    observed: Observed
    plan: Plan
    constraints: Constraints = field(default_factory=Constraints)
    findings: Findings = ()
    left: tuple[Problem, ...] = ()
    """Why something that should go is not in the plan; the rest is carried out all the same."""

    def require_sound(self) -> None:
        """Raises Refused when a finding forbids the apply, or leaves nothing to do."""
        errors = (*blocking(self.findings), *(self.left if self.plan.empty else ()))
        if errors:
            raise Refused(*errors)


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done, and what became of every sink."""

    report: apply.Report
    sinks: tuple[outputs.SinkResult, ...] = ()
    unverified: tuple[Problem, ...] = ()
    left: tuple[Problem, ...] = ()
    """As `Prepared.left`."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        failed = (one.problem for one in self.sinks if one.problem)
        return (*self.left, *self.report.problems, *self.unverified, *failed)

    @property
    def exit_code(self) -> ExitCode:
        """The report's, unless all steps are done and a sink failed, a deployment does not answer,
        or something was left: that is a partial success."""
        code = self.report.exit_code
        failed = any(one.status is outputs.Status.FAILED for one in self.sinks)
        failed = failed or bool(self.unverified) or bool(self.left)
        return ExitCode.PARTIAL if failed and code is ExitCode.DONE else code


async def prepare(
    manifests: Manifests, cloud: CloudReader, wish: Wish, clock: Clock, emit: Emit
) -> Prepared:
    """What applying `manifests` would do, checked. Read rights suffice.

    Raises InvalidManifest, or Failed when Azure cannot be read.
    """
    wanted = desired(manifests, stack=wish.stack, accept_terms=wish.accept_terms, accepts=wish.who)
    options = wish.planning
    async with _stage("observe", clock, emit):
        observed = await observe(cloud, wanted, whole=options.prune)
    plan = planning.plan(wanted, observed, clock.now(), options)
    return await _judge(
        Prepared(wanted, observed, plan, findings=manifests.warnings), wish, cloud, clock, emit
    )


async def prepare_destroy(
    manifests: Manifests, cloud: CloudReader, wish: Wish, clock: Clock, emit: Emit
) -> Prepared:
    """What destroying what `manifests` name would do, checked."""
    wanted = desired(manifests, stack=wish.stack, accept_terms=True)
    async with _stage("observe", clock, emit):
        observed = await observe(cloud, wanted)
    plan = planning.destroy(wanted, observed, clock.now(), wish.planning)
    return await _judge(
        Prepared(wanted, observed, plan, findings=manifests.warnings), wish, cloud, clock, emit
    )


async def prepare_reap(
    cloud: CloudReader, errand: Errand, clock: Clock, emit: Emit
) -> tuple[Prepared, tuple[Doomed, ...]]:
    """What must go before its deadline, found in Azure alone. Needs no manifest.

    Only what carries our tags is looked for (AZURE.md §19: the index behind it lags by seconds).
    """
    async with _stage("observe", clock, emit):
        observed, unread = await observe_tagged(cloud, errand.subscriptions)
    now = clock.now()
    doomed = expiring(observed, now, errand.within, errand.stack)
    plan = _removal(doomed, observed, now)
    prepared = Prepared(Desired(plan.stack, {}, (), ()), observed, plan)
    prepared = await _judge(prepared, Wish(plan.stack), cloud, clock, emit)
    hidden = tuple(decode(error.fault) for error in unread)
    return _feasible(replace(prepared, left=hidden), doomed, now), doomed


def _removal(doomed: Iterable[Doomed], observed: Observed, now: datetime) -> Plan:
    removals = (
        planning.Removal(one.id, one.deadline.instant, _why(one), one.renew_for) for one in doomed
    )
    return planning.remove(removals, observed, now)


def _why(doomed: Doomed) -> str:
    return f"expires in {span(doomed.left)}" if doomed.left > timedelta(0) else "its time is up"


def _feasible(prepared: Prepared, doomed: Sequence[Doomed], now: datetime) -> Prepared:
    """The same without the endpoints that something forbids to take down: a deadline must not be
    missed because of a lock on another endpoint. What forbids it is kept in `left`."""
    errors = blocking(prepared.findings)
    if not errors:
        return prepared

    def without_errors(some: Sequence[Doomed]) -> Prepared | None:
        plan = _removal(some, prepared.observed, now)
        facts, wanted = prepared.constraints, prepared.desired
        findings = preflight.check(plan, wanted, prepared.observed, facts)
        judged = replace(prepared, plan=plan, findings=findings)
        return None if blocking(findings) else judged

    free = [one for one in doomed if without_errors([one]) is not None]
    judged = without_errors(free) or without_errors([])
    return prepared if judged is None else replace(judged, left=(*prepared.left, *errors))


async def _judge(
    prepared: Prepared, wish: Wish, cloud: CloudReader, clock: Clock, emit: Emit
) -> Prepared:
    """The plan with the facts that limit it and all that is wrong with it."""
    plan, facts = prepared.plan, Constraints()
    if isinstance(clock, ServiceClock) and clock.skew:
        emit(Noticed(_wrong_clock(clock)))
    async with _stage("preflight", clock, emit):
        if not plan.empty or wish.checks.thorough:
            facts = await constraints(cloud, plan, prepared.observed, prepared.desired, wish.checks)
            plan = planning.resolve(plan, facts.versions())
            plan = preflight.arranged(plan, prepared.desired, prepared.observed, facts)
        findings = preflight.check(plan, prepared.desired, prepared.observed, facts, wish.checks)
    doubts = preflight.unanswered(prepared.findings, prepared.desired, facts)
    return replace(prepared, plan=plan, constraints=facts, findings=(*doubts, *findings))


async def carry_out(
    prepared: Prepared,
    cloud: Cloud,
    clock: Clock,
    emit: Emit,
    settings: apply.Settings,
    surroundings: outputs.Context | None,
) -> Applied:
    """Apply a prepared plan, then write the outputs of every deployment that is done and, where
    the settings ask to verify, answers.

    `surroundings` None writes no outputs, as when destroying. Raises Refused before any write
    when a finding forbids the plan.
    """
    prepared.require_sound()
    report = apply.Report()
    if not prepared.plan.empty:
        async with _stage("apply", clock, emit, len(prepared.plan.steps)):
            report = await apply.execute(prepared.plan, cloud, clock, emit, settings)
    if surroundings is None or settings.stop.is_set():
        return Applied(report, left=prepared.left)
    wanted = prepared.desired
    silent: Mapping[str, Problem] = {}
    if settings.verify and settings.probe is not None:
        async with _stage("verify", clock, emit):
            silent = await Verification(cloud, clock, emit, settings.probe).run(wanted, report)
        wanted = without(wanted, silent)
    async with _stage("outputs", clock, emit):
        sinks = await publish(wanted, prepared.observed, report, cloud, surroundings, emit)
    return Applied(report, tuple(sinks), tuple(silent.values()), prepared.left)


def _wrong_clock(clock: ServiceClock) -> Problem:
    seconds = clock.skew.total_seconds()
    side = "behind" if seconds > 0 else "ahead of"
    skew = planning.duration(abs(seconds))
    return Problem(
        WRONG_CLOCK,
        f"this machine's clock is {skew} {side} the service's",
        "set the machine's clock (NTP), unless the service's was moved on purpose; deadlines go "
        "by the service's time",
        severity=Severity.WARNING,
    )


@asynccontextmanager
async def _stage(
    name: str, clock: Clock, emit: Emit, total: int | None = None
) -> AsyncIterator[None]:
    """Tell of a stage's begin and end; a service error that nobody expected is decoded here."""
    emit(StageStarted(name, total))
    started = clock.monotonic()
    try:
        yield
    except CloudError as error:
        raise Failed(decode(error.fault)) from error
    finally:
        emit(StageFinished(name, clock.monotonic() - started))
