"""LangChain against a deployed model: plain, streaming, structured. Prints one JSON object."""
# ruff: noqa: T201 - what it prints is what the test reads

from __future__ import annotations

import json
import os

from langchain_openai import ChatOpenAI
from pydantic import BaseModel


class City(BaseModel):
    name: str
    size: int


model = ChatOpenAI(
    base_url=f"{os.environ['MODEL_URL']}/v1",
    api_key=os.environ["MODEL_KEY"],
    model="Llama-3.3-70B-Instruct",
    max_tokens=200,
    max_retries=0,
)
plain = model.invoke("What is Azure?").content
streamed = "".join(chunk.content for chunk in model.stream("What is Azure?"))
city = model.with_structured_output(City, method="function_calling").invoke("Name a city.")
print(json.dumps({"plain": plain, "streamed": streamed, "city": city.model_dump()}))
