"""How problems look, and which exception becomes which problem and exit code."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path

import click
import pytest

from provisioner.cli.masking import mask
from provisioner.cli.render.problems import problem_document, problem_text, summary
from provisioner.cli.report import translate
from provisioner.cli.run import execute
from provisioner.cli.session import Session
from provisioner.errors import (
    Code,
    ExitCode,
    InvalidManifest,
    Partial,
    Position,
    Problem,
    Refused,
    Severity,
    Who,
)
from provisioner.errors.cloud import CloudError, ServiceFault

KEY = Code("manifest.unknown-key", "unknown key", "A key that the schema lacks.", Who.AUTHOR)
LINE = "      instanceTyp: Standard_NC24ads_A100_v4"
PROBLEM = Problem(
    KEY,
    'unknown key "instanceTyp" in spec.target.managedCompute',
    'did you mean "instanceType"?',
    position=Position("manifests/a.yaml", 12, 7, LINE),
)


def test_a_problem_reads_like_a_compiler_error() -> None:
    assert problem_text(PROBLEM) == (
        "error[manifest.unknown-key]: manifests/a.yaml:12:7\n"
        '  unknown key "instanceTyp" in spec.target.managedCompute\n'
        "  12 |       instanceTyp: Standard_NC24ads_A100_v4\n"
        "     |       ^\n"
        "  who: the author of the manifest\n"
        '  fix: did you mean "instanceType"?\n'
    )


def test_long_text_wraps_and_ids_stay_whole() -> None:
    id = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-ml-prod/x"
    problem = Problem(
        KEY,
        f"the endpoint {id} cannot be changed because somebody put a lock on its group",
        "remove the lock, or ask an owner of the resource group to do it for you, then try again",
        severity=Severity.WARNING,
        resource=id,
        correlation_id="c-1",
        details=("the service said: no",),
    )
    text = problem_text(problem, width=60)
    assert text == (
        "warning[manifest.unknown-key]: the endpoint\n"
        f"  {id}\n"
        "  cannot be changed because somebody put a lock on its group\n"
        "  | the service said: no\n"
        f"  on:  {id}\n"
        "  correlation id: c-1\n"
        "  who: the author of the manifest\n"
        "  fix: remove the lock, or ask an owner of the resource\n"
        "       group to do it for you, then try again\n"
    )


def test_colour_only_when_asked() -> None:
    assert "\x1b[" not in problem_text(PROBLEM)
    assert "\x1b[" in problem_text(PROBLEM, color=True)


def test_quoted_text_cannot_drive_the_terminal() -> None:
    evil = Problem(KEY, "a\x1b[2Jb", "h\x07", position=Position("f", 1, 1, "\tkey\x1b[31m: 1"))
    text = problem_text(evil)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "  1 |  key [31m: 1\n" in text


def test_a_long_line_is_cut_around_its_caret() -> None:
    line = "x" * 200 + "HERE" + "y" * 200
    text = problem_text(Problem(KEY, "what", "fix", position=Position("f", 7, 201, line)), width=80)
    snippet, caret = text.splitlines()[2:4]
    assert len(snippet) <= 80
    assert snippet[caret.index("^") :].startswith("HERE")


def test_json_leaves_out_what_is_absent() -> None:
    document = problem_document(PROBLEM)
    assert document["line"] == 12
    assert "resource" not in document


def test_summary_counts() -> None:
    warning = Problem(KEY, "w", "h", severity=Severity.WARNING)
    assert summary([PROBLEM, PROBLEM, warning]) == "2 errors, 1 warning"
    assert summary([]) == ""


def _command(error: BaseException) -> click.Command:
    def run() -> None:
        raise error

    return click.Command("run", callback=run)


@pytest.mark.parametrize(
    ("error", "code", "shown"),
    [
        (InvalidManifest(PROBLEM), ExitCode.INVALID_MANIFEST, "manifest.unknown-key"),
        (Refused(PROBLEM), ExitCode.REFUSED, "manifest.unknown-key"),
        (Partial(PROBLEM), ExitCode.PARTIAL, "manifest.unknown-key"),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, "note[cli.interrupted]"),
        (asyncio.CancelledError(), ExitCode.INTERRUPTED, "note[cli.interrupted]"),
        (click.BadParameter("no"), ExitCode.USAGE, "cli.usage"),
        (
            CloudError(ServiceFault(403, "AuthorizationFailed", "may not", "PUT /x")),
            ExitCode.FAILED,
            "AuthorizationFailed",
        ),
        (
            CloudError(ServiceFault(0, "", "connection refused", "GET /x")),
            ExitCode.FAILED,
            "error[",
        ),
        (OSError(28, "No space left on device", "out/a"), ExitCode.FAILED, "cli.system"),
    ],
)
def test_exceptions_become_problems(
    error: BaseException, code: int, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(_command(error), [], Session()) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert shown in err
    assert "Traceback" not in err


def test_concurrent_failures_are_reported_together() -> None:
    other = Problem(KEY, "another", "fix")
    group = BaseExceptionGroup(
        "both", [Partial(PROBLEM), asyncio.CancelledError(), Refused(other), Refused(other)]
    )
    code, problems = translate(group)
    assert code is ExitCode.REFUSED
    assert [problem.what for problem in problems if problem.code is KEY] == [
        PROBLEM.what,
        "another",
    ]


def test_a_bug_leaves_a_masked_private_report(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "s3cr3t-of-the-client")
    command = _command(ValueError("Authorization: Bearer abc.def; s3cr3t-of-the-client"))
    assert execute(command, [], Session()) == ExitCode.FAILED
    err = capsys.readouterr().err
    (report,) = tmp_path.iterdir()
    assert "error[cli.bug]" in err
    assert str(report) in err
    assert "Traceback" not in err
    text = report.read_text(encoding="utf-8")
    assert "Traceback" in text
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    for shown in (text, err):
        assert "s3cr3t-of-the-client" not in shown
        assert "abc.def" not in shown


def test_json_log_format(capsys: pytest.CaptureFixture[str]) -> None:
    execute(_command(Refused(PROBLEM)), [], Session(log_format="json"))
    line = json.loads(capsys.readouterr().err)
    assert line["event"] == "problem"
    assert line["code"] == "manifest.unknown-key"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Authorization: Bearer eyJhbGciOi.J9.sig rest", "Authorization: Bearer *** rest"),
        ('{"primaryKey":"abcdef123"}', '{"primaryKey":"***"}'),
        ("client_secret=hunter22&grant=x", "client_secret=***&grant=x"),
        ("eyJhbGciOi.eyJzdWIi.c2ln", "***"),
        ("the key of the endpoint is missing", "the key of the endpoint is missing"),
    ],
)
def test_masking(text: str, masked: str) -> None:
    assert mask(text, {}) == masked


def test_a_report_is_written_whatever_the_error_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code, (problem,) = translate(RuntimeError("half \ud800 of a pair\x1b[2J"))
    assert code is ExitCode.FAILED
    (report,) = tmp_path.iterdir()
    assert report.name in problem.hint
    assert "half \\ud800 of a pair" in report.read_text("utf-8")
