"""Sinks write a key where it was asked for, privately and whole, and nowhere else.

Longer than other modules because every sink and every refusal has its case.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from provisioner.manifest import Output
from provisioner.outputs import (
    Context,
    EndpointCredentials,
    Status,
    check_writable,
    clashes,
    write,
)
from provisioner.outputs.content import dotenv, quoted
from provisioner.resources import KeyName, Keys, ModelRef, Secret

URL = "https://llama-33-70b.eastus2.models.ai.azure.com"
KEY = "kEy0123456789abcdef"


def credentials(
    name: str = "llama-33-70b", url: str = URL, key: str | None = KEY
) -> EndpointCredentials:
    primary = Secret(key) if key is not None else None
    return EndpointCredentials(
        name,
        url,
        Keys(primary, Secret("second") if key else None),
        ModelRef("azureml-meta", "Llama-3.3-70B-Instruct"),
    )


def sink(kind: str, **settings: Any) -> Output:
    return Output.model_validate({kind: settings})


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(tmp_path, {"PATH": os.environ["PATH"]})


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    """The mode must come from the code, not from a careful umask."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def one(output: Output, context: Context, **changes: Any) -> tuple[Status, str]:
    (result,) = await write(credentials(**changes), [output], context)
    return result.status, result.problem.code.id if result.problem else ""


async def test_dotenv(context: Context) -> None:
    assert await one(sink("dotenv", path="out/deep/llama.env"), context) == (Status.WRITTEN, "")
    path = context.cwd / "out/deep/llama.env"
    assert path.read_text() == (
        "# Written by provision: it rewrites its own lines and keeps all others.\n"
        "# llama-33-70b: azureml-meta/Llama-3.3-70B-Instruct\n"
        f"AZURE_INFERENCE_ENDPOINT={URL}\n"
        f"AZURE_INFERENCE_CREDENTIAL={KEY}\n"
        "AZURE_INFERENCE_MODEL=Llama-3.3-70B-Instruct\n"
    )
    assert mode(path) == 0o600
    assert mode(path.parent) == mode(path.parent.parent) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["llama.env"]


async def test_writing_twice_changes_nothing(context: Context) -> None:
    for kind in ("dotenv", "json", "yaml"):
        output = sink(kind, path=f"out/{kind}")
        await write(credentials(), [output], context)
        before = (context.cwd / "out" / kind).stat()
        assert await one(output, context) == (Status.UNCHANGED, "")
        after = (context.cwd / "out" / kind).stat()
        assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)


async def test_dotenv_is_shared_and_keeps_what_others_wrote(context: Context) -> None:
    path = context.cwd / "app.env"
    path.write_text("# mine\nPORT=80\nexport B_AZURE_INFERENCE_CREDENTIAL='old'\nLAST=1\n")
    both = [
        sink("dotenv", path="app.env", prefix="A_"),
        sink("dotenv", path="app.env", prefix="B_"),
    ]
    await write(credentials(), both, context)
    lines = path.read_text().splitlines()
    assert lines[:4] == [
        "# mine",
        "PORT=80",
        f"export B_AZURE_INFERENCE_CREDENTIAL={KEY}",
        "LAST=1",
    ]
    assert f"A_AZURE_INFERENCE_ENDPOINT={URL}" in lines
    assert f"B_AZURE_INFERENCE_ENDPOINT={URL}" in lines
    assert sum("_CREDENTIAL=" in line for line in lines) == 2


async def test_many_deployments_write_one_file_at_once(context: Context) -> None:
    jobs = [
        write(credentials(f"d{n}"), [sink("dotenv", path="o.env", prefix=f"D{n}_")], context)
        for n in range(20)
    ]
    await asyncio.gather(*jobs)
    text = (context.cwd / "o.env").read_text()
    assert text.count("_CREDENTIAL=") == 20


@given(st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="\x7f")))
def test_a_shell_reads_back_what_was_quoted(value: str) -> None:
    script = f'V={quoted(value)}\nprintf %s "$V"'
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=True)
    assert done.stdout.decode() == value


@given(
    st.lists(st.sampled_from(["PORT=1", "", "# note", "export X='y z'", "garbage", "A=B=C"])),
    st.sampled_from(["", "P_", "AZURE_"]),
)
def test_merging_is_idempotent_and_keeps_foreign_lines(foreign: list[str], prefix: str) -> None:
    old = "\n".join(foreign) + "\n" if foreign else None
    new = dotenv(old, credentials(), prefix)
    assert dotenv(new, credentials(), prefix) == new
    kept = [line for line in new.splitlines() if line in foreign and line]
    assert kept == [line for line in foreign if line]


async def test_json_and_yaml(context: Context) -> None:
    outputs = [sink("json", path="o.json"), sink("yaml", path="o.yaml")]
    results = await write(credentials(), outputs, context)
    assert [result.status for result in results] == [Status.WRITTEN] * 2
    data = json.loads((context.cwd / "o.json").read_text())
    assert data == yaml.safe_load((context.cwd / "o.yaml").read_text())
    assert data == {
        "name": "llama-33-70b",
        "target": "serverless",
        "model": "azureml-meta/Llama-3.3-70B-Instruct",
        "endpoint": URL,
        "key": KEY,
    }


async def test_a_foreign_file_is_not_overwritten(context: Context) -> None:
    path = context.cwd / "package.json"
    path.write_text('{"name": "somebody\'s"}')
    assert await one(sink("json", path="package.json"), context) == (
        Status.FAILED,
        "output.foreign",
    )
    assert path.read_text() == '{"name": "somebody\'s"}'


async def test_kubernetes_manifest(context: Context) -> None:
    output = sink("kubernetesSecret", name="llama", namespace="apps", path="secret.yaml")
    assert await one(output, context) == (Status.WRITTEN, "")
    assert await one(output, context) == (Status.UNCHANGED, "")
    data = yaml.safe_load((context.cwd / "secret.yaml").read_text())
    assert data["kind"] == "Secret"
    assert data["metadata"]["namespace"] == "apps"
    assert data["stringData"]["AZURE_INFERENCE_CREDENTIAL"] == KEY
    assert mode(context.cwd / "secret.yaml") == 0o600


async def test_an_open_mode_is_tightened(context: Context) -> None:
    output = sink("dotenv", path="o.env")
    await write(credentials(), [output], context)
    (context.cwd / "o.env").chmod(0o644)
    assert await one(output, context) == (Status.UNCHANGED, "")
    assert mode(context.cwd / "o.env") == 0o600


async def test_a_link_is_not_followed(context: Context) -> None:
    (context.cwd / "elsewhere").write_text("")
    (context.cwd / "o.env").symlink_to("elsewhere")
    output = sink("dotenv", path="o.env")
    assert await one(output, context) == (Status.FAILED, "output.symlink")
    assert (await check_writable([output], context))[0].code.id == "output.symlink"
    assert (context.cwd / "elsewhere").read_text() == ""


async def test_a_linked_folder_must_stay_inside(context: Context, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    here = tmp_path / "here"
    (here / "real").mkdir(parents=True)
    (here / "in").symlink_to("real")
    (here / "out").symlink_to(outside)
    inner = Context(here, context.environment)
    assert await one(sink("dotenv", path="in/o.env"), inner) == (Status.WRITTEN, "")
    assert (here / "real/o.env").exists()
    assert await one(sink("dotenv", path="out/o.env"), inner) == (
        Status.FAILED,
        "output.symlink",
    )
    assert not list(outside.iterdir())


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


async def test_a_file_that_git_tracks_is_refused(context: Context) -> None:
    cwd = context.cwd
    _git(cwd, "init", "-q")
    (cwd / "sub").mkdir()
    (cwd / "sub/kept.env").write_text("A=1\n")
    _git(cwd, "add", "sub/kept.env")
    tracked, free = sink("dotenv", path="sub/kept.env"), sink("dotenv", path="sub/free.env")
    results = await write(credentials(), [tracked, free], context)
    assert [result.status for result in results] == [Status.FAILED, Status.WRITTEN]
    assert results[0].problem is not None
    assert results[0].problem.code.id == "output.tracked"
    assert (cwd / "sub/kept.env").read_text() == "A=1\n"
    problems = await check_writable([tracked, free], Context(cwd, context.environment))
    assert [problem.code.id for problem in problems] == ["output.tracked"]


async def test_without_git_nothing_is_tracked(context: Context, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    bare = Context(context.cwd, {"PATH": str(tmp_path / "bin")})
    assert await one(sink("dotenv", path="o.env"), bare) == (Status.WRITTEN, "")


@pytest.mark.parametrize("prepare", ["folder in the way", "file as folder", "fifo"])
async def test_what_is_in_the_way_is_named(context: Context, prepare: str) -> None:
    path = "a/o.env"
    if prepare == "folder in the way":
        (context.cwd / "a/o.env").mkdir(parents=True)
    elif prepare == "file as folder":
        (context.cwd / "a").write_text("")
    else:
        (context.cwd / "a").mkdir()
        os.mkfifo(context.cwd / "a/o.env")
    output = sink("dotenv", path=path)
    problems = await check_writable([output], context)
    assert [problem.code.id.split(".")[0] for problem in problems] == ["output"]
    status, code = await one(output, context)
    assert status is Status.FAILED
    assert code == problems[0].code.id


async def test_a_folder_without_rights_is_refused(context: Context) -> None:
    # /proc takes no new files from anybody, root included.
    place = Context(Path("/proc"), context.environment)
    for path in ("o.env", "new/o.env"):
        assert await one(sink("dotenv", path=path), place) == (
            Status.FAILED,
            "output.unwritable",
        )


async def test_a_full_disk_leaves_the_old_file_whole(context: Context) -> None:
    output = sink("json", path="o.json")
    await write(credentials(), [output], context)
    before = (context.cwd / "o.json").read_text()
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, limits[1]))
    try:
        status = await one(output, context, key="x" * 500)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert status == (Status.FAILED, "output.unwritable")
    assert (context.cwd / "o.json").read_text() == before
    assert [entry.name for entry in context.cwd.iterdir()] == ["o.json"]


async def test_one_failing_sink_stops_no_other(context: Context) -> None:
    (context.cwd / "dir").mkdir()
    outputs = [
        sink("dotenv", path="a.env"),
        sink("json", path="dir"),
        sink("githubOutput"),
        sink("keyVault", vaultUrl="https://kv.vault.azure.net"),
        sink("kubernetesSecret", name="llama"),
        sink("yaml", path="b.yaml"),
    ]
    results = await write(credentials(), outputs, context)
    assert [str(result.status) for result in results] == [
        "written",
        "failed",
        "failed",
        "failed",
        "failed",
        "written",
    ]
    assert all(result.problem for result in results if result.status is Status.FAILED)


async def test_no_key_is_said_not_written(context: Context) -> None:
    assert await one(sink("dotenv", path="o.env"), context, key=None) == (
        Status.FAILED,
        "output.no-key",
    )
    assert not (context.cwd / "o.env").exists()


async def test_a_value_cannot_break_out_of_its_line(context: Context) -> None:
    evil = "https://x/\nPATH=/evil"
    for kind in ("dotenv", "json"):
        assert (await one(sink(kind, path="o"), context, url=evil))[0] is Status.FAILED
    assert not (context.cwd / "o").exists()


async def test_checking_leaves_nothing_behind(context: Context) -> None:
    outputs = [sink("dotenv", path="a.env"), sink("json", path="new/deep/o.json")]
    assert await check_writable(outputs, context) == []
    assert not list(context.cwd.iterdir())


def test_clashes(context: Context) -> None:
    deployments = [
        ("a", [sink("dotenv", path="o.env"), sink("json", path="a.json")]),
        ("b", [sink("dotenv", path="./o.env")]),
        ("c", [sink("dotenv", path="o.env", prefix="C_"), sink("yaml", path="a.json")]),
    ]
    found = clashes(deployments, context)
    assert [(name, index) for name, index, _ in found] == [("b", 0), ("c", 1)]
    assert "B_" in found[0][2].hint


async def test_github_output_masks_before_it_writes(context: Context) -> None:
    path = context.cwd / "github_output"
    lines: list[str] = []
    runner = Context(context.cwd, {"GITHUB_OUTPUT": str(path)}, lines.append)
    output = sink("githubOutput", prefix="llama_")
    assert await one(output, runner) == (Status.WRITTEN, "")
    assert lines == [f"::add-mask::{KEY}"]
    assert path.read_text().splitlines() == [
        f"llama_endpoint={URL}",
        f"llama_key={KEY}",
        "llama_model=Llama-3.3-70B-Instruct",
    ]
    assert await one(output, runner) == (Status.UNCHANGED, "")


async def test_azure_devops_only_under_its_agent(context: Context) -> None:
    lines: list[str] = []
    outside = Context(context.cwd, {}, lines.append)
    output = sink("azureDevOps", prefix="LLAMA_")
    assert await one(output, outside) == (Status.FAILED, "output.not-in-pipeline")
    assert lines == []
    agent = Context(context.cwd, {"TF_BUILD": "True"}, lines.append)
    assert await one(output, agent, key="50%off") == (Status.WRITTEN, "")
    assert lines[0] == (
        "##vso[task.setvariable variable=LLAMA_key;isoutput=true;issecret=true]50%AZP25off"
    )
    assert len(lines) == 3


class Vault:
    """A vault in memory that counts its versions."""

    def __init__(self) -> None:
        self.versions: dict[str, list[Secret]] = {}

    async def get(self, name: str) -> Secret | None:
        return self.versions[name][-1] if name in self.versions else None

    async def set(self, name: str, value: Secret, content_type: str) -> None:
        self.versions.setdefault(name, []).append(value)


async def test_key_vault_adds_a_version_only_for_a_change(context: Context) -> None:
    vault = Vault()
    place = Context(context.cwd, {}, vault=lambda url: vault)
    output = sink("keyVault", vaultUrl="https://kv.vault.azure.net", keySecret="the-key")
    assert await one(output, place) == (Status.WRITTEN, "")
    assert await one(output, place) == (Status.UNCHANGED, "")
    assert await one(output, place, key="another-key") == (Status.WRITTEN, "")
    assert {name: len(found) for name, found in vault.versions.items()} == {
        "llama-33-70b-url": 1,
        "the-key": 2,
    }


def test_which_key_is_written() -> None:
    keys = Keys(Secret("first-key"), Secret("other-key"))
    model = ModelRef("r", "m")
    first = EndpointCredentials("n", URL, keys, model)
    second = EndpointCredentials("n", URL, keys, model, use=KeyName.SECONDARY)
    assert first.key == Secret("first-key")
    assert second.key == Secret("other-key")
    assert "Secret(***)" in repr(first)
    assert "first-key" not in repr(first)
