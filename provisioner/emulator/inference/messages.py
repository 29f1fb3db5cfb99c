"""The `messages` of a chat request."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any

from provisioner.emulator.inference.errors import ApiError, invalid, unsupported
from provisioner.emulator.inference.fields import Fields, kind_of
from provisioner.emulator.inference.text import tokenize

TOKENS_PER_IMAGE = 85
_TOKENS_PER_MESSAGE = 4
_ROLES = ("system", "developer", "user", "assistant", "tool")
_DATA_URL = re.compile(r"data:image/(?:png|jpeg|jpg|gif|webp|bmp);base64,", re.I)


@dataclass(frozen=True, slots=True)
class Message:
    """One message; its parts' text joined, its images counted."""

    role: str
    text: str
    images: int

    @property
    def tokens(self) -> int:
        """Tokens of the message, its frame included."""
        return _TOKENS_PER_MESSAGE + len(tokenize(self.text)) + self.images * TOKENS_PER_IMAGE


def read_messages(fields: Fields, modalities: frozenset[str]) -> tuple[Message, ...]:
    """All messages. Raises ApiError 422."""
    fields.required("messages")
    items = fields.sequence("messages", 4096) or []
    if not items:
        raise invalid("messages", "must not be empty")
    return tuple(
        _message(item, f"messages.{place}", modalities) for place, item in enumerate(items)
    )


def _message(item: Any, where: str, modalities: frozenset[str]) -> Message:
    if not isinstance(item, dict):
        raise invalid(where, f"expected an object, got {kind_of(item)}")
    fields = Fields(item, f"{where}.")
    fields.required("role")
    role = fields.one_of("role", *_ROLES) or "user"
    fields.string("name")
    if role == "tool":
        fields.required("tool_call_id")
        fields.string("tool_call_id")
    if role == "assistant" and _calls(fields) and item.get("content") is None:
        return Message(role, "", 0)
    content = fields.required("content")
    if isinstance(content, str):
        return Message(role, content, 0)
    return _parts(fields, role, modalities)


def _calls(fields: Fields) -> bool:
    calls = fields.sequence("tool_calls", 128) or []
    for place, call in enumerate(calls):
        where = fields.at(f"tool_calls.{place}")
        if not isinstance(call, dict):
            raise invalid(where, f"expected an object, got {kind_of(call)}")
        inner = Fields(call, f"{where}.")
        inner.required("id")
        inner.string("id")
        inner.required("function")
        function = Fields(inner.mapping("function") or {}, f"{where}.function.")
        function.required("name")
        function.string("name")
        function.string("arguments")
    return bool(calls)


def _parts(fields: Fields, role: str, modalities: frozenset[str]) -> Message:
    parts = fields.sequence("content", 1024) or []
    if not parts:
        raise invalid(fields.at("content"), "must not be empty")
    texts: list[str] = []
    images = 0
    for place, part in enumerate(parts):
        where = fields.at(f"content.{place}")
        if not isinstance(part, dict):
            raise invalid(where, f"expected an object, got {kind_of(part)}")
        inner = Fields(part, f"{where}.")
        inner.required("type")
        if inner.one_of("type", "text", "image_url") == "text":
            inner.required("text")
            texts.append(inner.string("text") or "")
        else:
            _image(inner, modalities)
            images += 1
    return Message(role, "\n".join(texts), images)


def _image(part: Fields, modalities: frozenset[str]) -> None:
    """Checks an image. Only data URLs: the emulator opens no connection for anybody."""
    if "image" not in modalities:
        raise unsupported(part.at("type"), "this model takes no images")
    part.required("image_url")
    inner = Fields(part.mapping("image_url") or {}, part.at("image_url."))
    inner.required("url")
    inner.one_of("detail", "auto", "low", "high")
    url = inner.string("url") or ""
    match = _DATA_URL.match(url)
    if match is None:
        message = "the emulator fetches nothing: only data:image/…;base64 URLs are taken"
        raise ApiError(422, "invalid_image_url", message, param=inner.at("url"))
    try:
        base64.b64decode(url[match.end() :].encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ApiError(422, "invalid_image_url", "not base64", param=inner.at("url")) from error
