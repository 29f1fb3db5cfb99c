"""Scenes that are played on the emulator: a tenant, manifests, and what a check says of them.

The plan is judged, then the command line is run as a person runs it, and then the plan is carried
out all the same: where a check says no, the command leaves with 3 before it wrote anything, and the
service says no as well.
"""

from __future__ import annotations

import asyncio
import io
import ssl
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from provisioner import apply, manifest, pipeline
from provisioner.azure import Settings, connect
from provisioner.azure.settings import Patience
from provisioner.cli.app import cli
from provisioner.cli.run import execute
from provisioner.cli.session import Session
from provisioner.clock import SystemClock
from provisioner.cloud import Cloud
from provisioner.emulator import control
from provisioner.errors import ExitCode, Problem, Severity
from provisioner.events import Outcome, ignore
from provisioner.pipeline import Prepared, Wish
from provisioner.plan import Options as Planning
from provisioner.plan import Plan
from provisioner.preflight import Options, blocking
from provisioner.resources import Secret

TENANT = "aaaaaaaa-0000-4000-8000-000000000001"
OWNER = ("bbbbbbbb-0000-4000-8000-000000000001", "emulator-only-secret")
READER = ("bbbbbbbb-0000-4000-8000-000000000002", "emulator-reader-secret")

QUICK = dict.fromkeys(
    ("subscription", "serverlessEndpoint", "onlineEndpoint", "deployment", "update", "delete"),
    "10ms",
)


def tenant(
    workspace: Mapping[str, Any] | None = None,
    *,
    group: Mapping[str, Any] | None = None,
    **subscription: Any,
) -> dict[str, Any]:
    """An Azure subscription of the scenario, in good order but for what is given."""
    place = {"name": "mlw-prod", "location": "eastus2", **(workspace or {})}
    inside = {
        "name": "rg-ml-prod",
        "location": "eastus2",
        "workspaces": [place],
        **(group or {}),
    }
    return {
        "name": "ML production",
        "quotas": {"*": {"standardNCADSA100v4Family": "0/96"}},
        "resourceGroups": [inside],
        **subscription,
    }


WORKSPACE = """\
apiVersion: provisioner.azureml/v1
kind: Workspace
metadata: {name: ml-prod}
spec: {subscriptionId: SUBSCRIPTION, resourceGroup: rg-ml-prod, workspaceName: mlw-prod,
       region: REGION}
"""


def serverless(model: str = "azureml-meta/Llama-3.3-70B-Instruct", name: str = "llama") -> str:
    return f"""---
apiVersion: provisioner.azureml/v1
kind: ModelDeployment
metadata: {{name: {name}-NUMBER}}
spec: {{workspace: ml-prod, model: {model}, target: {{serverless: {{}}}}}}
"""


def managed(settings: str = "", model: str = "azureml/Phi-4/versions/7") -> str:
    size = "" if "instanceType" in settings else "instanceType: Standard_NC24ads_A100_v4, "
    return f"""---
apiVersion: provisioner.azureml/v1
kind: ModelDeployment
metadata: {{name: phi-NUMBER}}
spec:
  workspace: ml-prod
  model: {model}
  target: {{managedCompute: {{{size}instanceCount: 1{settings}}}}}
"""


def managed_set(numbers: Iterable[int]) -> str:
    """Deployments of one endpoint that carry no traffic."""
    return "".join(
        managed(", endpointName: phi-NUMBER, traffic: 0").replace(
            "name: phi-NUMBER}", f"name: phi-NUMBER-{number}}}"
        )
        for number in numbers
    )


def two_workspaces(region: str) -> dict[str, Any]:
    places = [
        {"name": "mlw-prod", "location": "eastus2"},
        {"name": "mlw-second", "location": region},
    ]
    return tenant(group={"workspaces": places})


def second_workspace(region: str) -> str:
    return "---\n" + WORKSPACE.replace("ml-prod}", "ml-second}").replace(
        "mlw-prod", "mlw-second"
    ).replace("REGION", region)


def in_second(number: int, model: str, endpoint: str) -> str:
    """A serverless endpoint in the second workspace."""
    text = serverless(f"azureml/{model}", f"second-{number}").replace("ml-prod", "ml-second")
    return text.replace("serverless: {}", f"serverless: {{endpointName: {endpoint}-NUMBER}}")


@dataclass(frozen=True, slots=True)
class Scene:
    """A scenario, manifests, and the code of the finding that is due; None: none may block."""

    name: str
    tenant: dict[str, Any]
    manifests: str
    code: str | None
    who: tuple[str, str] = OWNER
    region: str = "eastus2"
    accept: bool = True
    first: str = ""
    """Manifests that an owner applies before; empty: nothing is there."""
    destroys: bool = False
    prunes: bool = False
    warns: str = ""
    """Code of a warning that is due where nothing may block: what cannot be known for certain."""
    fails: bool | None = None
    """Whether the service refuses; None: exactly where a finding blocks."""
    says: tuple[str, ...] = ()
    """What the way out must name, and what (with "not: " before it) it must not."""
    ignores: Options = field(default_factory=Options)
    """The --ignore-… options of the run."""
    seconds: float = 5
    """How long a step that the service refuses may take."""

    def __str__(self) -> str:
        return self.name

    @property
    def due(self) -> str:
        return self.code or self.warns


def cores(text: str, family: str = "standardNCADSA100v4Family") -> dict[str, Any]:
    return {"*": {family: text}}


def locked(level: str) -> dict[str, Any]:
    return {"locks": [{"name": "keep", "level": level}]}


def subscription_of(scene: Scene, scenes: Sequence[Scene]) -> str:
    """Each scene has an Azure subscription to itself, so that one emulator serves them all."""
    return f"{scenes.index(scene):08}-0000-4000-8000-000000000000"


def whole_scenario(scenes: Sequence[Scene], more: Mapping[str, Any] | None = None) -> str:
    """One tenant for all scenes; `more` adds to it, with SUBSCRIPTION in it for the scenes'."""
    changes = dict(more or {})
    grants = [
        {"principal": "provisioner-ci", "role": "Owner", "scope": "/"},
        {"principal": "reader", "role": "Reader", "scope": "/"},
        *changes.pop("roleAssignments", ()),
    ]
    return yaml.safe_dump(
        {
            "durations": QUICK,
            "behaviour": {"throttling": False, "nameHold": "300ms"},
            "subscriptions": [
                {"id": subscription_of(scene, scenes), **scene.tenant} for scene in scenes
            ],
            "roleAssignments": grants,
            **changes,
        }
    )


@dataclass(frozen=True, slots=True)
class Theatre:
    """A running emulator with the scenes that its tenant was made for."""

    record: control.Record
    scenes: Sequence[Scene]

    @asynccontextmanager
    async def signed_in(self, who: tuple[str, str] = OWNER) -> AsyncIterator[Cloud]:
        settings = Settings(
            arm_endpoint=self.record.url,
            authority=self.record.url,
            ca_bundle=Path(self.record.ca_bundle),
            emulator=True,
            tenant_id=TENANT,
            client_id=who[0],
            client_secret=Secret(who[1]),
            # What a registration or a lock forbids is not mended by waiting here.
            patience=Patience(attempts=2, first_delay=0.01, throttled=1, conflict=0.2),
        )
        async with connect(settings) as cloud:
            yield cloud

    def text(self, scene: Scene, manifests: str) -> str:
        text = WORKSPACE + manifests
        text = text.replace("SUBSCRIPTION", subscription_of(scene, self.scenes))
        text = text.replace("REGION", scene.region)
        return text.replace("NUMBER", str(self.scenes.index(scene)))

    async def judged(
        self, cloud: Cloud, scene: Scene, manifests: str, *, whole: bool = False
    ) -> Prepared:
        """What applying the manifests would do; `whole`: pruned or destroyed as the scene says."""
        loaded = manifest.load(["-"], stdin=io.StringIO(self.text(scene, manifests)))
        planning = Planning(prune=whole and scene.prunes)
        wish = Wish(accept_terms=scene.accept, planning=planning, checks=scene.ignores)
        prepare = pipeline.prepare_destroy if whole and scene.destroys else pipeline.prepare
        return await prepare(loaded, cloud, wish, SystemClock(), ignore)

    def advance(self, span: str) -> None:
        """Move the emulated clock."""
        trust = ssl.create_default_context(cafile=self.record.ca_bundle)
        with httpx.Client(verify=trust) as client:
            client.post(f"{self.record.url}/emulator/clock", json={"advance": span})

    def writes(self, scene: Scene) -> list[str]:
        """The requests of the log that change something in the scene's Azure subscription."""
        place = subscription_of(scene, self.scenes)
        trust = ssl.create_default_context(cafile=self.record.ca_bundle)
        with httpx.Client(verify=trust) as client:
            log = client.get(f"{self.record.url}/emulator/requests").json()["requests"]
        return [
            f"{line['method']} {line['path']}"
            for line in log
            if place in line["path"]
            and (line["method"] in ("PUT", "PATCH", "DELETE") or line["path"].endswith("/sign"))
        ]

    def play(self, scene: Scene, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Prepared:
        """Judge, run the command, and carry the plan out whatever was found."""
        found = asyncio.run(self._judge(scene))
        blocks = {one.code.id for one in blocking(found.findings)}
        assert blocks == ({scene.code} if scene.code else set())
        if scene.due:
            self._explains(scene, found)
        if scene.code:
            before = self.writes(scene)
            self._command_refuses(scene, folder, monkeypatch)
            assert self.writes(scene) == before
        fails = scene.code is not None if scene.fails is None else scene.fails
        failures = asyncio.run(self._carry_out(scene, found.plan, scene.seconds if fails else 60))
        assert bool(failures) is fails, failures or "the service would have done it"
        return found

    async def _judge(self, scene: Scene) -> Prepared:
        if scene.first:
            async with self.signed_in() as owner:
                before = await self.judged(owner, scene, scene.first)
                assert not await carried_out(owner, before.plan, 60)
        async with self.signed_in(scene.who) as cloud:
            return await self.judged(cloud, scene, scene.manifests, whole=True)

    async def _carry_out(self, scene: Scene, plan: Plan, seconds: float) -> list[Problem]:
        async with self.signed_in(scene.who) as cloud:
            return await carried_out(cloud, plan, seconds)

    def _explains(self, scene: Scene, found: Prepared) -> None:
        """The finding that is due has its place and its way out."""
        due = [one for one in found.findings if one.code.id == scene.due]
        assert due, found.findings
        assert scene.code or due[0].severity is Severity.WARNING
        for one in due:
            assert one.hint
            assert one.position is not None
        text = " ".join(f"{one.what} {one.hint} {' '.join(one.details)}" for one in due)
        for words in scene.says:
            assert (words.removeprefix("not: ") in text) is not words.startswith("not: "), text

    def _command_refuses(self, scene: Scene, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (folder / "m.yaml").write_text(self.text(scene, scene.manifests), encoding="utf-8")
        monkeypatch.chdir(folder)
        monkeypatch.setenv("AZURE_TENANT_ID", TENANT)
        monkeypatch.setenv("AZURE_CLIENT_ID", scene.who[0])
        monkeypatch.setenv("AZURE_CLIENT_SECRET", scene.who[1])
        where = ["--arm-endpoint", self.record.url, "--authority", self.record.url]
        where += ["--ca-bundle", self.record.ca_bundle]
        command = ["destroy"] if scene.destroys else ["apply", "--allow-destroy"]
        if scene.accept and not scene.destroys:
            command.append("--accept-terms")
        if scene.prunes:
            command.append("--prune")
        arguments = [*command, "--yes", "-f", "m.yaml", *where]
        said = io.StringIO()
        monkeypatch.setattr(sys, "stderr", said)
        code = execute(cli, arguments, Session())
        monkeypatch.undo()
        assert code == ExitCode.REFUSED, said.getvalue()
        assert f"error[{scene.code}]" in said.getvalue()


async def carried_out(cloud: Cloud, plan: Plan, seconds: float) -> list[Problem]:
    """What goes wrong when the plan is carried out whatever was found."""
    settings = apply.Settings(timeout=seconds)
    report = await apply.execute(plan, cloud, SystemClock(), ignore, settings)
    failed = [one for one in report.results if one.outcome is Outcome.FAILED]
    assert all(one.problem is not None for one in failed)
    return [one.problem for one in failed if one.problem is not None]


@contextmanager
def opened(
    folder: Path, scenes: Sequence[Scene], more: Mapping[str, Any] | None = None
) -> Iterator[Theatre]:
    """An emulator of its own for a list of scenes."""
    scenario = folder / "scenario.yaml"
    scenario.write_text(whole_scenario(scenes, more), encoding="utf-8")
    record = asyncio.run(control.start(folder, scenario=scenario))
    try:
        yield Theatre(record, scenes)
    finally:
        asyncio.run(control.stop(folder))
