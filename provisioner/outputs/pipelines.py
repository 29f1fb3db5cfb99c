"""Sinks that hand values to the later steps of a pipeline."""

from __future__ import annotations

import os
import stat

from provisioner.errors import Problem
from provisioner.manifest.sinks import AzureDevOps, GithubOutput
from provisioner.outputs import codes
from provisioner.outputs.content import one_line, secret_of
from provisioner.outputs.types import Context, EndpointCredentials, SinkError


def github_file(context: Context) -> str:
    """The path in $GITHUB_OUTPUT. Raises SinkError outside GitHub Actions."""
    path = context.environment.get("GITHUB_OUTPUT")
    if not path:
        raise SinkError(_absent("githubOutput", "GitHub Actions", "GITHUB_OUTPUT"))
    return path


def require_azure_pipelines(context: Context) -> None:
    """Raises SinkError outside Azure Pipelines."""
    if not context.environment.get("TF_BUILD"):
        raise SinkError(_absent("azureDevOps", "Azure Pipelines", "TF_BUILD"))


def github_output(credentials: EndpointCredentials, sink: GithubOutput, context: Context) -> bool:
    """Append `endpoint`, `key` and `model` to $GITHUB_OUTPUT; the key is masked before.

    Raises SinkError outside GitHub Actions. Returns whether something was added.
    """
    path = github_file(context)
    key = one_line(secret_of(credentials).reveal())
    context.command(f"::add-mask::{key.replace('%', '%25')}")  # the runner decodes %25
    prefix = sink.prefix or ""
    text = (
        f"{prefix}endpoint={one_line(credentials.url)}\n"
        f"{prefix}key={key}\n"
        f"{prefix}model={one_line(credentials.model.name)}\n"
    )
    try:
        return _append(path, text)
    except OSError as error:
        raise SinkError(
            Problem(
                codes.UNWRITABLE,
                f"$GITHUB_OUTPUT ({path}) cannot be written: {error.strerror}.",
                "run the step under the runner's own user",
            )
        ) from error


def azure_devops(credentials: EndpointCredentials, sink: AzureDevOps, context: Context) -> bool:
    """Set output variables of the job by logging commands; the key is a secret variable.

    Raises SinkError outside Azure Pipelines: the commands would show the key on a screen.
    """
    require_azure_pipelines(context)
    prefix = sink.prefix or ""
    key = _escaped(one_line(secret_of(credentials).reveal()))
    command = "##vso[task.setvariable variable={name};isoutput=true;issecret={hide}]{value}"
    context.command(command.format(name=f"{prefix}key", hide="true", value=key))
    for name, value in (("endpoint", credentials.url), ("model", credentials.model.name)):
        text = _escaped(one_line(value))
        context.command(command.format(name=f"{prefix}{name}", hide="false", value=text))
    return True


def _escaped(value: str) -> str:
    """Logging commands read %AZP25 as a percent sign."""
    return value.replace("%", "%AZP25")


def _append(path: str, text: str) -> bool:
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "r+", encoding="utf-8") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(0, "not an ordinary file")
        if text in file.read():
            return False
        file.write(text)
    return True


def _absent(sink: str, pipeline: str, variable: str) -> Problem:
    return Problem(
        codes.NOT_IN_PIPELINE,
        f"The sink {sink} needs {pipeline}, but ${variable} is not set here.",
        f"run the command in {pipeline}, or use dotenv or json where it is run by hand",
    )
