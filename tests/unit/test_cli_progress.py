"""Progress on scripted events: golden text at 80 columns, plain lines, JSON lines."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime

from rich.console import Console

from provisioner.cli.render.progress import JsonLines, LiveView, PlainLines
from provisioner.cli.render.words import seconds
from provisioner.errors import Code, Problem, Severity, Who
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

ODD = Code("test.odd", "odd", "Something odd.", Who.OPERATOR)
WARNING = Problem(ODD, "the model is legacy", "choose another", severity=Severity.WARNING)
BROKEN = Problem(ODD, "not enough quota", "ask for more")
A = "create serverless endpoint llama-33-70b in mlw-prod"
B = "create online deployment llama-8b/llama-8b-blue in mlw-prod"
C = "set traffic of online endpoint llama-8b in mlw-prod"

SCRIPT: tuple[tuple[float, Event], ...] = (
    (0.0, StageStarted("observe", 2)),
    (0.4, StageFinished("observe", 0.4)),
    (0.4, Noticed(WARNING)),
    (0.5, StageStarted("apply", 3)),
    (
        0.5,
        TermsAccepted(
            "llama-offer", "/s/workspaces/mlw-prod", "--accept-terms", "2030-01-01T00:00:00Z"
        ),
    ),
    (0.5, StepStarted("a", A)),
    (0.5, StepStarted("b", B)),
    (1.0, StepProgress("a", "Creating")),
    (1.5, StepRetried("b", "429 TooManyRequests", 20.0)),
    (2.6, StepFinished("a", A, Outcome.DONE, 2.1)),
    (64.0, StepFinished("b", B, Outcome.FAILED, 63.5, problem=BROKEN)),
    (64.0, StepFinished("c", C, Outcome.SKIPPED, 0.0, because="its deployment failed")),
    (64.1, OutputWritten("llama-33-70b", "dotenv", "out/llama.env", changed=True)),
)


class Hands:
    """A monotonic clock that stands where it was put."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def play(view: Callable[[Event], None], hands: Hands, until: float = 1e9) -> None:
    for instant, event in SCRIPT:
        if instant > until:
            return
        hands.time = 100.0 + instant
        view(event)


def test_plain_lines() -> None:
    stream, hands = io.StringIO(), Hands()
    play(PlainLines(stream, monotonic=hands), hands)
    assert stream.getvalue() == (
        "[    0.0s] reading what is live (2)\n"
        "warning[test.odd]: the model is legacy\n"
        "  who: whoever runs this command\n"
        "  fix: choose another\n"
        "[    0.5s] applying (3)\n"
        "[    0.5s] terms of llama-offer accepted for workspace mlw-prod by --accept-terms\n"
        f"[    0.5s] {A}: started\n"
        f"[    0.5s] {B}: started\n"
        f"[    1.5s] {B}: trying again in 20s (429 TooManyRequests)\n"
        f"[    2.6s] {A}: done in 2.1s\n"
        f"[   64.0s] {B}: failed after 1m 04s: not enough quota\n"
        f"[   64.0s] {C}: skipped (its deployment failed)\n"
        "[   64.1s] llama-33-70b: URL and key written to out/llama.env (dotenv)\n"
    )


def test_json_lines_are_one_object_each() -> None:
    stream, hands = io.StringIO(), Hands()
    play(JsonLines(stream, now=lambda: datetime(2030, 1, 1, tzinfo=UTC)), hands)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(lines) == len(SCRIPT)
    assert lines[0] == {
        "time": "2030-01-01T00:00:00.000+00:00",
        "event": "stageStarted",
        "stage": "observe",
        "total": 2,
    }
    assert lines[10]["problem"]["code"] == "test.odd"
    assert lines[10]["outcome"] == "failed"


def _screen(stream: io.StringIO, columns: int = 80, lines: int = 24) -> Console:
    return Console(
        file=stream,
        width=columns,
        height=lines,
        force_terminal=True,
        color_system=None,
        legacy_windows=False,
        highlight=False,
        emoji=False,
        markup=False,
    )


def _running(view: LiveView, columns: int = 80) -> list[str]:
    stream = io.StringIO()
    _screen(stream, columns).print(view.render())
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_ended_steps_stay_as_lines() -> None:
    stream, hands = io.StringIO(), Hands()
    view = LiveView(_screen(stream), monotonic=hands)
    play(view, hands)
    view.say("that was all")
    lines = [line.rstrip() for line in stream.getvalue().splitlines()]
    assert lines == [
        "warning[test.odd]: the model is legacy",
        "  who: whoever runs this command",
        "  fix: choose another",
        f"✓ {A} 2.1s",
        f"✗ {B}: not enough 1m 04s",
        "  quota",
        f"- {C}: skipped, its deployment",
        "  failed",
        "that was all",
    ]


async def test_what_ends_together_is_drawn_together() -> None:
    """Each print on a live screen draws all that runs again: a fleet must not pay that per step."""
    stream, hands = io.StringIO(), Hands()
    async with LiveView(_screen(stream), monotonic=hands) as view:
        for number in range(100):
            view(StepFinished(str(number), f"step {number}", Outcome.DONE, 1.0))
        drawn = stream.getvalue()
    printed = [line for line in stream.getvalue().splitlines() if "step" in line]
    assert "step" not in drawn
    assert len(printed) == 100


def test_running_steps_show_their_seconds_within_80_columns() -> None:
    hands = Hands()
    view = LiveView(_screen(io.StringIO()), monotonic=hands)
    play(view, hands, until=2.0)
    hands.time = 112.5
    lines = _running(view)
    assert lines == [
        f"⠴ {A}  Creating           12s",
        f"⠴ {B}  retry in … 12s",
        "⠴ applying 0 of 3",
    ]
    assert all(len(line) <= 80 for line in lines)


def test_running_steps_on_a_narrow_screen() -> None:
    hands = Hands()
    view = LiveView(_screen(io.StringIO(), 40), monotonic=hands)
    play(view, hands, until=2.0)
    assert all(len(line) <= 40 for line in _running(view, 40))


def test_never_more_lines_than_the_screen() -> None:
    hands = Hands()
    view = LiveView(_screen(io.StringIO(), lines=10), monotonic=hands)
    for number in range(200):
        view(StepStarted(str(number), f"create {number}"))
    lines = _running(view)
    assert len(lines) == 7
    assert lines[-1].strip() == "and 194 more"


async def test_the_live_view_cleans_up_after_itself() -> None:
    stream = io.StringIO()
    async with LiveView(_screen(stream)) as view:
        view(StepStarted("a", A))
        view(StepFinished("a", A, Outcome.DONE, 1.0))
    text = stream.getvalue()
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1
    assert f"✓ {A}" in text


def test_durations() -> None:
    assert [seconds(value) for value in (0.04, 9.96, 59.4, 65, 3725)] == [
        "0.0s",
        "10s",
        "59s",
        "1m 05s",
        "1h 02m",
    ]


def test_a_step_that_takes_its_turn_is_promised_no_time() -> None:
    stream, hands = io.StringIO(), Hands()
    lines = PlainLines(stream, monotonic=hands)
    lines(StepStarted("b", B))
    lines(StepRetried("b", "AnotherOperationInProgress", 60.0, sooner=True))
    assert f"{B}: waiting for the step beside it (AnotherOperationInProgress)" in stream.getvalue()
    assert "1m" not in stream.getvalue()


def test_a_rollout_tells_how_far_it_is_while_it_rests() -> None:
    title, moved = "roll out blue-2 on online endpoint chat", TrafficMoved("r", "blue-2", 10, 300.0)
    stream, hands = io.StringIO(), Hands()
    lines = PlainLines(stream, monotonic=hands)
    view = LiveView(_screen(io.StringIO()), monotonic=hands)
    for event in (StepStarted("r", title), StepProgress("r", "Succeeded"), moved):
        lines(event)
        view(event)
    assert stream.getvalue().endswith(f"{title}: blue-2 at 10% for 5m\n")
    assert f"{title}  at 10% for 5m" in _running(view)[0]
