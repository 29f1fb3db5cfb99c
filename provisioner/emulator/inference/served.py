"""What the inference API knows of the deployment that it speaks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One deployed model behind an endpoint."""

    name: str
    """Name of the endpoint."""
    model: str
    registry: str
    kind: Literal["serverless", "online"]
    task: str
    """As models.yaml has it: `chat-completion`, `text-generation`, `embeddings`, …"""
    keys: tuple[str, ...]
    """Everything that opens the endpoint: both keys, and tokens where the endpoint takes them."""
    content_safety: bool
    state: str
    """`Online` or `Succeeded` when ready, else the state that Azure shows."""
    created: int
    """Unix seconds."""
    region: str
    deployment: str = ""
    """Name of the online deployment that answers; empty for serverless."""
    context: int = 128_000
    modalities: frozenset[str] = frozenset({"text"})
    dimensions: int = 1024
    """Length of an embedding, for models that make them."""
    publisher: str = ""
    requests_per_minute: int = 1_000
    """0: unlimited."""
    tokens_per_minute: int = 200_000
    """0: unlimited."""

    @property
    def ready(self) -> bool:
        """Whether it answers: an update or scale-out leaves the running instances serving."""
        return self.state.lower() in ("online", "succeeded", "updating", "scaling")
