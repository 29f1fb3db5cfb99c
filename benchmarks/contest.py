"""Two jobs, applying a fleet and finding it unchanged, done by several contenders in one run.

Each contender works on a fresh emulator of the same scenario. Measured are the seconds that it
reports itself (imports excluded; "the command", which reports none, is timed whole), CPU and peak
memory of its whole process (as the operating system accounts them), and the requests that the
emulator counted.

`python -m benchmarks.contest WORKSPACES MODELS EACH [SCENARIO [CONTENDER …]]` for one contest.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fleet import Fleet, write
from provisioner.emulator import control

SCENARIOS = Path(control.__file__).parent / "data" / "scenarios"
AZ = Path(__file__).resolve().parent.parent / ".interop" / "az" / "bin" / "az"
COMMAND = "the command"
"""`provision apply` and `provision plan` as a pipeline runs them: ours with start, screen, exit."""
CONTENDERS = ("raw", "ours", "azure-ai-ml, 32 threads")
JOBS = ("apply", "find")
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
    checking: int = 0
    """Those of the requests that only look before anything is written."""

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
        case "the command":
            verb = ["apply", "--yes"] if job == "apply" else ["plan", "--detailed-exitcode"]
            where = ["--arm-endpoint", url, "--authority", url, "--ca-bundle", ca]
            options = ["--ignore-limits", "-f", str(wishes), *where]
            return [*module, "provisioner", *verb, *options]
        case "az in a loop":
            script = str(Path(__file__).parent / "contenders" / "az_loop.sh")
            az = str(AZ)
            ids = "\\n".join(fleet.model_id(index) for index in range(fleet.models))
            line = f'printf "{ids}\\n" | "$0" "$@"'
            return ["/bin/sh", "-c", line, script, job, url, ca, az, *sizes]
        case _:
            threads = "32" if "32" in contender else "1"
            return [*module, "benchmarks.contenders.sdk", job, url, ca, threads, *sizes]


CHECKS = (
    "metadata", "subscriptions.", "providers.", "permissions.", "locks.", "agreements.get",
    "workspaces.get", "RegistryManagement", "ModelVersions_",
)  # fmt: skip
"""What a client that does the least does not ask: the operations of observe and preflight, by the
emulator's names. The lists of the first look are not told apart from those of the watch."""


@dataclass(frozen=True, slots=True)
class Count:
    """Requests that the emulator answered so far."""

    total: int
    throttled: int
    checking: int


def counted(record: control.Record) -> Count:
    context = ssl.create_default_context(cafile=record.ca_bundle)
    url = f"{record.url}/emulator/requests?limit=1"
    with urllib.request.urlopen(url, context=context) as answer:
        body = json.loads(answer.read())
    counts: dict[str, int] = body["counts"]
    return Count(
        total=int(body["total"]),
        throttled=sum(count for name, count in counts.items() if name.endswith(" 429")),
        checking=sum(count for name, count in counts.items() if name.startswith(CHECKS)),
    )


def measure(contender: str, job: str, record: control.Record, fleet: Fleet, folder: Path) -> Figure:
    wishes, said = folder / "fleet.yaml", folder / "said.log"
    before = counted(record)
    read, write_end = os.pipe()
    arguments = command(contender, job, record.url, str(record.ca_bundle), fleet, wishes)
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
        "AZURE_TENANT_ID": str(record.tenant_id),
        "AZURE_CLIENT_ID": str(record.client_id),
        "AZURE_CLIENT_SECRET": str(record.client_secret),
    }
    started = time.perf_counter()
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    pid = os.posix_spawn(
        arguments[0],
        arguments,
        environment,
        file_actions=[
            (os.POSIX_SPAWN_DUP2, write_end, 1),
            (os.POSIX_SPAWN_CLOSE, read),
            (os.POSIX_SPAWN_OPEN, 2, str(said), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
        ],
    )
    os.close(write_end)
    with os.fdopen(read, "rb") as stream:
        printed = stream.read().decode()
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise SystemExit(
            f"{contender} failed at {job}: {printed[-2000:]}{said.read_text()[-2000:]}"
        )
    seconds = time.perf_counter() - started
    if contender != COMMAND:
        seconds = json.loads(printed.strip().splitlines()[-1])["seconds"]
    after = counted(record)
    return Figure(
        contender,
        job,
        seconds,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss / 1024,
        # The count itself is a request of ours.
        after.total - before.total - 1,
        after.throttled - before.throttled,
        after.checking - before.checking,
    )


def compare(
    fleet: Fleet, scene: str, contenders: Sequence[str], jobs: Sequence[str] = JOBS
) -> Iterator[Figure]:
    """One figure for each contender and job, in turn."""
    base = (SCENARIOS / f"{scene}.yaml").read_text("utf-8")
    for contender in contenders:
        with emulator(fleet, base) as (record, folder):
            for job in jobs:
                yield measure(contender, job, record, fleet, folder)


def found_by(fleet: Fleet, scene: str, contenders: Sequence[str]) -> Iterator[Figure]:
    """What this project applied once (the first figure), found unchanged by every contender."""
    base = (SCENARIOS / f"{scene}.yaml").read_text("utf-8")
    with emulator(fleet, base) as (record, folder):
        yield measure("ours", "apply", record, fleet, folder)
        for contender in contenders:
            yield measure(contender, "find", record, fleet, folder)


@contextmanager
def emulator(fleet: Fleet, base: str) -> Iterator[tuple[control.Record, Path]]:
    """A fresh emulator of the fleet's tenant, and the folder to work in."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scene, _ = write(folder, fleet, base)
        home = Path.cwd()
        os.chdir(folder)
        record = asyncio.run(control.start(folder / ".emulator", scenario=scene))
        try:
            yield record, folder
        finally:
            asyncio.run(control.stop(folder / ".emulator"))
            os.chdir(home)


if __name__ == "__main__":
    given = sys.argv[1:]
    scene = given[3] if len(given) > 3 else "bench"
    print(HEADER)
    for figure in compare(Fleet(*map(int, given[:3])), scene, tuple(given[4:]) or CONTENDERS):
        print(figure, flush=True)
