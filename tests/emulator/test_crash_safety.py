"""SIGKILL at any moment loses nothing that was answered; many writers do not harm each other."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sqlite3
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from provisioner.emulator import control
from provisioner.emulator.store import (
    Resource,
    StateInUseError,
    StateUnreadableError,
    StateUnwritableError,
    Store,
)
from tests.emulator.azure_client import (
    OWNER,
    PHI,
    STABLE,
    TENANT,
    WORKSPACE,
    azure,
    error,
    serverless,
)

WRITERS = 64
EACH = 2
SCENARIO = """
behaviour: {throttling: false, onePerModel: false, pageSize: 10000}
clock: {speed: 0.001}
"""


def _launch(folder: Path) -> subprocess.Popen[bytes]:
    with contextlib.suppress(FileNotFoundError):
        (folder / control.RECORD).unlink()
    command = [sys.executable, "-m", "provisioner.emulator", "serve", "--folder", str(folder)]
    command += ["--state", str(folder / "state.db"), "--scenario", str(folder / "scenario.yaml")]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


async def _record(folder: Path) -> dict[str, str]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError, ValueError):
            found: dict[str, str] = json.loads((folder / control.RECORD).read_text())
            return found
        await asyncio.sleep(0.02)
    raise AssertionError("the emulator did not start")


@contextlib.asynccontextmanager
async def _client(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    record = await _record(folder)
    trust = ssl.create_default_context(cafile=record["caBundle"])
    limits = httpx.Limits(max_connections=WRITERS)
    form = {"grant_type": "client_credentials", "client_id": OWNER[0], "client_secret": OWNER[1]}
    form["scope"] = "https://management.azure.com/.default"
    async with httpx.AsyncClient(
        base_url=record["url"], verify=trust, timeout=20, limits=limits
    ) as http:
        for _ in range(200):
            try:
                answer = await http.post(f"/{TENANT}/oauth2/v2.0/token", data=form)
                break
            except httpx.ConnectError:
                await asyncio.sleep(0.02)
        http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield http


def _url(name: str) -> str:
    return f"{WORKSPACE}/serverlessEndpoints/{name}?api-version={STABLE}"


async def _write(http: httpx.AsyncClient, writer: int, run: int, answered: set[str]) -> None:
    """Create one endpoint after the other until the connection breaks."""
    number = 0
    with contextlib.suppress(httpx.TransportError):
        while True:
            name = f"r{run}-w{writer}-{number}"
            answer = await http.put(_url(name), json=serverless(PHI))
            assert answer.status_code == 201, answer.text
            answered.add(name)
            number += 1


async def test_what_was_answered_survives_sigkill(tmp_path: Path) -> None:
    (tmp_path / "scenario.yaml").write_text(SCENARIO)
    answered: set[str] = set()
    moments = random.Random(7)
    for run in range(5):
        process = _launch(tmp_path)
        try:
            async with _client(tmp_path) as http:
                listed = await http.get(_url("")[: _url("").rindex("/")] + f"?api-version={STABLE}")
                there = {r["name"] for r in listed.json()["value"]}
                assert answered <= there
                writers = [_write(http, w, run, answered) for w in range(8)]
                tasks = [asyncio.create_task(each) for each in writers]
                await asyncio.sleep(moments.uniform(0.02, 0.15))
                process.kill()
                await asyncio.gather(*tasks)
        finally:
            process.kill()
            process.wait()
        database = sqlite3.connect(tmp_path / "state.db")
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        database.close()
    assert answered


async def test_64_concurrent_writers_all_get_what_they_asked_for(tmp_path: Path) -> None:
    (tmp_path / "scenario.yaml").write_text(SCENARIO)
    process = _launch(tmp_path)
    try:
        async with _client(tmp_path) as http:

            async def write(writer: int) -> None:
                for number in range(EACH):
                    answer = await http.put(_url(f"w{writer}-{number}"), json=serverless(PHI))
                    assert answer.status_code == 201, answer.text
                same = await http.put(_url("same"), json=serverless(PHI))
                assert same.status_code in (201, 409)

            await asyncio.gather(*(write(w) for w in range(WRITERS)))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
    store = Store(tmp_path / "state.db")
    names = [r.name for r in store.of_kind("serverlessEndpoints")]
    store.close()
    assert len(names) == len(set(names)) == WRITERS * EACH + 1


def _resource(name: str) -> Resource:
    return Resource(
        id=f"/w/k/{name}",
        kind="k",
        name=name,
        parent="/w",
        subscription="s",
        group="g",
        workspace="w",
        location="eastus2",
        body={},
        state="Succeeded",
        created=1.0,
        created_by="",
        changed=1.0,
    )


def test_one_state_file_has_one_owner(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = Store(path)
    store.put(_resource("one"))
    store.flush()
    with pytest.raises(StateInUseError):
        Store(path)
    store.close()
    again = Store(path)
    with pytest.raises(StateInUseError):
        Store(path)
    assert again.get("/W/K/ONE") is not None
    assert path.stat().st_mode & 0o777 == 0o600
    again.close()


def test_a_file_that_is_no_state_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine " * 1000)
    with pytest.raises(StateUnreadableError):
        Store(path)
    assert path.read_text() == "mine " * 1000


def test_somebody_elses_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with contextlib.closing(sqlite3.connect(path)) as theirs:
        theirs.execute("CREATE TABLE resources (x)")
        theirs.commit()
    before = path.read_bytes()
    with pytest.raises(StateUnreadableError, match="somebody else's database"):
        Store(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE resources SET data = '{'",
        "UPDATE resources SET data = '[]'",
        "UPDATE resources SET data = '{\"new\": 1}'",
        "UPDATE documents SET data = x'ff'",
        "DROP TABLE operations",
        "ALTER TABLE documents RENAME COLUMN data TO text",
    ],
)
def test_a_damaged_state_is_refused_with_what_to_do(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "state.db"
    store = Store(path)
    store.put(_resource("one"))
    store.document("clock")["wall"] = 1.0
    store.touch("clock")
    store.close()
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(damage)
        database.commit()
    with pytest.raises(StateUnreadableError, match="Move it away"):
        Store(path)


def test_what_a_full_disk_kept_from_being_written_is_written_later(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = Store(path)
    assert store._db is not None
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    store.put(_resource("large" * 10_000))
    with pytest.raises(StateUnwritableError, match="full"):
        store.flush()
    store.put(_resource("small"))
    store._db.execute("PRAGMA max_page_count = 1000")
    store.close()
    again = Store(path)
    assert len(list(again.of_kind("k"))) == 2
    again.close()


async def test_a_request_whose_change_cannot_be_written_says_so(tmp_path: Path) -> None:
    async with azure(tmp_path, SCENARIO, state=tmp_path / "state.db") as client:
        database = client.emulator.store._db
        assert database is not None
        pages = database.execute("PRAGMA page_count").fetchone()[0]
        database.execute(f"PRAGMA max_page_count = {pages}")
        body = {**serverless(PHI), "tags": {f"t{n}": "x" * 250 for n in range(40)}}
        answer = await client.http.put(_url("one"), json=body)
        assert error(answer) == (500, "InternalServerError")
        assert "cannot be written" in answer.json()["error"]["message"]
        assert (await client.http.get("/emulator/health")).status_code == 500
        database.execute("PRAGMA max_page_count = 1000")
        assert (await client.http.get(_url("one"))).status_code == 200


def test_all_of_a_request_is_written_or_nothing(tmp_path: Path) -> None:
    """A process that dies between two changes of one request leaves neither behind."""
    path = tmp_path / "state.db"
    pid = os.fork()
    if pid == 0:
        store = Store(path)
        store.put(_resource("whole"))
        store.flush()
        store.put(_resource("half"))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    store = Store(path)
    assert [r.name for r in store.of_kind("k")] == ["whole"]
    store.close()
