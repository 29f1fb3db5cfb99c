"""What one document alone cannot tell: references, duplicates and clashes between documents.

What the catalogue knows better is checked in `known`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from provisioner import catalog
from provisioner.errors import Code, Problem, Severity
from provisioner.manifest import codes, known
from provisioner.manifest.loaded import Loaded
from provisioner.manifest.near import near
from provisioner.manifest.scalars import NAME_RULES
from provisioner.manifest.schema import (
    SHARED_QUOTA_LIFE,
    InlineWorkspace,
    Lifetime,
    ManagedCompute,
    ModelDeployment,
    Workspace,
)
from provisioner.resources import normal_region

Deployment: TypeAlias = Loaded[ModelDeployment]
Place: TypeAlias = tuple[str, str, str]  # subscription, resource group, workspace; lower case
Where: TypeAlias = tuple[Place, str]  # a workspace and its region


@dataclass(slots=True)
class Checked:
    """The documents of a run, and what was found wrong with them."""

    workspaces: Sequence[Loaded[Workspace]]
    deployments: Sequence[Deployment]
    incomplete: bool
    unsure: bool
    problems: list[Problem] = field(default_factory=list)

    def add(  # noqa: PLR0913 - the parts of one sentence
        self,
        code: Code,
        at: Loaded[Workspace] | Deployment,
        path: tuple[str | int, ...],
        what: str,
        hint: str,
        *,
        other: Loaded[Workspace] | Deployment | None = None,
        severity: Severity = Severity.ERROR,
    ) -> None:
        details = (f"the other is at {other.position('metadata', 'name')}",) if other else ()
        position = at.position(*path)
        self.problems.append(Problem(code, what, hint, severity, position, details=details))


def check(
    workspaces: Sequence[Loaded[Workspace]],
    deployments: Sequence[Deployment],
    *,
    incomplete: bool,
    unsure: bool,
) -> list[Problem]:
    """What is wrong between the documents, and against the catalogue; errors and warnings.

    `incomplete`: some documents could not be read, so that sums may lack a part; `unsure`: one of
    them may be a Workspace, to which a reference may lead. Neither is reported then.
    """
    found = Checked(workspaces, deployments, incomplete, unsure)
    _duplicates(found)
    _regions(found)
    places = _places(found)
    for one in deployments:
        _alone(found, one)
    _endpoints(found, places)
    _outputs(found)
    return found.problems


def _duplicates(found: Checked) -> None:
    groups: tuple[Sequence[Loaded[Workspace]] | Sequence[Deployment], ...] = (
        found.workspaces,
        found.deployments,
    )
    for group in groups:
        first: dict[str, Loaded[Workspace] | Deployment] = {}
        for one in group:
            earlier = first.setdefault(one.name, one)
            if earlier is not one:
                kind = one.document.kind
                what = f'there are two {kind} documents of the name "{one.name}"'
                path = ("metadata", "name")
                found.add(codes.DUPLICATE_NAME, one, path, what, "rename one", other=earlier)


def _regions(found: Checked) -> None:
    """Every region that is written is one of Azure's; a workspace has only one."""
    for workspace in found.workspaces:
        _region(found, workspace, ("spec", "region"), workspace.document.spec.region)
    for one in found.deployments:
        spec = one.document.spec
        if spec.region is not None:
            _region(found, one, ("spec", "region"), spec.region)
        if isinstance(spec.workspace, InlineWorkspace):
            _region(found, one, ("spec", "workspace", "region"), spec.workspace.region)


def _region(
    found: Checked, at: Loaded[Workspace] | Deployment, path: tuple[str, ...], region: str
) -> None:
    regions = catalog.load().regions
    if normal_region(region) in regions:
        return
    meant = near(region, regions) or near(region, regions.values())
    meant = normal_region(meant) if meant else None
    hint = f'did you mean "{meant}"?' if meant else "list them with: az account list-locations"
    found.add(codes.REGION, at, path, f'"{region[:60]}" is not an Azure region', hint)


def _places(found: Checked) -> Mapping[str, Where]:
    """Of each deployment, by name, where it goes; without those whose workspace is unknown."""
    declared = {one.name: one for one in reversed(found.workspaces)}
    regions: dict[Place, tuple[str, Loaded[Workspace] | Deployment]] = {}
    places: dict[str, Where] = {}
    for workspace in found.workspaces:
        spec = workspace.document.spec
        place = _place(spec.subscription_id, spec.resource_group, workspace.document.azure_name)
        _one_region(found, regions, place, spec.region, workspace, ("spec", "region"))
    for one in found.deployments:
        reference = one.document.spec.workspace
        if isinstance(reference, InlineWorkspace):
            name = reference.workspace_name
            place = _place(reference.subscription_id, reference.resource_group, name)
            path = ("spec", "workspace", "region")
            _one_region(found, regions, place, reference.region, one, path)
            region = reference.region
        elif reference in declared:
            document = declared[reference].document
            azure_name, spec = document.azure_name, document.spec
            place = _place(spec.subscription_id, spec.resource_group, azure_name)
            region = spec.region
        else:
            _unknown_workspace(found, one, reference, declared)
            continue
        places.setdefault(one.name, (place, normal_region(region)))
        _same_region(found, one, region)
    return places


def _place(subscription: str, group: str, name: str) -> Place:
    return subscription.lower(), group.lower(), name.lower()


def _one_region(
    found: Checked,
    regions: dict[Place, tuple[str, Loaded[Workspace] | Deployment]],
    place: Place,
    region: str,
    at: Loaded[Workspace] | Deployment,
    path: tuple[str, ...],
) -> None:
    said, other = regions.setdefault(place, (region, at))
    if normal_region(said) != normal_region(region):
        what = f"the workspace {place[2]} is said to be in {region}, and elsewhere in {said}"
        hint = f"look with: az ml workspace show -g {place[1]} -n {place[2]} --query location"
        found.add(codes.REGION_MISMATCH, at, path, what, hint, other=other)


def _unknown_workspace(
    found: Checked, one: Deployment, reference: str, declared: Iterable[str]
) -> None:
    if found.unsure:
        return
    meant = near(reference, declared)
    if meant:
        hint = f'did you mean "{meant}"?'
    else:
        hint = f"add a document of kind Workspace with metadata.name {reference}, or its file to -f"
    what = f'no Workspace document is called "{reference}"'
    found.add(codes.UNKNOWN_WORKSPACE, one, ("spec", "workspace"), what, hint)


def _same_region(found: Checked, one: Deployment, region: str) -> None:
    wished = one.document.spec.region
    if wished is None or normal_region(wished) == normal_region(region):
        return
    if normal_region(wished) not in catalog.load().regions:
        return  # said already
    what = f"{one.name} wants the region {wished}, but its workspace is in {region}"
    hint = f"choose a workspace in {wished}, or remove spec.region"
    found.add(codes.REGION_MISMATCH, one, ("spec", "region"), what, hint)


def _alone(found: Checked, one: Deployment) -> None:
    """What a deployment says that is wrong whatever the others say."""
    spec = one.document.spec
    _name(found, one)
    _lifetime(found, one, spec.lifetime, spec.target.managed_compute)
    for problem in (known.model(one), known.instance_type(one)):
        if problem is not None:
            found.problems.append(problem)


def _name(found: Checked, one: Deployment) -> None:
    """A name taken over from metadata.name must fit what it names in Azure, too."""
    managed = one.document.spec.target.managed_compute
    target = managed or one.document.spec.target.serverless
    rules = ["deployment"] if managed is not None and managed.deployment_name is None else []
    if target is not None and target.endpoint_name is None:
        rules.append("online endpoint" if managed else "serverless endpoint")
    for noun in rules:
        pattern, rule = NAME_RULES[noun]
        if not pattern.fullmatch(one.name):
            what = f'metadata.name "{one.name}" cannot be the name of the {noun}'
            hint = f"it takes {rule}"
            hint += f"; or give {'deploymentName' if noun == 'deployment' else 'endpointName'}"
            found.add(codes.NAME, one, ("metadata", "name"), what, hint)
            return


def _lifetime(
    found: Checked, one: Deployment, lifetime: Lifetime | None, managed: ManagedCompute | None
) -> None:
    shared = managed is not None and managed.shared_quota
    if lifetime is None:
        return
    if shared and lifetime.ttl is not None and lifetime.ttl > SHARED_QUOTA_LIFE:
        found.add(
            codes.LIFETIME,
            one,
            ("spec", "lifetime", "ttl"),
            f"a ttl of {lifetime.ttl / 3600:g} h is longer than shared quota allows",
            "Azure deletes endpoints on shared quota after 168h: give at most that",
        )
    if not shared and lifetime.ttl is None and lifetime.expires_at is None:
        found.add(
            codes.LIFETIME,
            one,
            ("spec", "lifetime"),
            "a lifetime has no end",
            "add ttl or expiresAt, such as ttl: 72h; or remove lifetime",
        )


def _endpoints(found: Checked, places: Mapping[str, Where]) -> None:
    """Deployments that want one endpoint, and endpoints that want one name in a region."""
    serverless: dict[tuple[Place, str], Deployment] = {}
    managed: dict[tuple[Place, str], list[Deployment]] = defaultdict(list)
    names: dict[tuple[str, str, bool], tuple[Place, Deployment]] = {}
    seen: set[str] = set()
    for one in found.deployments:
        if one.name not in places or one.name in seen:
            continue
        seen.add(one.name)
        place, region = places[one.name]
        key = (place, one.document.endpoint_name.lower())
        _one_name(found, names, place, region, one)
        if one.document.spec.target.managed_compute is not None:
            managed[key].append(one)
            continue
        other = serverless.setdefault(key, one)
        if other is not one:
            what = f"{one.name} and {other.name} want the same serverless endpoint {key[1]}"
            hint = "give one of them another endpointName: an endpoint serves one model"
            path = ("spec", "target", "serverless", "endpointName")
            found.add(codes.ENDPOINT_CONFLICT, one, path, what, hint, other=other)
    for members in managed.values():
        _shared_endpoint(found, members)
        _deployment_names(found, members)


def _one_name(
    found: Checked,
    names: dict[tuple[str, str, bool], tuple[Place, Deployment]],
    place: Place,
    region: str,
    one: Deployment,
) -> None:
    """An endpoint's name is part of its URL: in one region, only one workspace can have it."""
    managed = one.document.spec.target.managed_compute is not None
    name = one.document.endpoint_name
    taken, other = names.setdefault((region, name.lower(), managed), (place, one))
    if taken == place:
        return
    what = f"{one.name} and {other.name} want endpoints called {name} in two workspaces of {region}"
    hint = "give one another endpointName: it is part of the URL, and unique in the region"
    path = ("spec", "target", "managedCompute" if managed else "serverless", "endpointName")
    found.add(codes.ENDPOINT_CONFLICT, one, path, what, hint, other=other)


def _deployment_names(found: Checked, members: Sequence[Deployment]) -> None:
    """In one endpoint every deployment has a name of its own."""
    taken: dict[str, Deployment] = {}
    for one in members:
        managed = one.document.spec.target.managed_compute
        name = (managed.deployment_name if managed else None) or one.name
        other = taken.setdefault(name.lower(), one)
        if other is not one:
            what = f"{one.name} and {other.name} want the same deployment {name} of one endpoint"
            hint = "give one of them another deploymentName"
            path = ("spec", "target", "managedCompute", "deploymentName")
            found.add(codes.ENDPOINT_CONFLICT, one, path, what, hint, other=other)


def _shared_endpoint(found: Checked, members: Sequence[Deployment]) -> None:
    """Deployments of one online endpoint agree on what is the endpoint's, and share its traffic."""
    first, *others = members
    for one in others:
        for key, path, mine, firsts in _of_endpoint(one, first):
            if mine != firsts:
                endpoint = one.document.endpoint_name
                what = f"{one.name} and {first.name} share the endpoint {endpoint}, "
                what += f"but differ in {key}"
                hint = f"give both the same {key}, or another endpointName"
                found.add(codes.ENDPOINT_CONFLICT, one, path, what, hint, other=first)
    if not found.incomplete:
        _traffic(found, members)


def _of_endpoint(
    one: Deployment, first: Deployment
) -> Iterable[tuple[str, tuple[str, ...], object, object]]:
    """What belongs to the endpoint: its key, where it stands, and both values."""
    mine, theirs = one.document.spec, first.document.spec
    assert mine.target.managed_compute is not None
    assert theirs.target.managed_compute is not None
    base = ("spec", "target", "managedCompute")
    ours, firsts = mine.target.managed_compute, theirs.target.managed_compute
    yield "sharedQuota", (*base, "sharedQuota"), ours.shared_quota, firsts.shared_quota
    yield "identity", (*base, "identity"), ours.identity, firsts.identity
    yield "description", (*base, "description"), ours.description, firsts.description
    yield "lifetime", ("spec", "lifetime"), mine.lifetime, theirs.lifetime


def _traffic(found: Checked, members: Sequence[Deployment]) -> None:
    shares = [
        managed.traffic
        for one in members
        if (managed := one.document.spec.target.managed_compute) is not None
    ]
    if shares == [None]:
        return  # alone on its endpoint, it has all of it
    endpoint = members[0].document.endpoint_name
    path = ("spec", "target", "managedCompute", "traffic")
    if all(share is None for share in shares):
        names = ", ".join(one.name for one in members)
        what = f"no deployment of the endpoint {endpoint} says which share of the traffic it has"
        hint = f"give {names} a traffic each, 100 together"
        found.add(codes.TRAFFIC, members[-1], path, what, hint)
        return
    total = sum(share or 0 for share in shares)
    if total in (0, 100):
        return
    parts = " + ".join(
        f"{one.name} {share or 0}" for one, share in zip(members, shares, strict=True)
    )
    what = f"the traffic of the endpoint {endpoint} adds up to {total} percent ({parts})"
    found.add(codes.TRAFFIC, members[-1], path, what, "it must be 100, or 0 to serve none")


def _outputs(found: Checked) -> None:
    """No two outputs write to one place; a dotenv file may be shared under different prefixes."""
    owners: dict[tuple[str, ...], dict[str | None, Deployment]] = defaultdict(dict)
    for one in found.deployments:
        for index, output in enumerate(one.document.spec.outputs):
            for place, part, where in known.places(one.name, output):
                taken = owners[place]
                other = taken.get(part) or taken.get(None)
                if part is None and taken:
                    other = next(iter(taken.values()))
                taken.setdefault(part, one)
                if other is None:
                    continue
                what = f"{one.name} and {other.name} both write to {where}"
                if other is one:
                    what = f"{one.name} writes twice to {where}"
                shared = hasattr(output.sink, "prefix") and (part is None or None not in taken)
                hint = "give each its own place" + (", or its own prefix" if shared else "")
                path = ("spec", "outputs", index, output.kind)
                found.add(codes.OUTPUT_CONFLICT, one, path, what, hint)
