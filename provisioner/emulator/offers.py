"""Which models may be bought and deployed serverless, by whom and where; else the refusal.

Codes are those seen in public threads (AZURE.md §16). Message texts are the published ones where
one was found: the unavailable model, purchases switched off, no payment method, the wrong market.
The other causes are those of Microsoft's list of purchase checks (CATALOG.md) in our own words,
inside the same wrapping.
"""

from __future__ import annotations

import datetime as dt
import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass

from provisioner.emulator.models import Model, Offer
from provisioner.emulator.refusals import Refusal
from provisioner.emulator.scenario_types import Cause, OfferAvailability, Subscription

_LEARN_MORE = "Learn more: https://aka.ms/SaaSPurchaseErrors"
# {offer}, {subscription} and {country} are filled in; a Correlation Id follows where it was seen.
_CAUSES: dict[Cause, str] = {
    "EnterprisePurchasesDisabled": (
        "Cannot complete purchase as your enrollment for this subscription doesn't allow purchase "
        "of marketplace products. Your Azure enrollment administrator can enable purchase of paid "
        "marketplace products. for details, see https://go.microsoft.com/fwlink/?linkid=2297238."
    ),
    "EnterpriseFreeOnly": (
        "Cannot complete purchase as your enrollment for this subscription allows only free "
        "marketplace products. Your Azure enrollment administrator can enable purchase of paid "
        "marketplace products. for details, see https://go.microsoft.com/fwlink/?linkid=2297238."
    ),
    "OfferWithdrawn": (
        "The Offer: '{offer}' cannot be purchased by subscription: '{subscription}' as the "
        "publisher has stopped selling it."
    ),
    "BillingRegion": (
        "The Offer: '{offer}' cannot be purchased by subscription: '{subscription}' as it is not "
        "to be sold in market: '{country}'. Please choose a subscription which is associated with "
        "a different market."
    ),
    "NoPaymentMethod": (
        "Purchase failed because there is no valid payment method associated with this Azure "
        "subscription. Please retry using a subscription that has an active payment instrument. "
        f"{_LEARN_MORE}"
    ),
    "CspOptedOut": (
        "Cannot complete purchase as the cloud solution provider of this subscription has opted "
        f"out of selling marketplace products. {_LEARN_MORE}"
    ),
    "PrivateMarketplace": (
        "The Offer: '{offer}' cannot be purchased by subscription: '{subscription}' as it is not "
        "in the Private Marketplace of your organization. Your Private Marketplace administrator "
        "can add it."
    ),
    "PrivateOffer": (
        "The Offer: '{offer}' cannot be purchased by subscription: '{subscription}' as it is a "
        "private or preview offer that is not open to this subscription."
    ),
    "SpendingLimit": (
        "Purchase failed because the spending limit of this Azure subscription is on. Please "
        f"remove the spending limit or use another subscription. {_LEARN_MORE}"
    ),
}
_WITH_CORRELATION = frozenset(_CAUSES) - {"NoPaymentMethod", "CspOptedOut", "SpendingLimit"}


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who asks and from where: the subscription, the workspace's region, the day."""

    subscription: Subscription
    region: str
    today: dt.date
    availability: tuple[OfferAvailability, ...] = ()
    correlation: str = "00000000-0000-0000-0000-000000000000"


def subscribe_refusal(model: Model | None, model_id: str, buyer: Buyer) -> Refusal | None:
    """Why the workspace cannot subscribe to the model's offer; None if it can."""
    gone = _unavailable(model, model_id, buyer)
    if gone is not None or model is None or model.serverless is None:
        return gone
    offer = model.serverless.offer
    if offer is None:
        return Refusal(
            400,
            "MarketplacePlanNotRequiredForModel",
            f"The model {model_id} does not require a Marketplace plan.",
        )
    return _wrong_region(model, model_id, buyer.region) or _not_sold(model, offer, buyer)


def deploy_refusal(
    model: Model | None, model_id: str, buyer: Buyer, *, subscribed: bool
) -> Refusal | None:
    """Why the workspace cannot create a serverless endpoint of the model; None if it can.

    `subscribed` says that the workspace has a Marketplace subscription to the model that is
    Subscribed; models that Microsoft sells itself need none. What could stop a purchase no longer
    counts once it is made.
    """
    gone = _unavailable(model, model_id, buyer)
    if gone is not None or model is None:
        return gone
    wrong = _wrong_region(model, model_id, buyer.region)
    if wrong is not None or subscribed or not needs_subscription(model):
        return wrong
    return Refusal(
        400,
        "UserError",
        f"The workspace has no active Marketplace subscription for the model {model_id}. "
        "Create a marketplaceSubscription for it first.",
        inner=("BadArgument", "MarketplaceSubscriptionNotFound"),
    )


def needs_subscription(model: Model) -> bool:
    """Whether a model is sold through Azure Marketplace."""
    return model.serverless is not None and model.serverless.offer is not None


def duplicate_refusal(model_id: str, endpoint: str) -> Refusal:
    """One deployment per model per workspace was a stated limit (AZURE.md §3); words our own."""
    return Refusal(
        400,
        "UserError",
        f"The workspace already has the serverless endpoint '{endpoint}' for the model "
        f"{model_id}. Only one deployment per model is allowed in a workspace.",
        inner=("BadArgument", "ServerlessEndpointAlreadyExistsForModel"),
    )


def _unavailable(model: Model | None, model_id: str, buyer: Buyer) -> Refusal | None:
    if model is not None and model.serverless is not None and not buyer.subscription.free:
        stage = model.stage(buyer.today, serverless=True)
        if stage not in ("Deprecated", "Retired"):
            return None
    return Refusal(
        400,
        "UserError",
        f"The requested model {model_id} is not available.",
        inner=("BadArgument", "ModelNotAvailable"),
    )


def _wrong_region(model: Model, model_id: str, region: str) -> Refusal | None:
    if model.serverless is None or region.lower() in model.serverless.regions:
        return None
    return Refusal(
        400,
        "ServerlessModelNotAvailableInRegion",
        f"The model {model_id} is not available for serverless deployment in region "
        f"{region}. It is available in: {', '.join(sorted(model.serverless.regions))}.",
    )


def _not_sold(model: Model, offer: Offer, buyer: Buyer) -> Refusal | None:
    subscription = buyer.subscription
    cause = _cause(model, subscription)
    if cause == "ServerlessOfferNotFound":
        return Refusal(
            400,
            "ServerlessOfferNotFound",
            f"The serverless offer '{offer.offer}' of publisher '{offer.publisher}' was not found.",
        )
    if not _sold_in(subscription.billing_country, model, buyer.availability):
        return Refusal(
            400,
            "AvailabilityNotInRegion",
            f"The offer '{offer.offer}' of publisher '{offer.publisher}' is not available in the "
            f"billing country '{subscription.billing_country}' of subscription "
            f"'{subscription.id}'.",
        )
    return None if cause is None else _ineligible(cause, offer, buyer)


def _cause(model: Model, subscription: Subscription) -> Cause | None:
    for restriction in subscription.offer_restrictions:
        if _names(restriction.model, model):
            return restriction.cause
    if not subscription.payment_method:
        return "NoPaymentMethod"
    return "SpendingLimit" if subscription.spending_limit == "On" else None


def _names(glob: str, model: Model) -> bool:
    wanted = glob.lower()
    texts = (model.name, f"{model.registry}/{model.name}", model.asset_id)
    return any(fnmatch.fnmatchcase(text.lower(), wanted) for text in texts)


def _sold_in(country: str, model: Model, availability: Iterable[OfferAvailability]) -> bool:
    rows = [row for row in availability if _names(row.model, model)]
    return not rows or any(country in row.countries for row in rows)


def _ineligible(cause: Cause, offer: Offer, buyer: Buyer) -> Refusal:
    text = _CAUSES[cause].format(
        offer=offer.offer,
        subscription=buyer.subscription.id,
        country=buyer.subscription.billing_country,
    )
    if cause in _WITH_CORRELATION:
        text += f" Correlation Id: '{buyer.correlation}'."
    return Refusal(
        400,
        "UserError",
        "Error occurred when subscribing to Marketplace: Marketplace Subscription purchase "
        f"eligibility check failed, error message [{text}].",
        inner=("BadArgument", "MarketplaceSubscriptionPurchaseEligibilityCheckFailed"),
    )
