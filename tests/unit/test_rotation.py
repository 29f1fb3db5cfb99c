"""Rotation of keys in an emulated hour: stopped anywhere, started again, and no caller fails."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioner import outputs
from provisioner.desired import Origin
from provisioner.errors import Failed, Partial, Position, Problem
from provisioner.errors.cloud import CloudError, ServiceFault
from provisioner.events import Event
from provisioner.inference import codes
from provisioner.manifest.schema import Output
from provisioner.outputs.held import holds
from provisioner.publish import Published
from provisioner.resources import (
    KeyName,
    Keys,
    Kind,
    ModelRef,
    ResourceId,
    Secret,
    WorkspaceId,
)
from provisioner.rotation import Job, Rotation
from tests.fake_clock import FakeClock

ID = ResourceId(WorkspaceId("s", "rg", "ws"), Kind.SERVERLESS_ENDPOINT, "llama")
GRACE = 5.0
SINKS = (
    Output.model_validate({"dotenv": {"path": "a.env"}}),
    Output.model_validate({"json": {"path": "b.json"}}),
    Output.model_validate({"githubOutput": {}}),
)


class Crash(BaseException):
    """The process dies."""


@dataclass
class Service:
    """Two keys; a regeneration takes `seconds`, and another one is refused meanwhile.

    A crash strikes at the action of that number, before or after it is done. `refusals` are what
    the next requests for a regeneration are answered with; "lost" acts and then loses its answer.
    """

    clock: FakeClock
    seconds: float = 3.0
    refusals: list[str] = field(default_factory=list)
    keys_now: dict[KeyName, str] = field(
        default_factory=lambda: {KeyName.PRIMARY: "key-p-0000", KeyName.SECONDARY: "key-s-0000"}
    )
    running: tuple[float, KeyName] | None = None
    made: int = 0
    crash_at: int | None = None
    crash_after: bool = False
    actions: int = 0

    def settle(self) -> None:
        if self.running is not None and self.running[0] <= self.clock.monotonic():
            _, which = self.running
            self.made += 1
            self.keys_now[which] = f"key-{which.value[0].lower()}-{self.made:04}"
            self.running = None

    async def act(self, do: Callable[[], Awaitable[None]]) -> None:
        self.actions += 1
        strikes = self.crash_at == self.actions
        if strikes and not self.crash_after:
            raise Crash
        await do()
        if strikes:
            raise Crash

    async def keys(self, endpoint: ResourceId) -> Keys:
        await self.act(self._nothing)
        self.settle()
        return Keys(
            Secret(self.keys_now[KeyName.PRIMARY]), Secret(self.keys_now[KeyName.SECONDARY])
        )

    async def _nothing(self) -> None:
        await asyncio.sleep(0)

    async def regenerate_key(self, endpoint: ResourceId, which: KeyName) -> None:
        async def do() -> None:
            self.settle()
            refusal = self.refusals.pop(0) if self.refusals else None
            if refusal not in (None, "lost"):
                raise _fault(int(str(refusal)))
            if self.running is not None:
                raise _fault(409)
            self.running = (self.clock.monotonic() + self.seconds, which)
            if refusal == "lost":
                raise _fault(0)

        await self.act(do)
        await self.clock.sleep(self.seconds)

    async def admits(self, key: Secret) -> Problem | None:
        await self.act(self._nothing)
        self.settle()
        if key.reveal() in self.keys_now.values():
            return None
        return Problem(codes.UNAUTHORIZED, "no such key", "none")


def _fault(status: int) -> CloudError:
    return CloudError(ServiceFault(status, "", "no"))


@dataclass
class World:
    """A service, a folder with the sinks, and callers that read one of them for each call."""

    folder: Path
    clock: FakeClock
    service: Service
    events: list[Event] = field(default_factory=list)
    calls: int = 0
    github: bool = False

    @property
    def context(self) -> outputs.Context:
        environment = {"GITHUB_OUTPUT": str(self.folder / "github")} if self.github else {}
        folder = self.folder.resolve()
        told = {folder / name: False for name in ("a.env", "b.json")}  # git is not asked
        return outputs.Context(cwd=folder, environment=environment, tracked=told)

    def rotation(self, sinks: tuple[Output, ...] = SINKS) -> Rotation:
        origin = Origin("llama", Position("m.yaml", 1, 1), outputs=sinks)
        job = Job(ID, "https://x", [Published(origin, ID, ModelRef("r", "m"))], GRACE)
        return Rotation(
            job, self.service, self.clock, self.events.append, self.context, self.service.admits
        )

    def held(self) -> list[str]:
        lines = (self.folder / "a.env").read_text().splitlines()
        (dotenv,) = (line.split("=")[1] for line in lines if "CREDENTIAL" in line)
        return [dotenv, json.loads((self.folder / "b.json").read_text())["key"]]

    async def settle_sinks(self) -> None:
        """As an apply leaves them: all on the primary."""
        sinks = [sink for sink in SINKS if sink.kind != "githubOutput"]
        keys = await self.service.keys(ID)
        found = outputs.EndpointCredentials("llama", "https://x", keys, ModelRef("r", "m"))
        await outputs.write(found, sinks, self.context)

    async def callers(self) -> None:
        """Each second: read the key, take most of the grace to call, and never be refused."""
        while True:
            for key in self.held():
                asyncio.get_running_loop().create_task(self._call(key))
            await self.clock.sleep(1.0)

    async def _call(self, key: str) -> None:
        await self.clock.sleep(GRACE - 0.5)
        self.service.settle()
        self.calls += 1
        if key not in self.service.keys_now.values():
            self.failed.append(key)

    failed: list[str] = field(default_factory=list)


def _world(folder: str, **more: object) -> World:
    clock = FakeClock()
    return World(Path(folder), clock, Service(clock, **more))  # type: ignore[arg-type]


async def _rotate(world: World, crashes: list[tuple[int, bool]], idle: float) -> None:
    """Run until it gets through, dying where `crashes` says, with callers beside it."""
    await world.settle_sinks()
    callers = asyncio.create_task(world.callers())
    service = world.service
    for at, after in [*crashes, (0, False)]:
        service.actions, service.crash_at, service.crash_after = 0, at or None, after
        try:
            await world.rotation().run()
        except Crash:
            await world.clock.sleep(idle)
        else:
            break
    await world.clock.sleep(10.0)
    callers.cancel()
    await asyncio.gather(callers, return_exceptions=True)


_crashes = st.lists(st.tuples(st.integers(1, 14), st.booleans()), max_size=4)


@settings(max_examples=60, deadline=None)
@given(
    _crashes,
    st.sampled_from([0.0, 1.0, 30.0]),
    st.sampled_from([0.0, 3.0, 40.0]),
    st.lists(st.sampled_from(["lost", "409", "503", "429"]), max_size=4),
)
def test_no_caller_fails_whatever_happens(
    crashes: list[tuple[int, bool]],
    idle: float,
    seconds: float,
    refusals: list[str],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = _world(folder, seconds=seconds, refusals=refusals)
        world.clock.run(_rotate(world, crashes, idle))
        assert world.failed == []
        assert world.calls > 10
        now = world.service.keys_now
        assert "0000" not in "".join(now.values()), "both keys are new"
        assert world.held() == [now[KeyName.PRIMARY]] * 2


def test_a_key_is_in_no_event(tmp_path: Path) -> None:
    world = _world(str(tmp_path))
    world.clock.run(_rotate(world, [(3, True)], 1.0))
    said = repr(world.events)
    assert len(world.events) > 8
    for number in range(world.service.made + 1):
        for letter in "ps":
            assert f"key-{letter}-{number:04}" not in said


def test_a_sink_that_cannot_be_written_keeps_its_key_alive(tmp_path: Path) -> None:
    world = _world(str(tmp_path))
    world.clock.run(world.settle_sinks())
    (tmp_path / "b.json").write_text("not ours")
    with pytest.raises(Failed) as caught:
        world.clock.run(world.rotation().run())
    assert [one.code.id for one in caught.value.problems] == ["keys.sink-failed", "output.foreign"]
    assert world.service.made == 0


def test_a_sink_that_breaks_in_the_middle(tmp_path: Path) -> None:
    """It breaks when the secondary is new; the primary, which it holds, stays."""
    world = _world(str(tmp_path))
    world.clock.run(world.settle_sinks())
    before = world.service.keys_now[KeyName.PRIMARY]
    rotation = world.rotation()
    admits = rotation.admits

    async def breaking(key: Secret) -> Problem | None:
        (tmp_path / "b.json").write_text("not ours")
        return await admits(key)

    rotation.admits = breaking
    with pytest.raises(Failed):
        world.clock.run(rotation.run())
    assert world.service.keys_now[KeyName.PRIMARY] == before
    (tmp_path / "b.json").unlink()
    world.clock.run(world.rotation().run())
    assert world.held() == [world.service.keys_now[KeyName.PRIMARY]] * 2


def test_a_sink_that_breaks_at_the_end_holds_a_key_that_works(tmp_path: Path) -> None:
    world = _world(str(tmp_path))
    world.clock.run(world.settle_sinks())
    rotation = world.rotation()
    admits = rotation.admits

    async def breaking(key: Secret) -> Problem | None:
        if key.reveal() == world.service.keys_now[KeyName.PRIMARY]:
            (tmp_path / "b.json").unlink()
            (tmp_path / "b.json").mkdir()
        return await admits(key)

    rotation.admits = breaking
    with pytest.raises(Partial) as caught:
        world.clock.run(rotation.run())
    assert caught.value.problems[0].code.id == "keys.left-behind"
    assert world.service.made == 2


def test_a_new_key_that_is_refused_is_not_written(tmp_path: Path) -> None:
    world = _world(str(tmp_path))
    world.clock.run(world.settle_sinks())
    rotation = world.rotation()

    async def never(key: Secret) -> Problem | None:
        return Problem(codes.UNAUTHORIZED, "refused", "none")

    rotation.admits = never
    before = world.held()
    with pytest.raises(Failed) as caught:
        world.clock.run(rotation.run())
    assert caught.value.problems[0].code.id == "keys.not-admitted"
    assert world.held() == before


@pytest.mark.parametrize(("status", "seconds"), [(403, 0.0), (409, 600.0)])
def test_refusals_end(tmp_path: Path, status: int, seconds: float) -> None:
    """At once where a person must act; after the patience where time alone could help."""
    world = _world(str(tmp_path), refusals=[str(status)] * 1000)
    world.clock.run(world.settle_sinks())
    begun = world.clock.monotonic()
    with pytest.raises(Failed):
        world.clock.run(world.rotation().run())
    took = world.clock.monotonic() - begun
    assert seconds - 5 <= took <= seconds + 5


def test_without_keys(tmp_path: Path) -> None:
    world = _world(str(tmp_path))

    async def none(endpoint: ResourceId) -> Keys:
        return Keys(None, None)

    world.service.keys = none  # type: ignore[method-assign]
    with pytest.raises(Failed) as caught:
        world.clock.run(world.rotation().run())
    assert caught.value.problems[0].code.id == "keys.none"


def test_a_pipeline_gets_the_key_once_at_the_end(tmp_path: Path) -> None:
    world = _world(str(tmp_path))
    world.github = True
    (tmp_path / "github").touch()
    world.clock.run(world.settle_sinks())
    world.clock.run(world.rotation().run())
    text = (tmp_path / "github").read_text()
    assert text.count("key=") == 1
    assert world.service.keys_now[KeyName.PRIMARY] in text


class Vault:
    """Secrets in memory; a vault that `refuses` answers 403."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.secrets: dict[str, Secret] = {}
        self.refuses = refuses

    async def get(self, name: str) -> Secret | None:
        if self.refuses:
            raise _fault(403)
        return self.secrets.get(name)

    async def set(self, name: str, value: Secret, content_type: str) -> None:
        self.secrets[name] = value


@pytest.mark.parametrize(
    ("sink", "refuses", "held"),
    [
        ({"vaultUrl": "https://v.vault.azure.net"}, False, True),
        ({"vaultUrl": "https://v.vault.azure.net", "keySecret": "k"}, False, True),
        ({"vaultUrl": "https://v.vault.azure.net"}, True, False),
    ],
)
async def test_what_a_vault_holds(sink: dict[str, str], refuses: bool, held: bool) -> None:
    vault = Vault()
    context = outputs.Context(vault=lambda url: vault)
    output = Output.model_validate({"keyVault": sink})
    keys = Keys(Secret("key-p-0000"), Secret("key-s-0000"))
    found = outputs.EndpointCredentials(
        "llama", "https://x", keys, ModelRef("r", "m"), use=KeyName.SECONDARY
    )
    await outputs.write(found, [output], context)
    vault.refuses = refuses
    assert await holds(found, output, Secret("key-s-0000"), context) is held
    assert not await holds(found, output, Secret("key-p-0000"), context)


async def test_what_files_hold(tmp_path: Path) -> None:
    context = outputs.Context(cwd=tmp_path)
    keys = Keys(Secret("key-p-0000"), Secret("key-s-0000"))
    found = outputs.EndpointCredentials("llama", "https://x", keys, ModelRef("r", "m"))
    for kind in ("dotenv", "json", "yaml"):
        output = Output.model_validate({kind: {"path": f"out/{kind}"}})
        assert not await holds(found, output, Secret("key-p-0000"), context)
        assert not (tmp_path / "out" / kind).exists(), "asking writes nothing"
        await outputs.write(found, [output], context)
        before = (tmp_path / "out" / kind).read_text()
        assert await holds(found, output, Secret("key-p-0000"), context)
        assert not await holds(found, output, Secret("key-s-0000"), context)
        assert (tmp_path / "out" / kind).read_text() == before
