"""Azure Key Vault, by azure-keyvault-secrets over the adapter's own connections and credential.

The client's challenge policy stays on: a host that claims to be a vault gets a token only for an
audience of its own domain.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError

from provisioner.azure.client import Arm
from provisioner.azure.credentials import RETRIES
from provisioner.azure.faults import fault_of, load_json
from provisioner.azure.retry import cause_of, is_untrusted
from provisioner.azure.values import mapping, text
from provisioner.errors.cloud import CloudError, ServiceFault
from provisioner.resources import Secret

if TYPE_CHECKING:
    from azure.keyvault.secrets.aio import SecretClient

DISABLED = "SecretDisabled"


class Vaults:
    """Opens vaults by their URL, each once."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm
        self._open: dict[str, Vault] = {}

    def __call__(self, url: str) -> Vault:
        known = url.rstrip("/").lower()
        if known not in self._open:
            self._open[known] = Vault(url, self._arm)
        return self._open[known]


class Vault:
    """One vault's secrets. Every method raises CloudError and nothing else."""

    def __init__(self, url: str, arm: Arm) -> None:
        self._url = url.rstrip("/")
        self._arm = arm
        self._client: SecretClient | None = None

    async def get(self, name: str) -> Secret | None:
        """The present version; None when there is none, or when it is disabled."""
        try:
            found = await self._reach().get_secret(name)
        except ResourceNotFoundError:
            return None
        except (AzureError, ValueError) as error:
            raised = self._refused("GET", name, error)
            if raised.fault.code == DISABLED:  # a new version is enabled again
                return None
            raise raised from error
        return None if found.value is None else Secret(found.value)

    async def set(self, name: str, value: Secret, content_type: str) -> None:
        """Add a version."""
        tags = {"managed-by": "provisioner"}
        try:
            await self._reach().set_secret(
                name, value.reveal(), content_type=content_type, tags=tags
            )
        except (AzureError, ValueError) as error:
            raise self._refused("PUT", name, error) from error

    def _reach(self) -> SecretClient:
        if self._client is None:
            from azure.keyvault.secrets.aio import (  # noqa: PLC0415 - only who writes to one pays
                SecretClient,
            )

            # Not redirected: a 307 would send the secret's value on to wherever it points.
            settings: dict[str, Any] = {
                **RETRIES,
                "user_agent": self._arm.settings.application,
                "permit_redirects": False,
            }
            self._client = SecretClient(
                self._url, self._arm.credential, transport=self._arm.transport, **settings
            )
        return self._client

    def _refused(self, method: str, name: str, error: Exception) -> CloudError:
        operation = f"{method} {self._url}/secrets/{name}"
        if isinstance(error, HttpResponseError) and error.response is not None:
            answer: Any = error.response
            body = _body(answer)
            fault = fault_of(
                status=error.status_code or 0,
                headers=dict(answer.headers),
                body=body,
                operation=operation,
            )
            return CloudError(replace(fault, code=_inner_code(body) or fault.code))
        if isinstance(error, ValueError):  # the challenge names a domain that is not the vault's
            fault = ServiceFault(401, "NotAVault", str(error).partition(" Pass ")[0], operation)
            return CloudError(fault)
        code = "CertificateNotTrusted" if is_untrusted(error) else "ConnectionRefused"
        return CloudError(ServiceFault(0, code, str(cause_of(error) or error), operation))


def _inner_code(body: bytes) -> str | None:
    """A vault says "Forbidden" outside and why (ForbiddenByFirewall …) inside."""
    try:
        error = mapping(mapping(load_json(body)).get("error"))
    except ValueError:
        return None
    return text(mapping(error.get("innererror")).get("code"))


def _body(response: Any) -> bytes:
    try:
        content = response.body() if hasattr(response, "body") else response.content
    except (AzureError, RuntimeError, ValueError):  # never read
        return b""
    return content if isinstance(content, bytes) else b""
