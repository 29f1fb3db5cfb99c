"""Azure's own body of `/score`: `{"input_data": {"input_string": …, "parameters": {…}}}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provisioner.emulator.inference import safety
from provisioner.emulator.inference.answers import chat_answers, completion_answers
from provisioner.emulator.inference.errors import ApiError, invalid
from provisioner.emulator.inference.fields import Fields, kind_of
from provisioner.emulator.inference.requests import read_chat, read_completion
from provisioner.emulator.inference.served import ServedModel
from provisioner.emulator.inference.text import tokenize

_PARAMETERS = frozenset(
    [
        "temperature",
        "top_p",
        "max_new_tokens",
        "max_tokens",
        "stop",
        "seed",
        "ignore_eos",
        "skip_special_tokens",
    ]
)
_GENERATION_ONLY = frozenset(["do_sample", "return_full_text", "top_k", "repetition_penalty"])


def answer(body: Mapping[str, Any], served: ServedModel) -> tuple[Any, int]:
    """The answer and the tokens that it cost. Raises ApiError 400 or 422.

    A conversation gets `{"output": text}`, a list of prompts `[{"0": text, …}]`, as the models of
    the Azure Machine Learning registry answer; a classifier gets a label and a score per text.
    """
    fields = Fields(body)
    fields.required("input_data")
    value = body["input_data"]
    data = Fields(value if isinstance(value, dict) else {"input_string": value}, "input_data.")
    strings = data.required("input_string")
    options = _options(data)
    if isinstance(strings, str):
        strings = [strings]
    if not isinstance(strings, list) or not strings:
        raise invalid(data.at("input_string"), f"expected an array, got {kind_of(strings)}")
    if isinstance(strings[0], dict):
        return _conversation({"messages": strings, **options}, served)
    return _prompts({"prompt": strings, **options}, served)


def _options(data: Fields) -> dict[str, Any]:
    given = Fields(data.mapping("parameters") or data.mapping("params") or {}, "parameters.")
    given.only(_PARAMETERS | _GENERATION_ONLY, "error")
    for name in ("do_sample", "return_full_text"):
        given.boolean(name)
    given.integer("top_k", 0, 2**31 - 1)
    given.number("repetition_penalty", 0, 100, above=True)
    options = {key: given.body[key] for key in _PARAMETERS if given.body.get(key) is not None}
    longest = options.pop("max_new_tokens", None)
    return options if longest is None else {**options, "max_tokens": longest}


def _conversation(body: Mapping[str, Any], served: ServedModel) -> tuple[Any, int]:
    if served.task != "chat-completion":
        raise invalid("input_data.input_string", "this model takes texts, not a conversation")
    request = read_chat(body, served, False, "error")
    _screen(served, "\n".join(message.text for message in request.messages))
    made = chat_answers(request, served)[0]
    spent = 2 + sum(message.tokens for message in request.messages) + len(made.tokens)
    return {"output": made.text}, spent


def _prompts(body: Mapping[str, Any], served: ServedModel) -> tuple[Any, int]:
    request = read_completion(body, "error")
    _screen(served, "\n".join(request.prompts))
    counts = sum(1 + len(tokenize(prompt)) for prompt in request.prompts)
    if served.task not in ("chat-completion", "text-generation"):
        return [{"label": "LABEL_0", "score": 0.5} for _ in request.prompts], counts
    made = completion_answers(request, served)
    spent = counts + sum(len(each.tokens) for each in made)
    return [{str(place): each.text for place, each in enumerate(made)}], spent


def _screen(served: ServedModel, text: str) -> None:
    category = safety.screen_prompt(text) if served.content_safety else None
    if category is not None:
        message = f"The prompt was filtered by Azure AI Content Safety ({category})."
        raise ApiError(400, "content_filter", message, param="prompt")
