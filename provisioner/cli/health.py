"""What a watching process tells the outside: /healthz, /readyz and /metrics over HTTP."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from provisioner.apply import Report
from provisioner.plan import action

_BUCKETS = (0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


@dataclass(slots=True)
class Health:
    """The account of a watching process. `patience`: seconds without a finished cycle after which
    it no longer counts as alive."""

    patience: float
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    finished: float | None = None
    began: float = field(default_factory=time.monotonic)
    cycles: Counter = field(init=False)
    steps: Counter = field(init=False)
    seconds: Histogram = field(init=False)
    success: Gauge = field(init=False)
    deployments: Gauge = field(init=False)
    expiry: Gauge = field(init=False)

    def __post_init__(self) -> None:
        into, space = self.registry, "provision"
        self.cycles = Counter(
            "cycles", "Cycles by how they ended.", ["outcome"], namespace=space, registry=into
        )
        self.steps = Counter(
            "steps",
            "Steps by action and outcome.",
            ["action", "outcome"],
            namespace=space,
            registry=into,
        )
        self.seconds = Histogram(
            "cycle_seconds",
            "Duration of a cycle.",
            buckets=_BUCKETS,
            namespace=space,
            registry=into,
        )
        self.success = Gauge(
            "last_success_timestamp_seconds",
            "When a cycle last ended well (Unix time).",
            namespace=space,
            registry=into,
        )
        self.deployments = Gauge(
            "deployments",
            "Deployments of the manifests by state.",
            ["state"],
            namespace=space,
            registry=into,
        )
        self.expiry = Gauge(
            "endpoint_expiry_timestamp_seconds",
            "When an endpoint expires (Unix time).",
            ["workspace", "endpoint"],
            namespace=space,
            registry=into,
        )

    @property
    def alive(self) -> bool:
        """Whether a cycle ended, or the process began, not longer ago than its patience."""
        since = self.finished if self.finished is not None else self.began
        return time.monotonic() - since <= self.patience

    @property
    def ready(self) -> bool:
        return self.finished is not None

    def count(self, report: Report) -> None:
        for result in report.results:
            self.steps.labels(action(result.step), str(result.outcome)).inc()

    def end_cycle(self, outcome: str, seconds: float, *, good: bool) -> None:
        self.finished = time.monotonic()
        self.cycles.labels(outcome).inc()
        self.seconds.observe(seconds)
        if good:
            self.success.set_to_current_time()

    def show(self, states: Mapping[str, int], expiries: Mapping[tuple[str, str], float]) -> None:
        """Replace the gauges of what is live. `expiries`: Unix time by workspace and endpoint."""
        self.deployments.clear()
        for state, number in states.items():
            self.deployments.labels(state).set(number)
        self.expiry.clear()
        for (workspace, endpoint), instant in expiries.items():
            self.expiry.labels(workspace, endpoint).set(instant)


@asynccontextmanager
async def serve(health: Health, host: str, port: int) -> AsyncIterator[int]:
    """Answer probes and scrapes while entered; gives the port. Raises OSError when it is taken."""
    app = web.Application()

    async def healthz(request: web.Request) -> web.Response:
        return _verdict(health.alive, "no cycle has ended for too long")

    async def readyz(request: web.Request) -> web.Response:
        return _verdict(health.ready, "the first cycle has not ended yet")

    async def metrics(request: web.Request) -> web.Response:
        headers = {"Content-Type": CONTENT_TYPE_LATEST}
        return web.Response(body=generate_latest(health.registry), headers=headers)

    app.add_routes(
        [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        address = runner.addresses[0]
        yield int(address[1])
    finally:
        await runner.cleanup()


def _verdict(good: bool, otherwise: str) -> web.Response:
    return web.Response(text="ok\n") if good else web.Response(status=503, text=f"{otherwise}\n")
