"""The deployed model's API: who may call, what is checked, what comes back.

Longer than other modules because one API with all its parameters is judged in one place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response

from provisioner.emulator.inference import RateLimits, ServedModel, handle, openapi, requests
from provisioner.emulator.inference.handler import MOST_BYTES
from provisioner.emulator.inference.text import token_id, tokenize
from tests.emulator.model_server import BASE, EMBED, KEY, ONLINE, SERVED, VISION

HELLO = [{"role": "user", "content": "hello"}]
PIXEL = "data:image/png;base64,iVBORw0KGgo="
BEARER = {"authorization": f"Bearer {KEY}"}


class Asker:
    """Asks one deployment, all at one instant unless told otherwise."""

    def __init__(self, served: ServedModel | None = SERVED) -> None:
        self.served = served
        self.limits = RateLimits()
        self.now = 1000.0

    async def __call__(
        self,
        path: str,
        body: Any = None,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"content-type": "application/json", **(BEARER if headers is None else headers)}
        scope = {
            "type": "http",
            "method": method,
            "scheme": "https",
            "server": ("localhost", 443),
            "path": f"/serverless/eastus2/llama{path}",
            "query_string": b"",
            "headers": [(k.encode("latin-1"), v.encode("latin-1")) for k, v in sent.items()],
        }

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": raw, "more_body": False}

        return await handle(Request(scope, receive), path, self.served, self.limits, self.now)

    async def ok(self, path: str, body: Any) -> Any:
        response = await self(path, body)
        assert response.status_code == 200, response.body
        return content(response)

    async def refused(self, path: str, body: Any, status: int) -> Any:
        response = await self(path, body)
        assert response.status_code == status, response.body
        return content(response)["error"]


def content(response: Response) -> Any:
    return json.loads(bytes(response.body))


async def events(response: Response) -> list[Any]:
    sent: list[bytes] = []

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))

    async def receive() -> Any:
        raise AssertionError("nothing is to be read")

    await response({"type": "http"}, receive, send)
    lines = b"".join(sent).decode().split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer no"}, {"api-key": "nö"}, {"authorization": f"Basic {KEY}"}],
)
async def test_a_missing_or_wrong_key_is_401(headers: dict[str, str]) -> None:
    response = await Asker()("/chat/completions", {"messages": HELLO}, headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "headers", [BEARER, {"api-key": KEY}, {"authorization": "bearer secondary-key-of-the-test"}]
)
async def test_either_key_in_either_header_opens(headers: dict[str, str]) -> None:
    response = await Asker()("/v1/chat/completions", {"messages": HELLO}, headers=headers)
    assert response.status_code == 200


async def test_paths_and_methods_that_are_not_served() -> None:
    ask = Asker()
    assert (await ask("/v1/nothing", {})).status_code == 404
    assert (await ask("/score", {})).status_code == 404, "serverless has no /score"
    response = await ask("/chat/completions", method="GET")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert (await Asker(None)("/chat/completions", {})).status_code == 404
    assert (await Asker(BASE)("/chat/completions", {"messages": HELLO})).status_code == 404


@pytest.mark.parametrize(
    ("state", "status"),
    [("Creating", 503), ("Suspended", 424), ("Failed", 424), ("Updating", 200), ("Scaling", 200)],
)
async def test_an_endpoint_that_is_not_ready(state: str, status: int) -> None:
    ask = Asker(replace(SERVED, state=state))
    response = await ask("/chat/completions", {"messages": HELLO})
    assert response.status_code == status
    assert ("retry-after" in response.headers) == (status == 503)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b'{"temperature": NaN}', 400),
        (b"\xff\xfe\x00", 400),
        (b"[" * 100_000, 400),
        (b'{"seed": ' + b"9" * 5000 + b"}", 400),
        (b"[]", 422),
        (b"null", 422),
        (b"x" * (MOST_BYTES + 1), 413),
    ],
)
async def test_bodies_that_are_no_request(raw: bytes, status: int) -> None:
    assert (await Asker()("/chat/completions", raw)).status_code == status


async def test_another_content_type_is_415() -> None:
    headers = {**BEARER, "content-type": "text/plain"}
    assert (await Asker()("/completions", {"prompt": "x"}, headers=headers)).status_code == 415


WRONG: list[tuple[str, Any, str]] = [
    ("messages", [], "messages"),
    ("messages", "hi", "messages"),
    ("messages", [{"role": "robot", "content": "x"}], "messages.0.role"),
    ("messages", [{"role": "user"}], "messages.0.content"),
    ("messages", [{"role": "user", "content": 5}], "messages.0.content"),
    ("messages", [{"role": "tool", "content": "x"}], "messages.0.tool_call_id"),
    ("stream", "yes", "stream"),
    ("stream_options", {"include_usage": True}, "stream_options"),
    ("max_tokens", 0, "max_tokens"),
    ("max_tokens", 1.5, "max_tokens"),
    ("max_tokens", True, "max_tokens"),
    ("top_p", 0, "top_p"),
    ("top_p", 1.1, "top_p"),
    ("temperature", -0.1, "temperature"),
    ("temperature", "hot", "temperature"),
    ("n", 0, "n"),
    ("n", 129, "n"),
    ("stop", 7, "stop"),
    ("stop", [""], "stop.0"),
    ("best_of", 0, "best_of"),
    ("logprobs", "many", "logprobs"),
    ("logprobs", 21, "logprobs"),
    ("top_logprobs", 3, "top_logprobs"),
    ("presence_penalty", 2.1, "presence_penalty"),
    ("frequency_penalty", -2.1, "frequency_penalty"),
    ("ignore_eos", 1, "ignore_eos"),
    ("use_beam_search", True, "use_beam_search"),
    ("stop_token_ids", [-1], "stop_token_ids.0"),
    ("stop_token_ids", "x", "stop_token_ids"),
    ("skip_special_tokens", "no", "skip_special_tokens"),
    ("seed", "x", "seed"),
    ("response_format", {"type": "xml"}, "response_format.type"),
    ("tools", [{"type": "function", "function": {"name": "a b"}}], "tools.0.function.name"),
    ("tool_choice", "auto", "tool_choice"),
    ("unheard_of", 1, "unheard_of"),
]


@pytest.mark.parametrize(("name", "value", "param"), WRONG)
async def test_a_wrong_parameter_is_422_and_named(name: str, value: Any, param: str) -> None:
    body = {"messages": HELLO, name: value}
    error = await Asker().refused("/v1/chat/completions", body, 422)
    assert error["param"] == param


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [{}]}, "prompt.0"),
        ({"prompt": "x", "n": 2, "best_of": 2}, "best_of"),
        ({"prompt": "x", "stream": True, "best_of": 2}, "best_of"),
        ({"prompt": "x", "use_beam_search": True, "best_of": 2}, "use_beam_search"),
        ({"prompt": "x", "logprobs": 6}, "logprobs"),
        ({"prompt": "x", "logprobs": True}, "logprobs"),
        ({"prompt": ["x"] * 65, "n": 2}, "n"),
    ],
)
async def test_a_wrong_completion_is_422_and_named(body: Any, param: str) -> None:
    assert (await Asker().refused("/completions", body, 422))["param"] == param


async def test_beam_search_with_all_that_it_needs() -> None:
    body = {"prompt": "x", "use_beam_search": True, "best_of": 2, "temperature": 0}
    await Asker().ok("/v1/completions", body)


async def test_extra_parameters_as_the_header_says() -> None:
    ask = Asker()
    body = {"messages": HELLO, "logit_processors": 1}
    for policy, status in (("error", 422), ("drop", 200), ("pass-through", 200), ("odd", 422)):
        headers = {**BEARER, "extra-parameters": policy}
        response = await ask("/chat/completions", body, headers=headers)
        assert response.status_code == status, policy


async def test_usage_adds_up_and_answers_are_deterministic() -> None:
    ask = Asker()
    body = {"messages": HELLO, "n": 3}
    first = await ask.ok("/chat/completions", body)
    second = await ask.ok("/chat/completions", body)
    assert first["choices"] == second["choices"]
    assert [choice["index"] for choice in first["choices"]] == [0, 1, 2]
    texts = [choice["message"]["content"] for choice in first["choices"]]
    assert len(set(texts)) == 3
    usage = first["usage"]
    assert usage["completion_tokens"] == sum(len(tokenize(text)) for text in texts)
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    greedy = await ask.ok("/chat/completions", {**body, "temperature": 0})
    assert len({choice["message"]["content"] for choice in greedy["choices"]}) == 1


async def test_many_long_answers_to_one_request_are_bounded() -> None:
    """One event loop serves everybody; with logprobs this would be 64 MB otherwise."""
    ask = Asker(ONLINE)
    body = {"prompt": "x", "n": 128, "max_tokens": 4096, "ignore_eos": True, "logprobs": 5}
    answer = await ask.ok("/v1/completions", body)
    assert len(answer["choices"]) == 128
    assert answer["usage"]["completion_tokens"] <= 32_768
    assert {one["finish_reason"] for one in answer["choices"]} == {"length"}


async def test_max_tokens_ends_with_length_and_16_is_the_llama_apis_default() -> None:
    ask = Asker()
    cut = await ask.ok("/v1/chat/completions", {"messages": HELLO})
    assert cut["choices"][0]["finish_reason"] == "length"
    assert cut["usage"]["completion_tokens"] == 16
    full = await ask.ok("/chat/completions", {"messages": HELLO})
    assert full["choices"][0]["finish_reason"] == "stop"
    on = await ask.ok("/v1/completions", {"prompt": "x", "ignore_eos": True, "max_tokens": 300})
    assert (on["usage"]["completion_tokens"], on["choices"][0]["finish_reason"]) == (300, "length")


async def test_prompt_and_answer_must_fit_the_context() -> None:
    ask = Asker(VISION)
    body = {"prompt": "word " * 4000, "max_tokens": 200}
    assert (await ask.refused("/completions", body, 400))["code"] == "context_length_exceeded"


async def test_stop_sequences_and_ids_are_not_returned() -> None:
    ask = Asker()
    full = await ask.ok("/chat/completions", {"messages": HELLO})
    text = full["choices"][0]["message"]["content"]
    for stop, cut in (("emulator", "emulator"), (["never there", "not Llama"], "not Llama")):
        reply = await ask.ok("/chat/completions", {"messages": HELLO, "stop": stop})
        short = reply["choices"][0]
        assert short["finish_reason"] == "stop"
        assert short["message"]["content"] == text[: text.index(cut)]
    third = tokenize(text)[3]
    reply = await ask.ok(
        "/chat/completions", {"messages": HELLO, "stop_token_ids": [token_id(third)]}
    )
    assert reply["choices"][0]["message"]["content"] == "".join(tokenize(text)[:3])


async def test_special_tokens_show_when_they_are_not_skipped() -> None:
    body = {"messages": HELLO, "skip_special_tokens": False}
    reply = await Asker().ok("/chat/completions", body)
    assert reply["choices"][0]["message"]["content"].endswith("<|eot_id|>")


async def test_logprobs_in_both_forms() -> None:
    ask = Asker()
    chat = await ask.ok(
        "/chat/completions", {"messages": HELLO, "logprobs": True, "top_logprobs": 2}
    )
    entries = chat["choices"][0]["logprobs"]["content"]
    assert "".join(e["token"] for e in entries) == chat["choices"][0]["message"]["content"]
    assert all(len(e["top_logprobs"]) == 2 and e["logprob"] < 0 for e in entries)
    text = (await ask.ok("/completions", {"prompt": "x", "logprobs": 2}))["choices"][0]
    logprobs = text["logprobs"]
    assert "".join(logprobs["tokens"]) == text["text"]
    assert [text["text"][at] for at in logprobs["text_offsets"]] == [
        token[0] for token in logprobs["tokens"]
    ]
    assert all(len(top) <= 3 for top in logprobs["top_logprobs"])
    assert len(logprobs["token_logprobs"]) == 16


async def test_a_stream_says_what_the_whole_answer_says() -> None:
    ask = Asker()
    body: dict[str, Any] = {"messages": HELLO, "n": 2, "logprobs": True}
    whole = await ask.ok("/chat/completions", body)
    options = {"stream": True, "stream_options": {"include_usage": True}}
    response = await ask("/chat/completions", body | options)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert "content-length" not in response.headers
    chunks = await events(response)
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == whole["usage"]
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert len({chunk["id"] for chunk in chunks}) == 1
    for choice in whole["choices"]:
        mine = [c["choices"][0] for c in chunks[:-1] if c["choices"][0]["index"] == choice["index"]]
        said = "".join(c["delta"].get("content", "") for c in mine)
        assert said == choice["message"]["content"]
        assert mine[0]["delta"]["role"] == "assistant"
        assert [c["finish_reason"] for c in mine] == [None] * (len(mine) - 1) + ["stop"]


@pytest.mark.parametrize(
    "prompt", ["a [[violence]] b", "[[ SelfHarm ]]", "Tell me how to  build\na BOMB"]
)
async def test_a_prompt_that_trips_the_filter(prompt: str) -> None:
    for path, body in (
        ("/chat/completions", {"messages": [{"role": "user", "content": prompt}]}),
        ("/v1/completions", {"prompt": prompt}),
    ):
        error = await Asker().refused(path, body, 400)
        assert error["code"] == "content_filter"
        verdicts = error["innererror"]["content_filter_result"]
        assert [name for name, v in verdicts.items() if v["filtered"]] in (
            ["violence"],
            ["self_harm"],
        )
        unguarded = Asker(replace(SERVED, content_safety=False))
        await unguarded.ok(path, body)


@pytest.mark.parametrize(
    ("marker", "reason"),
    [("[[answer:hate]]", "content_filter"), ("[[filter-error]]", "content_filter_error")],
)
async def test_an_answer_that_trips_the_filter(marker: str, reason: str) -> None:
    body = {"messages": [{"role": "user", "content": marker}]}
    reply = await Asker().ok("/chat/completions", body)
    assert reply["choices"][0]["finish_reason"] == reason
    chunks = await events(await Asker()("/chat/completions", body | {"stream": True}))
    assert chunks[-1]["choices"][0]["finish_reason"] == reason


async def test_images_only_as_data_and_only_where_the_model_sees() -> None:
    def body(url: str) -> Any:
        part = {"type": "image_url", "image_url": {"url": url}}
        text = {"type": "text", "text": "What is it?"}
        return {"messages": [{"role": "user", "content": [text, part]}]}

    seen = await Asker(VISION).ok("/chat/completions", body(PIXEL))
    blind = await Asker(VISION).ok("/chat/completions", {"messages": HELLO})
    assert seen["usage"]["prompt_tokens"] > blind["usage"]["prompt_tokens"] + 80
    for url in ("https://localhost/x.png", "file:///etc/passwd", "data:image/png;base64,*"):
        error = await Asker(VISION).refused("/chat/completions", body(url), 422)
        assert error["code"] == "invalid_image_url"
    error = await Asker().refused("/chat/completions", body(PIXEL), 422)
    assert error["code"] == "parameter_not_supported"


@pytest.mark.parametrize(
    "form",
    [
        "json_object",
        {"type": "json_object"},
        {
            "type": "json_schema",
            "json_schema": {
                "name": "x",
                "schema": {"type": "object", "properties": {"a": {"type": "integer"}}},
            },
        },
    ],
)
async def test_an_answer_in_json(form: Any) -> None:
    body = {"messages": HELLO, "response_format": form}
    reply = await Asker().ok("/chat/completions", body)
    assert isinstance(json.loads(reply["choices"][0]["message"]["content"]), dict)


async def test_requests_per_minute() -> None:
    ask = Asker(replace(SERVED, requests_per_minute=2))
    for left in ("1", "0"):
        response = await ask("/chat/completions", {"messages": HELLO})
        assert response.headers["x-ratelimit-remaining-requests"] == left
    response = await ask("/chat/completions", {"messages": HELLO})
    assert response.status_code == 429
    assert response.headers["retry-after"] == "30"
    ask.now += 29
    assert (await ask("/chat/completions", {"messages": HELLO})).status_code == 429
    ask.now += 1
    assert (await ask("/chat/completions", {"messages": HELLO})).status_code == 200


async def test_tokens_per_minute() -> None:
    ask = Asker(replace(SERVED, tokens_per_minute=60))
    body = {"messages": HELLO}
    first = await ask("/chat/completions", body)
    left = int(first.headers["x-ratelimit-remaining-tokens"])
    assert left == 60 - content(first)["usage"]["total_tokens"]
    refused = await ask("/chat/completions", body)
    assert refused.status_code == 429
    assert "tokens" in content(refused)["error"]["message"]
    ask.now += int(refused.headers["retry-after"])
    assert (await ask("/chat/completions", body)).status_code == 200


async def test_a_managed_deployment_names_itself_and_is_not_limited() -> None:
    ask = Asker(replace(ONLINE, requests_per_minute=0, tokens_per_minute=0))
    for _ in range(3):
        response = await ask("/chat/completions", {"messages": HELLO})
    assert response.headers["azureml-model-deployment"] == "blue"
    assert not [name for name in response.headers if name.startswith("x-ratelimit")]


async def test_an_endpoint_without_a_deployment_that_has_traffic_is_404() -> None:
    ask = Asker(replace(ONLINE, deployment="", state="Unavailable"))
    assert (await ask("/score", {"input_data": "x"})).status_code == 404


async def test_score_takes_azures_body_and_openais() -> None:
    ask = Asker(ONLINE)
    parameters = {"temperature": 0.6, "max_new_tokens": 8, "do_sample": True}
    data = {"input_string": HELLO, "parameters": parameters}
    assert len(tokenize((await ask.ok("/score", {"input_data": data}))["output"])) == 8
    several = await ask.ok("/score", {"input_data": ["one", "two"]})
    assert set(several[0]) == {"0", "1"}
    assert "message" in (await ask.ok("/score", {"messages": HELLO}))["choices"][0]
    assert "text" in (await ask.ok("/score", {"prompt": "x"}))["choices"][0]
    assert (await ask.refused("/score", {"input_data": 5}, 422))["param"] == (
        "input_data.input_string"
    )
    labels = await Asker(replace(ONLINE, task="text-classification")).ok(
        "/score", {"input_data": {"input_string": ["x"]}}
    )
    assert labels == [{"label": "LABEL_0", "score": 0.5}]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("do_sample", "yes"),
        ("return_full_text", 1),
        ("top_k", -1),
        ("top_k", 1.5),
        ("repetition_penalty", 0),
        ("repetition_penalty", "x"),
        ("max_new_tokens", 0),
        ("colour", "red"),
    ],
)
async def test_a_parameter_of_score_that_is_wrong_is_a_422(name: str, value: object) -> None:
    data = {"input_string": ["x"], "parameters": {name: value}}
    assert "param" in await Asker(ONLINE).refused("/score", {"input_data": data}, 422)


async def test_info_and_openapi() -> None:
    for served, path in ((SERVED, "/chat/completions"), (EMBED, "/embeddings")):
        ask = Asker(served)
        info = content(await ask("/info", method="GET"))
        assert info["model_name"] == served.model
        for name in ("/openapi.json", "/swagger.json"):
            document = content(await ask(name, method="GET"))
            assert path in document["paths"]
            assert document["servers"] == [{"url": "https://localhost/serverless/eastus2/llama"}]


async def test_the_description_describes_what_is_said() -> None:
    """Real requests and answers fit the schemas of the downloaded document."""
    document = content(await Asker()("/openapi.json", method="GET"))
    for path, body in (
        ("/chat/completions", {"messages": HELLO, "temperature": 0.5, "stop": ["a"]}),
        ("/v1/completions", {"prompt": "x", "logprobs": 1}),
    ):
        operation = document["paths"][path]["post"]
        sent = operation["requestBody"]["content"]["application/json"]["schema"]
        jsonschema.Draft4Validator({**sent, "components": document["components"]}).validate(body)
        got = operation["responses"]["200"]["content"]["application/json"]["schema"]
        reply = await Asker().ok(path, body)
        for choice in reply["choices"]:
            choice.pop("logprobs")  # nullable is OpenAPI's word, which JSON Schema does not read
        jsonschema.Draft4Validator({**got, "components": document["components"]}).validate(reply)


def test_the_description_names_every_parameter_that_is_taken() -> None:
    schemas = openapi.document(SERVED, "https://localhost")["components"]["schemas"]
    for name, taken in (
        ("ChatRequest", requests._CHAT),
        ("CompletionRequest", requests._COMPLETION),
        ("EmbeddingRequest", requests._EMBEDDING),
    ):
        assert set(schemas[name]["properties"]) == taken


async def test_the_description_says_what_streams() -> None:
    paths = content(await Asker()("/openapi.json", method="GET"))["paths"]
    streamed = {
        path
        for path, methods in paths.items()
        for operation in methods.values()
        if "text/event-stream" in operation["responses"]["200"]["content"]
    }
    assert streamed == {path for path in paths if path.endswith("/completions")}
    assert "/v1/models" in paths


@pytest.mark.parametrize(
    ("name", "value"),
    [("store", "x"), ("metadata", []), ("modalities", "text"), ("modalities", ["text", "audio"])],
)
async def test_what_is_taken_from_openais_clients_is_checked_too(name: str, value: object) -> None:
    body = {"messages": HELLO, name: value}
    assert (await Asker().refused("/chat/completions", body, 422))["param"] == name


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.sampled_from(["user", "text", "function", "image_url", "json_schema", PIXEL, "required"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "role",
                    "content",
                    "type",
                    "text",
                    "image_url",
                    "url",
                    "function",
                    "name",
                    "parameters",
                    "schema",
                ]
            )
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
known_names = st.sampled_from(
    [
        "messages",
        "prompt",
        "input",
        "input_data",
        "stream",
        "stream_options",
        "max_tokens",
        "top_p",
        "temperature",
        "n",
        "stop",
        "best_of",
        "logprobs",
        "top_logprobs",
        "presence_penalty",
        "ignore_eos",
        "use_beam_search",
        "stop_token_ids",
        "skip_special_tokens",
        "seed",
        "response_format",
        "tools",
        "tool_choice",
        "echo",
        "suffix",
        "dimensions",
        "model",
        "encoding_format",
        "logit_bias",
    ]
)
sane = st.fixed_dictionaries({}, optional={"messages": st.just(HELLO), "prompt": st.just("x")})
bodies = st.builds(
    lambda base, more: base | more,
    sane,
    st.dictionaries(known_names, json_values, max_size=5),
)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from([SERVED, VISION, EMBED, BASE, ONLINE]),
    st.sampled_from(["/chat/completions", "/v1/completions", "/embeddings", "/score"]),
    bodies | json_values,
)
async def test_no_json_body_makes_a_server_error(served: ServedModel, path: str, body: Any) -> None:
    response = await Asker(served)(path, body)
    assert response.status_code < 500
    if response.headers["content-type"].startswith("text/event-stream"):
        await events(response)
    else:
        content(response)


@given(st.text())
def test_tokens_lose_nothing(text: str) -> None:
    assert "".join(tokenize(text)) == text
