"""Everything one emulated tenant holds, wired together once."""

from __future__ import annotations

import secrets
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from provisioner.emulator.clock import EmulatedClock
from provisioner.emulator.entra import Issuer
from provisioner.emulator.errors import ArmError, JsonObject
from provisioner.emulator.faults import FaultState
from provisioner.emulator.inference.limits import RateLimits
from provisioner.emulator.models import Model, load_models
from provisioner.emulator.operations import Engine
from provisioner.emulator.refusals import Refusal, arm_error
from provisioner.emulator.rights import Lock, Permission, Rights, RoleAssignment, RoleDefinition
from provisioner.emulator.scenario_types import Principal, Scenario, Subscription
from provisioner.emulator.scopes import is_resource
from provisioner.emulator.store import Operation, Resource, Store
from provisioner.emulator.throttle import Throttle
from provisioner.emulator.wire import Call

LOG_LENGTH = 10_000  # requests that the log keeps

Renderer = Callable[[Resource, Call], JsonObject]


@dataclass(frozen=True, slots=True)
class Logged:
    """One line of the request log."""

    at: float
    method: str
    path: str
    api_version: str
    operation: str
    status: int
    principal: str

    def wire(self) -> JsonObject:
        return {
            "at": self.at,
            "method": self.method,
            "path": self.path,
            "apiVersion": self.api_version,
            "operation": self.operation,
            "status": self.status,
            "principal": self.principal,
        }


class Tenant:
    """The tenant: what the scenario gave, what was made since, and the engine that moves it."""

    def __init__(self, scenario: Scenario, store: Store, base_url: str) -> None:
        self.scenario = scenario
        self.store = store
        self.base_url = base_url
        self.renderers: dict[str, Renderer] = {}
        self.seed: Callable[[Tenant], None] | None = None
        self.clock = EmulatedClock(speed=scenario.clock.speed, start=scenario.clock.start)
        saved = store.document("clock")
        if "emulated" in saved:
            self.clock.restore(saved)
        else:
            self.save_clock()
        self.issuer = Issuer(store, scenario.tenant_id)
        self.engine = Engine(store)
        self.throttle = Throttle(scenario.behaviour.buckets)
        self.faults = FaultState(scenario.faults)
        self.models = load_models(scenario.models)
        self.log: deque[Logged] = deque(maxlen=LOG_LENGTH)
        self.counts: Counter[str] = Counter()
        self.limits = RateLimits()
        self._principals = {p.object_id.lower(): p for p in scenario.principals}
        self._subscriptions = {s.id.lower(): s for s in scenario.subscriptions}
        self._rights: Rights | None = None

    # -- who and what ----------------------------------------------------------------------

    def principal_by_object(self, object_id: str) -> Principal | None:
        return self._principals.get(object_id.lower())

    def principal_by_client(self, client_id: str) -> Principal | None:
        return self.scenario.principal(client_id)

    def subscription(self, subscription_id: str) -> Subscription:
        """A subscription of the scenario; raises ARM's 404."""
        found = self._subscriptions.get(subscription_id.lower())
        if found is None:
            raise ArmError(
                404,
                "SubscriptionNotFound",
                f"The subscription '{subscription_id}' could not be found.",
            )
        return found

    def group(self, subscription_id: str, name: str) -> Resource:
        """A resource group; raises ARM's 404."""
        found = self.store.get(f"/subscriptions/{subscription_id}/resourceGroups/{name}")
        if found is None:
            raise ArmError(
                404, "ResourceGroupNotFound", f"Resource group '{name}' could not be found."
            )
        return found

    def scope(self, scope: str) -> None:
        """Raise ARM's 404 for the scope of a resource that is not there."""
        if is_resource(scope) and self.store.get(scope) is None:
            raise ArmError(404, "ResourceNotFound", f"The resource '{scope}' was not found.")

    def model(self, registry: str, name: str) -> Model | None:
        return self.models.get((registry.lower(), name.lower()))

    def render(self, resource: Resource, call: Call) -> JsonObject:
        """The resource as its kind shows it at the call's api-version."""
        return self.renderers[resource.kind](resource, call)

    # -- rights ----------------------------------------------------------------------------

    @property
    def rights(self) -> Rights:
        """Assignments and definitions of the scenario together with those made since."""
        if self._rights is None:
            self._rights = self._build_rights()
        return self._rights

    def rights_changed(self) -> None:
        self.store.touch("authorization")
        self._rights = None

    def locks(self) -> tuple[Lock, ...]:
        made = self.store.document("locks")
        removed = made.get("removed", [])
        own = (Lock(**lock) for lock in made.get("created", {}).values())
        kept = (lock for lock in self.scenario.locks if _lock_key(lock) not in removed)
        return (*kept, *own)

    def _build_rights(self) -> Rights:
        document = self.store.document("authorization")
        removed = set(document.get("removed", []))
        given = [a for a in self.scenario.role_assignments if a.name not in removed]
        made = [RoleAssignment(**a) for a in document.get("assignments", {}).values()]
        definitions = {d.id.lower(): d for d in self.scenario.role_definitions}
        for stored in document.get("definitions", {}).values():
            role = _definition(stored)
            definitions[role.id.lower()] = role
        return Rights(
            (*given, *made),
            definitions,
            self.scenario.deny_assignments,
            self.scenario.behaviour.rbac_delay,
        )

    # -- the rest --------------------------------------------------------------------------

    def save_clock(self) -> None:
        self.store.document("clock").update(self.clock.saved())
        self.store.touch("clock")

    def on_end(self, ended: Callable[[Tenant, Resource, Operation, float], None]) -> None:
        """Have something done whenever an operation is over."""
        self.engine.on_end.append(lambda r, operation, when: ended(self, r, operation, when))

    def reset(self) -> None:
        """Back to what the scenario says; what signs tokens stays, so nobody is signed out."""
        signer = dict(self.store.document("entra"))
        self.store.clear()
        self.store.document("entra").update(signer)
        self.store.touch("entra")
        self.clock = EmulatedClock(speed=self.scenario.clock.speed, start=self.scenario.clock.start)
        self.save_clock()
        self.engine.forget()
        self.throttle.reset()
        self.limits = RateLimits()
        self.faults = FaultState(self.scenario.faults)
        self.log.clear()
        self.counts.clear()
        self._rights = None
        if self.seed is not None:
            self.seed(self)

    def record(self, line: Logged) -> None:
        self.log.append(line)
        self.counts[f"{line.operation} {line.status}"] += 1


def _lock_key(lock: Lock) -> str:
    return f"{lock.scope}/{lock.name}".lower()


def _definition(stored: dict[str, Any]) -> RoleDefinition:
    permissions = tuple(
        Permission(
            tuple(entry.get("actions", ())),
            tuple(entry.get("notActions", ())),
            tuple(entry.get("dataActions", ())),
            tuple(entry.get("notDataActions", ())),
        )
        for entry in stored["permissions"]
    )
    return RoleDefinition(
        stored["id"],
        stored["name"],
        permissions,
        stored.get("description", ""),
        tuple(stored.get("assignableScopes", ("/",))),
    )


def new_key() -> str:
    """A key in the length that Azure's have."""
    return secrets.token_urlsafe(24)


def refuse(refusal: Refusal | None) -> None:
    """Raise a policy's refusal in the envelope of whoever says it; None passes."""
    if refusal is not None:
        raise arm_error(refusal)
