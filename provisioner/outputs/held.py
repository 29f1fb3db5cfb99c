"""Which key a sink holds: asked before keys are rotated, so that a rotation can be resumed."""

from __future__ import annotations

import asyncio
import base64

from provisioner.errors.cloud import CloudError
from provisioner.manifest.sinks import (
    AzureDevOps,
    GithubOutput,
    KeyVault,
    KubernetesSecret,
    Output,
)
from provisioner.outputs.files import replace_text
from provisioner.outputs.kubernetes import secret_data
from provisioner.outputs.types import Context, EndpointCredentials, SinkError
from provisioner.outputs.write import path_of
from provisioner.resources import Secret


def lasting(output: Output) -> bool:
    """Whether callers read the sink later on; a pipeline's variables end with its run."""
    return not isinstance(output.sink, GithubOutput | AzureDevOps)


async def holds(
    credentials: EndpointCredentials, output: Output, key: Secret, context: Context
) -> bool:
    """Whether the sink holds `key` now. One that cannot be read counts as holding something else.

    Keys are long and random, so a file that contains the text of one holds it.
    """
    sink = output.sink
    path = path_of(sink)
    try:
        if path is not None:
            return _file_holds(path, key, context)
        if isinstance(sink, KeyVault) and context.vault is not None:
            name = sink.key_secret or f"{credentials.name}-key"
            return await context.vault(sink.vault_url).get(name) == key
        if isinstance(sink, KubernetesSecret):
            data = await asyncio.to_thread(secret_data, sink, context)
            return base64.b64encode(key.reveal().encode()).decode() in data.values()
    except (SinkError, CloudError):
        return False
    return False


def _file_holds(path: str, key: Secret, context: Context) -> bool:
    found = False

    def look(text: str | None) -> str:
        nonlocal found
        found = key.reveal() in (text or "")
        return text or ""

    replace_text(path, look, context, dry=True)
    return found
