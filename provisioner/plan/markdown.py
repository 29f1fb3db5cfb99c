"""A plan as Markdown, for a pull-request comment. Pure.

A summary, a table with a row per step, and details that fold away. Text from elsewhere is
escaped: nothing in a manifest or in Azure can add markup, links or mentions.
"""

from __future__ import annotations

from provisioner.errors import Problem
from provisioner.errors.harmless import as_code, as_markdown, longest_backticks
from provisioner.plan import words
from provisioner.plan.steps import Plan, Rollout, SetTraffic, Step, Subscribe, action
from provisioner.plan.text import text

_ROWS = 200
_DETAILS = 50_000
"""A comment holds 65,536 characters on GitHub; details are cut before that."""


def markdown(plan: Plan, *, title: str = "provision plan") -> str:
    """The comment's text, ending in a newline."""
    parts = [
        f"### {as_markdown(title)} · stack {as_code(plan.stack)}",
        "",
        f"**{_verdict(plan)}**",
    ]
    if plan.refusals:
        parts += ["", "#### Refused", "", *map(_problem, plan.refusals)]
    if plan.steps:
        parts += ["", *_table(plan)]
    if plan.outputs and not plan.refusals:
        parts += ["", _outputs(plan)]
    if plan.notices:
        parts += ["", "#### Notices", "", *map(_problem, plan.notices)]
    if plan.steps or plan.unchanged:
        parts += ["", *_details(plan)]
    return "\n".join(parts) + "\n"


def _verdict(plan: Plan) -> str:
    if plan.refusals:
        return "This plan is refused."
    return words.summary(plan) if plan.steps else "No changes."


def _table(plan: Plan) -> list[str]:
    rows = [
        f"| {as_code(words.SYMBOLS[action(step)])} {action(step)} | {_resource(step)} "
        f"| {_what(step)} |"
        for step in plan.steps[:_ROWS]
    ]
    more = len(plan.steps) - len(rows)
    if more > 0:
        rows.append(f"| | and {more} more steps | |")
    return ["| Action | Resource | Why |", "|---|---|---|", *rows]


def _resource(step: Step) -> str:
    id = step.target
    name = f"{id.parent}/{id.name}" if id.parent is not None else id.name
    return f"{id.kind.noun} {as_code(name)} in {as_code(id.workspace.name)}"


def _what(step: Step) -> str:
    found = [as_markdown(step.reason)]
    found += [as_code(words.change_text(change)) for change in words.changes_of(step)]
    if isinstance(step, SetTraffic | Rollout):
        found += [as_code(move) for move in words.moves(step)]
    if isinstance(step, Subscribe) and step.consent is None:
        found.append("**terms not accepted yet**")
    return "<br>".join(found)


def _outputs(plan: Plan) -> str:
    shown, more = words.outputs(plan)
    rest = f" and {more} more" if more else ""
    return f"{words.OUTPUTS}: {', '.join(map(as_code, shown))}{rest}."


def _problem(problem: Problem) -> str:
    where = f" ({as_code(str(problem.position))})" if problem.position is not None else ""
    return (
        f"- **{problem.severity}** {as_code(problem.code.id)}{where}: {as_markdown(problem.what)}. "
        f"{as_markdown(problem.hint)}"
    )


def _details(plan: Plan) -> list[str]:
    body = text(plan, width=100, verbose=True).rstrip()
    if len(body) > _DETAILS:
        body = body[:_DETAILS].rsplit("\n", 1)[0] + "\n… (cut)"
    fence = "`" * max(3, longest_backticks(body) + 1)
    return [
        "<details><summary>Details</summary>",
        "",
        f"{fence}text",
        body,
        fence,
        "",
        "</details>",
    ]
