"""The tenant that the emulator plays, read from one YAML file.

What a file leaves out stays as in the default tenant (`data/default_scenario.yaml`): a top-level
list replaces the default's list, `behaviour`, `durations` and `clock` change only the keys given.
The reference with examples is docs/emulator-scenarios.md.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path

from provisioner.emulator.faults import Fault
from provisioner.emulator.files import write_private
from provisioner.emulator.models import load_models
from provisioner.emulator.rights import (
    BUILT_IN,
    DenyAssignment,
    Permission,
    RoleAssignment,
    RoleDefinition,
)
from provisioner.emulator.scenario_models import ModelOverride
from provisioner.emulator.scenario_types import (
    GUID,
    OWN_IDS,
    Behaviour,
    ClockSettings,
    Durations,
    OfferAvailability,
    Principal,
    ResourceGroup,
    Scenario,
    Span,
    Subscription,
    Workspace,
)
from provisioner.emulator.scenario_yaml import (
    MAX_BYTES,
    Decoder,
    Instant,
    Problem,
    ScenarioError,
    decode,
)
from provisioner.emulator.vm_sizes import load_families

__all__ = [
    "Behaviour",
    "ClockSettings",
    "Durations",
    "ModelOverride",
    "OfferAvailability",
    "Principal",
    "ResourceGroup",
    "Scenario",
    "ScenarioError",
    "Span",
    "Subscription",
    "Workspace",
    "load",
    "parse",
    "parse_faults",
    "ready",
]


@dataclass(frozen=True, slots=True)
class _Role:
    name: str
    permissions: tuple[Permission, ...]
    id: str = ""
    description: str = ""
    assignable_scopes: tuple[str, ...] = ("/",)


@dataclass(frozen=True, slots=True)
class _Grant:
    principal: str
    role: str
    scope: str
    created: Instant | None = None


@dataclass(frozen=True, slots=True)
class _Denial:
    name: str
    scope: str
    permission: Permission
    principals: tuple[str, ...] = ()
    excluded_principals: tuple[str, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True)
class _File:
    """The document as written: roles and principals are still names."""

    tenant_id: str
    subscriptions: tuple[Subscription, ...]
    principals: tuple[Principal, ...]
    role_definitions: tuple[_Role, ...] = ()
    role_assignments: tuple[_Grant, ...] = ()
    deny_assignments: tuple[_Denial, ...] = ()
    models: tuple[ModelOverride, ...] = ()
    offer_availability: tuple[OfferAvailability, ...] = ()
    durations: Durations = field(default_factory=Durations)
    behaviour: Behaviour = field(default_factory=Behaviour)
    clock: ClockSettings = field(default_factory=ClockSettings)
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class _Faults:
    faults: tuple[Fault, ...]


@dataclass(slots=True)
class _Resolver:
    """Names to ids, with a problem at its place for each that is not there."""

    document: _File
    decoder: Decoder
    problems: list[Problem] = field(default_factory=list)

    def scenario(self) -> Scenario:
        document = self.document
        self._check_uniqueness()
        roles = tuple(self._role(each) for each in document.role_definitions)
        known = {role.name.lower(): role.id for role in (*BUILT_IN.values(), *roles)}
        known |= {role.id: role.id for role in (*BUILT_IN.values(), *roles)}
        for override in document.models:
            self._check_model(override)
        grants = tuple(self._grant(each, known) for each in document.role_assignments)
        denials = tuple(self._denial(each) for each in document.deny_assignments)
        same = {
            each.name: getattr(document, each.name)
            for each in dataclasses.fields(document)
            if each.name not in ("role_definitions", "role_assignments", "deny_assignments")
        }
        return Scenario(
            **same, role_definitions=roles, role_assignments=grants, deny_assignments=denials
        )

    def _problem(self, at: object, message: str) -> None:
        self.problems.append(self.decoder.place(at, message))

    def _check_uniqueness(self) -> None:
        seen: set[str] = set()
        for subscription in self.document.subscriptions:
            self._once(seen, subscription, f"subscription {subscription.id}")
            self._check_families(subscription)
            for group in subscription.resource_groups:
                key = f"resource group {group.name} of subscription {subscription.id}"
                self._once(seen, group, key)
                for workspace in group.workspaces:
                    self._once(seen, workspace, f"workspace {workspace.name} in {key}")
        for principal in self.document.principals:
            self._once(seen, principal, f"principal {principal.name}")
            self._once(seen, principal, f"client id {principal.client_id}")

    def _check_families(self, subscription: Subscription) -> None:
        known = {name.replace(" ", ""): family.name for name, family in load_families().items()}
        for row in subscription.quotas.values():
            for family, quota in row.items():
                if family.lower().replace(" ", "") not in known:
                    names = ", ".join(sorted(known.values()))
                    self._problem(quota, f"'{family}' is no VM family; known are {names}")

    def _once(self, seen: set[str], at: object, what: str) -> None:
        if what.lower() in seen:
            self._problem(at, f"{what} is there twice")
        seen.add(what.lower())

    def _check_model(self, override: ModelOverride) -> None:
        try:
            load_models([override])
        except ValueError as error:
            self._problem(override, str(error))

    def _role(self, role: _Role) -> RoleDefinition:
        guid = role.id.lower() or str(uuid.uuid5(OWN_IDS, f"role:{role.name}"))
        if not GUID.fullmatch(guid):
            self._problem(role, f"role id '{role.id}' is not a GUID")
        return RoleDefinition(
            guid, role.name, role.permissions, role.description, role.assignable_scopes
        )

    def _grant(self, grant: _Grant, roles: Mapping[str, str]) -> RoleAssignment:
        role = roles.get(grant.role.lower())
        if role is None:
            names = ", ".join(sorted(each.name for each in BUILT_IN.values()))
            self._problem(
                grant, f"role '{grant.role}' is neither in roleDefinitions nor one of {names}"
            )
        principal = self._principal(grant, grant.principal)
        name = str(uuid.uuid5(OWN_IDS, f"{principal}|{role}|{grant.scope}".lower()))
        return RoleAssignment(name, principal, role or "", grant.scope, grant.created)

    def _denial(self, denial: _Denial) -> DenyAssignment:
        return DenyAssignment(
            name=str(uuid.uuid5(OWN_IDS, f"deny:{denial.name}")),
            scope=denial.scope,
            permission=denial.permission,
            principal_ids=tuple(self._principal(denial, each) for each in denial.principals),
            excluded_principal_ids=tuple(
                self._principal(denial, each) for each in denial.excluded_principals
            ),
            deny_assignment_name=denial.name,
            description=denial.description,
        )

    def _principal(self, at: object, name: str) -> str:
        for each in self.document.principals:
            if name.lower() in (each.name.lower(), each.object_id.lower(), each.client_id.lower()):
                return each.object_id
        if GUID.fullmatch(name):
            return name.lower()
        self._problem(at, f"principal '{name}' is not in principals")
        return ""


def parse(text: str, source: str = "<scenario>") -> Scenario:
    """A scenario from YAML text; ScenarioError names every problem with its line."""
    document, decoder = decode(_File, text, source, _default_document())
    resolver = _Resolver(document, decoder)
    scenario = resolver.scenario()
    if resolver.problems:
        raise ScenarioError(source, tuple(resolver.problems))
    return scenario


def parse_faults(text: str, source: str = "<faults>") -> tuple[Fault, ...]:
    """Only faults, as `{faults: […]}` in YAML or JSON: what can be added while running."""
    return decode(_Faults, text, source)[0].faults


def ready() -> tuple[str, ...]:
    """The names of the scenarios that come with the emulator."""
    folder = files("provisioner.emulator") / "data" / "scenarios"
    return tuple(sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".yaml")))


def load(path: Path | str | None) -> Scenario:
    """A scenario from a file or, where no such file is, by its ready name; None: the default.

    Raises ScenarioError also for a file that is not there, cannot be read or is not UTF-8.
    """
    if path is None:
        return _default()
    source = str(path)
    if _is_ready(source):
        folder = files("provisioner.emulator") / "data" / "scenarios"
        return parse((folder / f"{source}.yaml").read_text("utf-8"), f"{source}.yaml")
    try:
        with Path(path).open("rb") as stream:
            text = stream.read(MAX_BYTES + 1).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        hint = f"ready scenarios are {', '.join(ready())}" if ready() else "no ready scenarios"
        problem = Problem(1, 1, f"the scenario cannot be read: {reason}; {hint}")
        raise ScenarioError(source, (problem,)) from None
    return parse(text, source)


_LONGEST_SOURCE = 4096


def remember(state: Path, scenario: str) -> None:
    """Write beside a state which scenario it goes with: its ready name, or its file."""
    source = scenario if _is_ready(scenario) else str(Path(scenario).absolute())
    write_private(_beside(state), f"{source}\n".encode())


def remembered(state: Path) -> str | None:
    """The scenario of a state that is there already, for a start that names none."""
    if not state.exists():
        return None
    try:
        with _beside(state).open(encoding="utf-8") as stream:
            return stream.readline(_LONGEST_SOURCE).strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _beside(state: Path) -> Path:
    return state.with_name(f"{state.name}.scenario")


def _is_ready(source: str) -> bool:
    return source in ready() and not Path(source).exists()


@cache
def _default_document() -> _File:
    path = files("provisioner.emulator") / "data" / "default_scenario.yaml"
    return decode(_File, path.read_text("utf-8"), "default_scenario.yaml")[0]


@cache
def _default() -> Scenario:
    return parse("", "default_scenario.yaml")
