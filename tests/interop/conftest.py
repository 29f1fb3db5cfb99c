"""One emulator for all of these tests, and an environment that leads clients to it.

Nothing of the clients is patched: they get what `provision emulator env` prints, and no more.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.identity import ClientSecretCredential

from provisioner.emulator import control

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = Path(__file__).resolve().parent


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Where these tests are not wanted, their clients are not even imported."""
    return True if "not interop" in str(config.getoption("markexpr")) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here is `interop`; third parties' warnings are theirs to heed."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.interop)
            item.add_marker(pytest.mark.filterwarnings("ignore"))


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[control.Record]:
    """A fresh emulator with the default tenant; its environment is this process's meanwhile."""
    folder = tmp_path_factory.mktemp("emulator")
    record = asyncio.run(control.start(folder))
    before = dict(os.environ)
    os.environ.update(control.environment(record))
    try:
        yield record
    finally:
        os.environ.clear()
        os.environ.update(before)
        asyncio.run(control.stop(folder))


@pytest.fixture(scope="session")
def credential(emulator: control.Record) -> Iterator[ClientSecretCredential]:
    """The default tenant's Owner. Instance discovery asks the public cloud, so it is off."""
    with ClientSecretCredential(
        emulator.tenant_id,
        emulator.client_id,
        emulator.client_secret,
        authority=emulator.url,
        disable_instance_discovery=True,
    ) as signed_in:
        yield signed_in


def client_environment(name: str) -> Path:
    """The folder of programs of a separate environment, made when it is not there yet."""
    # pip must trust its index, not the emulator, whose variables stand in this environment.
    plain = {k: v for k, v in os.environ.items() if k not in _TRUST} | _before(_TRUST)
    command = [str(HERE / "setup"), name]
    subprocess.run(command, check=True, timeout=900, env=plain | {"PYTHON": sys.executable})
    return ROOT / ".interop" / name / "bin"


_TRUST = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
_STARTED_WITH = dict(os.environ)


def _before(names: tuple[str, ...]) -> dict[str, str]:
    return {name: _STARTED_WITH[name] for name in names if name in _STARTED_WITH}
