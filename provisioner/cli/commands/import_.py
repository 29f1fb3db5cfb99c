"""`provision import`: manifests from what is live."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from provisioner import wiring
from provisioner.cli import codes, loop
from provisioner.cli.flow import Flow
from provisioner.cli.groups import Command
from provisioner.cli.options import azure_options, screen_options, session_of
from provisioner.cli.report import show
from provisioner.cloud import WorkspaceSeen
from provisioner.errors import ExitCode, Failed, Problem, Severity, UsageError
from provisioner.errors.cloud import CloudError
from provisioner.errors.decode import decode
from provisioner.imported import Wanted, describe_workspace
from provisioner.observe import observe_everything
from provisioner.preflight.workspace import WORKSPACE_MISSING
from provisioner.resources import WorkspaceId, normal_region


@dataclass(frozen=True, slots=True)
class _Request:
    workspace: WorkspaceId
    wanted: Wanted
    out: Path | None
    files: tuple[Path, ...] = ()
    region: str = ""


@click.command("import", cls=Command)
@click.option("--subscription", required=True, metavar="ID", help="The Azure subscription.")
@click.option("-g", "--resource-group", required=True, metavar="NAME", help="Its resource group.")
@click.option("-w", "--workspace", required=True, metavar="NAME", help="The workspace.")
@click.option(
    "--out",
    type=click.Path(),
    metavar="FILE",
    help="Write there instead of stdout; never overwrites.",
)
@click.option(
    "--az-ml", "files", multiple=True, metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read this YAML file of `az ml` instead of Azure. Repeatable; needs --region.",
)  # fmt: skip
@click.option("--region", metavar="NAME", help="The workspace's region, for --az-ml.")
@click.option(
    "--with-environment", is_flag=True,
    help="Also write the values of environment variables, which may be secrets.",
)  # fmt: skip
@azure_options
@screen_options
@click.pass_context
def import_(ctx: click.Context, /, **options: Any) -> int:
    """Write manifests from a live workspace, or from files of `az ml`.

    A plan of them is empty for what this tool made. What others made is refused by a plan until
    `apply --adopt` has put our tags on it, which is all that it changes.
    """
    out = Path(options["out"]) if options["out"] else None
    if out is not None and out.exists():
        raise UsageError(
            Problem(codes.FILE_EXISTS, f"{out} exists.", "name another file, or remove it first")
        )
    id = WorkspaceId(options["subscription"], options["resource_group"], options["workspace"])
    files, region = options["files"], options["region"]
    if bool(files) != bool(region):
        raise click.UsageError("--az-ml and --region belong together.")
    wanted = Wanted(environment=options["with_environment"])
    request = _Request(id, wanted, out, files, normal_region(region or ""))
    session = session_of(ctx)
    return loop.run(lambda interrupts: _import(Flow(session, interrupts), request))


async def _import(flow: Flow, request: _Request) -> int:
    if request.files:
        seen, problems = await wiring.read_az_ml_files(
            request.files, request.workspace, request.region
        )
    else:
        seen, problems = await _observe(flow, request), []
    imported = describe_workspace(seen, request.wanted)
    problems += imported.problems
    wrong = [problem for problem in problems if problem.severity is Severity.ERROR]
    show([problem for problem in problems if problem not in wrong], flow.session)
    if wrong:
        raise Failed(*wrong)
    if request.out is None:
        click.echo(imported.text(), nl=False)
        return ExitCode.DONE
    _write(request.out, imported.text())
    number = len(imported.documents) - 1
    click.echo(f"Wrote {number} deployment{'' if number == 1 else 's'} to {request.out}", err=True)
    return ExitCode.DONE


async def _observe(flow: Flow, request: _Request) -> WorkspaceSeen:
    async with flow.connect() as connection:
        try:
            observed = await observe_everything(connection.cloud, [request.workspace])
        except CloudError as error:
            raise Failed(decode(error.fault)) from error
    seen = observed[request.workspace]
    if seen.workspace is None:
        raise Failed(
            Problem(
                WORKSPACE_MISSING,
                f"the workspace {request.workspace.name} does not exist in resource group "
                f"{request.workspace.resource_group}",
                "check --subscription, --resource-group and --workspace",
                resource=request.workspace.arm_id,
            )
        )
    return seen


def _write(out: Path, text: str) -> None:
    try:
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(
            Problem(
                codes.SYSTEM,
                f"{out} cannot be written: {error.strerror}.",
                "name a file in a folder that you may write to",
            )
        ) from error
