"""What the files say. Pure: text in, text out."""

from __future__ import annotations

import json
import re
import shlex
from typing import Final

import yaml

from provisioner.errors import Problem
from provisioner.manifest.sinks import KubernetesSecret
from provisioner.outputs import codes
from provisioner.outputs.types import EndpointCredentials, SinkError
from provisioner.resources import Secret

_HEADER: Final = "# Written by provision: it rewrites its own lines and keeps all others.\n"
_PLAIN: Final = re.compile(r"[A-Za-z0-9_./:@%+,=-]*\Z")
_LINE_END: Final = re.compile(r"\r\n|\n|\r")
"""As dotenv libraries see it; what str.splitlines takes besides may stand in somebody's value."""
_ASSIGNMENT: Final = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=")

VARIABLES: Final = (
    "AZURE_INFERENCE_ENDPOINT",
    "AZURE_INFERENCE_CREDENTIAL",
    "AZURE_INFERENCE_MODEL",
)
"""The names that Azure's inference clients document for their samples."""


def secret_of(credentials: EndpointCredentials) -> Secret:
    """The key to write. Raises SinkError when Azure gave none (AZURE.md §17: nulls occur)."""
    if credentials.key is None:
        raise SinkError(
            Problem(
                codes.NO_KEY,
                f"Azure gave no key for {credentials.name}.",
                "see whether the endpoint takes keys at all (authMode), then regenerate one",
            )
        )
    return credentials.key


def variables(credentials: EndpointCredentials, prefix: str | None) -> dict[str, str]:
    """Name → value of the variables for one deployment; the values are secrets."""
    values = (credentials.url, secret_of(credentials).reveal(), credentials.model.name)
    return {
        f"{prefix or ''}{name}": one_line(value)
        for name, value in zip(VARIABLES, values, strict=True)
    }


def one_line(value: str) -> str:
    """`value`, which must not break out of its line. Raises SinkError."""
    if not value.isprintable():
        raise SinkError(
            Problem(
                codes.FOREIGN,
                "A value from Azure holds control characters and is not written.",
                "look at the endpoint in the portal; a URL and a key are single lines",
            )
        )
    return value


def dotenv(old: str | None, credentials: EndpointCredentials, prefix: str | None) -> str:
    """The file `old` with this deployment's lines: replaced where they stand, else appended."""
    wanted = variables(credentials, prefix)
    lines: list[str] = []
    for line in _LINE_END.split(old.removesuffix("\n")) if old else ():
        found = _ASSIGNMENT.match(line)
        name = found[1] if found else None
        if name is None or (name not in wanted and name not in _names(prefix)):
            lines.append(line)
        elif name in wanted:
            begin = line[: found.start(1)] if found else ""  # "export ", as somebody wrote it
            lines.append(f"{begin}{name}={quoted(wanted.pop(name))}")
        # else: a second line of the same name, which would win over the first: dropped
    if wanted:
        if lines and lines[-1].strip():
            lines.append("")
        lines.append(f"# {credentials.name}: {credentials.model.short}")
        lines += [f"{name}={quoted(value)}" for name, value in wanted.items()]
    head = "" if old else _HEADER
    return head + "\n".join(lines) + "\n"


def _names(prefix: str | None) -> frozenset[str]:
    return frozenset(f"{prefix or ''}{name}" for name in VARIABLES)


def quoted(value: str) -> str:
    """A value as sh, docker --env-file and dotenv libraries read alike where that is possible."""
    if _PLAIN.match(value):
        return value
    if "'" not in value:
        return f"'{value}'"
    return '"' + re.sub(r'(["\\$`])', r"\\\1", value) + '"'


def shell_lines(credentials: EndpointCredentials) -> str:
    """`export NAME=value` lines, safe to eval whatever the values hold."""
    values = variables(credentials, None)
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())


def document(credentials: EndpointCredentials) -> dict[str, str]:
    """One deployment as plain data for JSON and YAML files."""
    return {
        "name": credentials.name,
        "target": credentials.target,
        "model": credentials.model.short,
        "endpoint": one_line(credentials.url),
        "key": one_line(secret_of(credentials).reveal()),
    }


def json_text(old: str | None, credentials: EndpointCredentials) -> str:
    """The JSON file. Raises SinkError when `old` is something else than such a file."""
    _own(old, {"name", "endpoint"})
    return json.dumps(document(credentials), indent=2, ensure_ascii=False) + "\n"


def yaml_text(old: str | None, credentials: EndpointCredentials) -> str:
    """The YAML file. Raises SinkError when `old` is something else than such a file."""
    _own(old, {"name", "endpoint"})
    return _yaml(document(credentials))


def kubernetes_text(
    old: str | None, credentials: EndpointCredentials, sink: KubernetesSecret
) -> str:
    """A Secret for `kubectl apply -f`. Raises SinkError when `old` is something else."""
    _own(old, {"kind", "stringData"})
    return _yaml({**secret_head(sink), "stringData": variables(credentials, None)})


def secret_head(sink: KubernetesSecret) -> dict[str, object]:
    """A Secret without its data."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": sink.name,
            "namespace": sink.namespace,
            "labels": {"app.kubernetes.io/managed-by": "provisioner"},
        },
        "type": "Opaque",
    }


def _yaml(data: object) -> str:
    return str(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=4096))


def _own(old: str | None, keys: set[str]) -> None:
    """Raises SinkError unless `old` is absent, empty, or a mapping with these keys: a slip in a
    path must not cost somebody's file. (JSON is YAML.)"""
    if not old or not old.strip():
        return
    try:
        found = yaml.compose(old, Loader=yaml.SafeLoader)  # the nodes: nothing multiplies in them
    except (yaml.YAMLError, RecursionError):
        found = None
    pairs = found.value if isinstance(found, yaml.MappingNode) else ()
    if not keys <= {key.value for key, _ in pairs if isinstance(key, yaml.ScalarNode)}:
        raise SinkError(
            Problem(
                codes.FOREIGN,
                "The output file holds something that provision did not write.",
                "move it away, or name another path",
            )
        )
