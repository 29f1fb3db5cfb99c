"""The only importer of the edges: the Azure adapter and the emulator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from provisioner import azure
from provisioner.clock import Clock, ServiceClock, SystemClock
from provisioner.cloud import Cloud, WorkspaceSeen
from provisioner.emulator import control
from provisioner.errors import Failed, Problem, Who, define
from provisioner.outputs import SecretStore
from provisioner.resources import Secret, WorkspaceId

EMULATOR_DOWN = define(
    "emulator.not-started",
    "the emulator did not start",
    "The local Azure of this folder ended before it answered.",
    Who.OPERATOR,
)

EMULATOR_FOLDER = Path(".provisioner")


@dataclass(frozen=True, slots=True)
class Which:
    """Which Azure: the public cloud unless told otherwise.

    `emulator` is the emulator of `folder`, which is started when it does not run.
    """

    emulator: bool = False
    arm_endpoint: str | None = None
    authority: str | None = None
    ca_bundle: str | None = None
    folder: Path = EMULATOR_FOLDER


@dataclass(frozen=True, slots=True)
class Connection:
    """A cloud, and how to speak of it: None for the public one.

    `ca_bundle` is what clients of the model must trust besides the public authorities. `vault`
    opens a Key Vault by its URL, as the same identity; None where there are none: a token of the
    emulator is not for a real vault to see.
    """

    cloud: Cloud
    clock: Clock
    label: str | None = None
    ca_bundle: Path | None = None
    vault: Callable[[str], SecretStore] | None = None
    who: str | None = None
    """Who is signed in, as far as the token tells."""


@asynccontextmanager
async def connect(which: Which) -> AsyncIterator[Connection]:
    """Reach the chosen Azure. Raises Failed when it cannot be reached or refuses who we are."""
    clock = ServiceClock()
    settings, label = await _settings(which)
    # The adapter keeps the machine's own time: tokens and waits know no other.
    async with azure.connect(settings, SystemClock(), clock.heard) as cloud:
        vault = None if settings.emulator else cloud.vaults
        yield Connection(cloud, clock, label, settings.ca_bundle, vault, cloud.who)


async def read_az_ml_files(
    paths: Sequence[Path], workspace: WorkspaceId, region: str
) -> tuple[WorkspaceSeen, list[Problem]]:
    """YAML files of `az ml` as if they had been observed; no request is made."""
    from provisioner.azure import az_ml_files  # noqa: PLC0415 - only who imports them pays

    return await asyncio.to_thread(az_ml_files.read, paths, workspace, region)


async def _settings(which: Which) -> tuple[azure.Settings, str | None]:
    """How to reach the chosen Azure, and its label; starts the emulator where that was chosen."""
    if which.emulator:
        record = await start_emulator(which.folder)
        settings = azure.Settings(
            arm_endpoint=record.url,
            authority=record.url,
            ca_bundle=Path(record.ca_bundle),
            emulator=True,
            tenant_id=record.tenant_id,
            client_id=record.client_id,
            client_secret=Secret(record.client_secret),
        )
        return settings, f"emulator at {record.url}"
    if which.arm_endpoint is None and which.authority is None:
        return azure.Settings(ca_bundle=_path(which.ca_bundle)), None
    settings = azure.Settings(
        arm_endpoint=which.arm_endpoint or azure.PUBLIC_ARM,
        authority=which.authority,
        ca_bundle=_path(which.ca_bundle),
    )
    return settings, which.arm_endpoint


def _no_emulator(folder: Path, error: Exception) -> Problem:
    hint = (
        f"mend what its log says (whole in {folder / 'emulator.log'}); to begin afresh, remove "
        f"{folder}"
    )
    if isinstance(error, OSError):  # it did not get as far as a log
        hint = f"it keeps its state in {folder}: work where you may write that"
    return Problem(
        EMULATOR_DOWN,
        f"the emulator of {folder} did not start",
        hint,
        details=tuple(str(error).splitlines()),
    )


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


async def start_emulator(
    folder: Path = EMULATOR_FOLDER,
    *,
    port: int = 0,
    state: Path | None = None,
    scenario: str | None = None,
) -> control.Record:
    """The emulator of `folder`: the one that runs, or a new one. Raises Failed."""
    try:
        return await control.start(folder, port=port, state=state, scenario=scenario)
    except (control.StartError, OSError) as error:
        raise Failed(_no_emulator(folder, error)) from error


async def emulator_status(folder: Path = EMULATOR_FOLDER) -> control.Record | None:
    """The record of the emulator that answers now, or None. Leaves no folder behind."""
    return await control.status(folder) if await asyncio.to_thread(folder.is_dir) else None


async def stop_emulator(folder: Path = EMULATOR_FOLDER) -> bool:
    """Whether one was running; it is gone afterwards."""
    return await control.stop(folder) if await asyncio.to_thread(folder.is_dir) else False


def emulator_environment(record: control.Record) -> dict[str, str]:
    """Variables with which az, an SDK or `provision` reach the emulator."""
    return control.environment(record)


def serve_emulator(arguments: list[str]) -> int:
    """Serve in this process until a signal; 0 then, 1 when it cannot start."""
    from provisioner.emulator.__main__ import main  # noqa: PLC0415 - the server is heavy

    return main(["serve", *arguments])
