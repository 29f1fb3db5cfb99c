"""URL and key as two secrets of Azure Key Vault."""

from __future__ import annotations

from urllib.parse import urlsplit

from provisioner.errors import Problem, Who
from provisioner.errors.cloud import CloudError, ServiceFault
from provisioner.manifest.sinks import KeyVault
from provisioner.outputs import codes
from provisioner.outputs.content import one_line, secret_of
from provisioner.outputs.types import Context, EndpointCredentials, SinkError
from provisioner.resources import Secret


async def key_vault(credentials: EndpointCredentials, sink: KeyVault, context: Context) -> bool:
    """URL and key as two secrets; a new version only of one that differs. Raises SinkError."""
    if context.vault is None:
        raise SinkError(
            Problem(
                codes.STORE,
                f"The local Azure has no Key Vault; nothing was written to {sink.vault_url}.",
                "use dotenv or json with --emulator, and keyVault on Azure",
            )
        )
    wanted = {
        sink.url_secret or f"{credentials.name}-url": Secret(one_line(credentials.url)),
        sink.key_secret or f"{credentials.name}-key": secret_of(credentials),
    }
    changed = False
    try:
        vault = context.vault(sink.vault_url)
        for name, value in wanted.items():
            if await vault.get(name) != value:
                await vault.set(name, value, f"provisioner {credentials.name}")
                changed = True
    except CloudError as error:
        raise SinkError(_problem(sink, error.fault)) from error
    return changed


def _problem(sink: KeyVault, fault: ServiceFault) -> Problem:
    """A vault's refusal in words; the codes are those of Key Vault's REST API."""
    vault = sink.vault_url.rstrip("/")
    name = (urlsplit(vault).hostname or vault).partition(".")[0]
    said = (f"{fault.code}: {fault.message}"[:500],)
    match fault.status:
        case 0:
            what, who = f"The Key Vault {vault} cannot be reached.", None
            hint = "check the address, the network and, for a private vault, where this runs"
        case 401:
            what, who = f"The Key Vault {vault} does not accept this identity.", None
            hint = "check that the vault belongs to the tenant that you signed in to"
        case 403 if "firewall" in f"{fault.code} {fault.message}".lower():
            what, who = f"The firewall of the Key Vault {vault} refuses this machine.", None
            hint = f"az keyvault network-rule add --name {name} --ip-address THIS-ADDRESS"
        case 403:
            what, who = f"No right to read and set secrets in {vault}.", Who.SUBSCRIPTION_OWNER
            hint = (
                'assign the role "Key Vault Secrets Officer" on the vault, or an access policy '
                "with get and set; a new assignment takes some minutes to work"
            )
        case 409:
            what, who = f"A secret of that name was deleted in {vault} and can be recovered.", None
            hint = f"az keyvault secret recover --vault-name {name} --name NAME, or purge it"
        case _:
            what, who = f"The Key Vault {vault} refused with {fault.status}.", None
            hint = "see what it said above; nothing else was affected"
    return Problem(
        codes.STORE, what, hint, who=who, correlation_id=fault.correlation_id, details=said
    )
