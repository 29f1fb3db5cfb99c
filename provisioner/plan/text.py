"""A plan as lines of text for a person; colours are `cli`'s business. Pure.

Each line is made of spans with a tone. Lines are wrapped at `width`; words longer than a line
(model ids, URLs) are never broken, so that they can be copied.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never

from provisioner.errors.harmless import clean, inert
from provisioner.plan import words
from provisioner.plan.steps import (
    Await,
    Create,
    Delete,
    Effect,
    Plan,
    Replace,
    Rollout,
    SetTraffic,
    Step,
    Subscribe,
    Until,
    Update,
    action,
)
from provisioner.resources import describe

_WHOLE: Final = "\N{NO-BREAK SPACE}"
"""Between words that stay on one line; a space in the end, also where it was quoted."""


class Tone(StrEnum):
    """What a span means; the names of the actions are those of `steps.action`."""

    PLAIN = "plain"
    FAINT = "faint"
    STRONG = "strong"
    WARNING = "warning"
    CREATE = "create"
    CHANGE = "change"
    ADOPT = "adopt"
    REPLACE = "replace"
    RECOVER = "recover"
    DELETE = "delete"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Span:
    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text, without its end."""

    spans: tuple[Span, ...] = ()

    @property
    def text(self) -> str:
        return "".join(span.text for span in self.spans)

    def __str__(self) -> str:
        return self.text


def lines(plan: Plan, *, width: int = 80, verbose: bool = False) -> list[Line]:
    """The plan, a block per step, then what needs nothing, then the summary.

    `verbose` names every unchanged resource. Refusals and notices are problems, which are drawn
    as such; here they are only counted.
    """
    found: list[Line] = []
    deadlines = {one.id: words.deadline(one, plan.now) for one in plan.expiries}
    for step in plan.steps:
        found += [*_block(step, deadlines.get(step.target), width), Line()]
    rest = [line for line in _unchanged(plan, width, verbose=verbose) if plan.steps or verbose]
    if rest:
        found += [*rest, Line()]
    return [*found, *_end(plan, width), *_outputs(plan, width, verbose=verbose)]


def text(plan: Plan, *, width: int = 80, verbose: bool = False) -> str:
    """`lines` joined, ending in a newline."""
    return "".join(f"{line}\n" for line in lines(plan, width=width, verbose=verbose))


def _block(step: Step, deadline: str | None, width: int) -> Iterator[Line]:
    done = action(step)
    symbol, tone = words.SYMBOLS[done], Tone(done)
    head = f"  {symbol:>3} "
    first, *more = _wrap(clean(_headline(step)), len(head), width)
    yield Line((Span(head, tone), Span(first, Tone.STRONG)))
    for part in more:
        yield Line((Span(" " * len(head) + part, Tone.STRONG),))
    indent = " " * (len(head) + 2)
    for line, look in _details(step, deadline):
        for part in _wrap(line, len(indent), width):
            yield Line((Span(indent), Span(part, look)))


def _headline(step: Step) -> str:
    names = [name for name in step.names if name != step.target.name]
    label = describe(step.target)
    return f"{label} ({', '.join(names)})" if names else label


def _details(step: Step, deadline: str | None) -> Iterator[tuple[str, Tone]]:
    yield _reason(step), Tone.FAINT
    for line, tone in _body(step):
        yield _WHOLE.join(map(clean, line.split(_WHOLE))), tone
    if deadline is not None and not isinstance(step, SetTraffic | Rollout | Delete):
        yield deadline, Tone.WARNING


def _reason(step: Step) -> str:
    return clean(f"{action(step)}: {step.reason}")


def _body(  # noqa: C901  # one case per kind of step
    step: Step,
) -> Iterator[tuple[str, Tone]]:
    match step:
        case Subscribe():
            yield from _subscribe(step)
        case Create():
            for name, value in words.facts(step.resource):
                yield f"{name}: {value}", Tone.PLAIN
        case Update():
            for change in step.changes:
                yield words.change_text(change), Tone.PLAIN
        case Replace():
            yield from _replace(step)
        case SetTraffic():
            yield f"traffic: {words.moves(step)[0]}", Tone.PLAIN
        case Rollout():
            yield from _rollout(step)
        case Delete():
            pass
        case Await():
            yield f"until: {_until(step.until)}", Tone.PLAIN
        case _:
            assert_never(step)


def _replace(step: Replace) -> Iterator[tuple[str, Tone]]:
    for change in step.changes:
        forced = change.effect is Effect.REPLACES and not step.recovers
        mark = f"  {_WHOLE.join(('#', 'forces', 'replacement'))}" if forced else ""
        yield words.change_text(change) + mark, Tone.PLAIN


def _rollout(step: Rollout) -> Iterator[tuple[str, Tone]]:
    for move in words.moves(step):
        yield f"traffic: {move}", Tone.PLAIN
    if step.others:
        yield f"unmoved: {words.traffic_text(step.others, step.others)}", Tone.FAINT
    probe = ", with a probe call" if step.probe else ""
    yield f"bake: {words.duration(step.bake)} after each{probe}", Tone.PLAIN


def _subscribe(step: Subscribe) -> Iterator[tuple[str, Tone]]:
    yield f"model: {step.resource.model.short}", Tone.PLAIN
    if step.plan is not None:
        yield f"offer: {step.plan}", Tone.PLAIN
    if step.consent is not None:
        yield f"terms: accepted by {step.consent.by}", Tone.PLAIN
    else:
        yield "terms: NOT accepted yet", Tone.WARNING


def _until(until: Until) -> str:
    match until:
        case Until.READY:
            return "it is ready"
        case Until.ABSENT:
            return "it is gone"
        case Until.SETTLED:
            return "no operation runs on it any more"
        case _:
            assert_never(until)


def _unchanged(plan: Plan, width: int, *, verbose: bool) -> Iterator[Line]:
    quiet = words.quiet(plan)
    if verbose:
        for one in quiet:
            yield from _faint(f"{describe(one.id)}: {one.reason}", "    = ", width)
        return
    for reason, count in words.unchanged(plan):
        first = next(one for one in quiet if one.reason == reason)
        things = f"{describe(first.id)}: {reason}" if count == 1 else words.counted(reason, count)
        yield from _faint(things, "    = ", width)


def _end(plan: Plan, width: int) -> Iterator[Line]:
    if plan.refusals:
        count = len(plan.refusals)
        sentence = f"Refused: {count} problem{'' if count == 1 else 's'} forbid{'s' * (count == 1)}"
        for part in _wrap(f"{sentence} this plan.", 0, width):
            yield Line((Span(part, Tone.WARNING),))
        return
    if plan.steps:
        for part in _wrap(words.summary(plan), 0, width):
            yield Line((Span(part, Tone.STRONG),))
        return
    first, *rest = _wrap(_why(plan), len("No changes. "), width)
    yield Line((Span("No changes.", Tone.STRONG), Span(f" {first}")))
    for part in rest:
        yield Line((Span(part),))


def _outputs(plan: Plan, width: int, *, verbose: bool) -> Iterator[Line]:
    """After the summary: they are no steps, and an apply without steps writes them too."""
    if not plan.outputs or plan.refusals:
        return
    if verbose:
        yield Line((Span(f"{words.OUTPUTS}:"),))
        for one in plan.outputs:
            yield from _faint(f"{one.name}: {one.target} ({one.sink})", "    > ", width)
        return
    places, more = words.outputs(plan)
    shown = (_WHOLE.join(place.rsplit(" ", 1)) for place in places)
    rest = f" and {more} more" if more else ""
    for part in _wrap(f"{words.OUTPUTS}: {', '.join(shown)}{rest}.", 0, width):
        yield Line((Span(part),))


def _why(plan: Plan) -> str:
    """Why there is nothing to do: `3 match their manifests, 1 already subscribed.`"""
    parts = [words.counted(reason, count) for reason, count in words.unchanged(plan)]
    return f"{', '.join(parts)}." if parts else "No manifest names anything here."


def _faint(sentence: str, head: str, width: int) -> Iterator[Line]:
    for number, part in enumerate(_wrap(clean(sentence), len(head), width)):
        lead = head if number == 0 else " " * len(head)
        yield Line((Span(lead + part, Tone.FAINT),))


def _wrap(sentence: str, indent: int, width: int) -> list[str]:
    room = max(20, width - indent)
    if len(sentence) <= room:
        return [sentence.replace(_WHOLE, " ")]
    wrapped = textwrap.wrap(
        sentence,
        room,
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    # A break may put a runner's command first.
    return [inert(line.replace(_WHOLE, " ")) for line in wrapped] or [""]
