"""Applying a fleet, and finding it unchanged: this project beside other ways, in one run.

Each contender works on a fresh emulator of the same scenario. Measured are the seconds that it
reports itself (imports excluded), CPU and peak memory of its whole process (as the operating
system accounts them), and the requests that the emulator counted.

`python -m benchmarks.apply_fleet [WORKSPACES MODELS EACH [SCENARIO [CONTENDER …]]]`
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fleet import Fleet, write
from provisioner.emulator import control

SCENARIOS = Path(control.__file__).parent / "data" / "scenarios"
AZ = Path(__file__).resolve().parent.parent / ".interop" / "az" / "bin" / "az"
SMALL = Fleet(5, 2, 2)
DEFAULT = Fleet(10, 4, 5)
LARGE = Fleet(100, 2, 5)
HUGE = Fleet(1000, 2, 5)
CONTENDERS = ("raw", "ours", "azure-ai-ml, 32 threads")
EVERYBODY = (*CONTENDERS, "azure-ai-ml, one by one", "az in a loop")


@dataclass(frozen=True, slots=True)
class Figure:
    """What one contender needed for one job. `memory` in MiB."""

    contender: str
    job: str
    seconds: float
    cpu: float
    memory: float
    requests: int
    throttled: int

    def __str__(self) -> str:
        return (
            f"| {self.job} | {self.contender} | {self.seconds:.2f} | {self.cpu:.2f} "
            f"| {self.memory:.0f} | {self.requests} | {self.throttled} |"
        )


HEADER = (
    "| job | contender | seconds | CPU s | MiB | requests | 429s |\n"
    "|---|---|---:|---:|---:|---:|---:|"
)


def command(contender: str, job: str, url: str, ca: str, fleet: Fleet, wishes: Path) -> list[str]:
    sizes = [str(fleet.workspaces), str(fleet.models), str(fleet.each)]
    module = [sys.executable, "-m"]
    match contender:
        case "raw":
            return [*module, "benchmarks.contenders.raw", job, url, ca, *sizes]
        case "ours":
            return [*module, "benchmarks.contenders.ours", job, url, ca, str(wishes)]
        case "az in a loop":
            script = str(Path(__file__).parent / "contenders" / "az_loop.sh")
            az = str(AZ)
            ids = "\\n".join(fleet.model_id(index) for index in range(fleet.models))
            line = f'printf "{ids}\\n" | "$0" "$@"'
            return ["/bin/sh", "-c", line, script, job, url, ca, az, *sizes]
        case _:
            threads = "32" if "32" in contender else "1"
            return [*module, "benchmarks.contenders.sdk", job, url, ca, threads, *sizes]


def counted(record: control.Record) -> tuple[int, int]:
    """Requests so far, and how many of them were answered 429."""
    context = ssl.create_default_context(cafile=record.ca_bundle)
    url = f"{record.url}/emulator/requests?limit=100000"
    with urllib.request.urlopen(url, context=context) as answer:
        body = json.loads(answer.read())
    throttled = sum(1 for line in body["requests"] if line.get("status") == 429)
    return int(body["total"]), throttled


def measure(contender: str, job: str, record: control.Record, fleet: Fleet, folder: Path) -> Figure:
    wishes = folder / "fleet.yaml"
    before, limited = counted(record)
    read, write_end = os.pipe()
    arguments = command(contender, job, record.url, str(record.ca_bundle), fleet, wishes)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    pid = os.posix_spawn(
        arguments[0],
        arguments,
        environment,
        file_actions=[(os.POSIX_SPAWN_DUP2, write_end, 1), (os.POSIX_SPAWN_CLOSE, read)],
    )
    os.close(write_end)
    with os.fdopen(read, "rb") as stream:
        printed = stream.read().decode()
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"{contender} failed at {job}: {printed}")
    seconds = json.loads(printed.strip().splitlines()[-1])["seconds"]
    total, now_limited = counted(record)
    return Figure(
        contender,
        job,
        seconds,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss / 1024,
        # The count itself is a request of ours.
        total - before - 1,
        now_limited - limited,
    )


def compare(fleet: Fleet, scenario: str, contenders: tuple[str, ...]) -> Iterator[Figure]:
    base = (SCENARIOS / f"{scenario}.yaml").read_text("utf-8")
    for contender in contenders:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            scene, _ = write(folder, fleet, base)
            home = Path.cwd()
            os.chdir(folder)
            record = asyncio.run(control.start(folder / ".emulator", scenario=scene))
            try:
                for job in JOBS:
                    yield measure(contender, job, record, fleet, folder)
            finally:
                asyncio.run(control.stop(folder / ".emulator"))
                os.chdir(home)


JOBS = ("apply", "find")


def run() -> Iterator[str]:
    """The tables of docs/performance.md, row by row."""
    everybody = tuple(one for one in EVERYBODY if AZ.exists() or not one.startswith("az "))
    if not AZ.exists():
        yield f"(no Azure CLI in {AZ.parent.parent.name}: `make interop` makes one)"
    rounds = (
        ("20 endpoints", SMALL, "bench", everybody),
        ("200 endpoints", DEFAULT, "bench", CONTENDERS),
        ("200 endpoints, ARM's buckets on", DEFAULT, "bench-throttled", ("raw", "ours")),
        ("1,000 endpoints in 100 workspaces", LARGE, "bench", CONTENDERS),
    )
    for title, fleet, scene, contenders in rounds:
        yield f"\n{title}\n\n{HEADER}"
        for figure in compare(fleet, scene, contenders):
            yield str(figure)


if __name__ == "__main__":
    given = sys.argv[1:]
    sizes = Fleet(*map(int, given[:3])) if len(given) >= 3 else DEFAULT
    scene = given[3] if len(given) > 3 else "bench"
    chosen = tuple(given[4:]) or CONTENDERS
    print(HEADER)
    for figure in compare(sizes, scene, chosen):
        print(figure, flush=True)
