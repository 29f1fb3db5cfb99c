"""What an apply did: a result per step, never an exception for a step that failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from provisioner.errors import ExitCode, Problem
from provisioner.events import Outcome
from provisioner.plan import Step
from provisioner.plan.steps import Create, Delete
from provisioner.resources import AnyLive, ResourceId


@dataclass(frozen=True, slots=True)
class Result:
    """How one step ended. `because` says why it was skipped or what goes on without us.

    `ended` is on the run's monotonic clock, in seconds, for comparing steps with each other.
    """

    step: Step
    outcome: Outcome
    seconds: float = 0.0
    problem: Problem | None = None
    because: str | None = None
    ended: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """All results in the order of the plan, and what was seen last of each resource.

    `stopped`: somebody asked the run to stop.
    """

    results: tuple[Result, ...] = ()
    lives: Mapping[ResourceId, AnyLive] = field(default_factory=dict)
    stopped: bool = False

    def of(self, outcome: Outcome) -> tuple[Result, ...]:
        return tuple(one for one in self.results if one.outcome is outcome)

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(one.problem for one in self.results if one.problem is not None)

    @property
    def unfinished(self) -> frozenset[str]:
        """Names of the manifests of which some step is not done."""
        return frozenset(
            name
            for one in self.results
            if one.outcome is not Outcome.DONE
            for name in one.step.names
        )

    def away(self, endpoint: ResourceId) -> float | None:
        """Seconds for which a renewed endpoint could not be called; None: it was not renewed."""
        mine = [
            one
            for one in self.results
            if one.step.target.endpoint == endpoint and one.outcome is Outcome.DONE
        ]
        back = [one.ended for one in mine if not isinstance(one.step, Delete)]
        gone = [one.ended - one.seconds for one in mine]
        renewed = any(isinstance(one.step, Create) for one in mine)
        return max(back) - min(gone) if renewed else None

    @property
    def exit_code(self) -> ExitCode:
        """By the table of the command line: interrupted, failed, partly failed, done."""
        if self.of(Outcome.INTERRUPTED) or (self.stopped and self.of(Outcome.SKIPPED)):
            return ExitCode.INTERRUPTED
        if not self.of(Outcome.FAILED) and not self.of(Outcome.SKIPPED):
            return ExitCode.DONE
        return ExitCode.PARTIAL if self.of(Outcome.DONE) else ExitCode.FAILED
