"""The other ARM served over TLS in a thread of its own, and the command line that talks to it."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from tests.otherarm.arm import TENANT, OtherArm
from tests.otherarm.switches import Switches

_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV")


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return f"{self.out}\n{self.err}"


_NURSERY = """
import json, os, runpy, signal, sys, warnings
warnings.simplefilter("ignore")
import azure.identity.aio, azure.ai.ml, azure.mgmt.marketplaceordering.aio
import azure.mgmt.resource.resources.aio, azure.mgmt.resource.subscriptions.aio
import provisioner.cli.app, provisioner.wiring, provisioner.pipeline
for line in sys.stdin:
    job = json.loads(line)
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)
        os.setpgid(0, 0)
        os.chdir(job["folder"])
        os.environ.clear()
        os.environ.update(job["environment"])
        for number, name in ((0, os.devnull), (1, job["out"]), (2, job["err"])):
            flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            os.dup2(os.open(name, flags), number)
        sys.stdin, sys.stdout, sys.stderr = (os.fdopen(n, m) for n, m in enumerate("rww"))
        sys.argv = ["provision", *job["arguments"]]
        code = 0
        try:
            runpy.run_module("provisioner", run_name="__main__")
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else int(left.code is not None)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class Nursery:
    """A process that has imported everything and forks one process for each command: the command
    is as real as any other, only without the seconds of import that each would cost."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-c", _NURSERY], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip

    def run(self, arguments: list[str], folder: Path, environment: dict[str, str]) -> Ran:
        out, err = self._folder / "out", self._folder / "err"
        job = {"arguments": arguments, "folder": str(folder), "environment": environment,
               "out": str(out), "err": str(err)}  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        return Ran(code, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))

    def close(self) -> None:
        self._process.communicate(timeout=10)


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    made = Nursery(tmp_path_factory.mktemp("nursery"))
    yield made
    made.close()


@dataclass(frozen=True, slots=True)
class Place:
    """A folder, an ARM, and `provision` between them."""

    path: Path
    arm: OtherArm
    arm_url: str
    login_url: str
    ca: Path
    nursery: Nursery

    def command(self, *arguments: str) -> list[str]:
        """The arguments with the addresses of this ARM after them."""
        which = ["--arm-endpoint", self.arm_url, "--authority", self.login_url]
        which += ["--ca-bundle", str(self.ca)]
        return [sys.executable, "-m", "provisioner", *arguments, *which]

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        return {**kept, "AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": "app-of-the-test",
                "AZURE_CLIENT_SECRET": "s3cret-of-the-app"}  # fmt: skip

    def run(self, *arguments: str, expect: int | None = 0) -> Ran:
        ran = self.nursery.run(self.command(*arguments)[3:], self.path, self.environment)
        assert "Traceback" not in ran.err, ran.err
        assert expect is None or ran.code == expect, f"{arguments[0]}: {ran.code}\n{ran.said}"
        for secrets in self.arm.keys.values():
            assert not any(key in ran.said for key in secrets), "a key was shown"
        return ran

    def write(self, text: str) -> None:
        (self.path / "fleet.yaml").write_text(text, encoding="utf-8")


Open = Callable[[Switches], Place]


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def open_place(tmp_path: Path, authority: trustme.CA, nursery: Nursery) -> Iterator[Open]:
    """Serves an ARM with the given switches until the test ends."""
    stack: list[Callable[[], object]] = []

    def opened(switches: Switches) -> Place:
        arm = OtherArm(switches)
        manager = _served(arm, authority)
        arm_url, login_url = manager.__enter__()
        stack.append(lambda: manager.__exit__(None, None, None))
        arm.url = arm_url
        ca = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(str(ca))
        folder = tmp_path / "folder"
        folder.mkdir()
        return Place(folder, arm, f"{arm_url}/", f"{login_url}/", ca, nursery)

    yield opened
    for close in stack:
        close()


@contextmanager
def _served(arm: OtherArm, authority: trustme.CA) -> Iterator[tuple[str, str]]:
    """ARM and the login service on two ports, on an event loop in a thread."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    loop = asyncio.new_event_loop()
    runners: list[web.AppRunner] = []

    async def start() -> list[int]:
        ports = []
        for handler in (arm.handle, arm.token):
            app = web.Application(client_max_size=2**20)
            app.router.add_route("*", "/{tail:.*}", handler)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            runners.append(runner)
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
            ports.append(int(runner.addresses[0][1]))
        return ports

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        ports = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
        host = arm.switches.host
        yield f"https://{host}:{ports[0]}", f"https://{host}:{ports[1]}"
    finally:
        for runner in runners:
            asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
