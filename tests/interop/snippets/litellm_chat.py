"""LiteLLM against a deployed model, by both of its providers. Prints one JSON object."""
# ruff: noqa: T201 - what it prints is what the test reads

from __future__ import annotations

import json
import os

import litellm

base, key = os.environ["MODEL_URL"], os.environ["MODEL_KEY"]
found = {}
for model, url in (("openai/llama", f"{base}/v1"), ("azure_ai/llama", base)):
    ask = {
        "model": model,
        "api_base": url,
        "api_key": key,
        "messages": [{"role": "user", "content": "What is Azure?"}],
        "max_tokens": 200,
    }
    plain = litellm.completion(**ask).choices[0].message.content
    parts = [
        chunk.choices[0].delta.content or "" for chunk in litellm.completion(**ask, stream=True)
    ]
    found[model] = {"plain": plain, "streamed": "".join(parts)}
try:
    litellm.completion(**{**ask, "api_key": "wrong"}, num_retries=0)
except litellm.AuthenticationError:
    found["wrong key"] = "refused"
print(json.dumps(found))
