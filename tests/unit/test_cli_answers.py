"""What `invoke` shows of an answer: a model's words steer no terminal and no runner."""

from __future__ import annotations

import pytest

from provisioner.cli.commands import invoke
from provisioner.inference import Piece


def printed(capsys: pytest.CaptureFixture[str], *texts: str) -> str:
    """What a streamed answer in these pieces leaves on stdout."""
    answer = invoke._Printed()
    for text in texts:
        answer.add([Piece(0, text)])
    answer.end()
    return capsys.readouterr().out


@pytest.mark.parametrize("runner", ["TF_BUILD", "GITHUB_ACTIONS"])
def test_a_command_that_comes_in_pieces_reaches_no_runner(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, runner: str
) -> None:
    monkeypatch.setenv(runner, "true")
    shown = printed(capsys, "a #", "#vs", "o[task.complete]b\n:", ":add-", "mask::c")
    assert shown == "a ## vso[task.complete]b\n: :add-mask::c\n"


def test_a_program_gets_the_answer_as_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TF_BUILD", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    assert printed(capsys, "a ##vso[x]", "\x07", "half \ud83d") == "a ##vso[x]\x07half �\n"


def test_a_terminal_is_not_steered(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invoke, "is_terminal", lambda stream: True)
    assert printed(capsys, "\x1b]0;t\x07", "a\u202eb\n") == "�]0;t�a�b\n"
