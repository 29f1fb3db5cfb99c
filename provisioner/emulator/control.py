"""The emulator in the background: start, find, stop, and what a client needs to reach it.

Everything lives in one folder (by convention `.provisioner`): `emulator.json` (the record),
`emulator.lock`, `emulator.log`, `ca.pem`, `ca.key`, `state.db`; private files are 0600. A record is
believed only when its process answers on its port as the emulator; so a crashed one is replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from provisioner.emulator.files import write_private

RECORD = "emulator.json"
VERSION = "1"
START_SECONDS = 30.0
STOP_SECONDS = 10.0
_LONGEST_RECORD = 1 << 16
_SECRET = re.compile(r"(?i)secret|password|token|credential|key$")
"""Names of variables that a process which lives on for hours has no business to hold."""
IDLE_SECONDS = 3600.0


class StartError(Exception):
    """The emulator did not come up; the text holds the end of its log."""


@dataclass(frozen=True, slots=True)
class Record:
    """Where a running emulator is and who can sign in to it. `started_at` is Unix seconds."""

    pid: int
    port: int
    url: str
    ca_bundle: str
    tenant_id: str
    client_id: str
    client_secret: str
    subscription_id: str
    started_at: float
    version: str = VERSION


@dataclass(frozen=True, slots=True)
class Options:
    """How to start one. Port 0 takes the last recorded port again when it is free."""

    port: int = 0
    state: Path | None = None
    scenario: str | None = None
    idle_timeout: float = IDLE_SECONDS


async def start(
    folder: Path,
    *,
    port: int = 0,
    state: Path | None = None,
    scenario: Path | str | None = None,
    idle_timeout: float = IDLE_SECONDS,
) -> Record:
    """The emulator of a folder: the one that runs, or a new one. Two starts at once give one.

    `idle_timeout` is in seconds. Raises StartError when it does not come up.
    """
    folder = _folder(folder)
    text = str(scenario) if scenario is not None else None
    options = Options(port, state, text, idle_timeout)
    async with _locked(folder / "emulator.lock"):
        found = await status(folder)
        return found if found is not None else await _spawn(folder, options)


async def status(folder: Path) -> Record | None:
    """The record of the emulator that answers now, or None."""
    record = _read(_folder(folder))
    return record if record is not None and await _answers(record) else None


async def stop(folder: Path) -> bool:
    """Stop the folder's emulator; True when one was running. Waits until it is gone."""
    record = await status(folder)
    if record is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(record.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    # A process that is no child of ours can only be polled.
    while _alive(record.pid) and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    if _alive(record.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(record.pid, signal.SIGKILL)
    return True


def environment(record: Record) -> dict[str, str]:
    """Variables with which az, an SDK or `provision` reach this emulator."""
    return {
        "AZURE_TENANT_ID": record.tenant_id,
        "AZURE_CLIENT_ID": record.client_id,
        "AZURE_CLIENT_SECRET": record.client_secret,
        "AZURE_SUBSCRIPTION_ID": record.subscription_id,
        "AZURE_AUTHORITY_HOST": record.url,
        "ARM_CLOUD_METADATA_URL": f"{record.url}/metadata/endpoints?api-version=2019-05-01",
        "REGISTRY_DISCOVERY_ENDPOINT_URL": f"{record.url}/",  # azure-ai-ml, for registries
        "REQUESTS_CA_BUNDLE": record.ca_bundle,
        "SSL_CERT_FILE": record.ca_bundle,
        "PROVISION_ARM_ENDPOINT": record.url,
        "PROVISION_AUTHORITY": record.url,
        "PROVISION_CA_BUNDLE": record.ca_bundle,
    }


def _folder(folder: Path) -> Path:
    """The folder's absolute path; it exists afterwards, closed to others."""
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def write_record(folder: Path, record: Record) -> None:
    """Save a record as 0600; the serving process calls this once it listens."""
    shown = {_camel(name): value for name, value in asdict(record).items()}
    content = json.dumps(shown, indent=2) + "\n"
    write_private(folder / RECORD, content.encode())


def _read(folder: Path) -> Record | None:
    """The record, if it is one that we wrote: a folder may have come with somebody's archive."""
    try:
        handle = os.open(folder / RECORD, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(handle, encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_uid != os.getuid():
                return None
            data = json.loads(file.read(_LONGEST_RECORD))
        record = Record(**{f.name: data[_camel(f.name)] for f in fields(Record)})
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return record if _plausible(record, folder) else None


def _plausible(record: Record, folder: Path) -> bool:
    """Whether a record names an ordinary process, and an emulator of this folder on loopback.

    To signal 0 or -1 would end whole groups of processes.
    """
    return (
        type(record.pid) is int
        and record.pid > 1
        and type(record.port) is int
        and record.url == f"https://localhost:{record.port}"
        and record.ca_bundle == str(folder / "ca.pem")
    )


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


async def _spawn(folder: Path, options: Options) -> Record:
    last = _read(folder)
    wanted = [options.port] if options.port else [last.port if last is not None else 0, 0]
    begin = 0
    for port in dict.fromkeys(wanted):
        begin = _size(folder / "emulator.log")
        record = await _try_spawn(folder, options, port)
        if record is not None:
            return record
    raise StartError(f"The emulator did not start.\n{_tail(folder, begin)}")


async def _try_spawn(folder: Path, options: Options, port: int) -> Record | None:
    """One attempt on one port; None when the process ended before it answered."""
    process = _launch(folder, options, port)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        record = _read(folder)
        if record is not None and record.pid == process.pid and await _answers(record):
            # Nobody waits for it any more: it lives on by design.
            process.returncode = 0
            return record
        if process.poll() is not None:
            return None
        await asyncio.sleep(0.02)
    process.kill()
    process.wait()
    return None


def _launch(folder: Path, options: Options, port: int) -> subprocess.Popen[bytes]:
    """Start the process, detached and with no handle of ours: it must outlive the terminal."""
    state = options.state if options.state is not None else folder / "state.db"
    # -P: a folder named provisioner in the current directory is not this program.
    command = [sys.executable, "-P", "-m", "provisioner.emulator", "serve"]
    command += ["--folder", str(folder)]
    command += ["--port", str(port), "--state", str(state)]
    command += ["--idle-timeout", str(options.idle_timeout)]
    if options.scenario is not None:
        command += ["--scenario", options.scenario]
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    log = os.open(folder / "emulator.log", flags, 0o600)
    try:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            close_fds=True,
            env={name: value for name, value in os.environ.items() if not _SECRET.search(name)},
        )
    finally:
        os.close(log)


async def _answers(record: Record) -> bool:
    """Whether the emulator of a record answers /emulator/health, in a second at most."""
    if not _alive(record.pid):
        return False
    try:
        context = ssl.create_default_context(cafile=record.ca_bundle)
        async with asyncio.timeout(2.0):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", record.port, ssl=context, server_hostname="localhost"
            )
            try:
                writer.write(
                    b"GET /emulator/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                )
                answer = await reader.read()  # to its end: head and body may come apart
            finally:
                writer.close()
    except (OSError, ssl.SSLError, TimeoutError, ValueError):
        return False
    # The pid proves that this is the process which `stop` would end, and not another on its port.
    return answer.startswith(b"HTTP/1.1 200") and f'"pid":{record.pid},'.encode() in answer


def _alive(pid: int) -> bool:
    # A child of ours that has ended is a zombie until somebody asks for its status.
    with contextlib.suppress(ChildProcessError, OSError):
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _tail(folder: Path, begin: int) -> str:
    """The last lines of the log from byte `begin` on: what earlier servers said is over."""
    try:
        said = (folder / "emulator.log").read_bytes()[begin:]
    except OSError:
        return ""
    return "\n".join(said.decode("utf-8", "replace").splitlines()[-10:])


@contextlib.asynccontextmanager
async def _locked(path: Path) -> AsyncIterator[None]:
    """Hold a file lock; the kernel lets go of it when its holder dies."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(0.02)
        yield
    finally:
        os.close(handle)
