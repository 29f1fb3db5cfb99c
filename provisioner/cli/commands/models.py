"""`provision models`: what can be deployed, from the catalogue, the registries and the provider."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import click

from provisioner import catalog
from provisioner.catalog import refresh as refreshing
from provisioner.cli import codes, loop
from provisioner.cli.flow import Flow
from provisioner.cli.groups import Group
from provisioner.cli.options import azure_options, format_option, screen_options, session_of
from provisioner.cli.render.documents import print_document
from provisioner.cli.render.models import TARGETS, Entry, model_document, model_page, models_table
from provisioner.cli.report import show
from provisioner.cli.session import width
from provisioner.clock import SystemClock
from provisioner.cloud import CloudReader, RegistryModel
from provisioner.errors import ExitCode, Failed, Problem, Severity, UsageError
from provisioner.errors.cloud import CloudError
from provisioner.errors.decode import decode
from provisioner.manifest.near import near
from provisioner.preflight.case import listed
from provisioner.preflight.subscription import MACHINE_LEARNING
from provisioner.resources import AgreementId, MarketplacePlan, ModelRef, normal_region

_offline = click.option("--offline", is_flag=True, help="The shipped catalogue alone; ask nobody.")


@click.group(cls=Group)
def models() -> None:
    """List and show models: versions, targets, regions, offer, sizes."""


@dataclass(frozen=True, slots=True)
class _Filter:
    region: str | None
    target: str | None
    search: str
    registry: str | None

    def fits(self, entry: Entry) -> bool:
        """A model of which a filter's answer is not known is left out."""
        if self.registry and entry.registry.lower() != self.registry.lower():
            return False
        if self.target and self.target not in entry.targets:
            return False
        if self.region and normal_region(self.region) not in (entry.regions or ()):
            return False
        publisher = entry.known.publisher if entry.known is not None else ""
        return self.search.lower() in f"{entry.short} {publisher}".lower()


@models.command("list")
@click.option("--region", metavar="REGION", help="Served in this region as a serverless API.")
@click.option("--target", type=click.Choice(TARGETS), help="Known to run on this target.")
@click.option("--search", default="", metavar="TEXT", help="Part of the name or publisher.")
@click.option("--registry", metavar="NAME", help="Of one registry, such as azureml-meta.")
@_offline
@format_option("text", "json", "yaml")
@azure_options
@screen_options
@click.pass_context
def list_models(ctx: click.Context, /, **options: object) -> int:
    """List models, one to a line.

    The shipped catalogue is joined with the names that the registries hold today; where neither
    Azure nor a registry can be reached, it is shown alone.
    """
    chosen = _Filter(
        _text(options["region"]),
        _text(options["target"]),
        str(options["search"]),
        _text(options["registry"]),
    )
    session, form = session_of(ctx), str(options["output_format"])
    _require_known(ctx, chosen)
    if options["offline"]:
        _print_list(form, [one for one in _shipped() if chosen.fits(one)])
        return ExitCode.DONE
    return loop.run(lambda interrupts: _list(Flow(session, interrupts), chosen, form))


def _require_known(ctx: click.Context, chosen: _Filter) -> None:
    """Raises BadParameter for a region that is none of Azure's; a registry may be one's own."""
    regions = catalog.load().regions
    if chosen.region is None or normal_region(chosen.region) in regions:
        return
    meant = near(chosen.region, regions)
    advice = f'; did you mean "{meant}"?' if meant else ""
    message = f'"{chosen.region}" is not an Azure region{advice}'
    raise click.BadParameter(message, ctx, param_hint="'--region'")


async def _list(flow: Flow, chosen: _Filter, form: str) -> int:
    known = catalog.load()
    wanted = [chosen.registry] if chosen.registry else sorted(known.registries)
    try:
        async with flow.connect() as connection:
            answers = await asyncio.gather(*(_names(connection.cloud, one) for one in wanted))
    except Failed as error:
        # Without a way to Azure the shipped catalogue is still worth reading.
        show([replace(one, severity=Severity.WARNING) for one in error.problems], flow.session)
        _print_list(form, [one for one in _shipped() if chosen.fits(one)])
        return ExitCode.DONE
    unread = {
        one: answer
        for one, answer in zip(wanted, answers, strict=True)
        if isinstance(answer, CloudError)
    }
    problems = _silent(unread)
    if len(unread) == len(answers) and not any(chosen.fits(one) for one in _shipped()):
        raise Failed(*problems)
    entries = {one.short.lower(): one for one in _shipped()}
    for registry, names in zip(wanted, answers, strict=True):
        for name in () if isinstance(names, CloudError) else names:
            entries.setdefault(f"{registry}/{name}".lower(), Entry(registry, name))
    ordered = sorted(entries.values(), key=lambda one: one.short.lower())
    show([replace(one, severity=Severity.WARNING) for one in problems], flow.session)
    _print_list(form, [one for one in ordered if chosen.fits(one)])
    return ExitCode.DONE


async def _names(cloud: CloudReader, registry: str) -> Sequence[str] | CloudError:
    try:
        return await cloud.models(registry)
    except CloudError as error:
        return error


def _silent(unread: Mapping[str, CloudError]) -> list[Problem]:
    """One problem for all registries that refuse for the same reason."""
    found: dict[tuple[int, str], list[str]] = {}
    for registry, error in unread.items():
        found.setdefault((error.fault.status, error.fault.code), []).append(registry)
    return [_unanswered(unread[names[0]], *names) for names in found.values()]


def _unanswered(error: CloudError, *registries: str) -> Problem:
    """What the refusal of registries means; where they do not exist, which the catalogue has."""
    several = len(registries) > 1
    noun = "the registries" if several else "the registry"
    fault = replace(error.fault, resource=None) if several else error.fault
    problem = decode(fault, context=f"{noun} {listed(registries)}")
    if fault.status != 404:
        return problem
    known = catalog.load().registries
    if all(registry.lower() in known for registry in registries):
        return replace(problem, hint="nothing to do, if this Azure has no model registries")
    names = ", ".join(sorted(known))
    return replace(problem, hint=f"check the registry's name; the catalogue knows {names}")


def _print_list(form: str, entries: Sequence[Entry]) -> None:
    if form != "text":
        print_document({"models": [model_document(one, _today()) for one in entries]}, form)
    elif entries:
        click.echo(models_table(entries, _today(), width(sys.stdout)), nl=False)
        dated = max((one.known.dated for one in entries if one.known), default=None)
        click.echo(f"{_counted(entries)}; the catalogue is of {dated}.", err=True)
        click.echo("More of one: provision models show NAME", err=True)
    else:
        click.echo("No model matches.", err=True)


def _counted(entries: Sequence[Entry]) -> str:
    return "1 model" if len(entries) == 1 else f"{len(entries)} models"


@models.command("show")
@click.argument("name", metavar="NAME")
@click.option("--subscription", metavar="ID", help="Show the terms and regions of this one.")
@_offline
@format_option("text", "json", "yaml")
@azure_options
@screen_options
@click.pass_context
def show_model(ctx: click.Context, /, **options: object) -> int:
    """Show one model: registry/name, a registry id, or a name that only one registry has."""
    ref, session, form = _ref(str(options["name"])), session_of(ctx), str(options["output_format"])
    entry = Entry(ref.registry, ref.name, catalog.load().find(ref.id))
    if options["offline"]:
        if entry.known is None:
            raise UsageError(_unknown(ref))
        _print_one(form, entry)
        return ExitCode.DONE
    subscription = _text(options["subscription"])
    return loop.run(
        lambda interrupts: _show(Flow(session, interrupts), entry, ref, subscription, form)
    )


async def _show(
    flow: Flow, entry: Entry, ref: ModelRef, subscription: str | None, form: str
) -> int:
    async with flow.connect() as connection:
        cloud = connection.cloud
        try:
            registered = await cloud.model(ref)
        except CloudError as error:
            problem = _unanswered(error, ref.registry)
            if entry.known is None:
                raise Failed(problem) from error
            # As in a list: the shipped catalogue is still worth reading.
            show([replace(problem, severity=Severity.WARNING)], flow.session)
            registered = None
        if registered is None and entry.known is None:
            raise UsageError(_unknown(ref))
        entry = replace(entry, registered=registered)
        if subscription is not None:
            entry = await _with_provider(cloud, entry, subscription)
    _print_one(form, entry)
    return ExitCode.DONE


async def _with_provider(cloud: CloudReader, entry: Entry, subscription: str) -> Entry:
    facts = entry.known.serverless if entry.known is not None else None
    plan = facts.plan if facts is not None else None
    try:
        provider = await cloud.provider(subscription, MACHINE_LEARNING)
        agreement = None
        if plan is not None and plan.publisher and plan.offer and plan.plan:
            full = MarketplacePlan(plan.publisher, plan.offer, plan.plan)
            agreement = await cloud.agreement(AgreementId(subscription, full))
    except CloudError as error:
        raise Failed(decode(error.fault)) from error
    nothing: frozenset[str] = frozenset()
    offered = {
        "serverless": provider.locations.get("workspaces/serverlessendpoints", nothing),
        "managedCompute": provider.locations.get("workspaces/onlineendpoints", nothing),
    }
    return replace(entry, agreement=agreement, offered=offered)


def _print_one(form: str, entry: Entry) -> None:
    if form == "text":
        click.echo(model_page(entry, _today(), width(sys.stdout)), nl=False)
    else:
        print_document(model_document(entry, _today()), form)


@models.command("refresh")
@click.option(
    "--to",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write there instead of into the installed catalogue.",
)
@azure_options
@screen_options
@click.pass_context
def refresh(ctx: click.Context, to: Path | None) -> int:
    """Renew the shipped catalogue from the registries: sizes and least machine of each model.

    Regions, offers and lifecycles come from Microsoft's documents and stay as they are.
    """
    session = session_of(ctx)
    if session.emulator and to is None:
        raise click.UsageError("The emulator's models are partly invented: give --to FILE.", ctx)
    target = to or refreshing.shipped_path()
    return loop.run(lambda interrupts: _refresh(Flow(session, interrupts), target))


async def _refresh(flow: Flow, target: Path) -> int:
    async with flow.connect() as connection:
        answers = await asyncio.gather(
            *(_model(connection.cloud, one.ref) for one in catalog.load().models.values())
        )
    problems = [one for one in answers if isinstance(one, Problem)]
    if len(problems) == len(answers):
        raise Failed(*problems[:3])
    before = refreshing.shipped()
    found = [one for one in answers if isinstance(one, RegistryModel)]
    after = refreshing.refreshed(before, found, _today())
    _write(target, refreshing.rendered(after))
    changed = refreshing.changes(before, after)
    show([replace(one, severity=Severity.WARNING) for one in problems], flow.session)
    click.echo(f"{target}: {len(found)} models read, {len(changed)} entries changed.")
    for name in changed:
        click.echo(f"  {name}")
    return ExitCode.PARTIAL if problems else ExitCode.DONE


async def _model(cloud: CloudReader, ref: ModelRef) -> RegistryModel | Problem | None:
    try:
        return await cloud.model(ref)
    except CloudError as error:
        return decode(error.fault, context=f"the model {ref.short}")


def _write(target: Path, text: str) -> None:
    """All of the file or none of it."""
    fresh = target.with_name(f".{target.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(target)


def _shipped() -> list[Entry]:
    entries = (Entry(one.registry, one.name, one) for one in catalog.load().models.values())
    return sorted(entries, key=lambda one: one.short.lower())


def _ref(text: str) -> ModelRef:
    ref = ModelRef.parse(text)
    if ref.registry:
        return ref
    known = catalog.load().find(text)
    if known is not None:
        return known.ref
    raise UsageError(_unknown(ref))


def _unknown(ref: ModelRef) -> Problem:
    near = catalog.load().near(ref.id if ref.registry else ref.name, ratio=0.6)
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    return Problem(
        codes.UNKNOWN_NAME,
        f"There is no model {ref.short} in the catalogue, nor in a registry that was asked.",
        f"{meant}list them: provision models list --search {ref.name[:20]}",
    )


def _today() -> date:
    return SystemClock().now().date()


def _text(value: object) -> str | None:
    return str(value) if value else None
