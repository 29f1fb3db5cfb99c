"""The printed snippets of the heavy clients, in an environment of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.flow.conftest import WORKSPACE, Folder, managed, serverless
from tests.flow.test_snippets import printed, run_as_printed
from tests.interop.conftest import client_environment


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    folder = Folder(tmp_path_factory.mktemp("snippets"))
    folder.write("m.yaml", WORKSPACE + serverless("llama") + managed("phi"))
    folder.run("apply", "--emulator", "--yes", "-f", "m.yaml")
    yield folder
    folder.run("emulator", "stop")


@pytest.mark.parametrize(
    ("client", "api"),
    [
        ("langchain", "chat"),
        ("langchain", "completions"),
        ("litellm", "chat"),
        ("litellm", "completions"),
        ("azure-ai-inference", "chat"),
    ],
)
def test_it_runs(here: Folder, client: str, api: str) -> None:
    python = str(client_environment("clients") / "python")
    for name, more in (("llama", ()), ("phi", ("--deployment", "phi"))):
        code = printed(here, name, client, "--api", api, *more)
        assert "emulator" in run_as_printed(here.path, client, code, python)
