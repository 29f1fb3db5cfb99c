"""Embeddings: unit vectors drawn from a digest of the text, the same for the same text."""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from typing import Any

from provisioner.emulator.inference.requests import EmbeddingRequest
from provisioner.emulator.inference.served import ServedModel


def render(request: EmbeddingRequest, served: ServedModel, tokens: int) -> dict[str, Any]:
    """The body of an answer, one item per input in order."""
    size = request.dimensions or served.dimensions
    vectors = (_vector(text, size) for text in request.inputs)
    return {
        "object": "list",
        "model": served.model,
        "data": [
            {
                "object": "embedding",
                "index": place,
                "embedding": _base64(vector) if request.base64 else vector,
            }
            for place, vector in enumerate(vectors)
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _vector(text: str, size: int) -> list[float]:
    raw = hashlib.shake_128(text.encode("utf-8", "surrogatepass")).digest(2 * size)
    values = struct.unpack(f"<{size}h", raw)
    length = math.sqrt(sum(value * value for value in values)) or 1.0
    return [value / length for value in values]


def _base64(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
