"""Which Azure, as whom, and how patiently."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from provisioner.resources import Secret

PUBLIC_ARM: Final = "https://management.azure.com"
PUBLIC_AUTHORITY: Final = "https://login.microsoftonline.com"


@dataclass(frozen=True, slots=True)
class MachineLearning:
    """What Azure Machine Learning has beside ARM: where registries are discovered, and the resource
    that its own tokens are for."""

    discovery: str
    audience: str


_PUBLIC_ML: Final = "https://ml.azure.com"
_CLOUDS: Final[Mapping[str, MachineLearning]] = {
    "management.azure.com": MachineLearning("https://eastus.api.azureml.ms", _PUBLIC_ML),
    "management.usgovcloudapi.net": MachineLearning(
        "https://usgovarizona.api.ml.azure.us", "https://ml.azure.us"
    ),
    "management.chinacloudapi.cn": MachineLearning(
        "https://chinaeast2.api.ml.azure.cn", "https://ml.azure.cn"
    ),
}
"""Microsoft's clouds by ARM's host, as azure-ai-ml 1.35.2 knows them (2026-11-30)."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the transport tries before it hands an error to the caller. All in seconds.

    `attempts` bounds repeats after failures; waits that the service asked for (429) are bounded by
    `throttled`, and an action's waits for a sibling operation (409) by `conflict`, in total per
    request.
    """

    attempts: int = 6
    first_delay: float = 0.5
    longest_delay: float = 20.0
    throttled: float = 600.0
    conflict: float = 20.0
    connect: float = 15.0
    read: float = 90.0


@dataclass(frozen=True, slots=True)
class Settings:
    """How to reach ARM and who to be.

    With a `client_id`, `tenant_id` and `client_secret` that service principal is used; otherwise
    azure-identity looks for a credential. `authority` None means the public login service.
    `audience` is the resource that tokens are asked for; None: found out (AZURE.md §14).
    `registry_discovery` is the base address that registries are discovered at; None: that of
    Microsoft's cloud, or ARM's own host elsewhere. `emulator` is for messages only.
    """

    arm_endpoint: str = PUBLIC_ARM
    authority: str | None = None
    ca_bundle: Path | None = None
    registry_discovery: str | None = None
    emulator: bool = False
    tenant_id: str | None = None
    client_id: str | None = None
    client_secret: Secret | None = None
    audience: str | None = None
    application: str = "provisioner"
    connections: int = 64
    patience: Patience = Patience()

    @property
    def arm(self) -> str:
        """ARM's base address without a trailing slash."""
        return self.arm_endpoint.rstrip("/")

    @property
    def public(self) -> bool:
        return urlsplit(self.arm).netloc.lower() == urlsplit(PUBLIC_ARM).netloc

    @property
    def machine_learning(self) -> MachineLearning:
        """Where registries are discovered, without a trailing slash, and the audience of tokens of
        Azure Machine Learning itself."""
        own = MachineLearning(self.arm, _PUBLIC_ML)
        known = _CLOUDS.get(urlsplit(self.arm).netloc.lower(), own)
        if self.registry_discovery is None:
            return known
        return replace(known, discovery=self.registry_discovery.rstrip("/"))
