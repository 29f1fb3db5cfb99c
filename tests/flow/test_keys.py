"""Keys on demand, and both made anew under a caller that never stops."""

from __future__ import annotations

import json
import signal
import ssl
import threading
from collections.abc import Iterator

import httpx
import pytest

from tests.flow.conftest import WORKSPACE, Folder, managed, serverless

pytestmark = pytest.mark.slow

EMULATED = ("--emulator", "-f", "m.yaml")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    folder = Folder(tmp_path_factory.mktemp("keys"))
    folder.write("m.yaml", WORKSPACE + serverless("llama") + managed("phi"))
    folder.run("apply", *EMULATED, "--yes")
    yield folder
    folder.run("emulator", "stop")


def _key(folder: Folder, name: str) -> str:
    return folder.variables(f"out/{name}.env")["AZURE_INFERENCE_CREDENTIAL"]


def test_show(here: Folder) -> None:
    primary = here.run("keys", "show", "llama", *EMULATED)
    assert primary.out.strip() == _key(here, "llama")
    assert primary.out.strip() not in primary.err
    second = here.run("keys", "show", "llama", *EMULATED, "--key", "secondary", "-o", "json")
    document = json.loads(second.out)
    assert (document["name"], document["which"]) == ("llama", "secondary")
    assert document["key"] not in ("", primary.out.strip())
    assert "Usage" in here.run("keys", expect=64).err
    assert "name one of" in here.run("keys", "show", "nobody", *EMULATED, expect=64).err


class Caller(threading.Thread):
    """Reads URL and key from the file for each call; keeps what was not answered with 200."""

    def __init__(self, folder: Folder, name: str) -> None:
        super().__init__()
        self._folder, self._name = folder, name
        self._over = threading.Event()
        self.refused: list[int] = []
        self.answered = 0
        self.keys: set[str] = set()

    def run(self) -> None:
        trust = ssl.create_default_context(cafile=self._folder.ca)
        body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
        with httpx.Client(verify=trust) as client:
            over = False
            while not over:
                over = self._over.wait(0.02)  # and one call more, with what is in force at the end
                told = self._folder.variables(f"out/{self._name}.env")
                key = told["AZURE_INFERENCE_CREDENTIAL"]
                reply = client.post(
                    told["AZURE_INFERENCE_ENDPOINT"] + "/chat/completions",
                    headers={"Authorization": f"Bearer {key}"},
                    json=body,
                )
                self.keys.add(key)
                if reply.status_code == 200:
                    self.answered += 1
                elif reply.status_code != 429:
                    self.refused.append(reply.status_code)

    def __enter__(self) -> Caller:
        self.start()
        return self

    def __exit__(self, *details: object) -> None:
        self._over.set()
        self.join()


@pytest.mark.parametrize("name", ["llama", "phi"])
def test_rotate_under_a_caller(here: Folder, name: str) -> None:
    before = {
        here.run("keys", "show", name, *EMULATED, "--key", which).out.strip()
        for which in ("primary", "secondary")
    }
    with Caller(here, name) as caller:
        ran = here.run("keys", "rotate", name, *EMULATED, "--grace", "1")
    assert caller.refused == []
    assert caller.answered > 20
    assert len(caller.keys) == 3, "the old primary, the new secondary, the new primary"
    after = {
        here.run("keys", "show", name, *EMULATED, "--key", which).out.strip()
        for which in ("primary", "secondary")
    }
    assert not before & after
    for key in before | after:
        assert key not in ran.out + ran.err
    again = here.run("apply", *EMULATED, "--yes", "-o", "json")
    sinks = [one for each in json.loads(again.out)["deployments"] for one in each["outputs"]]
    assert {sink["status"] for sink in sinks} == {"unchanged"}


def test_interrupted_and_resumed_under_a_caller(here: Folder) -> None:
    with Caller(here, "llama") as caller:
        process = here.start("keys", "rotate", "llama", *EMULATED, "--grace", "2")
        assert process.stderr is not None
        for line in process.stderr:
            if "for callers to read the new key: started" in line:
                break
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
        here.run("keys", "rotate", "llama", *EMULATED, "--grace", "1")
    assert caller.refused == []
    assert _key(here, "llama") == here.run("keys", "show", "llama", *EMULATED).out.strip()


def test_refused_before_any_key_changes(here: Folder) -> None:
    primary = _key(here, "phi")
    file = here.path / "out/phi.env"
    file.unlink()
    file.mkdir()
    ran = here.run("keys", "rotate", "phi", *EMULATED, expect=3)
    assert "out/phi.env" in ran.err
    file.rmdir()
    assert here.run("keys", "show", "phi", *EMULATED).out.strip() == primary
    here.run("output", "phi", *EMULATED, "--write")


def test_a_rotation_that_no_output_follows_says_so(here: Folder) -> None:
    bare = serverless("llama").partition("  outputs:")[0]
    here.write("bare.yaml", WORKSPACE + bare)
    ran = here.run("keys", "rotate", "llama", "--emulator", "-f", "bare.yaml")
    assert "no output holds one" in ran.out
    assert "for callers" not in ran.err
    here.run("output", "llama", *EMULATED, "--write")
