"""The emulator in the background: found, started once, stopped, and reached with its record."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provisioner.emulator import control
from provisioner.emulator.control import Record, StartError


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    """A folder whose emulator is gone when the test is over."""
    place = tmp_path / ".provisioner"
    yield place
    await control.stop(place)


def _read(record: Record) -> bytes:
    return _bytes(Path(record.ca_bundle))


def _bytes(path: Path) -> bytes:
    return path.read_bytes()


def _forget(folder: Path) -> None:
    """Remove the state, as a person might: and not what stands beside it."""
    for name in ("state.db", "state.db-wal", "state.db-shm"):
        (folder / name).unlink(missing_ok=True)


async def test_two_starts_at_once_give_one_emulator_that_status_finds(folder: Path) -> None:
    first, second = await asyncio.gather(control.start(folder), control.start(folder))
    assert first == second == await control.status(folder)
    for name in ("emulator.json", "ca.key", "state.db", "emulator.log"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    assert "emulator-only-secret" not in (folder / "emulator.log").read_text()
    environment = control.environment(first)
    assert environment["AZURE_AUTHORITY_HOST"] == first.url
    assert environment["AZURE_CLIENT_SECRET"] == first.client_secret
    assert await control.stop(folder)
    assert await control.status(folder) is None
    assert not await control.stop(folder)


async def test_the_next_start_takes_the_same_port_and_authority_again(folder: Path) -> None:
    first = await control.start(folder)
    authority = _read(first)
    os.kill(first.pid, signal.SIGKILL)
    await asyncio.to_thread(os.waitpid, first.pid, 0)
    assert await control.status(folder) is None
    again = await control.start(folder)
    assert (again.port, _read(again)) == (first.port, authority)
    await control.stop(folder)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", first.port))
        taken.listen()
        elsewhere = await control.start(folder)
        assert elsewhere.port != first.port


async def test_it_stops_by_itself_when_nobody_asks(folder: Path) -> None:
    record = await control.start(folder, idle_timeout=0.3)
    pid, status = await asyncio.to_thread(os.waitpid, record.pid, 0)
    assert (pid, os.waitstatus_to_exitcode(status)) == (record.pid, 0)


async def test_a_start_that_fails_says_why(folder: Path) -> None:
    scenario = folder.parent / "broken.yaml"
    scenario.write_text("behavior: {}\n")
    with pytest.raises(StartError, match=r"broken\.yaml:1:1: .*behavio"):
        await control.start(folder, scenario=scenario)
    assert await control.status(folder) is None


async def test_a_start_that_names_no_scenario_goes_on_with_the_state_s(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a tenant would turn into the default one whenever its emulator stopped from idleness."""
    monkeypatch.chdir(folder.parent)
    tenant = "aaaaaaaa-0000-4000-8000-000000000009"
    (folder.parent / "mine.yaml").write_text(f"tenantId: {tenant}\n")
    started = await control.start(folder, scenario="mine.yaml")
    assert started.tenant_id == tenant
    await control.stop(folder)
    (folder.parent / "elsewhere").mkdir()
    monkeypatch.chdir(folder.parent / "elsewhere")
    assert (await control.start(folder)).tenant_id == tenant
    await control.stop(folder)
    assert (await control.start(folder, scenario="locked")).tenant_id != tenant
    await control.stop(folder)
    assert (await control.start(folder)).tenant_id != tenant, "the last one that was named"
    await control.stop(folder)
    await control.start(folder, scenario=folder.parent / "mine.yaml")
    await control.stop(folder)
    _forget(folder)
    assert (await control.start(folder)).tenant_id != tenant, "a new state begins as the default"


async def test_a_scenario_that_is_gone_is_named(folder: Path) -> None:
    scenario = folder.parent / "mine.yaml"
    scenario.write_text("")
    await control.start(folder, scenario=scenario)
    await control.stop(folder)
    scenario.unlink()
    with pytest.raises(StartError, match=r"mine\.yaml.*cannot be read"):
        await control.start(folder)


async def test_a_record_that_lies_is_not_believed(folder: Path) -> None:
    record = await control.start(folder)
    await control.stop(folder)
    control.write_record(folder, record)
    assert await control.status(folder) is None
    (folder / control.RECORD).write_text("{")
    assert await control.status(folder) is None


async def test_a_folder_of_the_same_name_is_not_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`python -m` looks in the current directory first, which may be somebody's archive."""
    planted = tmp_path / "provisioner"
    planted.mkdir()
    (planted / "__init__.py").write_text("open('pwned', 'w')\n")
    monkeypatch.chdir(tmp_path)
    assert await control.start(folder)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    "lie",
    [
        {"pid": -1},
        {"pid": 0},
        {"pid": True},
        {"pid": "1"},
        {"port": "443"},
        {"url": "https://evil.example"},
        {"ca_bundle": "/tmp/ca.pem"},
    ],
)
async def test_a_record_that_came_with_the_folder_is_not_believed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, lie: dict[str, Any]
) -> None:
    """One with the pid -1 would have `stop` end every process of the user."""
    port = 50000
    record = Record(
        pid=os.getpid(),
        port=port,
        url=f"https://localhost:{port}",
        ca_bundle=str(folder / "ca.pem"),
        tenant_id="t",
        client_id="c",
        client_secret="s",
        subscription_id="u",
        started_at=0.0,
    )

    async def answers(record: Record) -> bool:
        return True

    monkeypatch.setattr(control, "_answers", answers)
    control.write_record(folder, record)
    assert await control.status(folder) == record
    control.write_record(folder, replace(record, **lie))
    assert await control.status(folder) is None
    outside = folder.parent / "elsewhere.json"
    (folder / control.RECORD).rename(outside)
    (folder / control.RECORD).symlink_to(outside)
    assert await control.status(folder) is None
    (folder / control.RECORD).unlink()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux's /proc")
async def test_the_callers_secrets_do_not_live_on_in_the_background(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AZURE_CLIENT_SECRET", "SYSTEM_ACCESSTOKEN", "GITHUB_TOKEN", "SOME_API_KEY"):
        monkeypatch.setenv(name, "callers-own-secret")
    record = await control.start(folder)
    held = _bytes(Path(f"/proc/{record.pid}/environ"))
    assert b"PATH=" in held
    assert b"callers-own-secret" not in held


@pytest.fixture
def linked_log(folder: Path) -> Path:
    """A file of somebody's, which the folder's log is a link to."""
    folder.mkdir(mode=0o700)
    victim = folder.parent / "victim"
    victim.write_text("mine")
    (folder / "emulator.log").symlink_to(victim)
    return victim


async def test_the_log_is_written_through_no_link(folder: Path, linked_log: Path) -> None:
    with pytest.raises(OSError, match="symbolic"):
        await control.start(folder)
    assert _bytes(linked_log) == b"mine"
