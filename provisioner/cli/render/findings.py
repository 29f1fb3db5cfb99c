"""Findings as a report: text, Markdown, SARIF 2.1.0 and plain data. Pure.

Markdown is meant for a comment on a pull request, SARIF for its annotations at the manifest's
line (GitHub code scanning, Azure DevOps).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Final
from urllib.parse import quote

import provisioner
from provisioner.cli.render.problems import problem_document, problem_text, summary, wrapped
from provisioner.errors import Code, Position, Problem, Severity
from provisioner.errors.harmless import (
    as_code,
    as_html,
    as_markdown,
    clean,
    json_text,
    longest_backticks,
)

SARIF_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_MARKS: Final = {Severity.ERROR: "❌", Severity.WARNING: "⚠️", Severity.NOTE: "ℹ️"}


def findings_text(
    findings: Sequence[Problem], subject: str, *, width: int | None = None, color: bool = False
) -> str:
    """All findings and a closing line; `subject` says what was judged."""
    texts = [problem_text(one, width=width, color=color) for one in findings]
    closing = "\n".join(wrapped(verdict(findings, subject), "", "", width))
    return "\n".join([*texts, f"{closing}\n"])


def verdict(findings: Iterable[Problem], subject: str) -> str:
    """One sentence that says whether an apply would go through."""
    found = list(findings)
    counted = summary(found)
    if any(one.severity is Severity.ERROR for one in found):
        return f"{subject}: {counted}. An apply would be refused."
    return f"{subject}: {counted or 'no problem found'}. Nothing forbids an apply."


def findings_document(findings: Sequence[Problem], subject: str) -> dict[str, object]:
    """The report as plain data."""
    counts = {
        str(severity): sum(one.severity is severity for one in findings) for severity in Severity
    }
    return {
        "subject": subject,
        "blocked": counts["error"] > 0,
        "counts": counts,
        "findings": [problem_document(one) for one in findings],
    }


def findings_markdown(findings: Sequence[Problem], subject: str) -> str:
    """A comment for a pull request: a table for the eye, and the details below it."""
    lines = ["### provision doctor", "", as_markdown(verdict(findings, subject)), ""]
    if not findings:
        return "\n".join(lines)
    lines += ["| | where | what | who |", "|---|---|---|---|"]
    for one in findings:
        cells = (_MARKS[one.severity], _where(one), as_markdown(one.what), as_markdown(one.mender))
        lines.append(f"| {' | '.join(cells)} |")
    lines.append("")
    for one in findings:
        lines += _section(one)
    return "\n".join(lines)


def _section(one: Problem) -> list[str]:
    head = f"<b>{as_html(one.code.id)}</b>: {as_html(one.what)}"
    lines = ["<details>", f"<summary>{_MARKS[one.severity]} {head}</summary>", ""]
    if one.position is not None and one.position.snippet.strip():
        lines += [as_code(str(one.position)), "", *_fenced([one.position.snippet]), ""]
    if one.details:
        lines += [*_fenced(one.details), ""]
    lines += [f"**Fix** ({as_markdown(one.mender)}): {as_markdown(one.hint)}", ""]
    if one.resource:
        lines += [f"On {as_code(one.resource)}", ""]
    if one.correlation_id:
        lines += [f"Correlation id {as_code(one.correlation_id)}", ""]
    return [*lines, "</details>", ""]


def _where(one: Problem) -> str:
    return as_code(str(one.position)) if one.position is not None else ""


def _fenced(texts: Iterable[str]) -> list[str]:
    lines = [clean(line) for text in texts for line in text.splitlines()]
    fence = "`" * max(3, longest_backticks("\n".join(lines)) + 1)
    return [fence, *lines, fence]


def findings_sarif(findings: Sequence[Problem], files: Sequence[str] = ()) -> str:
    """A SARIF 2.1.0 log: one rule per code, one result per finding.

    GitHub refuses a whole log for one result without a location, so a finding about no line in
    particular is placed at the first of the manifests' `files`.
    """
    somewhere = Position(files[0], 1, 1) if files else None
    rules = sorted({one.code for one in findings}, key=lambda code: code.id)
    index = {code.id: number for number, code in enumerate(rules)}
    log = {
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "provision",
                        "semanticVersion": provisioner.__version__,
                        "rules": [_rule(code) for code in rules],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(one, index[one.code.id], somewhere) for one in findings],
            }
        ],
    }
    return json_text(log, indent=2) + "\n"


def _rule(code: Code) -> dict[str, object]:
    return {
        "id": code.id,
        "shortDescription": {"text": code.title},
        "fullDescription": {"text": code.meaning},
        "help": {"text": f"{code.meaning} Who can mend it: {code.who}."},
    }


def _result(one: Problem, rule: int, somewhere: Position | None) -> dict[str, object]:
    message = "\n".join([clean(one.what), *map(clean, one.details), f"Fix: {clean(one.hint)}"])
    result: dict[str, object] = {
        "ruleId": one.code.id,
        "ruleIndex": rule,
        "level": str(one.severity),
        "message": {"text": message},
        "partialFingerprints": {"provision/v1": _fingerprint(one)},
    }
    position = one.position or somewhere
    place = _location(position) if position is not None else None
    if place is not None:
        result["locations"] = [place]
    properties = {
        "who": str(one.mender),
        "resource": one.resource,
        "correlationId": one.correlation_id,
    }
    result["properties"] = {name: value for name, value in properties.items() if value}
    return result


def _location(position: Position) -> dict[str, object] | None:
    """None for stdin, which no viewer could open."""
    if position.file.startswith("<"):
        return None
    region: dict[str, object] = {
        "startLine": max(1, position.line),
        "startColumn": max(1, position.column),
    }
    if position.snippet:
        region["snippet"] = {"text": clean(position.snippet)}
    return {"physicalLocation": {"artifactLocation": _artifact(position.file), "region": region}}


def _artifact(file: str) -> dict[str, object]:
    """A relative path is relative to the root of the checkout; an absolute one is a file URI."""
    path = PurePath(file)
    if path.is_absolute():
        return {"uri": path.as_uri()}
    plain = quote(path.as_posix(), errors="surrogatepass")
    return {"uri": plain.removeprefix("./"), "uriBaseId": "%SRCROOT%"}


def _fingerprint(one: Problem) -> str:
    """The same for the same finding in the next run, wherever its line has moved to."""
    file = one.position.file if one.position is not None else ""
    parts = (one.code.id, file, one.resource or "", one.what)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]
