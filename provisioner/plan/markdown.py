"""A plan as Markdown, for a pull-request comment. Pure.

A summary, a table with a row per step, and details that fold away. Text from elsewhere is
escaped: nothing in a manifest or in Azure can add markup, links or mentions.
"""

from __future__ import annotations

import re

from provisioner.errors import Problem
from provisioner.plan import words
from provisioner.plan.steps import Plan, Rollout, SetTraffic, Step, Subscribe, action
from provisioner.plan.text import text

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~@&-])")
_ROWS = 200
_DETAILS = 50_000
"""A comment holds 65,536 characters on GitHub; details are cut before that."""


def markdown(plan: Plan, *, title: str = "provision plan") -> str:
    """The comment's text, ending in a newline."""
    parts = [f"### {_escaped(title)} · stack {_code(plan.stack)}", "", f"**{_verdict(plan)}**"]
    if plan.refusals:
        parts += ["", "#### Refused", "", *map(_problem, plan.refusals)]
    if plan.steps:
        parts += ["", *_table(plan)]
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
        f"| {_code(words.SYMBOLS[action(step)])} {action(step)} | {_resource(step)} "
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
    return f"{id.kind.noun} {_code(name)} in {_code(id.workspace.name)}"


def _what(step: Step) -> str:
    found = [_escaped(step.reason)]
    found += [_code(words.change_text(change)) for change in words.changes_of(step)]
    if isinstance(step, SetTraffic | Rollout):
        found += [_code(move) for move in words.moves(step)]
    if isinstance(step, Subscribe) and step.consent is None:
        found.append("**terms not accepted yet**")
    return "<br>".join(found)


def _problem(problem: Problem) -> str:
    where = f" ({_code(str(problem.position))})" if problem.position is not None else ""
    return (
        f"- **{problem.severity}** {_code(problem.code.id)}{where}: {_escaped(problem.what)}. "
        f"{_escaped(problem.hint)}"
    )


def _details(plan: Plan) -> list[str]:
    body = text(plan, width=100, verbose=True).rstrip()
    if len(body) > _DETAILS:
        body = body[:_DETAILS].rsplit("\n", 1)[0] + "\n… (cut)"
    fence = "`" * max(3, _longest_run(body) + 1)
    return [
        "<details><summary>Details</summary>",
        "",
        f"{fence}text",
        body,
        fence,
        "",
        "</details>",
    ]


def _longest_run(body: str) -> int:
    return max((len(run) for run in re.findall("`+", body)), default=0)


def _escaped(given: str) -> str:
    return _SPECIAL.sub(r"\\\1", words.printable(given))


def _code(given: str) -> str:
    """`given` as code, in a table cell too; a backtick in it cannot end it early."""
    clean = words.printable(given)
    fence = "`" * (_longest_run(clean) + 1)
    pad = " " if clean.startswith("`") or clean.endswith("`") else ""
    return f"{fence}{pad}{clean}{pad}{fence}".replace("|", "\\|")
