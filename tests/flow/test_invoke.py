"""Calling deployed models from the command line, on the emulator."""

from __future__ import annotations

import base64
import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.flow.conftest import MODULE, WORKSPACE, Folder, Ran, managed, serverless

EMULATED = ("--emulator", "-f", "m.yaml")
VISION = "azureml-meta/Llama-4-Maverick-17B-128E-Instruct-FP8"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(50)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    """A folder whose manifests are applied."""
    folder = Folder(tmp_path_factory.mktemp("invoke"))
    folder.write(
        "m.yaml", WORKSPACE + serverless("llama") + serverless("eyes", VISION) + managed("phi")
    )
    folder.run("apply", *EMULATED, "--yes")
    yield folder
    folder.run("emulator", "stop")


def invoke(folder: Folder, *arguments: str, stdin: str = "", expect: int = 0) -> Ran:
    ran = folder.run("invoke", *arguments, *EMULATED, stdin=stdin, expect=expect)
    for name in ("llama", "eyes", "phi"):
        key = folder.variables(f"out/{name}.env")["AZURE_INFERENCE_CREDENTIAL"]
        assert key not in ran.out + ran.err
    return ran


def test_a_chat(here: Folder) -> None:
    whole = invoke(here, "llama", "What is Azure?")
    assert whole.out.startswith("This is the Azure ML emulator")
    assert whole.out.count("\n") == 1
    assert " tokens, " in whole.err
    streamed = invoke(here, "llama", "What is Azure?", "--stream")
    assert streamed.out == whole.out
    assert " tokens, " in streamed.err
    assert invoke(here, "llama", "-", stdin="What is Azure?\n").out == whole.out
    other = invoke(here, "llama", "What is Azure?", "--system", "Be brief.", "--llama-api")
    assert other.out != whole.out


def test_a_completion_with_parameters(here: Folder) -> None:
    ran = invoke(here, "llama", "Once", "--api", "completions", "--max-tokens", "4", "--n", "2")
    assert ran.out.splitlines()[0::2] == ["--- answer 1 ---", "--- answer 2 ---"]
    assert "cut at the limit of tokens" in ran.err


def test_documents(here: Folder) -> None:
    whole = json.loads(invoke(here, "llama", "Hello", "-o", "json", "--logprobs", "2").out)
    assert whole["object"] == "chat.completion"
    assert whole["choices"][0]["logprobs"]
    assert yaml.safe_load(invoke(here, "llama", "Hello", "-o", "yaml").out)["choices"]
    streamed = invoke(here, "llama", "Hello", "-o", "yaml", "--stream").out
    assert len(list(yaml.safe_load_all(streamed))) > 1
    lines = invoke(here, "llama", "Hello", "-o", "json", "--stream", "--log-format", "json")
    chunks = [json.loads(line) for line in lines.out.splitlines()]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    said = json.loads(lines.err.splitlines()[-1])
    assert said["event"] == "invoked"
    assert said["finishReasons"] == ["stop"]
    assert said["completionTokens"] > 1


def test_an_image(here: Folder) -> None:
    (here.path / "a.png").write_bytes(PNG)
    assert invoke(here, "eyes", "What is it?", "--image", "a.png").out
    url = "data:image/png;base64," + base64.b64encode(PNG).decode()
    assert invoke(here, "eyes", "And this?", "--image", url, "--image", "a.png").out
    blind = invoke(here, "llama", "What is it?", "--image", "a.png", expect=1)
    assert "takes no images" in blind.err
    fetched = invoke(here, "eyes", "x", "--image", "https://localhost/a.png", expect=64)
    assert "nothing is fetched" in fetched.err


def test_a_managed_endpoint(here: Folder) -> None:
    assert "Phi-4" in invoke(here, "phi", "Hello").out
    assert "Phi-4" in invoke(here, "phi", "Hello", "--deployment", "phi").out
    absent = invoke(here, "phi", "Hello", "--deployment", "blue", expect=1)
    assert "inference.not-served" in absent.err
    assert "(deployment blue)" in absent.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("llama", ""), 64, "The prompt is empty"),
        (("nobody", "x"), 64, "name one of: llama, eyes, phi"),
        (("llama", "x", "--temperature", "3", "--n", "0"), 64, "--temperature must be"),
        (("llama", "x", "--max-tokens", "many"), 64, "'many' is not a valid integer"),
        (("llama", "x", "--stream", "--best-of", "2"), 64, "--best-of cannot be streamed"),
        (("llama", "x", "--system", "s", "--api", "completions"), 64, "--system is for chats"),
        (("llama", "x", "--logprobs", "99"), 1, "change or leave out --logprobs"),
        (("llama", "[[hate]]"), 1, "inference.filtered"),
        (("llama", "[[answer:hate]]", "--stream"), 1, "withheld the answer"),
        (("llama", "x", "--max-tokens", "99999999"), 1, "inference.too-long"),
    ],
)
def test_refusals(here: Folder, arguments: tuple[str, ...], code: int, said: str) -> None:
    assert said in invoke(here, *arguments, expect=code).err


def test_manifest_and_prompt_cannot_share_stdin(here: Folder) -> None:
    ran = here.run("invoke", "llama", "-", "--emulator", "-f", "-", stdin="x", expect=64)
    assert "both" in ran.err.lower()


def test_not_deployed(here: Folder) -> None:
    here.write("other.yaml", WORKSPACE + serverless("later"))
    ran = here.run("invoke", "later", "x", "--emulator", "-f", "other.yaml", expect=1)
    assert "cli.not-deployed" in ran.err


def test_ctrl_c_ends_a_stream_with_130(here: Folder) -> None:
    """An answer of many thousand chunks is watched; the key is pressed in the middle."""
    arguments = ("invoke", "llama", "x", *EMULATED, "--stream", "--ignore-eos")
    process = here.start(*arguments, "--max-tokens", "4000", "-o", "json")
    assert process.stdout is not None
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "cli.interrupted" in err


def test_on_a_terminal_it_streams_and_words_do_not_steer_it(here: Folder) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*MODULE, "invoke", "llama", "evil \x1b]0;title\x07 words", *EMULATED],
        cwd=here.path,
        env={**here.environment(), "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
    )
    os.close(theirs)
    shown = _read(ours)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert "evil" in shown
    assert "\x1b" not in shown
    assert "\x07" not in shown


def _read(handle: int) -> str:
    data = b""
    while True:
        try:
            more = os.read(handle, 65536)
        except OSError:  # the other side is closed
            more = b""
        if not more:
            os.close(handle)
            return data.decode()
        data += more


def test_nothing_is_left_behind(here: Folder) -> None:
    """No call writes a file, and the emulator's log holds no key."""
    log = Path(here.path, ".provisioner", "emulator.log").read_text()
    for name in ("llama", "eyes", "phi"):
        assert here.variables(f"out/{name}.env")["AZURE_INFERENCE_CREDENTIAL"] not in log
