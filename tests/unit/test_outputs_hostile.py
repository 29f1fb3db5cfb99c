"""Sinks among hostile files, repositories and values: nothing beyond the named file is touched."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from provisioner.outputs import Context, Status, check_writable, clashes, write
from tests.unit.test_outputs import credentials, sink


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(tmp_path, {"PATH": os.environ["PATH"]})


def test_paths_that_some_disks_take_for_one_clash(context: Context) -> None:
    deployments = [
        ("a", [sink("json", path="out/A.json")]),
        ("b", [sink("json", path="out/a.json")]),
        ("c", [sink("json", path="out/caf\u00e9.json")]),
        ("d", [sink("json", path="out/cafe\u0301.json")]),
    ]
    assert [name for name, _, _ in clashes(deployments, context)] == ["b", "d"]


async def test_what_a_kill_left_behind_goes_with_the_next_write(context: Context) -> None:
    """A run that is killed between writing beside and renaming leaves a key in a file nobody
    knows of."""
    killed = "import os, signal; os.rename = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)\n"
    script = killed + (
        "from pathlib import Path\n"
        "from provisioner.outputs.files import replace_text\n"
        "from provisioner.outputs import Context\n"
        f"replace_text('out/a.env', lambda old: 'KEY', Context(Path({str(context.cwd)!r}), {{}}))\n"
    )
    for _ in range(2):
        done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", script], check=False)
        assert done.returncode == -signal.SIGKILL
    (left,) = (context.cwd / "out").iterdir()
    assert stat.S_IMODE(left.stat().st_mode) == 0o600
    assert (await write(credentials(), [sink("dotenv", path="out/a.env")], context))[0].status is (
        Status.WRITTEN
    )
    assert [path.name for path in (context.cwd / "out").iterdir()] == ["a.env"]


async def test_nested_or_multiplying_yaml_in_the_way_is_refused(context: Context) -> None:
    rows = ["a0: &a0 {k0: v, k1: v}"]
    rows += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 30)}]}}" for n in range(1, 12)]
    for name, text in (("deep", "[" * 100_000), ("merge", "\n".join(rows) + "\n")):
        (context.cwd / name).write_text(text)
        (result,) = await write(credentials(), [sink("json", path=name)], context)
        assert result.status is Status.FAILED
        assert result.problem is not None
        assert result.problem.code.id == "output.foreign"
        assert (context.cwd / name).read_text() == text


async def test_a_line_of_others_stays_whole_whatever_it_holds(context: Context) -> None:
    other = "OTHER='page\x0cbreak\x85next\u2028line'\n"
    (context.cwd / "a.env").write_text(other)
    await write(credentials(), [sink("dotenv", path="a.env")], context)
    assert (context.cwd / "a.env").read_text().startswith(other)


@pytest.mark.parametrize("url", ["https://x\u2028y", "https://x\x85y", "https://x\u202ey"])
async def test_no_unicode_line_break_or_override_is_written(context: Context, url: str) -> None:
    (result,) = await write(credentials(url=url), [sink("dotenv", path="a.env")], context)
    assert result.status is Status.FAILED
    assert not (context.cwd / "a.env").exists()


async def test_asking_git_starts_no_program_of_the_repository(context: Context) -> None:
    """What a repository's own configuration names would run with the caller's rights."""
    git = ("git", "-C", str(context.cwd))
    for arguments in (
        ("init", "-q"),
        ("config", "core.fsmonitor", "touch pwned; false"),
    ):
        await asyncio.to_thread(subprocess.run, [*git, *arguments], check=True)
    await write(credentials(), [sink("dotenv", path="out/a.env")], context)
    assert not list(context.cwd.rglob("pwned"))


async def test_the_command_that_is_advised_is_safe_to_paste(context: Context) -> None:
    path = "a; touch pwned.env"
    (context.cwd / path).touch()
    git = ("git", "-C", str(context.cwd))
    for arguments in (("init", "-q"), ("add", "-f", "--", path)):
        await asyncio.to_thread(subprocess.run, [*git, *arguments], check=True)
    (problem,) = await check_writable([sink("dotenv", path=path)], context)
    assert "'a; touch pwned.env'" in problem.hint


async def test_the_mask_of_a_key_with_a_percent_sign_is_of_the_key_itself(
    context: Context,
) -> None:
    """GitHub's runner decodes %25 in a command."""
    said: list[str] = []
    environment = {"GITHUB_OUTPUT": str(context.cwd / "o")}
    runner = Context(context.cwd, environment, command=said.append)
    await write(credentials(key="a%3Ab%"), [sink("githubOutput")], runner)
    assert said == ["::add-mask::a%253Ab%25"]
    assert "key=a%3Ab%\n" in (context.cwd / "o").read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
async def test_a_tracked_file_of_somebody_elses_repository_is_refused(context: Context) -> None:
    """A container's user seldom owns the checkout that is mounted into it."""
    (context.cwd / "a.env").touch()
    git = ("git", "-C", str(context.cwd))
    for arguments in (("init", "-q"), ("add", "-f", "a.env")):
        await asyncio.to_thread(subprocess.run, [*git, *arguments], check=True)
    for path in (context.cwd, *context.cwd.rglob("*")):
        os.chown(path, 12345, 12345)
    (problem,) = await check_writable([sink("dotenv", path="a.env")], context)
    assert problem.code.id == "output.tracked"


async def test_a_hook_asks_about_the_files_own_repository(context: Context) -> None:
    (context.cwd / "a.env").touch()
    git = ("git", "-C", str(context.cwd))
    for arguments in (("init", "-q"), ("add", "-f", "a.env")):
        await asyncio.to_thread(subprocess.run, [*git, *arguments], check=True)
    environment = {**context.environment, "GIT_DIR": "/nowhere", "GIT_INDEX_FILE": "/nowhere/index"}
    hook = Context(context.cwd, environment)
    (problem,) = await check_writable([sink("dotenv", path="a.env")], hook)
    assert problem.code.id == "output.tracked"
