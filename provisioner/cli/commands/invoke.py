"""`provision invoke NAME PROMPT`: call a deployed model."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import click

from provisioner.cli import codes, loop
from provisioner.cli.commands.validate import load
from provisioner.cli.flow import Flow
from provisioner.cli.groups import Command
from provisioner.cli.options import (
    azure_options,
    format_option,
    manifest_options,
    screen_options,
    session_of,
    stack_option,
)
from provisioner.cli.reach import choose, credentials, key_of, require_managed
from provisioner.cli.render.documents import print_document
from provisioner.cli.render.words import seconds
from provisioner.cli.report import show
from provisioner.cli.session import in_runner, is_terminal
from provisioner.cli.types import Span
from provisioner.desired import desired
from provisioner.errors import ExitCode, Problem, UsageError
from provisioner.errors.harmless import clean, inert, json_text
from provisioner.inference import (
    Api,
    Call,
    Client,
    Endpoint,
    Parameters,
    Piece,
    Usage,
    data_url,
    joined,
)
from provisioner.inference.answers import FILTERED, Chunk
from provisioner.inference.codes import FILTERED as FILTERED_CODE
from provisioner.manifest import Manifests
from provisioner.publish import Published, published

F = TypeVar("F", bound=Callable[..., object])
_UNSAFE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202d\u202e]")
"""Control characters but tab and newline: a model's words must not steer the terminal, nor turn
the text of a line around."""
_HALVES: Final = re.compile(r"[\ud800-\udfff]")
"""Of surrogate pairs: JSON can say them, no stream can carry them."""


@dataclass(frozen=True, slots=True)
class _Request:
    chosen: Published
    call: Call
    warnings: Sequence[Problem]
    output_format: str
    deployment: str | None
    timeout: float


def _parameter_options(function: F) -> F:
    """One option per field of `Parameters`; ranges are checked there, all at once."""
    on_off = {"is_flag": True, "default": None}
    options: tuple[tuple[tuple[str, ...], dict[str, Any], str], ...] = (
        (("--max-tokens",), {"type": int}, "At most so many tokens of answer."),
        (("--temperature",), {"type": float}, "0 to 2; 0 always takes the likeliest token."),
        (("--top-p",), {"type": float}, "Choose among the likeliest of this probability mass."),
        (("--n",), {"type": int}, "So many answers."),
        (("--stop",), {"multiple": True}, "Stop before this text. Repeatable."),
        (("--best-of",), {"type": int}, "Let the service choose from so many; more than --n."),
        (("--logprobs",), {"type": int}, "Log probabilities of so many tokens (-o json)."),
        (("--presence-penalty",), {"type": float}, "-2 to 2: new subjects rather than old."),
        (("--frequency-penalty",), {"type": float}, "-2 to 2: fewer repetitions."),
        (("--ignore-eos/--no-ignore-eos",), on_off, "Go on after the end of the answer."),
        (
            ("--use-beam-search/--no-use-beam-search",),
            on_off,
            "Needs --best-of above 1 and --temperature 0.",
        ),
        (
            ("--stop-token-id", "stop_token_ids"),
            {"type": int, "multiple": True},
            "Stop at this token. Repeatable.",
        ),
        (
            ("--skip-special-tokens/--no-skip-special-tokens",),
            on_off,
            "Leave special tokens out of the answer.",
        ),
        (("--seed",), {"type": int}, "Repeatable sampling, where the model knows it."),
    )
    for names, settings, help in reversed(options):
        function = click.option(*names, help=help, **settings)(function)
    return function


@click.command(cls=Command)
@click.argument("name")
@click.argument("prompt")
@manifest_options
@format_option("text", "json")
@click.option("--api", type=click.Choice([str(one) for one in Api]), default="chat",
              show_default=True, help="A conversation, or the continuation of a text.")  # fmt: skip
@click.option("--llama-api", is_flag=True, help="The Llama API's paths, under /v1.")
@click.option("--system", metavar="TEXT", help="What the model is told beforehand (chat).")
@click.option("--image", "images", multiple=True, metavar="FILE|DATA-URL",
              help="Show an image to a vision model. Repeatable.")  # fmt: skip
@click.option("--stream/--no-stream", default=None,
              help="Show the answer as it comes. Default: on a terminal.")  # fmt: skip
@_parameter_options
@click.option("--deployment", metavar="NAME",
              help="A deployment of a managed endpoint, whatever the traffic.")  # fmt: skip
@click.option("--timeout", type=Span(0.1, bare=True), default="2m", show_default=True,
              metavar="SPAN", help="The longest silence.")  # fmt: skip
@stack_option
@azure_options
@screen_options
@click.pass_context
def invoke(ctx: click.Context, /, **options: Any) -> int:
    """Call a deployed model.

    NAME is the deployment's in the manifests; PROMPT may be -, which reads it from stdin.

    The answer goes to stdout, the count of its tokens to stderr. URL and key are fetched from
    Azure for the call and shown nowhere.
    """
    session = session_of(ctx)
    request = _request(options)
    show(request.warnings, session)
    return loop.run(lambda interrupts: _invoke(Flow(session, interrupts), request))


def _request(options: Mapping[str, Any]) -> _Request:
    prompt = _prompt(options["prompt"], options["filenames"])
    parameters = Parameters(**{one.name: options[one.name] for one in fields(Parameters)})
    api = Api(options["api"])
    images = tuple(data_url(image) for image in options["images"])
    stream = _streams(options["stream"], options["output_format"], parameters)
    call = Call(prompt, api, parameters, options["system"], images, stream, options["llama_api"])
    warnings = call.check()
    manifests: Manifests = load(options["filenames"], options["labels"])
    wanted = desired(manifests, stack=options["stack"])
    chosen = choose(options["name"], list(published(wanted)))
    require_managed(chosen, options["deployment"])
    return _Request(
        chosen,
        call,
        warnings,
        options["output_format"],
        options["deployment"],
        options["timeout"],
    )


def _prompt(given: str, filenames: Iterable[str]) -> str:
    if given != "-":
        return given
    if "-" in filenames:
        raise UsageError(
            Problem(
                codes.USAGE,
                "Both the manifest and the prompt are to be read from stdin.",
                "name the manifest's file with -f",
            )
        )
    return sys.stdin.buffer.read().decode("utf-8", "replace").rstrip("\n")


def _streams(asked: bool | None, output_format: str, parameters: Parameters) -> bool:
    """As asked; by default where a person watches one answer come."""
    if asked is not None:
        return asked
    single = (parameters.n or 1) == 1 and (parameters.best_of or 1) == 1
    return single and output_format == "text" and is_terminal(sys.stdout)


async def _invoke(flow: Flow, request: _Request) -> int:
    async with flow.connect() as connection:
        found = await credentials(connection.cloud, request.chosen)
        endpoint = Endpoint(
            found.url, key_of(found), request.deployment, ca_bundle=connection.ca_bundle
        )

        def waiting(delay: float, why: Problem) -> None:
            click.echo(clean(f"{why.what} Again in {seconds(delay)}."), err=True)

        begun = time.monotonic()
        client = Client(endpoint, connection.clock, timeout=request.timeout, waiting=waiting)
        async with client:
            pieces, usage = await (_streamed if request.call.stream else _whole)(client, request)
    return _end(flow, pieces, usage, time.monotonic() - begun)


async def _whole(client: Client, request: _Request) -> tuple[Sequence[Piece], Usage | None]:
    answer = await client.ask(request.call)
    if request.output_format == "json":
        print_document(answer.document, "json")
    else:
        _print_all(answer.pieces)
    return answer.pieces, answer.usage


async def _streamed(client: Client, request: _Request) -> tuple[Sequence[Piece], Usage | None]:
    """Print the first answer as it comes, and any others after it; or a JSON line per chunk."""
    printed = _Printed()
    heard: list[Piece] = []
    usage: Usage | None = None
    as_json = request.output_format == "json"
    try:
        async with aclosing(client.stream(request.call)) as chunks:
            async for chunk in chunks:
                usage = chunk.usage or usage
                heard += chunk.pieces
                _json_line(chunk) if as_json else printed.add(chunk.pieces)
    finally:
        printed.end()
    pieces = joined(heard)
    if not as_json and len(pieces) > 1:
        _print_all(pieces[1:], first=2)
    return pieces, usage


class _Printed:
    """The first answer on the screen; its line is ended even when the answer is not.

    Under a pipeline's runner only whole lines are printed: a command in one could come in pieces.
    """

    def __init__(self) -> None:
        self._open = False
        self._held = ""

    def add(self, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            if piece.index == 0 and piece.text:
                text = self._held + piece.text
                if in_runner():
                    lines, end, self._held = text.rpartition("\n")
                    text = lines + end
                self._print(text)

    def _print(self, text: str) -> None:
        if text:
            click.echo(_safe(text), nl=False)
            self._open = not text.endswith("\n")

    def end(self) -> None:
        self._print(self._held)
        self._held = ""
        if self._open:
            click.echo()
            self._open = False


def _json_line(chunk: Chunk) -> None:
    click.echo(json_text(chunk.document, separators=(",", ":")))


def _print_all(pieces: Sequence[Piece], first: int = 1) -> None:
    many = len(pieces) > 1 or first > 1
    for number, piece in enumerate(pieces, first):
        if many:
            click.echo(f"--- answer {number} ---")
        click.echo(_safe(piece.text).removesuffix("\n"))


def _safe(text: str) -> str:
    """Text for whoever reads it: as it is for a program, without control codes for a terminal,
    without commands for a pipeline's runner."""
    text = _HALVES.sub("�", text)
    if is_terminal(sys.stdout):
        return _UNSAFE.sub("�", text)
    return inert(text) if in_runner() else text


def _end(flow: Flow, pieces: Sequence[Piece], usage: Usage | None, took: float) -> int:
    """Say what it cost and how it ended, on stderr; return the exit code."""
    ends = {piece.finish for piece in pieces if piece.finish}
    if flow.session.log_json:
        line: dict[str, object] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "event": "invoked",
            "seconds": round(took, 3),
            "finishReasons": sorted(ends),
        }
        if usage is not None:
            line |= {"promptTokens": usage.prompt, "completionTokens": usage.completion}
        click.echo(json.dumps(line), err=True)
    else:
        counted = (
            f"{usage.prompt} prompt + {usage.completion} answer = {usage.total} tokens, "
            if usage
            else ""
        )
        cut = "; cut at the limit of tokens (--max-tokens)" if "length" in ends else ""
        click.echo(f"{counted}{seconds(took)}{cut}", err=True)
    if not ends & FILTERED:
        return ExitCode.DONE
    show([_withheld("content_filter_error" in ends)], flow.session)
    return ExitCode.FAILED


def _withheld(unreachable: bool) -> Problem:
    if unreachable:
        return Problem(
            FILTERED_CODE, "Content safety could not judge the answer and cut it.", "ask again"
        )
    return Problem(
        FILTERED_CODE, "Content safety withheld the answer or its rest.", "say it differently"
    )
