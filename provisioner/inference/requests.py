"""What is sent to a deployed model: the path, the headers and the body of one call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from provisioner.errors import Problem, Severity, UsageError
from provisioner.inference.codes import BAD_PARAMETER
from provisioner.inference.parameters import Parameters, check


class Api(StrEnum):
    """Which of the two calls; values are as on the command line."""

    CHAT = "chat"
    COMPLETIONS = "completions"

    @property
    def path(self) -> str:
        return "/chat/completions" if self is Api.CHAT else "/completions"


@dataclass(frozen=True, slots=True)
class Call:
    """One call. `images` are data: URLs; `llama` takes the Llama API's paths, under /v1.

    `system` and `images` are for chats only.
    """

    prompt: str
    api: Api = Api.CHAT
    parameters: Parameters = field(default_factory=Parameters)
    system: str | None = None
    images: tuple[str, ...] = ()
    stream: bool = False
    llama: bool = False

    @property
    def path(self) -> str:
        return ("/v1" if self.llama else "") + self.api.path

    @property
    def headers(self) -> Mapping[str, str]:
        """Besides the key: leave for what the Azure AI Model Inference API does not name."""
        foreign = self.parameters.foreign or self.stream
        return {"extra-parameters": "pass-through"} if foreign and not self.llama else {}

    def body(self, *, usage: bool = True) -> dict[str, Any]:
        """The JSON body. `usage` asks a stream for its token counts."""
        body: dict[str, Any] = {}
        if self.api is Api.CHAT:
            body["messages"] = self._messages()
        else:
            body["prompt"] = self.prompt
        body |= self.parameters.body()
        if self.stream:
            body["stream"] = True
            if usage:
                body["stream_options"] = {"include_usage": True}
        return body

    def _messages(self) -> list[dict[str, Any]]:
        content: Any = self.prompt
        if self.images:
            shown = ({"type": "image_url", "image_url": {"url": url}} for url in self.images)
            content = [{"type": "text", "text": self.prompt}, *shown]
        said = [{"role": "user", "content": content}]
        return said if self.system is None else [{"role": "system", "content": self.system}, *said]

    def check(self) -> tuple[Problem, ...]:
        """The warnings. Raises UsageError with everything that forbids sending it."""
        problems = [*check(self.parameters, self.stream), *self._misfits()]
        errors = [one for one in problems if one.severity is Severity.ERROR]
        if errors:
            raise UsageError(*errors)
        return tuple(problems)

    def _misfits(self) -> list[Problem]:
        found = []
        if not self.prompt.strip() and not self.images:
            found.append(_wrong("The prompt is empty.", "say something; - reads it from stdin"))
        if self.api is Api.COMPLETIONS:
            for given, option in ((self.system is not None, "--system"), (self.images, "--image")):
                if given:
                    what = f"{option} is for chats; --api completions takes a text alone."
                    found.append(_wrong(what, "leave out --api completions"))
        return found


def _wrong(what: str, hint: str) -> Problem:
    return Problem(BAD_PARAMETER, what, hint)
