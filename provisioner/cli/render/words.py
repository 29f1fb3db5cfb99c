"""Events as sentences and as plain data. Pure: no terminal, no clock."""

from __future__ import annotations

import dataclasses
from enum import Enum
from typing import Final, assert_never

from provisioner.cli.render.problems import problem_document
from provisioner.errors import Problem
from provisioner.events import (
    Event,
    Noticed,
    Outcome,
    OutputWritten,
    StageFinished,
    StageStarted,
    StepFinished,
    StepProgress,
    StepRetried,
    StepStarted,
    TermsAccepted,
    TrafficMoved,
)
from provisioner.plan import duration

_STAGES: Final = {
    "connect": "connecting",
    "load": "reading manifests",
    "observe": "reading what is live",
    "plan": "planning",
    "constraints": "reading rights, quota and offers",
    "preflight": "checking",
    "apply": "applying",
    "verify": "calling the models",
    "outputs": "writing outputs",
}

WAITING = "waiting for the step beside it"


def stage_words(stage: str, total: int | None = None) -> str:
    words = _STAGES.get(stage, stage)
    return f"{words} ({total})" if total else words


def seconds(value: float) -> str:
    """A duration for people: `0.4s`, `12s`, `3m 05s`, `1h 02m`."""
    if value < 9.95:
        return f"{value:.1f}s"
    whole = round(value)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02}m"


def sentence(event: Event, titles: dict[str, str]) -> str | None:
    """What a plain log says of `event`; None: nothing. `titles` remembers the steps' titles."""
    match event:
        case StageStarted(stage, total):
            return stage_words(stage, total)
        case StageFinished() | Noticed():
            return None
        case StepStarted(step, title):
            titles[step] = title
            return f"{title}: started"
        case StepProgress(step, state):
            return f"{titles.get(step, step)}: {state}"
        case TrafficMoved(step, deployment, percent, rest):
            return f"{titles.get(step, step)}: {deployment} {resting(percent, rest)}"
        case StepRetried(step, reason, delay, sooner):
            again = WAITING if sooner else f"trying again in {seconds(delay)}"
            return f"{titles.get(step, step)}: {again} ({reason})"
        case StepFinished():
            return _finished(event)
        case OutputWritten(deployment, sink, target, changed):
            done = "written to" if changed else "already in"
            return f"{deployment}: URL and key {done} {target} ({sink})"
        case TermsAccepted(offer, scope, by, _):
            return f"terms of {offer} accepted for {_scope(scope)} by {by}"
        case _:
            assert_never(event)


def _scope(scope: str) -> str:
    """`workspace mlw-prod` for a resource id, `subscription …` for a bare one."""
    if not scope.startswith("/"):
        return f"subscription {scope}"
    kind, name = scope.rstrip("/").split("/")[-2:]
    return f"{kind.removesuffix('s')} {name}"


def _finished(event: StepFinished) -> str:
    match event.outcome:
        case Outcome.DONE:
            return f"{event.title}: done in {seconds(event.seconds)}"
        case Outcome.FAILED:
            what = f": {event.problem.what}" if event.problem else ""
            return f"{event.title}: failed after {seconds(event.seconds)}{what}"
        case Outcome.SKIPPED:
            return f"{event.title}: skipped ({event.because or 'not needed'})"
        case Outcome.INTERRUPTED:
            return f"{event.title}: {interrupted(event)} (after {seconds(event.seconds)})"
        case _:
            assert_never(event.outcome)


def resting(percent: int, rest: float) -> str:
    """`at 10% for 5m`: a rollout between two shares."""
    return f"at {percent}% for {duration(rest)}" if rest else f"at {percent}%"


def interrupted(event: StepFinished) -> str:
    """What became of a step that was given up."""
    return event.because or "interrupted"


def event_document(event: Event) -> dict[str, object]:
    """One event as plain data: `event` names it, the rest are its fields in camelCase."""
    name = type(event).__name__
    document: dict[str, object] = {"event": name[0].lower() + name[1:]}
    for field in dataclasses.fields(event):
        value = getattr(event, field.name)
        if value is not None:
            document[_camel(field.name)] = _plain(value)
    return document


def _plain(value: object) -> object:
    if isinstance(value, Problem):
        return problem_document(value)
    if isinstance(value, Enum):
        return str(value)
    return round(value, 3) if isinstance(value, float) else value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)
