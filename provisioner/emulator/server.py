"""Serving: one process, one event loop, TLS on loopback, ended by a signal or by idleness."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.util
import logging
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from provisioner.emulator.app import App
from provisioner.emulator.scenario_types import Scenario
from provisioner.emulator.store import Store
from provisioner.emulator.tenant import Tenant
from provisioner.emulator.tls import authority, server_context

HOST = "127.0.0.1"  # never anything but loopback
log = logging.getLogger("provisioner.emulator")


class PortInUseError(Exception):
    """The port that was asked for belongs to somebody else."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What to serve. `folder` keeps the authority; `state` None is memory only; port 0 is any.

    `idle_timeout` is in seconds of real time without a request; None serves for ever.
    """

    folder: Path
    scenario: Scenario
    state: Path | None = None
    port: int = 0
    idle_timeout: float | None = None


class Emulator:
    """A running emulator; made by `running`, or served to its end by `serve`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.socket = _bind(settings.port)
        self.port = int(self.socket.getsockname()[1])
        self.url = f"https://localhost:{self.port}"
        self.ca_bundle = settings.folder / "ca.pem"
        try:
            self.store = Store(settings.state)
        except Exception:
            self.socket.close()
            raise
        self.tenant = Tenant(settings.scenario, self.store, self.url)
        self.app = App(self.tenant)
        context = server_context(authority(settings.folder), settings.folder)
        self.server = uvicorn.Server(_config(self.app, context))

    async def serve(self) -> None:
        """Serve until a signal, `stop`, or idleness; then close the state."""
        watcher = asyncio.create_task(self._watch_idleness())
        try:
            await self.server.serve(sockets=[self.socket])
        finally:
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watcher
            self.store.close()
            self.socket.close()

    def stop(self) -> None:
        self.server.should_exit = True

    async def _watch_idleness(self) -> None:
        limit = self.settings.idle_timeout
        while limit is not None:
            idle = time.monotonic() - self.app.last_request
            if idle >= limit and not self.app.active:
                log.info("no request for %.0f s: stopping", idle)
                self.stop()
                return
            await asyncio.sleep(min(limit, max(0.05, limit - idle)))


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Emulator]:
    """An emulator inside this event loop, ready when entered, gone when left. For tests."""
    emulator = Emulator(settings)
    emulator.server.config.lifespan = "off"
    task = asyncio.create_task(emulator.serve())
    try:
        while not emulator.server.started:
            if task.done():
                await task
            await asyncio.sleep(0.005)
        yield emulator
    finally:
        emulator.stop()
        await task


def _bind(port: int) -> socket.socket:
    # The protocol is named, as asyncio turns Nagle's delay (40 ms an answer) off only where it is.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((HOST, port))
    except OSError as error:
        sock.close()
        raise PortInUseError(f"Port {port} on {HOST} cannot be used: {error.strerror}.") from error
    return sock


def _config(app: App, context: ssl.SSLContext) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,  # the app's own, which follows the emulated clock
        lifespan="off",
        timeout_keep_alive=120,
        timeout_graceful_shutdown=2,
        backlog=2048,
        ws="none",
        loop="none",
    )
    config.load()
    config.ssl = context
    return config


def run(settings: Settings, on_ready: Callable[[Emulator], None]) -> None:
    """Serve in a loop of its own, uvloop's where there is one."""
    # The state is one large graph without cycles: walking it often for garbage only costs time.
    gc.set_threshold(50_000, 20, 100)
    # uvloop does not exist on every platform.
    found = importlib.util.find_spec("uvloop") is not None
    loop = importlib.import_module("uvloop") if found else asyncio
    loop.run(_run(settings, on_ready))


async def _run(settings: Settings, on_ready: Callable[[Emulator], None]) -> None:
    emulator = Emulator(settings)
    on_ready(emulator)
    await emulator.serve()
