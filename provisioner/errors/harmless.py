"""Text from elsewhere, made harmless for whatever reads it: a terminal, a log, a pipeline's runner.

A terminal obeys control characters, and a person is misled by what turns the direction of text.
The runner of a pipeline obeys lines of the log: Azure Pipelines `##vso[…]` and GitHub Actions
`##[…]` wherever they stand in a line, GitHub Actions `::…::` at its beginning, after spaces. Names,
tags, labels, messages of services and answers of models may hold any of that. Where a format can
say the same in another way (JSON, YAML), nothing is lost; text for people loses what is dangerous.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

_MARK: Final = re.compile(r"##(?=\[|vso\[)", re.IGNORECASE)
_COMMAND: Final = re.compile(r"^([^\S\n]*):(?=:[^\n]*?::)", re.MULTILINE)
_MARKUP: Final = re.compile(r"([\\`*_{}\[\]<>()#+!|~&-])")
_LIVE: Final = re.compile(r"@|://|\bwww\.|#\d|\bGH-\d", re.IGNORECASE)
"""Words that GitHub turns into links or mentions although nothing marks them, escaped or not."""
_BACKTICKS: Final = re.compile("`+")
_BEYOND_ASCII: Final = re.compile(r"[^ -~\n]")


def clean(text: str) -> str:
    """One line of `text`: no control characters, nothing that a runner takes for a command."""
    if not text.isprintable():
        text = "".join(char if char.isprintable() else " " for char in text)
    return inert(text)


def inert(text: str) -> str:
    """`text`, with its line breaks, in which no runner finds a command."""
    if "##" in text:
        text = _MARK.sub("## ", text)
    return _COMMAND.sub(r"\1: ", text) if "::" in text else text


def as_markdown(text: str) -> str:
    """Markdown that shows one line of `text` as it is, in a table cell too: no markup, no link, no
    mention. Words that would become one stand as code."""
    return " ".join(
        as_code(word) if _LIVE.search(word) else _MARKUP.sub(r"\\\1", word)
        for word in clean(text).split(" ")
    )


def as_code(text: str) -> str:
    """One line of `text` as code, in a table cell too; a backtick in it cannot end it early."""
    plain = clean(text)
    fence = "`" * (longest_backticks(plain) + 1)
    pad = " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{fence}{pad}{plain}{pad}{fence}".replace("|", "\\|")


def longest_backticks(text: str) -> int:
    """The length of the longest run of backticks: a fence must be longer."""
    return max(map(len, _BACKTICKS.findall(text)), default=0)


def as_html(text: str) -> str:
    """One line of `text` as HTML within Markdown: no markup, no mention."""
    return " ".join(
        f"<code>{_entities(word)}</code>" if _LIVE.search(word) else _entities(word)
        for word in clean(text).split(" ")
    )


def _entities(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def json_text(document: object, **form: Any) -> str:
    """JSON that reads back the same, in which nothing but ASCII controls a screen or a runner.

    `form` is passed on to json.dumps. What is not printable, and the marks of commands, are written
    as escapes; so are halves of surrogate pairs, which no output stream could encode.
    """
    text = json.dumps(document, ensure_ascii=False, **form)
    text = _BEYOND_ASCII.sub(_escaped_in_json, text)
    return _MARK.sub(r"\\u0023#", text) if "##" in text else text


def _escaped_in_json(found: re.Match[str]) -> str:
    char = found[0]
    return char if char.isprintable() else json.dumps(char)[1:-1]


def plain_in_yaml(text: str) -> bool:
    """Whether a YAML file may hold `text` as it is; else it must be in double quotes, on one line,
    where `yaml_text` can escape it."""
    return text.isprintable() and "##" not in text and "::" not in text


def yaml_text(dumped: str) -> str:
    """A YAML file whose texts are quoted as `plain_in_yaml` says, made harmless."""
    dumped = _BEYOND_ASCII.sub(_escaped_in_yaml, dumped)
    return _MARK.sub(r"\\x23#", dumped) if "##" in dumped else dumped


def _escaped_in_yaml(found: re.Match[str]) -> str:
    code = ord(found[0])
    if found[0].isprintable():
        return found[0]
    return f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}"
