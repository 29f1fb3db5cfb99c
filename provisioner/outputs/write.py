"""Writes one deployment's URL and key to its sinks, and checks beforehand that it can."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import assert_never

from provisioner.errors import Problem
from provisioner.manifest.known import on_any_disk
from provisioner.manifest.sinks import (
    AzureDevOps,
    Dotenv,
    GithubOutput,
    JsonFile,
    KeyVault,
    KubernetesSecret,
    Output,
    Sink,
    YamlFile,
)
from provisioner.outputs import codes, git
from provisioner.outputs.content import (
    dotenv,
    json_text,
    kubernetes_text,
    yaml_text,
)
from provisioner.outputs.files import locate, replace_text
from provisioner.outputs.kubernetes import apply_secret, require_cluster
from provisioner.outputs.pipelines import (
    azure_devops,
    github_file,
    github_output,
    require_azure_pipelines,
)
from provisioner.outputs.stores import key_vault
from provisioner.outputs.types import (
    Context,
    EndpointCredentials,
    SinkError,
    SinkResult,
    Status,
)


async def write(
    credentials: EndpointCredentials, sinks: Sequence[Output], context: Context
) -> list[SinkResult]:
    """Write to every sink; one result each, in order. A failing sink stops no other.

    Writing twice leaves what writing once leaves, and says `unchanged`.
    """
    await _ask_git(sinks, context)
    results = []
    for output in sinks:
        result = partial(SinkResult, credentials.name, output.kind, output.target)
        try:
            changed = await _write(credentials, output.sink, context)
        except SinkError as error:
            results.append(result(Status.FAILED, error.problem))
        else:
            results.append(result(Status.WRITTEN if changed else Status.UNCHANGED))
    return results


async def prepare(sinks: Iterable[Output], context: Context) -> None:
    """Ask git about all files at once; writing then asks no more, however many sinks there are."""
    await _ask_git(tuple(sinks), context)


async def check_writable(sinks: Sequence[Output], context: Context) -> list[Problem]:
    """What would keep these sinks from being written; nothing is left behind by asking."""
    await _ask_git(sinks, context)
    problems = []
    for output in sinks:
        sink = output.sink
        try:
            path = path_of(sink)
            if path is not None:
                _refuse_tracked(path, context)
                replace_text(path, str, context, dry=True)
            elif isinstance(sink, KubernetesSecret):
                await require_cluster(sink, context)
            elif isinstance(sink, GithubOutput):
                github_file(context)
            elif isinstance(sink, AzureDevOps):
                require_azure_pipelines(context)
        except SinkError as error:
            problems.append(error.problem)
    return problems


def clashes(
    deployments: Iterable[tuple[str, Sequence[Output]]], context: Context
) -> list[tuple[str, int, Problem]]:
    """Outputs that would overwrite each other: (deployment, index of the output, problem).

    A dotenv file may be shared as long as the prefixes differ; any other file belongs to one.
    """
    owners: dict[tuple[str, str], tuple[str, str]] = {}
    found = []
    for name, outputs in deployments:
        for index, output in enumerate(outputs):
            path = path_of(output.sink)
            if path is None:
                continue
            try:
                place = on_any_disk(str(locate(path, context)))
            except SinkError:
                continue  # reported by check_writable
            sink = output.sink
            part = f"dotenv {sink.prefix or ''}" if isinstance(sink, Dotenv) else "whole"
            others = [owner for key, owner in owners.items() if _collide(key, (place, part))]
            if others:
                found.append((name, index, _clash(name, path, others[0][0], sink)))
            owners.setdefault((place, part), (name, path))
    return found


def _collide(one: tuple[str, str], other: tuple[str, str]) -> bool:
    return one[0] == other[0] and (one[1] == other[1] or "whole" in (one[1], other[1]))


def _clash(name: str, path: str, other: str, sink: Sink) -> Problem:
    shared = isinstance(sink, Dotenv)
    example = name.upper().replace("-", "_")
    return Problem(
        codes.CLASH,
        f"{name} writes the same {'names into' if shared else 'file'} {path} as {other}.",
        f"give one of them another prefix, such as {example}_, or another path"
        if shared
        else "give each its own path",
    )


def path_of(sink: Sink) -> str | None:
    """The file that a sink writes; None for one that writes elsewhere."""
    match sink:
        case Dotenv() | JsonFile() | YamlFile():
            return sink.path
        case KubernetesSecret():
            return sink.path
        case GithubOutput() | AzureDevOps() | KeyVault():
            return None
        case _:
            assert_never(sink)


async def _write(credentials: EndpointCredentials, sink: Sink, context: Context) -> bool:
    """Write to one sink; whether it changed. Raises SinkError."""
    path = path_of(sink)
    if path is not None:
        _refuse_tracked(path, context)
        return replace_text(path, partial(_text, credentials, sink), context)
    match sink:
        case GithubOutput():
            return github_output(credentials, sink, context)
        case AzureDevOps():
            return azure_devops(credentials, sink, context)
        case KeyVault():
            return await key_vault(credentials, sink, context)
        case KubernetesSecret():
            return await apply_secret(credentials, sink, context)
        case _:
            raise AssertionError(f"{type(sink).__name__} is a file")


def _text(credentials: EndpointCredentials, sink: Sink, old: str | None) -> str:
    match sink:
        case Dotenv():
            return dotenv(old, credentials, sink.prefix)
        case JsonFile():
            return json_text(old, credentials)
        case YamlFile():
            return yaml_text(old, credentials)
        case KubernetesSecret():
            return kubernetes_text(old, credentials, sink)
        case _:
            raise AssertionError(f"{type(sink).__name__} is not a file")


async def _ask_git(sinks: Sequence[Output], context: Context) -> None:
    paths: list[Path] = []
    for output in sinks:
        path = path_of(output.sink)
        if path is not None:
            try:
                paths.append(locate(path, context))
            except SinkError:
                continue  # refused where it is written
    await git.learn(paths, context)


def _refuse_tracked(path: str, context: Context) -> None:
    if context.tracked.get(locate(path, context)):
        raise SinkError(git.problem(path))
