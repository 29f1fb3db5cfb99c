"""Microsoft's own validator of live traffic (oav), and what it is known never to notice.

oav judges paths, parameters, bodies, enums and required properties at the api-version of the call.
It lets pass a success status that the specification does not name, a missing header of a
long-running operation, and properties in a request that only the service may write (AZURE.md §18);
those are checked here, against the same files.
"""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.contract.recorder import Exchange

NODE = Path(__file__).resolve().parent / "node"
_HOST = "https://management.azure.com"
_PERMISSIONS = re.compile(
    r"(/providers/[^/]+)(/[^/]+/[^/]+/providers/Microsoft\.Authorization/permissions)$",
    re.IGNORECASE,
)
_DATA_PLANE = "/mferp/managementfrontend"
# The provider sends no Retry-After (AZURE.md §17), so its absence is right, not wrong.
_OPTIONAL_HEADERS = {"retry-after"}


# Where the emulator knowingly says other than the specification: start of the operation's name,
# code, end of the place; with the reason.
DEVIATIONS = {
    ("", "MINIMUM", "/headers/retry-after"): (
        "1 s instead of 10 to 600 s, so that clients which obey it need not wait (AZURE.md §15)"
    ),
    ("Workspaces_", "OBJECT_ADDITIONAL_PROPERTIES", "/etag"): "recorded (AZURE.md §17)",
    ("Workspaces_", "OBJECT_ADDITIONAL_PROPERTIES", "/properties/softDeleteEnabled"): (
        "recorded (AZURE.md §17)"
    ),
}

StandIn = Callable[[Exchange], str]


def _itself(exchange: Exchange) -> str:
    return exchange.version


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found about one exchange; `operation` is "" where the specifications know none."""

    exchange: Exchange
    operation: str
    version: str
    problems: tuple[str, ...]


def judge(
    exchanges: Sequence[Exchange], specs: Path, work: Path, stand_in: StandIn = _itself
) -> list[Verdict]:
    """A verdict for each exchange, in order. `work` is a folder to be filled.

    `stand_in` gives the api-version to judge an exchange at, where its own was not saved.
    """
    node = install()
    asked, said = work / "exchanges.ndjson", work / "verdicts.ndjson"
    asked.write_text(
        "\n".join(json.dumps(_live(n, e, stand_in(e))) for n, e in enumerate(exchanges))
    )
    command = [
        node,
        str(NODE / "judge.mjs"),
        str(specs),
        str(work / "specs"),
        str(asked),
        str(said),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    verdicts = []
    for line, exchange in zip(said.read_text().splitlines(), exchanges, strict=True):
        found = json.loads(line)
        known = not found["operation"].startswith("unknown")
        operation = found["operation"] if known else ""
        problems = [f"request: {_text(each)}" for each in found["request"]]
        problems += [
            f"response: {_text(each)}"
            for each in found["response"]
            if not _deviates(operation, each)
        ]
        if known:
            problems += _unnoticed(exchange, operation, found["version"], specs)
        verdicts.append(Verdict(exchange, operation, found["version"], tuple(problems)))
    return verdicts


def _deviates(operation: str, issue: dict[str, str]) -> bool:
    """Whether an issue is one of DEVIATIONS."""
    return any(
        operation.startswith(start) and issue["code"] == code and issue["where"].endswith(where)
        for start, code, where in DEVIATIONS
    )


def install() -> str:
    """Path of node, with oav installed as the lock file says; fails where that cannot be had."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.fail("the contract is judged by oav, which needs Node.js 20 or later with npm")
    with (NODE / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two workers must not install at once
        if not (NODE / "node_modules" / ".package-lock.json").is_file():
            command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
            done = subprocess.run(command, cwd=NODE, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"npm ci failed: {done.stderr[-2000:]}"
    return node


def _live(number: int, exchange: Exchange, version: str) -> dict[str, Any]:
    # A resource without a parent: azure-mgmt sends an empty parent path (a doubled slash), others
    # leave the segment out. ARM takes both; oav wants something there.
    path = exchange.path.removeprefix(_DATA_PLANE).replace("//", "/")
    path = _PERMISSIONS.sub(r"\1/-\2", path)
    query = exchange.query.replace(exchange.version, version) if version else exchange.query
    request: dict[str, Any] = {
        "method": exchange.method,
        "url": f"{_HOST}{path}?{query}",
        "headers": exchange.request_headers,
    }
    if exchange.request_body is not None:
        request["body"] = exchange.request_body
    return {
        "id": number,
        "liveRequest": request,
        "liveResponse": {
            "statusCode": str(exchange.status),
            "headers": exchange.headers,
            "body": exchange.body if exchange.body is not None else {},
        },
    }


def _text(issue: dict[str, str]) -> str:
    return (
        f"{issue['code']} at {issue.get('where', '')}: {issue['message']} [{issue.get('schema')}]"
    )


def _unnoticed(exchange: Exchange, operation: str, version: str, specs: Path) -> Iterator[str]:
    declared = _operations(specs).get((operation, version))
    if declared is None:
        yield f"the specifications have no {operation} at {version}"
        return
    item, file = declared
    response = item["responses"].get(str(exchange.status))
    if response is None and exchange.status < 400:
        yield f"response: status {exchange.status} is not among {sorted(item['responses'])}"
    for header in (response or {}).get("headers", {}):
        if header.lower() not in exchange.headers and header.lower() not in _OPTIONAL_HEADERS:
            yield f"response: header {header} is missing"
    for parameter in item.get("parameters", ()):
        if parameter.get("in") == "body" and exchange.request_body is not None:
            schema = parameter["schema"]
            yield from _written(exchange.request_body, schema, file, "")


def _written(value: Any, schema: dict[str, Any], file: Path, where: str) -> Iterator[str]:
    """Properties of a request that only the service may write."""
    schema, file = _resolved(schema, file)
    if isinstance(value, list) and "items" in schema:
        for index, each in enumerate(value):
            yield from _written(each, schema["items"], file, f"{where}/{index}")
    if not isinstance(value, dict):
        return
    for parent in schema.get("allOf", ()):
        yield from _written(value, parent, file, where)
    for name, inner in schema.get("properties", {}).items():
        if name not in value:
            continue
        target, target_file = _resolved(inner, file)
        if inner.get("readOnly") or target.get("readOnly"):
            yield f"request: {where}/{name} is read-only"
        else:
            yield from _written(value[name], target, target_file, f"{where}/{name}")


def _resolved(schema: dict[str, Any], file: Path) -> tuple[dict[str, Any], Path]:
    while "$ref" in schema:
        name, _, pointer = schema["$ref"].partition("#")
        file = (file.parent / name).resolve() if name else file
        schema = _read(file)
        for part in pointer.strip("/").split("/"):
            schema = schema[part.replace("~1", "/").replace("~0", "~")]
    return schema, file


@cache
def _read(file: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return document


@cache
def _operations(specs: Path) -> dict[tuple[str, str], tuple[dict[str, Any], Path]]:
    """(operation, file) by operationId and api-version."""
    found = {}
    for file in sorted(specs.rglob("*.json")):
        if "examples" in file.parts or not {"stable", "preview"} & set(file.parts):
            continue
        document = _read(file)
        for item in {**document.get("paths", {}), **document.get("x-ms-paths", {})}.values():
            for method, operation in item.items():
                if method in ("get", "put", "patch", "post", "delete", "head"):
                    key = (operation["operationId"], document["info"]["version"])
                    found[key] = (operation, file)
    return found


def operations(specs: Path) -> set[tuple[str, str]]:
    """Every (operationId, api-version) that is described."""
    return set(_operations(specs))
