"""Accepting an offer for a workspace: agreement and marketplace subscription, in one place.

The order follows AZURE.md §15: read the plan's ids, sign the agreement of the Azure subscription
if it is not active, then put the workspace's subscription; where the ids are known only after
that, sign then. A signature that the service refuses is a warning when the workspace ends up
Subscribed all the same, and a failure otherwise. It could not be tried against live Azure.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from provisioner.apply.context import ENDED_BADLY, Context, StepFailed
from provisioner.errors import Problem, Severity, Who, define
from provisioner.errors.cloud import CloudError
from provisioner.errors.decode import decode
from provisioner.events import Noticed, TermsAccepted
from provisioner.plan.steps import Step, Subscribe
from provisioner.resources import (
    AgreementId,
    AnyLive,
    Kind,
    MarketplacePlan,
    ResourceId,
    State,
    describe,
    instant_text,
)

NO_CONSENT = define(
    "apply.no-consent",
    "terms would be accepted without consent",
    "A step that accepts Marketplace terms reached execution although nobody accepted them.",
    Who.OPERATOR,
)
NO_PLAN = define(
    "apply.plan-not-named",
    "an agreement could not be signed for want of its plan",
    "The workspace is subscribed to the offer, but Azure names no Marketplace plan for it yet, so "
    "the agreement of the Azure subscription was left as it is.",
    Who.OPERATOR,
)
NOT_REQUIRED = "MarketplacePlanNotRequiredForModel"


async def subscribe(context: Context, step: Subscribe) -> None:
    """Make the workspace Subscribed to the offer. Raises CloudError, StepFailed or Stopped."""
    if step.consent is None:
        raise StepFailed(
            Problem(
                NO_CONSENT,
                f"{step.title}: nobody accepted the terms",
                "write marketplace: {acceptTerms: true} or pass --accept-terms",
            )
        )
    if step.recovers:
        await _remove(context, step, context.deadline(step.target.kind))
    deadline = context.deadline(step.target.kind)
    refusal = await _sign(context, step, step.plan) if step.plan is not None else None
    live = await _put(context, step, deadline)
    if live is None:
        return
    if step.plan is None:
        if live.plan is not None:
            refusal = await _sign(context, step, live.plan)
        else:
            context.emit(Noticed(_unnamed(step)))
    _account(context, step, live)
    if refusal is not None:
        context.emit(Noticed(_tolerated(step, refusal)))


async def _put(context: Context, step: Subscribe, deadline: float) -> AnyLive | None:
    """Put the subscription and wait until it serves; None where the model needs none."""
    try:
        await context.persist(
            step,
            lambda: context.cloud.put(step.resource),
            deadline,
            already=lambda: _exists(context, step),
        )
    except CloudError as error:
        # Models that Microsoft sells itself have no offer to subscribe to (AZURE.md §16).
        if NOT_REQUIRED in (error.fault.code, error.fault.outer_code) or (
            NOT_REQUIRED in error.fault.message
        ):
            return None
        raise

    return await subscribed(context, step, step.target, deadline)


async def subscribed(
    context: Context, step: Step, id: ResourceId, deadline: float, *, known: bool = False
) -> AnyLive:
    """Wait until a subscription serves, whoever made it; `known`: it was there before.

    Raises CloudError, StepFailed or Stopped.
    """
    appeared = known

    def judge(live: AnyLive | None) -> bool:
        nonlocal appeared
        if live is None:
            return appeared
        appeared = True
        return live.state.broken or (live.state is State.SUCCEEDED and settled(live))

    while True:
        live = await context.wait(step, id, judge, deadline, "create")
        if live is not None:
            break
        # A list lags behind: what it misses is asked for itself before it counts as gone.
        if await context.cloud.get(id) is None:
            raise await context.failure(id, "deleted by somebody else")
        await context.pause(1.0)
    if live.state.broken:
        raise await context.failure(id, live.state)
    if (live.condition or "Subscribed").lower() != "subscribed":
        raise StepFailed(
            Problem(
                ENDED_BADLY,
                f"the {describe(id)} ended as {live.condition}",
                "see the offer's state in the Azure portal under Marketplace, Subscriptions",
                resource=id.arm_id,
                who=Who.BILLING_ADMIN,
            )
        )
    context.rested(step)
    return live


def settled(live: AnyLive) -> bool:
    """Whether the status says something final: PendingFulfillmentStart does not (AZURE.md §12).

    Only a marketplace subscription has a status of that kind.
    """
    if live.id.kind is not Kind.MARKETPLACE_SUBSCRIPTION:
        return True
    return (live.condition or "Subscribed").lower() in ("subscribed", "suspended", "unsubscribed")


async def _exists(context: Context, step: Subscribe) -> bool:
    live = await context.cloud.get(step.target)
    return live is not None and not live.state.broken and live.state is not State.DELETING


async def _remove(context: Context, step: Subscribe, deadline: float) -> None:
    """Take away what failed or ended, unless another run has brought it back meanwhile."""

    async def serves() -> bool:
        live = await context.cloud.get(step.target)
        return (
            live is not None
            and not live.state.broken
            and live.state is not State.DELETING
            and (live.condition or "").lower() != "unsubscribed"
        )

    async def take_away() -> None:
        await context.cloud.delete(step.target)

    if await context.persist(step, take_away, deadline, unless=serves):
        await context.wait(step, step.target, lambda live: live is None, deadline, "delete")
    context.rested(step)


async def _sign(context: Context, step: Subscribe, plan: MarketplacePlan) -> CloudError | None:
    """Sign once per Azure subscription and plan, whoever else needs it; the refusal if refused."""
    id = AgreementId(step.target.workspace.subscription, plan)
    async with context.signing.setdefault(id, asyncio.Lock()):
        if id in context.signed:
            return None
        if id in context.unsigned:
            return context.unsigned[id]
        try:
            agreement = await context.cloud.agreement(id)
            fresh = agreement is None or not agreement.accepted
            if fresh:
                deadline = context.deadline(step.target.kind)
                await context.persist(step, lambda: context.cloud.sign(id), deadline)
        except CloudError as error:
            context.unsigned[id] = error
            return error
        context.signed.add(id)
        context.rested(step)
    if fresh:
        _accepted(context, step, str(plan), id.subscription)
    return None


def _account(context: Context, step: Subscribe, live: AnyLive) -> None:
    offer = str(live.plan) if live.plan is not None else step.resource.model.id
    _accepted(context, step, offer, step.target.workspace.arm_id)


def _accepted(context: Context, step: Subscribe, offer: str, scope: str) -> None:
    by = step.consent.signature if step.consent is not None else ""
    context.emit(TermsAccepted(offer, scope, by, instant_text(context.clock.now())))


def _tolerated(step: Subscribe, refusal: CloudError) -> Problem:
    problem = decode(refusal.fault, position=step.position)
    return replace(
        problem,
        severity=Severity.WARNING,
        what=f"the agreement was not signed ({problem.what}), but {step.target.workspace.name} "
        "is subscribed all the same",
        hint="nothing to do unless calls of the model are refused",
    )


def _unnamed(step: Subscribe) -> Problem:
    return Problem(
        NO_PLAN,
        f"the agreement of the Azure subscription was not signed: Azure names no plan for "
        f"{step.resource.model.short}; {step.target.workspace.name} is subscribed all the same",
        "nothing to do unless calls of the model are refused",
        severity=Severity.NOTE,
        position=step.position,
        resource=step.target.arm_id,
    )
