"""What the stages tell while they work; only `cli` turns it into words.

An event never carries a secret: no field here has the type `Secret`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from provisioner.errors import Problem


class Outcome(StrEnum):
    """How a step ended."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class StageStarted:
    """A stage of the pipeline begins; `total` is how many things it will do, when known."""

    stage: str
    total: int | None = None


@dataclass(frozen=True, slots=True)
class StageFinished:
    stage: str
    seconds: float


@dataclass(frozen=True, slots=True)
class StepStarted:
    """`step` is the step's id in the plan; `title` reads like "create serverless endpoint x"."""

    step: str
    title: str


@dataclass(frozen=True, slots=True)
class StepProgress:
    """What the service says meanwhile, e.g. "Creating"; sent when it changes."""

    step: str
    state: str


@dataclass(frozen=True, slots=True)
class TrafficMoved:
    """A rollout gave a deployment `percent` of its endpoint's traffic; the next share follows after
    `rest` seconds."""

    step: str
    deployment: str
    percent: int
    rest: float


@dataclass(frozen=True, slots=True)
class StepRetried:
    """A step is tried again after `delay` seconds because of `reason`; `sooner`: or as soon as the
    step of this run that is in its way ends."""

    step: str
    reason: str
    delay: float
    sooner: bool = False


@dataclass(frozen=True, slots=True)
class StepFinished:
    step: str
    title: str
    outcome: Outcome
    seconds: float
    problem: Problem | None = None
    because: str | None = None


@dataclass(frozen=True, slots=True)
class OutputWritten:
    """A sink took a deployment's URL and key. `changed` is False when it already held them."""

    deployment: str
    sink: str
    target: str
    changed: bool


@dataclass(frozen=True, slots=True)
class Noticed:
    """A warning or note outside a step."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class TermsAccepted:
    """Consent on record: which offer, for which workspace or subscription, on whose word.

    `instant` is RFC 3339 UTC; `by` names who is signed in, as far as the token tells, and the flag
    or the manifest position that gave consent.
    """

    offer: str
    scope: str
    by: str
    instant: str


Event = (
    StageStarted
    | StageFinished
    | StepStarted
    | StepProgress
    | TrafficMoved
    | StepRetried
    | StepFinished
    | OutputWritten
    | Noticed
    | TermsAccepted
)
Emit = Callable[[Event], None]


def ignore(event: Event) -> None:
    """An `Emit` that drops everything."""
