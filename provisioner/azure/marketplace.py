"""A workspace's marketplace subscriptions (AZURE.md §3) and an Azure subscription's agreements
(§9). Creating the former is what accepts a model offer's terms for a workspace; the latter is the
older, subscription-wide record, which `sign` writes.
"""

from __future__ import annotations

import re
from typing import Any, Final

from azure.core.exceptions import AzureError, HttpResponseError

from provisioner.azure.client import Arm, lost
from provisioner.azure.faults import fault_of
from provisioner.azure.kinds import Shape, header_of, live_state
from provisioner.azure.retry import REPEATABLE, body_of
from provisioner.azure.values import Json, mapping, text
from provisioner.cloud import Agreement
from provisioner.errors.cloud import CloudError
from provisioner.resources import (
    AgreementId,
    Kind,
    Live,
    MarketplacePlan,
    MarketplaceSubscription,
    ModelRef,
    ResourceId,
)

_UNKNOWN_OFFER: Final = re.compile(r"\boffer\b.{0,400}not (?:be )?found", re.I | re.S)
OFFER_TYPE: Final = "virtualmachine"
"""The only value of the specification's enumeration (2021-01-01)."""
_LINKS: Final = {
    "license": "license_text_link",
    "privacy": "privacy_policy_link",
    "terms": "marketplace_terms_link",
}


def body(wish: MarketplaceSubscription) -> Json:
    return {"properties": {"modelId": wish.model.id}}


def parse(raw: Json, id: ResourceId) -> Live[MarketplaceSubscription]:
    properties = mapping(raw.get("properties"))
    return Live(
        MarketplaceSubscription(id, ModelRef.parse(text(properties.get("modelId")) or "")),
        state=live_state(properties),
        condition=text(properties.get("marketplaceSubscriptionStatus")),
        created_at=header_of(raw),
        plan=_plan(mapping(properties.get("marketplacePlan"))),
    )


def overlay(raw: Json, wish: MarketplaceSubscription, fields: frozenset[str]) -> Json:
    properties = dict(mapping(raw.get("properties")))
    if "model" in fields:
        properties["modelId"] = wish.model.id
    return {**raw, "properties": properties}


def _plan(raw: Json) -> MarketplacePlan | None:
    publisher, offer, plan = (text(raw.get(key)) for key in ("publisherId", "offerId", "planId"))
    if publisher is None or offer is None or plan is None:
        return None
    return MarketplacePlan(publisher, offer, plan)


SHAPE: Final = Shape(
    kind=Kind.MARKETPLACE_SUBSCRIPTION,
    body=body,
    parse=parse,
    overlay=overlay,
    settings={"modelId": None},
    patch=lambda wish, fields: None,  # a proxy resource has neither tags nor PATCH
)


class Agreements:
    """Agreements through azure-mgmt-marketplaceordering, on this adapter's own pipeline."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm
        self._clients: dict[str, Any] = {}

    async def get(self, id: AgreementId) -> Agreement | None:
        """The terms and whether they are accepted; None where the plan is not known there."""
        operation = f"GET {id.arm_id}"
        terms = await self._call(id, operation, "get", OFFER_TYPE, *_plan_of(id))
        if terms is None:
            return None
        links = {name: text(getattr(terms, field, None)) for name, field in _LINKS.items()}
        return Agreement(
            id=id,
            accepted=bool(getattr(terms, "accepted", False)) or await self._active(id),
            links={name: link for name, link in links.items() if link},
        )

    async def sign(self, id: AgreementId) -> None:
        """Accept the plan's terms. Signing again changes nothing, so it may be repeated."""
        operation = f"POST {id.arm_id}/sign"
        if await self._call(id, operation, "sign", *_plan_of(id)) is None:
            raise CloudError(
                fault_of(status=404, headers={}, body=b"", operation=operation, now=None)
            )

    async def _active(self, id: AgreementId) -> bool:
        """Whether the other shape of the agreement says that it was signed (AZURE.md §17)."""
        old = await self._call(id, f"GET {id.arm_id}", "get_agreement", *_plan_of(id))
        state = text(str(getattr(old, "state", "") or ""))
        return state is not None and state.rpartition(".")[2].lower() == "active"

    async def _call(self, id: AgreementId, operation: str, method: str, *arguments: str) -> Any:
        client = self._client(id.subscription)
        try:
            call = getattr(client.marketplace_agreements, method)
            return await call(*arguments, **{REPEATABLE: True})
        except HttpResponseError as error:
            return absent_or_raise(error, operation)
        except (AzureError, OSError) as error:
            raise lost(operation, error) from error

    def _client(self, subscription: str) -> Any:
        found = self._clients.get(subscription)
        if found is None:
            from azure.mgmt.marketplaceordering.aio import MarketplaceOrderingAgreements  # noqa: PLC0415 - costs 50 ms of import, and most runs sign nothing

            found = self._clients[subscription] = MarketplaceOrderingAgreements(
                self._arm.credential,
                subscription,
                base_url=self._arm.settings.arm,
                policies=self._arm.policies(),
                transport=self._arm.transport,
            )
        return found


def absent_or_raise(error: HttpResponseError, operation: str) -> None:
    """None for a 404 that a generated client raised; its other errors become CloudErrors."""
    response: Any = error.response
    if response is None:
        raise lost(operation, error) from error
    fault = fault_of(
        status=response.status_code,
        headers=response.headers,
        body=body_of(response),
        operation=operation,
    )
    if fault.status == 404 and fault.code not in ("SubscriptionNotFound", "InvalidSubscriptionId"):
        return
    if fault.status == 400 and _UNKNOWN_OFFER.search(fault.message):
        return
    raise CloudError(fault) from error


def _plan_of(id: AgreementId) -> tuple[str, str, str]:
    return id.plan.publisher, id.plan.offer, id.plan.plan
