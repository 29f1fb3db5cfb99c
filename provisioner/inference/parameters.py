"""What a caller may ask of a model, checked before anything is sent.

Names, types, ranges and combinations: MISSION, "Calling a deployed model".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Final

from provisioner.errors import Problem, Severity
from provisioner.inference.codes import BAD_PARAMETER, UNWISE

_LARGEST: Final = 2**31 - 1
_RANGES: Final[dict[str, tuple[float, float]]] = {
    "max_tokens": (1, _LARGEST),
    "temperature": (0, 2),
    "n": (1, _LARGEST),
    "best_of": (1, _LARGEST),
    "logprobs": (0, _LARGEST),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "seed": (-(2**63), 2**63 - 1),
}
_INFERENCE_API: Final = frozenset(
    ["max_tokens", "top_p", "temperature", "stop", "presence_penalty", "frequency_penalty", "seed"]
)


@dataclass(frozen=True, slots=True)
class Parameters:
    """None, or an empty tuple, leaves a parameter to the service's default."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    n: int | None = None
    stop: tuple[str, ...] = ()
    best_of: int | None = None
    logprobs: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    ignore_eos: bool | None = None
    use_beam_search: bool | None = None
    stop_token_ids: tuple[int, ...] = ()
    skip_special_tokens: bool | None = None
    seed: int | None = None

    def body(self) -> dict[str, Any]:
        """The keys of the request, only those that were given."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in given.items()
            if value is not None and value != ()
        }

    @property
    def foreign(self) -> frozenset[str]:
        """Those given that the Azure AI Model Inference API does not name: it takes them only
        with the header `extra-parameters: pass-through`."""
        return frozenset(self.body()) - _INFERENCE_API


def option_of(parameter: str) -> str:
    """The option of the command line that sets a parameter."""
    if parameter == "stop_token_ids":
        return "--stop-token-id"
    return "--" + parameter.replace("_", "-")


def check(parameters: Parameters, stream: bool) -> list[Problem]:
    """Everything that is wrong with the parameters, errors and warnings."""
    return [*_values(parameters), *_combinations(parameters, stream), *_warnings(parameters)]


def _values(parameters: Parameters) -> Iterator[Problem]:
    for name, (least, most) in _RANGES.items():
        value = getattr(parameters, name)
        # Written so that NaN is outside, too.
        if value is not None and not (least <= value <= most and math.isfinite(value)):
            wanted = f"at least {least:g}" if most >= _LARGEST else f"from {least:g} to {most:g}"
            yield _wrong(name, f"must be {wanted}, not {value}", f"give a number {wanted}")
    top_p = parameters.top_p
    if top_p is not None and not 0 < top_p <= 1:
        yield _wrong("top_p", f"must be above 0 and at most 1, not {top_p}", "give 0.9, say")
    if any(not stop for stop in parameters.stop):
        yield _wrong("stop", "must not be empty", "leave it out, or give a text to stop at")
    for id in parameters.stop_token_ids:
        if not 0 <= id <= _LARGEST:
            yield _wrong("stop_token_ids", f"must be a token id, not {id}", "ids start at 0")


def _combinations(parameters: Parameters, stream: bool) -> Iterator[Problem]:
    best_of, n = parameters.best_of, parameters.n
    if best_of is not None and n is not None and best_of <= n and (best_of, n) != (1, 1):
        yield _wrong(
            "best_of",
            f"must be greater than --n ({n}), not {best_of}",
            f"give --best-of {n + 1} or more, or leave it out",
        )
    if stream and best_of is not None and best_of > 1:
        yield _wrong(
            "best_of", "cannot be streamed: the best is known at the end", "add --no-stream"
        )
    if parameters.use_beam_search:
        if best_of is None or best_of < 2:
            yield _wrong(
                "use_beam_search", "needs --best-of greater than 1", "add --best-of 2, say"
            )
        if parameters.temperature != 0:
            yield _wrong("use_beam_search", "needs --temperature 0", "add --temperature 0")


def _warnings(parameters: Parameters) -> Iterator[Problem]:
    if parameters.temperature is not None and parameters.top_p is not None:
        yield Problem(
            UNWISE,
            "--temperature and --top-p are both given; each alone narrows the choice of tokens.",
            "change one of them and leave the other at its default",
            severity=Severity.WARNING,
        )
    if parameters.ignore_eos and parameters.max_tokens is None:
        yield Problem(
            UNWISE,
            "--ignore-eos without --max-tokens runs on to the service's own limit.",
            "add --max-tokens",
            severity=Severity.WARNING,
        )


def _wrong(parameter: str, what: str, hint: str) -> Problem:
    return Problem(BAD_PARAMETER, f"{option_of(parameter)} {what}.", hint)
