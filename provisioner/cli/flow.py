"""What the commands that talk to Azure share: connecting, showing, asking, writing."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final

import click

from provisioner import outputs, wiring
from provisioner.cli import codes, loop
from provisioner.cli.logs import show_requests
from provisioner.cli.render.plans import judged, plan_text
from provisioner.cli.render.progress import View, view
from provisioner.cli.report import show
from provisioner.cli.session import Session, can_ask, width
from provisioner.errors import Interrupted, Problem, Refused, Severity, UsageError
from provisioner.events import Emit, StageFinished, StageStarted
from provisioner.manifest import Manifests
from provisioner.pipeline import Prepared
from provisioner.plan import Plan, saved
from provisioner.wiring import Connection, Which

LONG_THOUGHT: Final = 60.0
"""Seconds after which a plan that was shown may be out of date: nothing is locked meanwhile."""


@dataclass(slots=True)
class Flow:
    """One run of a command: its options, its start, and what it shows on stderr."""

    session: Session
    interrupts: loop.Interrupts
    started: float = field(default_factory=time.monotonic)
    confirmed: float | None = None
    azure: str | None = None
    """Which Azure was told last: a loop connects again and again, but says it once."""
    pondered: float = 0.0
    """Seconds that the person took to say yes."""

    @property
    def took(self) -> float:
        """Seconds since the command began, or since the person said yes."""
        return time.monotonic() - (self.confirmed or self.started)

    @asynccontextmanager
    async def view(self) -> AsyncIterator[View]:
        """A view for the next phase; enter it for as long as events may come."""
        async with view(self.session, sys.stderr, self.started) as entered:
            with self.interrupts.told(entered.say):
                yield entered

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        """The Azure that the options name; says so when it is not the public one."""
        show_requests(self.session)
        which = Which(
            self.session.emulator,
            self.session.arm_endpoint,
            self.session.authority,
            self.session.ca_bundle,
        )
        manager = wiring.connect(which)
        async with self.view() as emit:
            emit(StageStarted("connect"))
            begun = time.monotonic()
            connection = await manager.__aenter__()
            emit(StageFinished("connect", time.monotonic() - begun))
            if connection.label and connection.label != self.azure:
                self.azure = connection.label
                emit.say(f"using {_azure(connection.label)}")
        try:
            yield connection
        except BaseException:
            if not await manager.__aexit__(*sys.exc_info()):
                raise
        else:
            await manager.__aexit__(None, None, None)

    def show_plan(self, plan: Plan, findings: Sequence[Problem]) -> None:
        """The plan and what was found, on stderr; not among JSON lines."""
        if not self.session.log_json:
            color = self.session.color(sys.stderr)
            text = plan_text(
                judged(plan, findings),
                width=width(sys.stderr),
                color=color,
                verbose=bool(self.session.verbose),
            )
            click.echo(f"\n{text}", err=True, color=color)
        show(findings, self.session)
        if findings and not self.session.log_json:
            click.echo(err=True)

    def require_answer(self, yes: bool, command: str) -> None:
        """Raises UsageError when a yes is needed and nobody can give it."""
        if not yes and not can_ask():
            raise UsageError(
                Problem(
                    codes.NOT_CONFIRMED,
                    f"`provision {command}` asks before it changes anything, but there is no "
                    "terminal to ask on.",
                    f"look at the plan first, then run: provision {command} --yes …",
                )
            )

    def confirm(self, question: str) -> None:
        """Raises Refused unless the person types yes, Interrupted at Ctrl-C and Ctrl-D."""
        asked = time.monotonic()
        no = Problem(
            codes.DECLINED,
            "Not confirmed; nothing was changed.",
            'run the command again and answer "yes"',
            severity=Severity.NOTE,
        )
        try:
            answer = loop.ask(f'{question}\nOnly "yes" is accepted: ')
        except (KeyboardInterrupt, EOFError):
            click.echo(err=True)  # the cursor stands behind the question
            raise Interrupted(no) from None
        if answer != "yes":
            raise Refused(no)
        self.confirmed = time.monotonic()
        self.pondered = self.confirmed - asked

    async def unmoved(
        self, prepared: Prepared, again: Callable[[Emit], Awaitable[Prepared]]
    ) -> Prepared:
        """What was prepared, anew where the person thought for so long that much may have happened.

        Raises Refused when that is another plan than the one that was shown.
        """
        if self.pondered < LONG_THOUGHT:
            return prepared
        async with self.view() as emit:
            fresh = await again(emit)
        saved.require_unmoved(prepared.plan, fresh.plan)
        fresh.require_sound()
        return fresh


def _azure(label: str) -> str:
    """What a connection's label names: the emulator, or another Azure by its address."""
    return f"Azure Resource Manager at {label}" if "://" in label[:8] else f"the {label}"


def surroundings(output_format: str) -> outputs.Context:
    """Where sinks write. Commands for a pipeline's runner go to stdout, but never into a JSON
    or YAML document: then to stderr, which runners read as well."""
    to_stderr = output_format != "text"
    return outputs.Context(command=lambda line: click.echo(line, err=to_stderr))


def with_vaults(context: outputs.Context, connection: Connection) -> outputs.Context:
    """The same surroundings, with the Key Vaults that the connection's identity may open."""
    return replace(context, vault=connection.vault)


async def check_outputs(manifests: Manifests, context: outputs.Context) -> None:
    """Raises Refused when an output of the manifests could not be written."""
    problems: list[Problem] = []
    loaded = {one.name: one for one in manifests.deployments}
    every = [output for one in manifests.deployments for output in one.document.spec.outputs]
    await outputs.prepare(every, context)
    declared = [(one.name, one.document.spec.outputs) for one in manifests.deployments]
    for name, index, problem in outputs.clashes(declared, context):
        problems.append(problem.at(loaded[name].position("spec", "outputs", index)))
    for one in manifests.deployments:
        for index, output in enumerate(one.document.spec.outputs):
            place = one.position("spec", "outputs", index)
            found = await outputs.check_writable([output], context)
            problems += [problem.at(place) for problem in found]
    if problems:
        raise Refused(*problems)


def softened(problems: Sequence[Problem], hint: str | None = None) -> list[Problem]:
    """The same as warnings: what a plan foretells, an apply would refuse. `hint`: the way on
    from here, where it is another."""
    return [
        replace(problem, severity=Severity.WARNING, hint=hint or problem.hint)
        for problem in problems
    ]
