"""What the command line takes, and what it says when it takes it not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from provisioner.cli.app import cli
from provisioner.cli.options import azure_options, session_of
from provisioner.cli.run import execute
from provisioner.cli.session import Session, together
from provisioner.cli.types import LIMIT, SPAN, WAIT, Span

MANIFEST = """\
apiVersion: provisioner.azureml/v1
kind: ModelDeployment
metadata: {name: llama, labels: {team: search}}
spec:
  workspace: {subscriptionId: 11111111-1111-1111-1111-111111111111, resourceGroup: rg-ml-prod,
    workspaceName: mlw-prod, region: eastus2}
  model: azureml-meta/Llama-3.3-70B-Instruct
  target: {serverless: {}}
"""


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.yaml").write_text(MANIFEST)
    return "m.yaml"


def said(capsys: pytest.CaptureFixture[str], *arguments: str, expect: int = 64) -> str:
    assert execute(cli, arguments, Session()) == expect
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("span", "text", "found"),
    [
        (WAIT, "10m", 600.0),
        (WAIT, "600", 600.0),
        (WAIT, "0", 0.0),
        (LIMIT, "1.5s", 1.5),
        (LIMIT, "90", 90.0),
        (SPAN, "1h30m", 5400.0),
        (Span(0.1, bare=True), "2m", 120.0),
    ],
)
def test_spans(span: Span, text: str, found: float) -> None:
    assert span.convert(text, None, None) == found


@pytest.mark.parametrize(
    ("span", "text"),
    [(SPAN, "10"), (WAIT, "-1"), (WAIT, "ten"), (LIMIT, "0.5"), (LIMIT, "500ms"), (WAIT, "1e3"),
     (SPAN, "999999999d1d")],
)  # fmt: skip
def test_what_is_no_span(span: Span, text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"span of time|too short|too long"):
        span.convert(text, None, None)


@pytest.mark.parametrize("option", ["--emulator", "-f", "-o", "--yes"])
def test_an_option_before_the_command_is_told_to_follow_it(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"provision COMMAND {option} …" in said(capsys, option, "plan")


def test_an_option_that_no_command_has_gets_no_such_advice(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "COMMAND" not in said(capsys, "--nonsense", "plan")


def test_every_usage_error_names_the_help_of_its_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "provision plan --help" in said(capsys, "plan", "-f")


def test_two_azures_on_one_command_line_are_a_contradiction(
    manifest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = said(capsys, "plan", "-f", manifest, "--emulator", "--arm-endpoint", "https://x")
    assert "two different Azures" in text


@pytest.mark.parametrize(
    ("typed", "environment", "emulator"),
    [
        (["--emulator"], {"PROVISION_ARM_ENDPOINT": "https://x"}, True),
        (["--arm-endpoint", "https://x"], {"PROVISION_EMULATOR": "1"}, False),
        ([], {"PROVISION_EMULATOR": "1", "PROVISION_ARM_ENDPOINT": "https://x"}, True),
        ([], {"PROVISION_ARM_ENDPOINT": "https://x"}, False),
    ],
)
def test_what_is_typed_wins_over_the_environment(
    typed: list[str],
    environment: dict[str, str],
    emulator: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found: list[Session] = []

    @click.command()
    @azure_options
    @click.pass_context
    def probe(ctx: click.Context) -> None:
        found.append(session_of(ctx))

    assert execute(probe, typed, Session()) == 0
    assert found[0].emulator is emulator


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--key", "--write"], "--key and --write exclude each other"),
        (["--key", "--export"], "--key and --export exclude each other"),
        (["--export", "-o", "json"], "--export prints shell lines"),
    ],
)
def test_output_does_one_thing(
    options: list[str], says: str, manifest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert says in said(capsys, "output", "llama", "-f", manifest, *options)


@pytest.mark.parametrize("command", [["invoke", "llama", "hi"], ["snippet", "llama"]])
def test_a_serverless_endpoint_has_no_deployments(
    command: list[str], manifest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = said(capsys, *command, "-f", manifest, "--deployment", "blue")
    assert "leave --deployment out" in text


def test_a_manifest_without_its_f_is_never_to_be_overwritten(
    manifest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = said(capsys, "apply", manifest)
    assert "provision apply -f m.yaml" in text
    assert "--out m.yaml" not in text
    assert "is a folder" in said(capsys, "apply", ".")
    text = said(capsys, "plan", "-f", manifest, "--out", manifest)
    assert "exists, and is not a saved plan" in text
    assert Path(manifest).read_text() == MANIFEST


@pytest.mark.parametrize("name", ["", " ", "a ", "a\nb", "a" * 257])
def test_what_is_no_name_of_a_stack(
    name: str, manifest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "1 to 256 printable characters" in said(capsys, "plan", "-f", manifest, "--stack", name)
    assert "1 to 256 printable characters" in said(capsys, "reap", "--stack", name)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("provision pl", "plain,plan"),
        ("provision plan -f m", "file,m"),
        ("provision plan --out m", "file,m"),
        ("provision init m", "file,m"),
        ("provision plan --detailed", "plain,--detailed-exitcode"),
    ],
)
def test_completion(words: str, found: str) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("provision")],
        env={
            "_PROVISION_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - 1),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert found in done.stdout.splitlines()


def test_a_region_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "models", "list", "--offline", "--region", "eastus22")
    assert 'did you mean "eastus2"?' in text


def test_init_says_commands_that_run_as_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert execute(cli, ["init", "my models/a.yaml"], Session()) == 0
    assert "provision validate -f 'my models/a.yaml'" in capsys.readouterr().out


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_a_closed_standard_stream_is_no_defect(closed: str, manifest: str) -> None:
    line = f'"{sys.executable}" -m provisioner validate -f {manifest} {closed}'
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_streams_are_together_when_they_end_in_one_place(tmp_path: Path) -> None:
    with (tmp_path / "a").open("w") as one, (tmp_path / "a").open("a") as same:
        assert together(one, same)
        with (tmp_path / "b").open("w") as other:
            assert not together(one, other)


def test_who_leaves_the_manifests_out_is_shown_how_to_name_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for arguments in (["plan"], ["plan", "manifests"], ["status"]):
        text = said(capsys, *arguments)
        assert "-f manifests" in text
        assert "provision init" in text


def test_a_role_for_labels_that_fit_nothing_says_so(
    capsys: pytest.CaptureFixture[str], manifest: str
) -> None:
    text = said(capsys, "role", "--offline", "-f", manifest, "-l", "team=ads", expect=0)
    assert "the labels that there are: team=search" in text
