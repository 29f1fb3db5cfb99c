"""`python -m provisioner.emulator serve`: the emulator in the foreground."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from pathlib import Path

from provisioner.emulator.control import Record, write_record
from provisioner.emulator.scenario import ScenarioError, load, remember, remembered
from provisioner.emulator.server import Emulator, PortInUseError, Settings, run
from provisioner.emulator.store import StateInUseError, StateUnreadableError


def main(arguments: list[str] | None = None) -> int:
    """Serve until a signal or idleness; 0 then, 1 when it cannot start."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    folder = Path(options.folder).absolute()
    state = Path(options.state) if options.state else None
    chosen = options.scenario or (remembered(state) if state is not None else None)

    def ready(emulator: Emulator) -> None:
        if state is not None and options.scenario:
            remember(state, options.scenario)
        write_record(folder, record_of(emulator))

    try:
        settings = Settings(
            folder=folder,
            scenario=load(chosen),
            state=state,
            port=options.port,
            idle_timeout=options.idle_timeout or None,
        )
        run(settings, ready)
    except ScenarioError as error:
        logging.error("The scenario cannot be used:\n%s", error)
        return 1
    except (PortInUseError, StateInUseError, StateUnreadableError, OSError) as error:
        logging.error("%s", error)
        return 1
    return 0


def record_of(emulator: Emulator) -> Record:
    """The record of a running emulator, with the first principal that has a secret."""
    scenario = emulator.settings.scenario
    principal = next((p for p in scenario.principals if p.secret), None)
    return Record(
        pid=os.getpid(),
        port=emulator.port,
        url=emulator.url,
        ca_bundle=str(emulator.ca_bundle),
        tenant_id=scenario.tenant_id,
        client_id=principal.client_id if principal is not None else "",
        client_secret=(principal.secret or "") if principal is not None else "",
        subscription_id=scenario.subscriptions[0].id if scenario.subscriptions else "",
        started_at=time.time(),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m provisioner.emulator", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="serve on loopback until stopped")
    serve.add_argument("--folder", default=".provisioner", help="authority and record live here")
    serve.add_argument("--port", type=int, default=0, help="0: any free one")
    serve.add_argument("--state", help="SQLite file; without it, memory only")
    serve.add_argument("--scenario", help="YAML file, or the name of a ready scenario")
    serve.add_argument("--idle-timeout", type=float, default=0.0, help="seconds; 0: never")
    return parser


if __name__ == "__main__":
    sys.exit(main())
