"""Events on stderr: a live view on a terminal, plain lines in a log, JSON lines on request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Protocol, Self, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from provisioner.cli.render.problems import problem_text
from provisioner.cli.render.words import (
    WAITING,
    event_document,
    interrupted,
    resting,
    seconds,
    sentence,
    stage_words,
)
from provisioner.cli.session import Session, animated
from provisioner.errors.harmless import clean, json_text
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

Monotonic = Callable[[], float]


class View(AbstractAsyncContextManager["View"], Protocol):
    """Shows events for as long as it is entered; calling it is an `Emit`."""

    def __call__(self, event: Event) -> None: ...

    def say(self, text: str) -> None:
        """Show one line that is no event."""
        ...


def view(session: Session, stream: TextIO, start: float | None = None) -> View:
    """The view that suits `stream` and the options; `start`: the run's, in monotonic seconds."""
    if session.log_json:
        return JsonLines(stream)
    if animated(stream):
        return LiveView(_console(stream, session), verbose=session.verbose)
    return PlainLines(stream, verbose=session.verbose, start=start)


def _console(stream: TextIO, session: Session) -> Console:
    color = session.color(stream)
    return Console(file=stream, no_color=not color, highlight=False, emoji=False, markup=False)


class _Base:
    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


class JsonLines(_Base):
    """One JSON object a line, with the time of the machine's clock."""

    def __init__(
        self, stream: TextIO, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._stream, self._now = stream, now

    def __call__(self, event: Event) -> None:
        self._write(event_document(event))

    def say(self, text: str) -> None:
        self._write({"event": "note", "text": text})

    def _write(self, document: dict[str, object]) -> None:
        time = self._now().isoformat(timespec="milliseconds")
        line = json_text({"time": time, **document})
        self._stream.write(line + "\n")
        self._stream.flush()


class PlainLines(_Base):
    """A line for what begins and ends, with the seconds since the start: right for CI logs.

    What the service says in between, and outputs that need no writing, are shown with -v only.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        verbose: int = 0,
        start: float | None = None,
        monotonic: Monotonic = time.monotonic,
    ) -> None:
        self._stream, self._verbose, self._monotonic = stream, verbose, monotonic
        self._start = monotonic() if start is None else start
        self._titles: dict[str, str] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, Noticed):
            self._stream.write(problem_text(event.problem))
        else:
            line = sentence(event, self._titles)
            if line is None or (_minor(event) and not self._verbose):
                return
            self.say(line)
        self._stream.flush()

    def say(self, text: str) -> None:
        self._stream.write(f"[{self._monotonic() - self._start:7.1f}s] {clean(text)}\n")
        self._stream.flush()


def _minor(event: Event) -> bool:
    match event:
        case StepProgress():
            return True
        case OutputWritten(changed=changed):
            return not changed
        case _:
            return False


_MARKS: Final = {
    Outcome.DONE: ("✓", "ok", "green"),
    Outcome.FAILED: ("✗", "!!", "red"),
    Outcome.SKIPPED: ("-", "--", "yellow"),
    Outcome.INTERRUPTED: ("…", "..", "yellow"),
}
_SPINNER: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_ASCII_SPINNER: Final = "|/-\\"


class _Running:
    __slots__ = ("note", "since", "title")

    def __init__(self, title: str, since: float) -> None:
        self.title, self.since, self.note = title, since, ""


class LiveView(_Base):
    """Running steps with a spinner and their seconds; ended ones stay above as lines.

    Drawn by a task of the event loop, ten times a second; never more lines than the screen has.
    What ended between two drawings is printed at once: each print draws all that runs again.
    """

    def __init__(
        self, console: Console, *, verbose: int = 0, monotonic: Monotonic = time.monotonic
    ) -> None:
        self._console, self._verbose, self._monotonic = console, verbose, monotonic
        self._unicode = (console.encoding or "").lower().startswith("utf")
        self._running: dict[str, _Running] = {}
        self._titles: dict[str, str] = {}
        self._ended: list[RenderableType] = []
        self._stage = ""
        self._done = 0
        self._total: int | None = None
        self._live = Live(
            get_renderable=self.render, console=console, auto_refresh=False, transient=True
        )
        self._painter: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._live.start()
        self._painter = asyncio.create_task(self._paint())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._painter is not None:
            self._painter.cancel()
        self._running.clear()
        self._stage = ""
        self._print_ended()
        self._live.stop()

    def __call__(self, event: Event) -> None:
        match event:
            case StageStarted(stage, total):
                self._stage, self._total, self._done = stage, total, 0
            case StageFinished():
                self._stage = ""
            case StepStarted(step, title):
                self._titles[step] = title
                self._running[step] = _Running(title, self._monotonic())
            case StepProgress(step, state):
                self._note(step, state)
            case TrafficMoved(step, _, percent, rest):
                self._note(step, resting(percent, rest))
            case StepRetried(step, reason, delay, sooner):
                self._note(step, WAITING if sooner else f"retry in {seconds(delay)}: {reason}")
            case StepFinished():
                self._running.pop(event.step, None)
                self._done += 1
                self._line(event)
            case Noticed(problem):
                self._print_ended()
                color = not self._console.no_color
                text = problem_text(problem, width=self._console.width, color=color)
                self._console.print(Text.from_ansi(text.rstrip("\n")), soft_wrap=True)
            case OutputWritten() | TermsAccepted() if not self._verbose:
                pass  # the result says where each key is, the plan whose word accepts the terms
            case _:
                self.say(sentence(event, self._titles) or "")

    def say(self, text: str) -> None:
        self._print_ended()
        self._console.print(Text(clean(text)))

    def _note(self, step: str, note: str) -> None:
        running = self._running.get(step)
        if running is not None:
            running.note = note

    def _line(self, event: StepFinished) -> None:
        mark, ascii_mark, color = _MARKS[event.outcome]
        grid = Table.grid(padding=(0, 1), expand=False)
        grid.add_column(width=1 if self._unicode else 2)
        grid.add_column(overflow="fold")
        grid.add_column(justify="right", no_wrap=True)
        text = Text(clean(event.title))
        if event.outcome is Outcome.FAILED and event.problem is not None:
            text.append(f": {clean(event.problem.what)}", style="red")
        elif event.outcome is Outcome.INTERRUPTED:
            text.append(f": {clean(interrupted(event))}", style=color)
        elif event.outcome is Outcome.SKIPPED:
            text.append(f": skipped, {clean(event.because or 'not needed')}", style=color)
        symbol = Text(mark if self._unicode else ascii_mark, style=color)
        took = "" if event.outcome is Outcome.SKIPPED else seconds(event.seconds)
        grid.add_row(symbol, text, Text(took, style="dim"))
        self._ended.append(grid)

    def _print_ended(self) -> bool:
        if not self._ended:
            return False
        lines, self._ended = self._ended, []
        self._console.print(Group(*lines))
        return True

    async def _paint(self) -> None:
        while True:
            if not self._print_ended():
                self._live.refresh()
            await asyncio.sleep(0.1)

    def render(self) -> RenderableType:
        """What is running now, one line each, cut to the width; a last line sums up."""
        now = self._monotonic()
        frames = _SPINNER if self._unicode else _ASCII_SPINNER
        frame = frames[int(now * 10) % len(frames)]
        # Three columns stay free: a ^C that the terminal echoes must not break the last line.
        grid = Table.grid(padding=(0, 1), expand=True)
        grid.width = max(20, self._console.width - 3)
        grid.add_column(width=1)
        grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        grid.add_column(justify="right", no_wrap=True)
        room = max(1, self._console.height - 4)
        shown = list(self._running.values())[:room]
        for running in shown:
            text = Text(clean(running.title))
            if running.note:
                text.append(f"  {clean(running.note)}", style="dim")
            age = Text(seconds(max(0.0, now - running.since)), style="dim")
            grid.add_row(Text(frame, style="cyan"), text, age)
        more = len(self._running) - len(shown)
        if more:
            grid.add_row("", Text(f"and {more} more", style="dim"), "")
        if self._stage and (self._total or not self._running):
            count = f" {self._done} of {self._total}" if self._total and self._running else ""
            grid.add_row(Text(frame, style="cyan"), Text(stage_words(self._stage) + count), "")
        return grid
