"""Code that calls a deployed model and runs as printed. Pure: values in, text out.

URL and key are read from the environment unless they are asked for in the code. Every snippet
begins with a comment; its lines that are indented by three spaces are shell commands to run first.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from provisioner.errors import Problem, UsageError
from provisioner.errors.harmless import clean
from provisioner.inference.codes import NO_SNIPPET
from provisioner.inference.requests import Api
from provisioner.resources import Secret

PROMPT: Final = "What is Azure?"
MAX_TOKENS: Final = 256


class Library(StrEnum):
    """The clients that there is a snippet for."""

    CURL = "curl"
    REQUESTS = "requests"
    OPENAI = "openai"
    LANGCHAIN = "langchain"
    LITELLM = "litellm"
    AZURE = "azure-ai-inference"


@dataclass(frozen=True, slots=True)
class Inline:
    """URL and key, to stand in the code itself."""

    url: str
    key: Secret


@dataclass(frozen=True, slots=True)
class Facts:
    """What a snippet is about. `names` are the variables of URL, key and model, and `load` the
    shell command that sets them. `ca_bundle` must be trusted, when it is given.
    """

    title: str
    model: str
    names: tuple[str, str, str]
    load: str
    api: Api = Api.CHAT
    deployment: str | None = None
    ca_bundle: str | None = None
    inline: Inline | None = None
    prompt: str = PROMPT


def snippet(library: Library, facts: Facts) -> str:
    """The code, ending in a newline. Raises UsageError when the client cannot make the call."""
    if library is Library.AZURE and facts.api is Api.COMPLETIONS:
        raise UsageError(
            Problem(
                NO_SNIPPET,
                "azure-ai-inference has chats and embeddings, but no completions.",
                "choose --client openai, or --api chat",
            )
        )
    write = _WRITERS[library]
    return "\n".join([*_head(library, facts), *write(facts)]) + "\n"


_PACKAGES: Final = {
    Library.REQUESTS: "requests",
    Library.OPENAI: "openai",
    Library.LANGCHAIN: "langchain-openai",
    Library.LITELLM: "litellm",
    Library.AZURE: "azure-ai-inference",
}
_TRUST: Final = {
    Library.CURL: "CURL_CA_BUNDLE",
    Library.REQUESTS: "REQUESTS_CA_BUNDLE",
    Library.AZURE: "REQUESTS_CA_BUNDLE",
}


def _head(library: Library, facts: Facts) -> list[str]:
    title = clean(facts.title)
    lines = [f"# Calls {title}."]
    if library in _PACKAGES:
        lines.append(f"# Needs: pip install {_PACKAGES[library]}")
    if facts.inline is None:
        lines += ["# URL and key come from the environment. Set them first:"]
        lines += _commented(facts.load)
    else:
        lines.append("# Holds a key: do not commit it.")
    if facts.ca_bundle is not None:
        variable = _TRUST.get(library, "SSL_CERT_FILE")
        lines += [
            "# The certificate authority of this endpoint must be trusted:",
            *_commented(f"export {variable}={shlex.quote(facts.ca_bundle)}"),
        ]
    return lines


def _commented(command: str) -> list[str]:
    """A shell command in comments: no line break in a file's name ends them."""
    return [f"#   {line}" for line in command.splitlines()]


def _body(facts: Facts) -> dict[str, object]:
    if facts.api is Api.CHAT:
        said: dict[str, object] = {"messages": [{"role": "user", "content": facts.prompt}]}
    else:
        said = {"prompt": facts.prompt}
    return {**said, "max_tokens": MAX_TOKENS}


def _curl(facts: Facts) -> list[str]:
    """The key goes through a pipe: arguments of a process can be seen by others."""
    url, key, _ = facts.names
    if facts.inline is None:
        base, secret = f'"${url}{facts.api.path}"', f'"${key}"'
    else:
        base = shlex.quote(facts.inline.url + facts.api.path)
        secret = shlex.quote(facts.inline.key.reveal())
    header = []
    if facts.deployment:
        header = [f"    --header {shlex.quote('azureml-model-deployment: ' + facts.deployment)} \\"]
    return [
        f"printf 'Authorization: Bearer %s' {secret} |",
        "  curl --fail-with-body --silent --show-error --header @- \\",
        "    --header 'Content-Type: application/json' \\",
        *header,
        f"    --data {shlex.quote(json.dumps(_body(facts)))} \\",
        f"    {base}",
    ]


def _requests(facts: Facts) -> list[str]:
    url, key, _ = _values(facts)
    pinned = [f'        "azureml-model-deployment": {_literal(facts.deployment)},'] * bool(
        facts.deployment
    )
    answer = '["message"]["content"]' if facts.api is Api.CHAT else '["text"]'
    return [
        *_imports(facts),
        "import requests",
        "",
        "reply = requests.post(",
        f'    {url} + "{facts.api.path}",',
        "    headers={",
        f'        "Authorization": "Bearer " + {key},',
        *(f"        {line}" for line in pinned if facts.deployment),
        "    },",
        f"    json={_literal(_body(facts))},",
        "    timeout=120,",
        ")",
        "reply.raise_for_status()",
        f'print(reply.json()["choices"][0]{answer})',
    ]


def _openai(facts: Facts) -> list[str]:
    url, key, model = _values(facts)
    said = _said(facts)
    if facts.api is Api.CHAT:
        call, answer = "client.chat.completions.create", ".message.content"
    else:
        call, answer = "client.completions.create", ".text"
    return [
        *_imports(facts),
        "import openai",
        "",
        "client = openai.OpenAI(",
        f'    base_url={url} + "/v1",',
        f"    api_key={key},",
        *([f"    default_headers={_header(facts)},"] if facts.deployment else []),
        ")",
        f"answer = {call}(",
        f"    model={model},",
        f"    {said},",
        f"    max_tokens={MAX_TOKENS},",
        ")",
        f"print(answer.choices[0]{answer})",
    ]


def _langchain(facts: Facts) -> list[str]:
    url, key, model = _values(facts)
    chat = facts.api is Api.CHAT
    kind = "ChatOpenAI" if chat else "OpenAI"
    return [
        *_imports(facts),
        f"from langchain_openai import {kind}",
        "",
        f"model = {kind}(",
        f'    base_url={url} + "/v1",',
        f"    api_key={key},",
        f"    model={model},",
        f"    max_tokens={MAX_TOKENS},",
        *([f"    default_headers={_header(facts)},"] if facts.deployment else []),
        ")",
        f"print(model.invoke({_literal(facts.prompt)}){'.content' if chat else ''})",
    ]


def _litellm(facts: Facts) -> list[str]:
    url, key, model = _values(facts)
    chat = facts.api is Api.CHAT
    base = url if chat else f'{url} + "/v1"'
    provider = "azure_ai/" if chat else "text-completion-openai/"
    return [
        *_imports(facts),
        "import litellm",
        "",
        f"answer = litellm.{'completion' if chat else 'text_completion'}(",
        f'    model="{provider}" + {model},',
        f"    api_base={base},",
        f"    api_key={key},",
        f"    {_said(facts)},",
        f"    max_tokens={MAX_TOKENS},",
        *([f"    headers={_header(facts)},"] if facts.deployment else []),
        ")",
        f"print(answer.choices[0]{'.message.content' if chat else '.text'})",
    ]


def _azure(facts: Facts) -> list[str]:
    url, key, _ = _values(facts)
    return [
        *_imports(facts),
        "from azure.ai.inference import ChatCompletionsClient",
        "from azure.ai.inference.models import UserMessage",
        "from azure.core.credentials import AzureKeyCredential",
        "",
        "client = ChatCompletionsClient(",
        f"    {url},",
        f"    AzureKeyCredential({key}),",
        ")",
        "answer = client.complete(",
        f"    messages=[UserMessage({_literal(facts.prompt)})],",
        f"    max_tokens={MAX_TOKENS},",
        *([f"    headers={_header(facts)},"] if facts.deployment else []),
        ")",
        "print(answer.choices[0].message.content)",
    ]


def _imports(facts: Facts) -> list[str]:
    return ["import os", ""] if facts.inline is None else []


def _values(facts: Facts) -> tuple[str, str, str]:
    """Python expressions for URL, key and model."""
    if facts.inline is not None:
        inline = facts.inline
        return _literal(inline.url), _literal(inline.key.reveal()), _literal(facts.model)
    url, key, model = (f'os.environ["{name}"]' for name in facts.names)
    return url, key, model


def _said(facts: Facts) -> str:
    body = _body(facts)
    name = "messages" if facts.api is Api.CHAT else "prompt"
    return f"{name}={_literal(body[name])}"


def _header(facts: Facts) -> str:
    return _literal({"azureml-model-deployment": facts.deployment})


def _literal(value: object) -> str:
    """Texts, numbers, lists and objects are written alike in JSON and in Python."""
    return json.dumps(value)


_WRITERS: Final[dict[Library, Callable[[Facts], list[str]]]] = {
    Library.CURL: _curl,
    Library.REQUESTS: _requests,
    Library.OPENAI: _openai,
    Library.LANGCHAIN: _langchain,
    Library.LITELLM: _litellm,
    Library.AZURE: _azure,
}
