"""Purchases that only the service can refuse: each cause is decoded, with every other in reach."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from provisioner import apply
from provisioner.azure import Settings, connect
from provisioner.clock import SystemClock
from provisioner.desired import Consent
from provisioner.emulator import control
from provisioner.errors import Who
from provisioner.errors.causes import ELIGIBILITY_CAUSES
from provisioner.events import Outcome, ignore
from provisioner.plan import Plan
from provisioner.plan.steps import Subscribe
from provisioner.resources import (
    Kind,
    MarketplaceSubscription,
    ModelRef,
    ResourceId,
    Secret,
    WorkspaceId,
)

CAUSES = {
    "EnterprisePurchasesDisabled": ("service.purchase-not-eligible", "does not allow Marketplace"),
    "EnterpriseFreeOnly": ("service.purchase-not-eligible", "free Marketplace offers only"),
    "OfferWithdrawn": ("service.purchase-not-eligible", "withdrawn the offer"),
    "BillingRegion": ("service.billing-country", "country of the billing account"),
    "NoPaymentMethod": ("service.purchase-not-eligible", "no valid payment method"),
    "CspOptedOut": ("service.purchase-not-eligible", "cloud solution provider"),
    "PrivateMarketplace": ("service.purchase-not-eligible", "Private Marketplace"),
    "PrivateOffer": ("service.purchase-not-eligible", "private or a preview"),
    "SpendingLimit": ("service.purchase-not-eligible", "spending limit"),
    "ServerlessOfferNotFound": ("service.offer-not-found", "no serverless offer"),
    "Country": ("service.billing-country", "country of the billing account"),
}
IDS = {cause: f"{number:08}-0000-4000-8000-000000000000" for number, cause in enumerate(CAUSES)}
LLAMA = ModelRef("azureml-meta", "Llama-3.3-70B-Instruct")


def _subscription(cause: str) -> dict[str, object]:
    place = {"name": "mlw", "location": "eastus2"}
    found: dict[str, object] = {
        "id": IDS[cause],
        "name": cause,
        "resourceGroups": [{"name": "rg", "location": "eastus2", "workspaces": [place]}],
    }
    if cause == "Country":
        return {**found, "billingCountry": "SE"}
    return {**found, "offerRestrictions": [{"cause": cause}]}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("purchases")
    scenario = folder / "scenario.yaml"
    tenant = {
        "subscriptions": [_subscription(cause) for cause in CAUSES],
        "offerAvailability": [{"model": "*", "countries": ["US"]}],
        "roleAssignments": [{"principal": "provisioner-ci", "role": "Owner", "scope": "/"}],
    }
    scenario.write_text(yaml.safe_dump(tenant), encoding="utf-8")
    record = asyncio.run(control.start(folder, scenario=scenario))
    yield Settings(
        arm_endpoint=record.url,
        authority=record.url,
        ca_bundle=Path(record.ca_bundle),
        emulator=True,
        tenant_id=record.tenant_id,
        client_id="bbbbbbbb-0000-4000-8000-000000000001",
        client_secret=Secret("emulator-only-secret"),
    )
    asyncio.run(control.stop(folder))


@pytest.mark.parametrize("cause", CAUSES)
async def test_a_refused_purchase_says_why(cause: str, settings: Settings) -> None:
    workspace = WorkspaceId(IDS[cause], "rg", "mlw")
    step = Subscribe(
        id="subscribe",
        reason="is not subscribed",
        resource=MarketplaceSubscription(
            ResourceId(workspace, Kind.MARKETPLACE_SUBSCRIPTION, "llama"), LLAMA
        ),
        consent=Consent("a test"),
    )
    plan = Plan("default", SystemClock().now(), (step,))
    async with connect(settings) as cloud:
        report = await apply.execute(plan, cloud, SystemClock(), ignore, apply.Settings(timeout=60))
    (result,) = report.results
    assert result.outcome is Outcome.FAILED
    assert result.problem is not None
    code, says = CAUSES[cause]
    assert result.problem.code.id == code
    assert says in result.problem.what
    assert result.problem.correlation_id
    assert all(f"- {one}" in result.problem.details for one in ELIGIBILITY_CAUSES)
    if code == "service.purchase-not-eligible":
        assert result.problem.mender is Who.BILLING_ADMIN
