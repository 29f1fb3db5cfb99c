"""The sink keyVault through the real azure-keyvault-secrets against a vault on loopback TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from provisioner.manifest import Output
from provisioner.outputs import Context, EndpointCredentials, SinkResult, Status, write
from provisioner.resources import Keys, ModelRef, Secret
from tests.contract.adapter_server import DROP, Answer, Asked, Wire, wired
from tests.contract.vault_double import VaultDouble, refusal

URL = "https://llama.eastus2.models.ai.azure.com"
KEY = "kEy0123456789abcdef"


@dataclass
class Scene:
    wire: Wire
    vault: VaultDouble
    context: Context

    async def write(self, key: str = KEY, url: str = URL, **settings: str) -> list[SinkResult]:
        """To the vault, then to a file."""
        sinks = [
            Output.model_validate({"keyVault": {"vaultUrl": self.vault.url, **settings}}),
            Output.model_validate({"dotenv": {"path": "o.env"}}),
        ]
        model = ModelRef("azureml-meta", "Llama-3.3-70B-Instruct")
        found = EndpointCredentials("llama", url, Keys(Secret(key), None), model)
        return await write(found, sinks, self.context)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with wired(tmp_path) as wire:
        vault = VaultDouble(wire.script.url.replace("localhost", "127.0.0.1"))
        wire.script.handler = vault.answer
        (tmp_path / "run").mkdir()
        yield Scene(wire, vault, Context(tmp_path / "run", {"PATH": ""}, vault=wire.cloud.vaults))


async def test_url_and_key_become_secrets(scene: Scene) -> None:
    first, _ = await scene.write()
    assert first.status is Status.WRITTEN
    assert scene.vault.values("llama-url") == [URL]
    assert scene.vault.values("llama-key") == [KEY]
    assert scene.vault.secrets["llama-key"][0]["contentType"] == "provisioner llama"
    assert scene.vault.tokens == {"Bearer token-1"}
    assert set(scene.wire.source.scopes) == {
        f"https://0.0.1:{scene.vault.url.split(':')[2]}/.default"
    }


async def test_a_version_is_added_only_of_what_differs(scene: Scene) -> None:
    await scene.write()
    again, _ = await scene.write()
    assert again.status is Status.UNCHANGED
    changed, _ = await scene.write(key="another")
    assert changed.status is Status.WRITTEN
    assert scene.vault.values("llama-key") == [KEY, "another"]
    assert scene.vault.values("llama-url") == [URL]


async def test_a_disabled_version_is_replaced(scene: Scene) -> None:
    await scene.write(urlSecret="u", keySecret="k")
    scene.vault.secrets["k"][0]["attributes"]["enabled"] = False
    result, _ = await scene.write(urlSecret="u", keySecret="k")
    assert result.status is Status.WRITTEN
    assert scene.vault.values("k") == [KEY, KEY]


async def test_the_request_without_a_token_carries_no_secret(scene: Scene) -> None:
    await scene.write()
    bare = [a for a in scene.wire.script.asked if "authorization" not in a.headers]
    assert bare
    assert all(KEY not in str(asked.body) for asked in bare)


@pytest.mark.parametrize(
    ("answer", "words", "hint"),
    [
        ((403, "Forbidden", "No.", {"code": "ForbiddenByRbac"}), "No right", "Secrets Officer"),
        ((403, "Forbidden", "No.", {"code": "ForbiddenByFirewall"}), "firewall", "network-rule"),
        ((409, "Conflict", "deleted but recoverable"), "recovered", "secret recover"),
        ((400, "BadParameter", "no"), "with 400", "nothing else"),
        ((401, "Unauthorized", "AKV10032: issuer"), "identity", "tenant"),
    ],
)
async def test_a_refusal_is_told_and_the_others_go_on(
    scene: Scene, answer: tuple[Any, ...], words: str, hint: str
) -> None:
    scene.vault.refuse = refusal(*answer)
    result, file = await scene.write()
    assert result.status is Status.FAILED
    assert result.problem is not None
    assert result.problem.code.id == "output.store"
    assert words in result.problem.what
    assert hint in result.problem.hint
    assert KEY not in repr(result)
    assert file.status is Status.WRITTEN


async def test_an_unreachable_vault(scene: Scene) -> None:
    scene.wire.script.handler = lambda asked: DROP
    scene.vault = replace(scene.vault, url="https://127.0.0.1:1")
    result, file = await scene.write()
    assert result.problem is not None
    assert "cannot be reached" in result.problem.what
    assert file.status is Status.WRITTEN


async def test_a_host_that_only_claims_to_be_a_vault_gets_no_token(scene: Scene) -> None:
    scene.vault.resource = "https://vault.azure.net"
    result, _ = await scene.write()
    assert result.problem is not None
    assert "does not match" in result.problem.details[0]
    assert scene.vault.tokens == set()


async def test_a_redirect_takes_no_secret_elsewhere(scene: Scene) -> None:
    elsewhere = scene.vault.url.replace("127.0.0.1", "localhost") + "/elsewhere"
    asked_there = []

    def answer(asked: Asked) -> Answer:
        if asked.path == "/elsewhere":
            asked_there.append(asked)
        if asked.method == "PUT" and "authorization" in asked.headers:
            return Answer(307, {}, {"Location": elsewhere})
        return scene.vault.answer(asked)

    scene.wire.script.handler = answer
    result, _ = await scene.write()
    assert result.status is Status.FAILED
    assert asked_there == []


async def test_the_emulator_has_no_vault(scene: Scene) -> None:
    scene.context = replace(scene.context, vault=None)
    result, file = await scene.write()
    assert result.problem is not None
    assert "no Key Vault" in result.problem.what
    assert file.status is Status.WRITTEN
