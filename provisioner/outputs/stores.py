"""Sinks in secret stores."""

from __future__ import annotations

from provisioner.errors import Problem
from provisioner.manifest.sinks import KeyVault
from provisioner.outputs import codes
from provisioner.outputs.content import secret_of
from provisioner.outputs.types import Context, EndpointCredentials, SinkError
from provisioner.resources import Secret


async def key_vault(credentials: EndpointCredentials, sink: KeyVault, context: Context) -> bool:
    """URL and key as two secrets; a new version only of one that differs. Raises SinkError."""
    if context.vault is None:
        raise SinkError(
            Problem(
                codes.MISSING_PACKAGE,
                "Writing to Azure Key Vault needs the package azure-keyvault-secrets.",
                "pip install azure-keyvault-secrets",
            )
        )
    vault = context.vault(sink.vault_url)
    wanted = {
        sink.url_secret or f"{credentials.name}-url": Secret(credentials.url),
        sink.key_secret or f"{credentials.name}-key": secret_of(credentials),
    }
    changed = False
    for name, value in wanted.items():
        if await vault.get(name) != value:
            await vault.set(name, value, f"provisioner {credentials.name}")
            changed = True
    return changed


def kubernetes_cluster(context: Context) -> bool:
    """Applying to a cluster. Raises SinkError: only manifest files are written so far."""
    raise SinkError(
        Problem(
            codes.MISSING_PACKAGE,
            "Applying a Secret to a cluster is not available here.",
            "give kubernetesSecret a path, then: kubectl apply -f PATH",
        )
    )
