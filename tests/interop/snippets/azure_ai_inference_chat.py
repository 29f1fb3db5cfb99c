"""azure-ai-inference against a deployed model. Prints one JSON object."""
# ruff: noqa: T201 - what it prints is what the test reads

from __future__ import annotations

import json
import os

from azure.ai.inference import ChatCompletionsClient
from azure.ai.inference.models import UserMessage
from azure.core.credentials import AzureKeyCredential

credential = AzureKeyCredential(os.environ["MODEL_KEY"])
with ChatCompletionsClient(os.environ["MODEL_URL"], credential) as client:
    info = client.get_model_info()
    ask = [UserMessage("What is Azure?")]
    plain = client.complete(messages=ask).choices[0].message.content
    updates = client.complete(messages=ask, stream=True)
    streamed = "".join(u.choices[0].delta.content or "" for u in updates if u.choices)
    client.complete(messages=ask, model_extras={"safe_mode": True})
print(json.dumps({"info": info.model_name, "plain": plain, "streamed": streamed}))
