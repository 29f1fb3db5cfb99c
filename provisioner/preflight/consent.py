"""Terms are signed only with somebody's explicit word. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provisioner.cloud import Agreement
from provisioner.errors import Position, Problem, Severity, Who, define
from provisioner.plan.steps import Subscribe
from provisioner.preflight.case import Case, known_model, listed, unread
from provisioner.preflight.constraints import Unread
from provisioner.resources import AgreementId

CONSENT_MISSING = define(
    "preflight.consent-missing",
    "nobody accepted the Marketplace terms",
    "The plan would subscribe a workspace to a paid offer, which is an acceptance of its terms; "
    "neither the manifest nor the command line gave that consent.",
    Who.AUTHOR,
)
TERMS_ACCEPTED = define(
    "preflight.accepts-terms",
    "the apply accepts Marketplace terms",
    "Consent was given, and the apply acts on it: it signs the offer's agreement and subscribes "
    "the workspace. Usage is billed from then on at the offer's prices.",
    Who.OPERATOR,
)
OFFER_UNKNOWN = define(
    "preflight.offer-unknown",
    "the offer's plan is unknown to Azure Marketplace",
    "Publisher, offer and plan are given, but the Marketplace has no terms for them: one of the "
    "three is wrong, or the offer was withdrawn or is private.",
    Who.AUTHOR,
)

_LINKS = (("license", "licence"), ("terms", "Marketplace terms"), ("privacy", "privacy"))


def check_consent(case: Case) -> Iterator[Problem]:
    """One finding per subscription that nobody consented to, and per offer that does not exist;
    a note per offer whose terms are about to be accepted."""
    yield from _acceptances(case)
    for step in case.plan.steps:
        if not isinstance(step, Subscribe):
            continue
        terms = _terms(case, step)
        position = _position(case, step)
        if isinstance(terms, Unread):
            yield unread(terms, f"the terms of {step.plan}", position)
        elif terms is None and _asked(case, step):
            yield Problem(
                OFFER_UNKNOWN,
                f"Azure Marketplace has no terms for {step.plan}",
                "check marketplace.publisher, offer and plan in the manifest, or leave all three "
                "out: they are then read from the subscription",
                severity=Severity.WARNING,
                position=position,
            )
        if step.consent is None:
            yield Problem(
                CONSENT_MISSING,
                f"subscribing {step.target.workspace.name} to {step.resource.model.name} accepts "
                "the terms and prices of a Marketplace offer, and nobody has accepted them",
                "read the terms, then write marketplace: {acceptTerms: true} in the manifest, or "
                "pass --accept-terms",
                position=position,
                resource=step.target.arm_id,
                details=facts_of_offer(case, step),
            )


NOT_CHECKED: Final = (
    "not checked: whether the billing account may buy it, by its country and purchase policies; "
    "Azure tells that only at the purchase",
    "countries by offer: https://learn.microsoft.com/azure/ai-foundry/how-to/"
    "deploy-models-serverless-availability",
)


def _acceptances(case: Case) -> Iterator[Problem]:
    """What the apply will agree to: each offer with its publisher, price page, and whose word."""
    groups: dict[tuple[str, str], list[Subscribe]] = {}
    for step in case.plan.steps:
        if isinstance(step, Subscribe) and step.consent is not None:
            groups.setdefault((step.resource.model.short, str(step.plan)), []).append(step)
    if not groups:
        return
    offers = list(groups.values())
    first = offers[0][0]
    if len(offers) == 1:
        what = f"the terms and prices of {first.resource.model.name}"
    else:
        what = f"the terms and prices of {len(offers)} Marketplace offers"
    yield Problem(
        TERMS_ACCEPTED,
        f"the apply accepts {what}",
        "nothing to do, if that is meant",
        severity=Severity.NOTE,
        position=_position(case, first),
        details=(*(line for steps in offers for line in _agreed(case, steps)), *NOT_CHECKED),
    )


def _agreed(case: Case, steps: list[Subscribe]) -> Iterator[str]:
    """One offer: the model, its publisher, the workspaces, the consent; then its links."""
    first = steps[0]
    known = known_model(first.resource.model)
    seller = f" of {known.publisher}" if known is not None else ""
    places = listed([step.target.workspace.name for step in steps], 4)
    by = first.consent.by if first.consent is not None else "nobody"
    yield f"{first.resource.model.name}{seller} for {places}, on the word of {by}"
    yield from (line for line in facts_of_offer(case, first) if "://" in line)


def _position(case: Case, step: Subscribe) -> Position | None:
    """The consent's place; where the manifest leaves it out, the model that is bought."""
    found = case.at(step, "spec", "marketplace")
    return case.at(step, "spec", "model") if found == case.at(step, "spec") else found


def facts_of_offer(case: Case, step: Subscribe) -> tuple[str, ...]:
    """Publisher, offer, terms and price, as far as they are known, one to a line."""
    known = known_model(step.resource.model)
    published = (
        known.serverless.plan if known is not None and known.serverless is not None else None
    )
    publisher = step.plan.publisher if step.plan is not None else None
    offer = step.plan.offer if step.plan is not None else None
    if published is not None:
        publisher, offer = publisher or published.publisher, offer or published.offer
    lines = [f"model: {step.resource.model.short}"]
    if known is not None:
        lines.append(f"publisher: {known.publisher}" + (f" ({publisher})" if publisher else ""))
    if offer:
        lines.append(f"offer: {offer}" + (f", plan {step.plan.plan}" if step.plan else ""))
    if publisher and offer:
        lines.append(
            f"terms and prices: https://azuremarketplace.microsoft.com/marketplace/apps/"
            f"{publisher}.{offer}?tab=PlansAndPrice"
        )
    else:
        lines.append(f"terms and prices: https://ml.azure.com/models/{_page(step)}")
    terms = _terms(case, step)
    if isinstance(terms, Agreement):
        lines += [f"{word}: {terms.links[name]}" for name, word in _LINKS if name in terms.links]
        if terms.accepted:
            lines.append("the agreement of the Azure subscription is signed already")
    return tuple(lines)


def _page(step: Subscribe) -> str:
    model = step.resource.model
    return f"{model.name}/catalog/registry/{model.registry}"


def _asked(case: Case, step: Subscribe) -> bool:
    return step.plan is not None and _id(step) in case.facts.agreements


def _terms(case: Case, step: Subscribe) -> Agreement | Unread | None:
    return case.facts.agreements.get(_id(step)) if step.plan is not None else None


def _id(step: Subscribe) -> AgreementId:
    if step.plan is None:
        raise TypeError("a subscription whose plan is not known has no agreement yet")
    return AgreementId(step.target.workspace.subscription, step.plan)
