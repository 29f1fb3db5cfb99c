"""The printed role suffices for what it was printed for: changing, calling, pruning, destroying."""

from __future__ import annotations

import io
import json
import ssl
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from provisioner.cli.app import cli
from provisioner.cli.run import execute
from provisioner.cli.session import Session
from tests.flow.scenes import (
    OWNER,
    TENANT,
    Scene,
    Theatre,
    cores,
    managed,
    opened,
    serverless,
    subscription_of,
    tenant,
)

pytestmark = pytest.mark.slow

PHI = serverless("azureml/Phi-4")
LLAMA = serverless(name="bought")
BESIDE = ", rollout: {strategy: blueGreen, steps: [100], bake: 0s, probe: true}"
OLD = managed(model="azureml/Phi-4/versions/6")
ERRANDS: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    # first, then, command, options that both `role` and the command know
    "a rollout that calls": (OLD, managed(BESIDE), "apply", ()),
    "a replacement": (OLD, managed(), "apply", ()),
    "another model": (PHI, serverless("azureml/Phi-4-mini-instruct"), "apply", ()),
    "a move to shared quota": (managed(), managed(", sharedQuota: true"), "apply", ()),
    "calling every model": ("", PHI, "apply", ("--verify",)),
    "pruning": (PHI + managed(), PHI, "apply", ("--prune",)),
    "pruning subscriptions": (PHI + LLAMA, PHI, "apply", ("--prune", "--prune-subscriptions")),
    "destroying": (PHI + managed(), PHI + managed(), "destroy", ()),
}
SCENES = [Scene(name, tenant(quotas=cores("0/96")), one[1], None) for name, one in ERRANDS.items()]


def person(number: int) -> tuple[str, str]:
    return f"dddddddd-0000-4000-8000-{number:012}", f"secret-{number}-for-the-emulator"


def principals() -> list[dict[str, str]]:
    named = [("provisioner-ci", OWNER), *((f"p{n}", person(n)) for n in range(len(SCENES)))]
    found = [{"name": name, "clientId": who[0], "secret": who[1]} for name, who in named]
    return [*found, {"name": "reader", "clientId": "bbbbbbbb-0000-4000-8000-000000000002"}]


@pytest.fixture(scope="module")
def theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    more = {"principals": [{**one, "objectId": one["clientId"]} for one in principals()]}
    with opened(tmp_path_factory.mktemp("errands"), SCENES, more) as found:
        yield found


@dataclass(frozen=True, slots=True)
class Stage:
    """The command line in a folder, and the owner's hand at the roles."""

    theatre: Theatre
    patch: pytest.MonkeyPatch

    def run(self, who: tuple[str, str], *arguments: str) -> str:
        """What the command printed; it must leave with 0."""
        record = self.theatre.record
        self.patch.setenv("AZURE_TENANT_ID", TENANT)
        self.patch.setenv("AZURE_CLIENT_ID", who[0])
        self.patch.setenv("AZURE_CLIENT_SECRET", who[1])
        where = ["--arm-endpoint", record.url, "--authority", record.url]
        out, err = io.StringIO(), io.StringIO()
        self.patch.setattr(sys, "stdout", out)
        self.patch.setattr(sys, "stderr", err)
        code = execute(cli, [*arguments, *where, "--ca-bundle", record.ca_bundle], Session())
        assert code == 0, err.getvalue()
        return out.getvalue()

    def grant(self, who: str, subscription: str, actions: list[str], scopes: list[str]) -> None:
        record = self.theatre.record
        trust = ssl.create_default_context(cafile=record.ca_bundle)
        form = {"grant_type": "client_credentials", "client_id": OWNER[0]}
        form |= {"client_secret": OWNER[1], "scope": "https://management.azure.com/.default"}
        role = f"/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/"
        role += str(uuid.uuid4())
        entry = {"roleName": who, "type": "CustomRole", "permissions": [{"actions": actions}]}
        given = {"roleDefinitionId": role, "principalId": who}
        version = {"api-version": "2022-04-01"}
        with httpx.Client(verify=trust, base_url=record.url, params=version) as client:
            token = client.post(f"/{TENANT}/oauth2/v2.0/token", data=form).json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            assignable = {"assignableScopes": [f"/subscriptions/{subscription}"]}
            client.put(role, json={"properties": entry | assignable}).raise_for_status()
            for scope in scopes:
                path = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
                client.put(path, json={"properties": given}).raise_for_status()


@pytest.mark.parametrize("scene", SCENES, ids=str)
def test_the_printed_role_suffices(
    scene: Scene, theatre: Theatre, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, then, command, options = ERRANDS[scene.name]
    who = person(SCENES.index(scene))
    stage = Stage(theatre, monkeypatch)
    monkeypatch.chdir(tmp_path)
    Path("m.yaml").write_text(theatre.text(scene, then), encoding="utf-8")
    if first:
        Path("first.yaml").write_text(theatre.text(scene, first), encoding="utf-8")
        stage.run(OWNER, "apply", "--yes", "--accept-terms", "-f", "first.yaml")
    asked = ("role", "-f", "m.yaml", *options, *(("--destroy",) if command == "destroy" else ()))
    role = json.loads(stage.run(OWNER, *asked))
    commands = stage.run(OWNER, *asked, "--assign-command").splitlines()
    scopes = [line.partition("--scope ")[2].strip() for line in commands if "--scope " in line]
    stage.grant(who[0], subscription_of(scene, SCENES), role["Actions"], scopes)
    allowing = ("--accept-terms", "--allow-destroy") if command == "apply" else ()
    stage.run(who, command, "--yes", "-f", "m.yaml", *allowing, *options)
