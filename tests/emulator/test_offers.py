"""Who may buy and deploy which model where."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from typing import get_args

import pytest

from provisioner.emulator.models import Model, load_models
from provisioner.emulator.offers import (
    Buyer,
    deploy_refusal,
    duplicate_refusal,
    needs_subscription,
    subscribe_refusal,
)
from provisioner.emulator.refusals import Refusal
from provisioner.emulator.scenario import load
from provisioner.emulator.scenario_types import (
    Cause,
    OfferAvailability,
    OfferRestriction,
    Subscription,
)
from tests.shared import shared_dir

TODAY = dt.date(2026, 11, 22)
SUBSCRIPTION = load(None).subscriptions[0]
LLAMA = load_models()["azureml-meta", "llama-3.3-70b-instruct"]
SOLD = next(
    model
    for model in load_models().values()
    if needs_subscription(model) and model.stage(TODAY, serverless=True) == "GenerallyAvailable"
)
FREE = next(
    model
    for model in load_models().values()
    if model.serverless is not None
    and model.serverless.offer is None
    and model.stage(TODAY, serverless=True) == "GenerallyAvailable"
)


def region(model: Model) -> str:
    assert model.serverless is not None
    return min(model.serverless.regions)


def buyer(model: Model, **changes: object) -> Buyer:
    subscription = dataclasses.replace(SUBSCRIPTION, **changes)  # type: ignore[arg-type]
    return Buyer(subscription, region(model), TODAY)


def subscribe(model: Model | None, who: Buyer) -> Refusal | None:
    return subscribe_refusal(model, "MODEL" if model is None else model.asset_id, who)


def test_a_model_on_sale_may_be_bought_and_deployed() -> None:
    who = buyer(SOLD)
    assert subscribe(SOLD, who) is None
    assert deploy_refusal(SOLD, SOLD.asset_id, who, subscribed=True) is None


def test_a_model_on_sale_needs_its_subscription_first() -> None:
    said = deploy_refusal(SOLD, SOLD.asset_id, buyer(SOLD), subscribed=False)
    assert said is not None
    assert "no active Marketplace subscription" in said.message


def test_a_model_of_microsoft_needs_no_subscription_and_can_have_none() -> None:
    assert not needs_subscription(FREE)
    assert deploy_refusal(FREE, FREE.asset_id, buyer(FREE), subscribed=False) is None
    said = subscribe(FREE, buyer(FREE))
    assert said is not None
    assert (said.status, said.code) == (400, "MarketplacePlanNotRequiredForModel")


@pytest.mark.parametrize("quota_id", ["FreeTrial_2014-09-01", "AzurePass_2014-09-01"])
def test_free_subscriptions_cannot_have_any_model(quota_id: str) -> None:
    who = buyer(SOLD, quota_id=quota_id)
    for said in (subscribe(SOLD, who), deploy_refusal(SOLD, "MODEL", who, subscribed=True)):
        assert said is not None
        assert said.status == 400
        assert said.message.startswith("The requested model ")
        assert said.message.endswith(" is not available.")


def test_unknown_models_and_models_without_serverless_are_not_available() -> None:
    who = buyer(SOLD)
    managed_only = dataclasses.replace(SOLD, serverless=None)
    for model in (None, managed_only):
        said = subscribe_refusal(model, "azureml://x", who)
        assert said is not None
        assert said.message == "The requested model azureml://x is not available."


@pytest.mark.parametrize(
    ("stage", "available"),
    [("legacy", True), ("deprecation", False), ("retirement", False)],
)
def test_the_last_day_counts(stage: str, available: bool) -> None:
    assert SOLD.serverless is not None
    dates = dataclasses.replace(SOLD.serverless.lifecycle, **{stage: TODAY})
    model = dataclasses.replace(
        SOLD, serverless=dataclasses.replace(SOLD.serverless, lifecycle=dates)
    )
    on_the_day = buyer(SOLD)
    the_day_before = dataclasses.replace(on_the_day, today=TODAY - dt.timedelta(days=1))
    assert subscribe(model, the_day_before) is None
    assert (subscribe(model, on_the_day) is None) is available
    said = deploy_refusal(model, "MODEL", on_the_day, subscribed=True)
    assert (said is None) is available


def test_a_region_without_the_model() -> None:
    who = dataclasses.replace(buyer(SOLD), region="japaneast")
    for said in (subscribe(SOLD, who), deploy_refusal(SOLD, "MODEL", who, subscribed=True)):
        assert said is not None
        assert (said.status, said.code) == (400, "ServerlessModelNotAvailableInRegion")
        assert "japaneast" in said.message


def test_the_billing_country_is_another_test_than_the_region() -> None:
    only_us = (OfferAvailability(("US",), f"{SOLD.registry}/*"),)
    american = dataclasses.replace(buyer(SOLD), availability=only_us)
    swede = dataclasses.replace(buyer(SOLD, billing_country="SE"), availability=only_us)
    assert subscribe(SOLD, american) is None
    said = subscribe(SOLD, swede)
    assert said is not None
    assert (said.status, said.code) == (400, "AvailabilityNotInRegion")
    assert "'SE'" in said.message
    elsewhere = dataclasses.replace(
        swede, availability=(OfferAvailability(("US",), "another-registry/*"),)
    )
    assert subscribe(SOLD, elsewhere) is None


def test_purchases_switched_off_say_what_azure_says() -> None:
    path = shared_dir("recordings", "errors-quoted") / "400_marketplace_eligibility.json"
    quoted = json.loads(path.read_text())["body"]["error"]
    restriction = OfferRestriction("EnterprisePurchasesDisabled")
    who = dataclasses.replace(
        buyer(SOLD, offer_restrictions=(restriction,)),
        correlation="220e06f2-317d-48df-b2dd-bc05cf42405c",
    )
    said = subscribe(SOLD, who)
    assert said is not None
    assert (said.status, said.code, said.message) == (400, quoted["code"], quoted["message"])
    assert said.inner[-1] == "MarketplaceSubscriptionPurchaseEligibilityCheckFailed"


@pytest.mark.parametrize("cause", get_args(Cause))
def test_every_cause_has_its_own_words(cause: Cause) -> None:
    others = [c for c in get_args(Cause) if c != cause]
    said = subscribe(SOLD, buyer(SOLD, offer_restrictions=(OfferRestriction(cause),)))
    assert said is not None
    assert said.status == 400
    assert "{" not in said.message
    if cause == "ServerlessOfferNotFound":
        assert said.code == "ServerlessOfferNotFound"
    else:
        assert said.message.startswith(
            "Error occurred when subscribing to Marketplace: Marketplace Subscription purchase "
            "eligibility check failed, error message ["
        )
    for other in others:
        its = subscribe(SOLD, buyer(SOLD, offer_restrictions=(OfferRestriction(other),)))
        assert its is not None
        assert its.message != said.message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"payment_method": False}, "no valid payment method"),
        ({"spending_limit": "On"}, "spending limit"),
    ],
)
def test_what_the_subscription_is_shows_in_its_purchases(
    change: dict[str, object], words: str
) -> None:
    said = subscribe(SOLD, buyer(SOLD, **change))
    assert said is not None
    assert words in said.message


@pytest.mark.parametrize(
    ("glob", "stopped"),
    [
        ("*", True),
        ("{name}", True),
        ("{registry}/*", True),
        ("azureml://registries/{registry}/models/*", True),
        ("something-else", False),
    ],
)
def test_a_restriction_can_name_models(glob: str, stopped: bool) -> None:
    pattern = glob.format(name=SOLD.name.upper(), registry=SOLD.registry)
    restriction = OfferRestriction("PrivateMarketplace", pattern)
    said = subscribe(SOLD, buyer(SOLD, offer_restrictions=(restriction,)))
    assert (said is not None) is stopped


def test_a_purchase_that_was_made_is_not_checked_again() -> None:
    who = buyer(SOLD, offer_restrictions=(OfferRestriction("SpendingLimit"),))
    assert deploy_refusal(SOLD, SOLD.asset_id, who, subscribed=True) is None


def test_the_reference_model_can_be_had_today_in_the_default_tenant() -> None:
    who = Buyer(SUBSCRIPTION, "eastus2", TODAY)
    assert deploy_refusal(LLAMA, LLAMA.asset_id, who, subscribed=True) is None
    assert "already has" in duplicate_refusal(LLAMA.asset_id, "llama").message


def test_free_subscriptions_are_known_by_their_quota_id() -> None:
    def kind(quota_id: str) -> bool:
        return Subscription("11111111-1111-1111-1111-111111111111", "S", quota_id=quota_id).free

    assert kind("FreeTrial_2014-09-01")
    assert not kind("PayAsYouGo_2014-09-01")
    assert not kind("EnterpriseAgreement_2014-09-01")
