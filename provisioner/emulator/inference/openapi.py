"""The OpenAPI 3.0 description that a deployment offers for download."""

from __future__ import annotations

from typing import Any

from provisioner.emulator.inference.served import ServedModel

Schema = dict[str, Any]


def document(served: ServedModel, base: str) -> Schema:
    """A document that describes just what this deployment serves; `base` is its base URL."""
    chat = served.task == "chat-completion"
    text = chat or served.task == "text-generation"
    paths: Schema = {}
    for prefix in ("", "/v1"):
        if chat:
            paths[f"{prefix}/chat/completions"] = _streamed(_post("chat", prefix, "Chat"))
        if text:
            paths[f"{prefix}/completions"] = _streamed(_post("complete", prefix, "Completion"))
        if served.task == "embeddings":
            paths[f"{prefix}/embeddings"] = _post("embed", prefix, "Embedding")
    paths["/v1/models"] = {"get": _operation("models", "Models", None)}
    paths["/info"] = {"get": _operation("info", "ModelInfo", None)}
    if served.kind == "online":
        paths["/score"] = {"post": _operation("score", None, _score())}
    return {
        "openapi": "3.0.3",
        "info": {
            "title": f"{served.model} at {served.name} (Azure ML emulator)",
            "version": "2024-05-01-preview",
        },
        "servers": [{"url": base}],
        "security": [{"bearer": []}, {"apiKey": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "api-key"},
            },
            "schemas": _schemas(),
        },
    }


def _post(name: str, prefix: str, kind: str) -> Schema:
    operation = name + prefix.strip("/").title()
    return {"post": _operation(operation, f"{kind}Response", _ref(f"{kind}Request"))}


def _streamed(path: Schema) -> Schema:
    """The same with what `stream` makes of the answer."""
    answers = path["post"]["responses"]["200"]["content"]
    answers["text/event-stream"] = {"schema": {"type": "string"}}
    return path


def _score() -> Schema:
    """Azure's own body, or one of the two of the other paths."""
    bodies = {"input_data": {}, "messages": {"type": "array"}, "prompt": {}}
    return {
        "type": "object",
        "properties": bodies,
        "anyOf": [{"required": [name]} for name in bodies],
    }


def _operation(name: str, answer: str | None, body: Schema | None) -> Schema:
    answered = _ref(answer) if answer else {}
    operation: Schema = {
        "operationId": name,
        "responses": {
            "200": {
                "description": "The answer; text/event-stream when stream is true",
                "content": {"application/json": {"schema": answered}},
            },
            "default": {
                "description": "An error",
                "content": {"application/json": {"schema": _ref("Error")}},
            },
        },
    }
    if body is not None:
        content = {"application/json": {"schema": body}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    schema: Schema = {"type": "object", "properties": properties}
    return schema | ({"required": list(required)} if required else {})


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _number(low: float, high: float) -> Schema:
    return {"type": "number", "minimum": low, "maximum": high, "nullable": True}


def _whole(low: int, high: int | None = None) -> Schema:
    top = {} if high is None else {"maximum": high}
    return {"type": "integer", "minimum": low, "nullable": True, **top}


def _sampling() -> dict[str, Schema]:
    text: Schema = {"type": "string"}
    switch: Schema = {"type": "boolean", "nullable": True}
    return {
        "model": {**text, "nullable": True},
        "stream": {**switch, "default": False},
        "stream_options": {**_object(include_usage=switch), "nullable": True},
        "max_tokens": _whole(1),
        "top_p": {**_number(0, 1), "exclusiveMinimum": True},
        "temperature": _number(0, 2),
        "n": _whole(1, 128),
        "stop": {"oneOf": [text, _array(text)], "nullable": True},
        "best_of": _whole(1, 128),
        "presence_penalty": _number(-2, 2),
        "frequency_penalty": _number(-2, 2),
        "ignore_eos": switch,
        "use_beam_search": {**switch, "default": False},
        "stop_token_ids": {**_array({"type": "integer", "minimum": 0}), "nullable": True},
        "skip_special_tokens": switch,
        "seed": {"type": "integer", "format": "int64", "nullable": True},
        "user": {**text, "nullable": True},
        "logit_bias": {"type": "object", "nullable": True},
    }


def _schemas() -> dict[str, Schema]:
    text: Schema = {"type": "string"}
    whole: Schema = {"type": "integer"}
    reason = {**text, "enum": ["stop", "length", "content_filter", "content_filter_error"]}
    reason = {**reason, "enum": [*reason["enum"], "tool_calls"]}
    logprobs: Schema = {"type": "object", "nullable": True}
    roles = {**text, "enum": ["system", "developer", "user", "assistant", "tool"]}
    part = _object(("type",), type=text, text=text, image_url={"type": "object"})
    content: Schema = {"oneOf": [text, _array(part)], "nullable": True}
    texts = {"oneOf": [text, _array(text)]}
    spoken = _object(
        role=text, content={**text, "nullable": True}, tool_calls=_array({"type": "object"})
    )
    said = _object(index=whole, message=spoken, finish_reason=reason, logprobs=logprobs)
    wrote = _object(index=whole, text=text, finish_reason=reason, logprobs=logprobs)
    return {
        "Message": _object(("role",), role=roles, content=content, name=text, tool_call_id=text),
        "ChatRequest": _object(
            ("messages",),
            messages={**_array(_ref("Message")), "minItems": 1},
            **_sampling(),
            logprobs={"oneOf": [{"type": "boolean"}, _whole(0, 20)], "nullable": True},
            top_logprobs=_whole(0, 20),
            response_format={"type": "object", "nullable": True},
            tools={**_array({"type": "object"}), "nullable": True},
            tool_choice={"oneOf": [text, {"type": "object"}], "nullable": True},
            parallel_tool_calls={"type": "boolean", "nullable": True},
            max_completion_tokens=_whole(1),
            metadata={"type": "object", "nullable": True},
            store={"type": "boolean", "nullable": True},
            modalities={**_array({**text, "enum": ["text"]}), "nullable": True},
        ),
        "CompletionRequest": _object(
            ("prompt",),
            prompt=texts,
            **_sampling(),
            logprobs=_whole(0, 5),
            echo={"type": "boolean", "nullable": True},
            suffix={**text, "nullable": True},
        ),
        "EmbeddingRequest": _object(
            ("input",),
            input=texts,
            encoding_format={**text, "enum": ["float", "base64"]},
            dimensions=_whole(1, 4096),
            input_type={**text, "enum": ["text", "query", "document"]},
            model={**text, "nullable": True},
            user={**text, "nullable": True},
        ),
        "ChatResponse": _answer(_array(said)),
        "CompletionResponse": _answer(_array(wrote)),
        "EmbeddingResponse": _object(
            ("data",), object=text, model=text, data=_array({"type": "object"}), usage=_ref("Usage")
        ),
        "Usage": _object(prompt_tokens=whole, completion_tokens=whole, total_tokens=whole),
        "ModelInfo": _object(
            ("model_name",), model_name=text, model_type=text, model_provider_name=text
        ),
        "Models": _object(("object", "data"), object=text, data=_array({"type": "object"})),
        "Error": _object(("error",), error=_object(("code", "message"), code=text, message=text)),
    }


def _answer(choices: Schema) -> Schema:
    text: Schema = {"type": "string"}
    return _object(
        ("id", "object", "created", "model", "choices", "usage"),
        id=text,
        object=text,
        created={"type": "integer"},
        model=text,
        choices=choices,
        usage=_ref("Usage"),
    )
