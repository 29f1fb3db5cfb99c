"""The OpenAI client, unmodified, against a deployed model's API over TLS."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import openai
import pytest
import pytest_asyncio

from tests.emulator.model_server import KEY, Server, running


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as started:
        yield started


def asynchronous(server: Server, name: str, key: str = KEY) -> openai.AsyncOpenAI:
    http = openai.DefaultAsyncHttpxClient(verify=server.context)
    return openai.AsyncOpenAI(
        base_url=f"{server.url}/{name}/v1", api_key=key, http_client=http, max_retries=0
    )


async def test_a_chat_whole_and_streamed_says_the_same(server: Server) -> None:
    async with asynchronous(server, "llama") as client:
        whole = await client.chat.completions.create(
            model="any", messages=[{"role": "user", "content": "What is Azure?"}], max_tokens=200
        )
        stream = await client.chat.completions.create(
            model="any",
            messages=[{"role": "user", "content": "What is Azure?"}],
            max_tokens=200,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
    said = whole.choices[0].message.content
    assert said is not None
    assert "emulator" in said
    heard = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert heard == said
    assert chunks[0].choices[0].delta.role == "assistant"
    reasons = [c.choices[0].finish_reason for c in chunks if c.choices]
    assert reasons[:-1] == [None] * (len(reasons) - 1)
    assert reasons[-1] == "stop" == whole.choices[0].finish_reason
    assert chunks[-1].usage == whole.usage


async def test_completions_whole_and_streamed(server: Server) -> None:
    async with asynchronous(server, "base") as client:
        whole = await client.completions.create(model="any", prompt="Once", logprobs=2, n=2)
        stream = await client.completions.create(model="any", prompt="Once", n=2, stream=True)
        chunks = [chunk async for chunk in stream]
    for place, choice in enumerate(whole.choices):
        mine = [c.choices[0] for c in chunks if c.choices[0].index == place]
        assert "".join(c.text for c in mine) == choice.text
        assert choice.finish_reason == mine[-1].finish_reason == "length"
    logprobs = whole.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.tokens is not None
    assert "".join(logprobs.tokens) == whole.choices[0].text
    assert whole.usage is not None
    assert whole.usage.completion_tokens == 32


async def test_embeddings_in_both_encodings(server: Server) -> None:
    async with asynchronous(server, "embed") as client:
        coded = await client.embeddings.create(model="any", input=["a", "b"])
        plain = await client.embeddings.create(model="any", input="a", encoding_format="float")
    assert len(coded.data[0].embedding) == 1024
    assert coded.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-6)
    assert coded.data[1].embedding != coded.data[0].embedding


async def test_a_forced_tool_is_called_with_arguments_that_fit(server: Server) -> None:
    schema: dict[str, object] = {
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Umea"]}},
    }
    async with asynchronous(server, "llama") as client:
        reply = await client.chat.completions.create(
            model="any",
            messages=[{"role": "user", "content": "Weather?"}],
            tools=[{"type": "function", "function": {"name": "weather", "parameters": schema}}],
            tool_choice={"type": "function", "function": {"name": "weather"}},
        )
    calls = reply.choices[0].message.tool_calls
    assert calls is not None
    call = calls[0]
    assert call.type == "function"
    assert json.loads(call.function.arguments) == {"city": "Umea"}
    assert reply.choices[0].finish_reason == "tool_calls"


async def test_errors_become_the_clients_own(server: Server) -> None:
    async with asynchronous(server, "llama", key="wrong") as client:
        with pytest.raises(openai.AuthenticationError):
            await client.models.list()
    async with asynchronous(server, "llama") as client:
        with pytest.raises(openai.BadRequestError) as filtered:
            await client.chat.completions.create(
                model="any", messages=[{"role": "user", "content": "[[violence]]"}]
            )
        with pytest.raises(openai.UnprocessableEntityError) as wrong:
            await client.chat.completions.create(
                model="any", messages=[{"role": "user", "content": "x"}], temperature=3
            )
        with pytest.raises(openai.NotFoundError):
            await client.images.generate(model="any", prompt="x")
        assert [model.id async for model in client.models.list()] == ["Llama-3.3-70B-Instruct"]
    assert filtered.value.code == "content_filter"
    assert wrong.value.param == "temperature"


async def test_the_synchronous_client(server: Server) -> None:
    def talk() -> tuple[str | None, str]:
        with openai.OpenAI(
            base_url=f"{server.url}/llama",
            api_key=KEY,
            http_client=openai.DefaultHttpxClient(verify=server.context),
        ) as client:
            whole = client.chat.completions.create(
                model="any", messages=[{"role": "user", "content": "hello"}]
            )
            stream = client.chat.completions.create(
                model="any", messages=[{"role": "user", "content": "hello"}], stream=True
            )
            parts = [chunk.choices[0].delta.content or "" for chunk in stream]
        return whole.choices[0].message.content, "".join(parts)

    whole, streamed = await asyncio.to_thread(talk)
    assert whole == streamed
    assert whole is not None
    assert whole.startswith("This is the Azure ML emulator")
