"""A Key Vault as far as its public REST API describes getting and setting secrets.

A request without a token is answered 401 with a challenge that names the login service and the
resource; the real client sends its request again with a token. The resource is the parent domain
of the vault's own, as `vault.azure.net` is of `kv.vault.azure.net`: for a vault at 127.0.0.1 that
is, by the same reading of dots, 0.0.1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.contract.adapter_server import Answer, Asked

TENANT = "aaaaaaaa-0000-4000-8000-00000000000a"


@dataclass
class VaultDouble:
    """Secrets by name, oldest version first. `refuse` answers everything that has a token."""

    url: str
    refuse: Answer | None = None
    resource: str | None = None
    secrets: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)

    @property
    def challenge(self) -> str:
        port = urlsplit(self.url).port
        resource = self.resource or f"https://0.0.1:{port}"
        return f'Bearer authorization="https://login.invalid/{TENANT}", resource="{resource}"'

    def values(self, name: str) -> list[str]:
        return [version["value"] for version in self.secrets.get(name, [])]

    def answer(self, asked: Asked) -> Answer:
        assert asked.query["api-version"]
        token = asked.headers.get("authorization")
        if token is None:
            body = {"error": {"code": "Unauthorized", "message": "AKV10000: no token"}}
            return Answer(401, body, {"WWW-Authenticate": self.challenge})
        self.tokens.add(token)
        if self.refuse is not None:
            return self.refuse
        name = asked.path.split("/")[2]
        if asked.method == "PUT":
            return self._set(name, asked.body)
        versions = self.secrets.get(name)
        if not versions:
            return refusal(404, "SecretNotFound", f"A secret with (name/id) {name} was not found.")
        if not versions[-1]["attributes"]["enabled"]:
            inner = {"code": "SecretDisabled"}
            return refusal(403, "Forbidden", "Operation get is not allowed.", inner)
        return Answer(200, versions[-1])

    def _set(self, name: str, body: dict[str, Any]) -> Answer:
        versions = self.secrets.setdefault(name, [])
        version = {
            "value": body["value"],
            "contentType": body.get("contentType"),
            "tags": body.get("tags", {}),
            "id": f"{self.url}/secrets/{name}/{len(versions):032x}",
            "attributes": {"enabled": True, "created": 1767225600, "updated": 1767225600},
        }
        versions.append(version)
        return Answer(200, version)


def refusal(status: int, code: str, message: str, inner: dict[str, str] | None = None) -> Answer:
    error: dict[str, Any] = {"code": code, "message": message}
    if inner is not None:
        error["innererror"] = inner
    return Answer(status, {"error": error})
