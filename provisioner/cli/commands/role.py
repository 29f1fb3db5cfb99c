"""`provision role`: the smallest custom role that a set of manifests needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import click

from provisioner import plan as planning
from provisioner.cli import loop
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
from provisioner.cli.render.documents import print_document
from provisioner.cli.report import show
from provisioner.clock import SystemClock
from provisioner.cloud import Observed, WorkspaceSeen
from provisioner.desired import Desired, desired
from provisioner.errors import Failed
from provisioner.errors.cloud import CloudError
from provisioner.errors.decode import decode
from provisioner.observe import observe
from provisioner.plan import Plan
from provisioner.preflight import CustomRole, Errands, roles, smallest_role
from provisioner.preflight.role import ROLE_NAME


@dataclass(frozen=True, slots=True)
class _Request:
    desired: Desired
    name: str
    split: bool
    assign: bool
    assignee: str
    offline: bool
    errands: Errands
    output_format: str


@click.command(cls=Command)
@manifest_options
@format_option("json", "yaml")
@click.option("--assign-command", is_flag=True, help="Print the az commands that assign it.")
@click.option(
    "--assignee", default="<object id>", metavar="ID", help="Who gets it, in those commands."
)
@click.option("--split", is_flag=True, help="One role per kind of scope: grants less.")
@click.option("--name", default=ROLE_NAME, show_default=True, help="The role's name.")
@click.option(
    "--offline", is_flag=True, help="Ask Azure nothing: the role for a first apply from nothing."
)
@click.option("--verify", is_flag=True, help="With what apply --verify takes: every model's keys.")
@click.option("--prune", is_flag=True, help="With what apply --prune takes.")
@click.option("--destroy", is_flag=True, help="With what destroy takes.")
@click.option(
    "--prune-subscriptions", is_flag=True, help="With what either takes with this option."
)
@stack_option
@azure_options
@screen_options
@click.pass_context
def role(ctx: click.Context, /, **options: object) -> None:
    """Print the smallest custom role that these manifests need.

    It lets its holder create and change what the manifests name; options add what else it is for.
    Rights on the Azure subscription are in it only where a workspace has still to subscribe to an
    offer.
    """
    manifests = load(options["filenames"], options["labels"])  # type: ignore[arg-type]
    session = session_of(ctx)
    show(manifests.warnings, session)
    request = _Request(
        desired=desired(manifests, stack=str(options["stack"]), accept_terms=True),
        name=str(options["name"]),
        split=bool(options["split"]),
        assign=bool(options["assign_command"]),
        assignee=str(options["assignee"]),
        offline=bool(options["offline"]),
        errands=Errands(
            verify=bool(options["verify"]),
            prune=bool(options["prune"]),
            destroy=bool(options["destroy"]),
            prune_subscriptions=bool(options["prune_subscriptions"]),
        ),
        output_format=str(options["output_format"]),
    )
    if request.offline:
        _print(request, {})
        return
    loop.run(lambda interrupts: _role(Flow(session, interrupts), request))


async def _role(flow: Flow, request: _Request) -> None:
    async with flow.connect() as connection:
        try:
            observed = await observe(connection.cloud, request.desired)
        except CloudError as error:
            problem = decode(error.fault)
            hint = f"{problem.hint}; without read rights: provision role --offline"
            raise Failed(replace(problem, hint=hint)) from error
    _print(request, observed)


def everything(wanted: Desired, observed: Observed) -> Plan:
    """A plan that does all that these manifests may need: what they need today, and the making
    of each endpoint. Subscriptions that exist stay: no right to buy is asked twice."""
    now = SystemClock().now()
    bare = {
        id: WorkspaceSeen(id, view.workspace, view.subscriptions) for id, view in observed.items()
    }
    first, fresh = (planning.plan(wanted, seen, now) for seen in (observed, bare))
    return replace(fresh, steps=(*first.steps, *fresh.steps))


def _print(request: _Request, observed: Observed) -> None:
    steps = everything(request.desired, observed)
    found: Sequence[CustomRole] = (
        roles(steps, request.desired, request.name, request.errands)
        if request.split
        else (smallest_role(steps, request.desired, request.name, request.errands),)
    )
    if request.assign:
        for one in found:
            for line in one.commands(request.assignee):
                click.echo(line)
        return
    documents = [one.document() for one in found]
    print_document(documents if request.split else documents[0], request.output_format)
