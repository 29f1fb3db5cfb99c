"""The API of a deployed model, answered without a model.

`handle` serves what a serverless endpoint or a managed online endpoint serves below its base URL:

- `POST /chat/completions`, `/completions`, `/embeddings` (Azure AI Model Inference API), the same
  under `/v1` (Llama API); `GET /v1/models`, `/info`, `/openapi.json`, `/swagger.json`;
- `POST /score` of managed online endpoints.

Not emulated: image generation, OCR, re-ranking, fine-tuning, audio, fetching of images by URL, the
`responses` API. Those paths answer 404 and say so.
"""

from __future__ import annotations

from provisioner.emulator.inference.handler import handle
from provisioner.emulator.inference.limits import RateLimits
from provisioner.emulator.inference.served import ServedModel

__all__ = ["RateLimits", "ServedModel", "handle"]
