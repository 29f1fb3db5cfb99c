"""A runner as far as the shell steps of action.yml and of the Azure Pipelines template can tell.

Steps are taken from the files as they stand and run by bash; what a hosted runner would supply is
on loopback: its OIDC endpoint, GitHub's REST API for comments, and Azure (the emulator).
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import yaml

from provisioner.emulator.control import Record
from tests.contract.adapter_server import Answer, Asked, Script

ROOT = Path(__file__).resolve().parents[2]
ISSUER = "https://emulator.invalid/oidc"
SUBJECT = "repo:contoso/models:ref:refs/heads/main"
_INPUT = re.compile(r"\$\{\{ inputs\.([a-z-]+) \}\}\Z")

WRAPPER = f'#!/bin/sh\nexec "{sys.executable}" -m provisioner "$@"\n'
VENV = f"""\
#!/bin/sh
# Stands in for `python3 -I -m venv DIR`: this very environment under that name.
[ "$1 $2 $3" = "-I -m venv" ] || exec "{sys.executable}" "$@"
mkdir -p "$4/bin"
printf '%s' '{WRAPPER}' >"$4/bin/provision"
printf '#!/bin/sh\\n' >"$4/bin/pip"
chmod +x "$4/bin/provision" "$4/bin/pip"
"""


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


@dataclass
class Hosted:
    """What the runner's services were asked, and what they know."""

    script: Script
    comments: dict[int, str] = field(default_factory=dict)
    strangers: set[int] = field(default_factory=set)  # ids of comments by people
    login: str | None = None  # of the token's user; None: the job's own token
    may_comment: bool = True
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def answer(self, asked: Asked) -> Answer:
        if asked.path in ("/oidc/github", "/oidc/devops"):
            assert asked.headers["authorization"] == "Bearer runner-token"
            claims = {
                "iss": ISSUER, "sub": SUBJECT, "aud": "api://AzureADTokenExchange",
                "exp": int(time.time()) + 60,
            }  # fmt: skip
            token = jwt.encode(claims, "a key of the foreign issuer, 32 bytes.", "HS256")
            return Answer(200, {"value": token, "oidcToken": token})
        assert asked.headers["authorization"] == "Bearer job-token"
        if not self.may_comment:
            return Answer(403, {"message": "Resource not accessible by integration"})
        if asked.path == "/user":
            known = self.login is not None
            return Answer(200 if known else 403, {"login": self.login} if known else {})
        return self._comment(asked)

    def _comment(self, asked: Asked) -> Answer:
        many, one = (
            "/repos/contoso/models/issues/7/comments",
            "/repos/contoso/models/issues/comments/",
        )
        if asked.method == "GET" and asked.path == many:
            page, size = int(asked.query["page"]), int(asked.query["per_page"])
            known = [
                {"id": id, "body": body, "user": self._author(id)}
                for id, body in self.comments.items()
            ]
            return Answer(200, known[(page - 1) * size : page * size])
        if asked.method == "POST" and asked.path == many:
            number = next(one for one in self.numbers if one not in self.comments)
        else:
            assert asked.method == "PATCH"
            number = int(asked.path.removeprefix(one))
            assert number in self.comments
        self.comments[number] = asked.body["body"]
        return Answer(201, {"id": number})

    def _author(self, id: int) -> dict[str, str]:
        if id in self.strangers:
            return {"login": "stranger", "type": "User"}
        if self.login is not None:
            return {"login": self.login, "type": "User"}
        return {"login": "github-actions[bot]", "type": "Bot"}


@dataclass
class Runner:
    """A job's machine: `folder` is the checkout, `temporary` is RUNNER_TEMP."""

    folder: Path
    temporary: Path
    hosted: Hosted
    record: Record
    bundle: Path

    def environment(self) -> dict[str, str]:
        """Everything that leads to Azure here, and no secret."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {
            **kept,
            "PYTHONPATH": str(ROOT),
            "PROVISION_ARM_ENDPOINT": self.record.url,
            "PROVISION_AUTHORITY": self.record.url,
            "PROVISION_CA_BUNDLE": str(self.bundle),
            "SSL_CERT_FILE": str(self.bundle),
        }

    async def bash(self, text: str, environment: dict[str, str]) -> Ran:
        process = await asyncio.create_subprocess_exec(
            "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", text,
            cwd=self.folder, env=environment, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await asyncio.wait_for(process.communicate(), 120)
        return Ran(process.returncode or 0, out.decode(), err.decode())


@dataclass
class Job:
    """One use of the action: runs its steps in order as the runner would, `if` included."""

    runner: Runner
    event: str = "push"
    outputs: dict[str, str] = field(default_factory=dict)
    summary: str = ""

    async def uses(self, **inputs: str) -> list[Ran]:
        """The runs of the action's steps; stops after a step that fails."""
        action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
        given = {name: str(spec.get("default", "")) for name, spec in action["inputs"].items()}
        given |= {
            "github-token": "job-token",
            **{k.replace("_", "-"): v for k, v in inputs.items()},
        }
        ran = []
        for step in action["runs"]["steps"]:
            if not self._applies(str(step.get("if", "")), given):
                continue
            ran.append(await self._step(step, given))
            if ran[-1].code:
                break
        return ran

    async def _step(self, step: dict[str, Any], given: dict[str, str]) -> Ran:
        assert step["shell"] == "bash"
        assert "${{" not in step["run"], "an input in a script could be a command"
        runner = self.runner
        files = {name: runner.temporary / name for name in ("output", "summary")}
        for path in files.values():
            path.write_text("")
        (runner.temporary / "event.json").write_text('{"pull_request": {"number": 7}}')
        environment = {
            **runner.environment(),
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_API_URL": runner.hosted.script.url,
            "GITHUB_EVENT_PATH": str(runner.temporary / "event.json"),
            "GITHUB_OUTPUT": str(files["output"]),
            "GITHUB_REPOSITORY": "contoso/models",
            "GITHUB_STEP_SUMMARY": str(files["summary"]),
            "RUNNER_TEMP": str(runner.temporary),
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{runner.hosted.script.url}/oidc/github?job=7",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "runner-token",
        }
        for name, text in step.get("env", {}).items():
            found = _INPUT.match(str(text))
            environment[name] = given[found[1]] if found else str(text)
        ran = await runner.bash(step["run"], environment)
        for line in files["output"].read_text().splitlines():
            name, _, value = line.partition("=")
            self.outputs[name] = value
        self.summary += files["summary"].read_text()
        return ran

    def _applies(self, condition: str, given: dict[str, str]) -> bool:
        """The conditions of action.yml: comparisons joined by &&."""
        if not condition:
            return True
        values = {
            "github.event_name": self.event,
            "steps.run.outputs.exit-code": self.outputs.get("exit-code", ""),
            **{f"inputs.{name}": value for name, value in given.items()},
        }
        for part in condition.split(" && "):
            name, _, wanted = part.partition(" == ")
            if values[name] != wanted.strip("'"):
                return False
        return True
