"""Checks of the Azure subscription: alive, allowed to buy, providers registered. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from provisioner.cloud import SubscriptionFacts
from provisioner.errors import Position, Problem, Severity, Who, define
from provisioner.plan.steps import (
    Await,
    Create,
    Delete,
    Replace,
    Step,
    Subscribe,
    Update,
)
from provisioner.preflight.case import Case, listed, unread
from provisioner.preflight.constraints import Unread
from provisioner.resources import ServerlessEndpoint

SUBSCRIPTION_STATE = define(
    "preflight.subscription-state",
    "the Azure subscription is not in order",
    "In a warned, expired or disabled subscription things can be read and deleted, not made or "
    "changed; a past-due one still works, and is disabled unless it is paid.",
    Who.BILLING_ADMIN,
)
FREE_SUBSCRIPTION = define(
    "preflight.free-subscription",
    "a free or trial subscription",
    "Models as a serverless API need a subscription with a valid payment method; free and trial "
    "subscriptions do not work.",
    Who.BILLING_ADMIN,
)
SPENDING_LIMIT = define(
    "preflight.spending-limit",
    "the subscription's spending limit is on",
    "While a spending limit is on, Azure Marketplace sells nothing to the subscription.",
    Who.BILLING_ADMIN,
)
PURCHASE_DOUBTFUL = define(
    "preflight.purchase-doubtful",
    "the subscription's offer type may forbid the purchase",
    "Some kinds of subscription (cloud solution provider, sponsored, credit) can buy in Azure "
    "Marketplace only under conditions that cannot be read.",
    Who.BILLING_ADMIN,
)
PROVIDER_MISSING = define(
    "preflight.provider-not-registered",
    "a resource provider is not registered",
    "An Azure subscription must register a resource provider once before it can use it.",
    Who.SUBSCRIPTION_OWNER,
)

_STOPPED: Final = frozenset({"warned", "expired", "disabled"})
"""States in which PUT, PATCH and POST are refused, GET and DELETE are not (Microsoft's "Azure
subscription states")."""

MACHINE_LEARNING: Final = "Microsoft.MachineLearningServices"
SAAS: Final = "Microsoft.SaaS"
"""Subscribing to an offer registers it by the way: hence the documented right to do so (MISSION,
"Prerequisites"). That it is not registered yet is worth a note only."""

_FREE: Final = re.compile(
    r"^(?:FreeTrial|AzurePass|AzureForStudents|AAD|DreamSpark|BizSpark\w*Free|AwStudent"
    r"|LightweightTrial)",
    re.IGNORECASE,
)
_PARTNER: Final = re.compile(r"^CSP", re.IGNORECASE)
_CREDIT: Final = re.compile(
    r"^(?:Sponsored|MSDN(?!DevTest)|MPN|BizSpark|VisualStudio)", re.IGNORECASE
)
"""Quota ids as Azure's subscription offers have them, e.g. FreeTrial_2014-09-01. MSDNDevTest is the
pay-as-you-go and the enterprise offer for development: an invoice, no credit."""

_BILLING: Final = "Cost Management + Billing in the Azure portal"


def check_subscriptions(case: Case) -> Iterator[Problem]:
    """State and offer type of every subscription that the plan changes something in."""
    users: dict[str, list[Step]] = {}
    for step in case.plan.steps:
        users.setdefault(step.target.workspace.subscription.lower(), []).append(step)
    answers = {id.lower(): answer for id, answer in case.facts.subscriptions.items()}
    for id, answer in answers.items():
        steps = users.get(id, [])
        position = next((found for step in steps if (found := _declared(case, step))), None)
        if isinstance(answer, Unread):
            yield unread(answer, f"the state of the Azure subscription {id}", position)
            continue
        changes = any(not isinstance(step, Delete | Await) for step in steps)
        yield from _state(answer, position, changes=changes)
        yield from _offer(case, answer, steps)


def _declared(case: Case, step: Step) -> Position | None:
    """Where the step's workspace is declared: that is where the subscription was chosen."""
    wanted = case.desired.workspaces.get(step.target.workspace)
    return wanted.position if wanted is not None else step.position


def _state(
    facts: SubscriptionFacts, position: Position | None, *, changes: bool
) -> Iterator[Problem]:
    """What is only deleted can be deleted in every state but one: Deleted (_STOPPED)."""
    state = facts.state.lower()
    if state in ("enabled", "unknown"):
        return
    gone, stopped = state == "deleted", state in _STOPPED
    if gone:
        means = "nothing in it can be used any more"
    elif stopped:
        means = "what is in it can be read and deleted, nothing can be made or changed"
    else:
        means = "Azure disables it if that is not settled"
    yield Problem(
        SUBSCRIPTION_STATE,
        f'the Azure subscription "{facts.name}" is {facts.state}: {means}',
        f"see {_BILLING} > {facts.name}; or name another subscriptionId",
        severity=Severity.ERROR if gone or (stopped and changes) else Severity.WARNING,
        position=position,
        resource=f"/subscriptions/{facts.id}",
    )


def _offer(case: Case, facts: SubscriptionFacts, steps: list[Step]) -> Iterator[Problem]:
    serverless = next((step for step in steps if _serves(step)), None)
    buying = next((step for step in steps if isinstance(step, Subscribe)), None)
    scope = f"/subscriptions/{facts.id}"
    quota = facts.quota_id or ""
    if serverless is not None and _FREE.match(quota):
        yield Problem(
            FREE_SUBSCRIPTION,
            f'the Azure subscription "{facts.name}" is a free or trial one ({quota}); models as a '
            "serverless API are not available to it",
            "upgrade it to pay-as-you-go: Azure portal > Subscriptions > Upgrade; or name another "
            "subscriptionId",
            position=case.at(serverless, "spec", "workspace"),
            resource=scope,
        )
        return
    if buying is None:
        return
    if (facts.spending_limit or "").lower() == "on":
        yield Problem(
            SPENDING_LIMIT,
            f'the spending limit of the Azure subscription "{facts.name}" is on, so '
            f"{buying.resource.model.name} cannot be bought",
            f"remove it: {_BILLING} > {facts.name} > Remove spending limit; or name another "
            "subscriptionId",
            position=case.at(buying, "spec", "workspace"),
            resource=scope,
        )
    elif _PARTNER.match(quota) or _CREDIT.match(quota):
        partner = _PARTNER.match(quota) is not None
        kind = "managed by a cloud solution provider" if partner else "paid by credit"
        yield Problem(
            PURCHASE_DOUBTFUL,
            f'the Azure subscription "{facts.name}" is {kind} ({quota}): whether it may buy '
            "in Azure Marketplace cannot be read",
            "ask the partner whether Marketplace purchases are enabled"
            if partner
            else "make sure that it has a payment method besides the credit",
            severity=Severity.WARNING,
            position=case.at(buying, "spec", "workspace"),
            resource=scope,
        )


def _serves(step: Step) -> bool:
    """Whether the step makes a serverless endpoint or buys its offer."""
    if isinstance(step, Create | Replace):
        return isinstance(step.resource, ServerlessEndpoint)
    return isinstance(step, Subscribe)


def _puts(step: Step) -> bool:
    """Whether the step is a PUT; to delete, and to PATCH what is there, takes no registration."""
    if isinstance(step, Update):
        return not step.fields <= {"tags", "instance_count"}
    return not isinstance(step, Delete | Await)


def check_providers(case: Case) -> Iterator[Problem]:
    """Resource providers that the plan needs and the subscription has not registered."""
    silent: dict[tuple[int, str], list[tuple[Unread, str, Position | None]]] = {}
    for (subscription, namespace), answer in case.facts.providers.items():
        step = _first_user(case, subscription, namespace)
        if step is None:
            continue
        position = case.at(step, "spec", "workspace")
        if isinstance(answer, Unread):
            why = (answer.fault.status, answer.fault.code)
            silent.setdefault(why, []).append((answer, namespace, position))
            continue
        state = answer.registration.lower()
        if state in ("registered", "unknown"):
            continue
        registering = state == "registering"
        if namespace == SAAS:
            severity = Severity.NOTE
        else:
            severity = Severity.WARNING if registering else Severity.ERROR
        yield Problem(
            PROVIDER_MISSING,
            f"the resource provider {namespace} is {answer.registration} in the Azure "
            f"subscription {subscription}",
            "wait some minutes for its registration to end"
            if registering
            else "nothing to do: the first purchase registers it"
            if namespace == SAAS
            else f"az provider register --namespace {namespace} --subscription {subscription} "
            f"--wait (takes the action {namespace}/register/action)",
            severity=severity,
            position=position,
            resource=f"/subscriptions/{subscription}/providers/{namespace}",
        )
    for told in silent.values():
        answer, _, position = told[0]
        names = listed(list(dict.fromkeys(namespace for _, namespace, _ in told)))
        yield unread(answer, f"the registration of {names}", position)


def _first_user(case: Case, subscription: str, namespace: str) -> Step | None:
    """The first step that needs the provider; Microsoft.SaaS only where something is bought."""
    for step in case.plan.steps:
        if step.target.workspace.subscription.lower() != subscription.lower():
            continue
        if namespace == SAAS:
            if isinstance(step, Subscribe):
                return step
        elif _puts(step):
            return step
    return None
