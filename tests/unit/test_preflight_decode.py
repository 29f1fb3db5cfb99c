"""The error decoder: every code and message that was seen has a cause, an owner and a way out."""

from __future__ import annotations

import json
from string import Formatter

import pytest

from provisioner.errors import Position, Who
from provisioner.errors.causes import CAUSES, ELIGIBILITY_CAUSES, Cause
from provisioner.errors.cloud import _BY_CODE, ServiceFault
from provisioner.errors.decode import decode, decode_told
from tests.shared import shared_dir

WORKSPACE = (
    "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg-ml-prod/providers/"
    "Microsoft.MachineLearningServices/workspaces/mlw-prod"
)
ENDPOINT = f"{WORKSPACE}/serverlessEndpoints/llama"


def fault(code: str, message: str = "No.", status: int = 400) -> ServiceFault:
    return ServiceFault(
        status=status,
        code=code,
        message=message,
        operation=f"PUT {ENDPOINT}",
        resource=ENDPOINT,
        correlation_id="c0ffee00-0000-4000-8000-000000000001",
    )


# The codes of AZURE.md §16 and the verdict table, with the status they come with.
CODES = [
    ("ServerlessOfferNotFound", 400, "service.offer-not-found"),
    ("ServerlessModelNotAvailableInRegion", 400, "service.model-not-in-region"),
    (
        "MarketplaceSubscriptionPurchaseEligibilityCheckFailed",
        400,
        "service.purchase-not-eligible",
    ),
    ("AvailabilityNotInRegion", 400, "service.billing-country"),
    ("MarketplacePlanNotRequiredForModel", 400, "service.no-plan-needed"),
    ("DeploymentIdentityError", 400, "service.deployment-identity"),
    ("ImageBuildFailure", 400, "service.image-build"),
    ("OutOfQuota", 400, "service.out-of-quota"),
    ("OutOfCapacity", 400, "service.out-of-capacity"),
    ("BadArgument", 400, "service.bad-argument"),
    ("ResourceNotReady", 400, "service.container-not-ready"),
    ("ResourceNotFound", 404, "service.not-found"),
    ("ResourceGroupNotFound", 404, "service.resource-group-not-found"),
    ("WorkspaceManagedNetworkNotReady", 409, "service.managed-network"),
    ("OperationCanceled", 409, "service.canceled"),
    ("SecretsInjectionError", 400, "service.secrets-injection"),
    ("InternalServerError", 500, "service.temporary"),
    ("AuthorizationFailed", 403, "service.not-authorized"),
    ("LinkedAuthorizationFailed", 403, "service.not-authorized"),
    ("ScopeLocked", 409, "service.locked"),
    ("SubscriptionNotRegistered", 409, "service.provider-not-registered"),
    ("MissingSubscriptionRegistration", 409, "service.provider-not-registered"),
    ("SubscriptionNotFound", 404, "service.subscription-not-found"),
    ("ReadOnlyDisabledSubscription", 409, "service.subscription-disabled"),
    ("TooManyRequests", 429, "service.throttled"),
    ("SubscriptionRequestsThrottled", 429, "service.throttled"),
    ("InvalidAuthenticationToken", 401, "service.not-authenticated"),
    ("ExpiredAuthenticationToken", 401, "service.not-authenticated"),
    ("BadGatewayConnection", 502, "service.temporary"),
    ("SomethingNobodySawYet", 502, "service.temporary"),
    ("ConnectionRefused", 0, "service.no-answer"),
    ("CertificateNotTrusted", 0, "service.untrusted"),
    ("EndpointNameNotAvailable", 400, "service.name-taken"),
    ("ModelNotAvailable", 400, "service.model-not-available"),
]


@pytest.mark.parametrize(("code", "status", "meaning"), CODES)
def test_codes(code: str, status: int, meaning: str) -> None:
    problem = decode(fault(code, "Too many requests, no more words.", status))
    assert problem.code.id == meaning
    assert problem.hint
    assert problem.correlation_id == "c0ffee00-0000-4000-8000-000000000001"
    assert problem.resource == ENDPOINT
    assert any("no more words" in line for line in problem.details)


MESSAGES = [
    (
        "BadRequest",
        "Not enough quota available for Standard_F4s_v2 in SubscriptionId 1. Current usage/limit: "
        "0/6. Additional needed: 8 Please see troubleshooting guide",
        "service.core-quota",
        "0 of 6 cores are used, 8 more are needed",
    ),
    (
        "InferencingClientCallFailed",
        '"Endpoint Quota reached for subscription 1.Current usage/limit: 300/300.Please clean up"',
        "service.endpoint-quota",
        "300 of 300",
    ),
    (
        "UserError",
        "The requested model azureml://registries/azureml-meta/models/X is not available.",
        "service.model-not-available",
        "azureml://registries/azureml-meta/models/X",
    ),
    (
        "UserError",
        "The specified endpoint name 'llama' is not available. Endpoint names must be unique.",
        "service.name-taken",
        "llama",
    ),
    (
        "Conflict",
        "Another operation with ID [7] is already running on endpoint llama",
        "service.busy",
        "another operation",
    ),
    (
        "AuthorizationFailed",
        "The client 'a' with object id 'b' does not have authorization to perform action "
        "'Microsoft.SaaS/register/action' over scope '/subscriptions/1' or the scope is invalid.",
        "service.not-authorized",
        "Microsoft.SaaS/register/action is not allowed at /subscriptions/1",
    ),
    (
        "ScopeLocked",
        "The scope 'x' cannot perform delete operation because following scope(s) are locked: "
        "'/subscriptions/1/resourceGroups/rg'. Please remove the lock and try again.",
        "service.locked",
        "/subscriptions/1/resourceGroups/rg",
    ),
    (
        "UserError",
        "eligibility check failed, error message [Purchase failed because there is no valid "
        "payment method associated with this Azure subscription.]",
        "service.purchase-not-eligible",
        "payment method",
    ),
    (
        "UserError",
        "eligibility check failed, error message [The Offer: 'o' cannot be purchased by "
        "subscription: '1' as it is not to be sold in market: 'SE'.]",
        "service.billing-country",
        "country of the billing account",
    ),
    (
        "MarketplacePurchaseEligibilityFailed",
        "check returned errors. [Legal terms have not been accepted for this item]",
        "service.terms-not-accepted",
        "legal terms",
    ),
    (
        "SubscriptionNotRegistered",
        "The subscription is not registered to use namespace 'Microsoft.SaaS'.",
        "service.provider-not-registered",
        "Microsoft.SaaS",
    ),
]


@pytest.mark.parametrize(("code", "message", "meaning", "says"), MESSAGES)
def test_messages(code: str, message: str, meaning: str, says: str) -> None:
    problem = decode(fault(code, message))
    assert problem.code.id == meaning
    assert says in problem.what


def test_an_ineligible_purchase_lists_every_cause() -> None:
    problem = decode(fault("MarketplaceSubscriptionPurchaseEligibilityCheckFailed"))
    assert problem.mender is Who.BILLING_ADMIN
    for cause in ELIGIBILITY_CAUSES:
        assert f"- {cause}" in problem.details


def test_an_unknown_error_is_shown_whole() -> None:
    message = "First line.\n\nSecond line with everything the service said."
    problem = decode(fault("NeverSeen", message), context="create serverless endpoint llama")
    assert problem.code.id == "service.unknown"
    assert problem.details == (
        "NeverSeen: First line.",
        "Second line with everything the service said.",
    )
    assert "400 NeverSeen" in problem.what
    assert f"PUT {ENDPOINT}" in problem.what
    assert problem.what.startswith("create serverless endpoint llama: ")


def test_hints_are_filled_from_the_request() -> None:
    problem = decode(
        fault("WorkspaceManagedNetworkNotReady"), Position("a.yaml", 3, 1), context="create x"
    )
    assert "--name mlw-prod --resource-group rg-ml-prod" in problem.hint
    assert problem.position == Position("a.yaml", 3, 1)


def test_without_an_id_a_hint_shows_a_place_to_fill_in() -> None:
    problem = decode(ServiceFault(404, "ResourceGroupNotFound", "gone"))
    assert "--name <group>" in problem.hint


def test_what_an_operation_told_is_decoded_too() -> None:
    told = decode_told("ResourceNotReady: User container has crashed.", ENDPOINT)
    assert told is not None
    assert told.code.id == "service.container-not-ready"
    assert told.resource == ENDPOINT
    assert decode_told("NeverSeen: no idea") is None
    assert decode_told("words without a code") is None


@pytest.mark.parametrize("code", sorted(_BY_CODE))
def test_every_code_that_has_a_verdict_has_a_meaning(code: str) -> None:
    assert decode(fault(code)).code.id != "service.unknown"


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: str(cause.code.id))
def test_templates_name_only_what_can_be_known(cause: Cause) -> None:
    known = {"subscription", "group", "workspace", "name", "resource", "model", "namespace"}
    groups = set(cause.pattern.groupindex) if cause.pattern is not None else set()
    fields = {name for _, name, _, _ in Formatter().parse(cause.what + cause.hint) if name}
    assert fields <= known | groups


def test_the_quoted_errors_are_all_decoded() -> None:
    folder = shared_dir() / "recordings" / "errors-quoted"
    expected = {
        "400_endpoint_quota.json": "service.endpoint-quota",
        "400_marketplace_eligibility.json": "service.purchase-not-eligible",
        "400_quota_online_deployment.json": "service.core-quota",
        "400_terms_not_accepted.json": "service.terms-not-accepted",
        "403_AuthorizationFailed.json": "service.not-authorized",
        "429_SubscriptionRequestsThrottled.json": "service.throttled",
    }
    for name, meaning in expected.items():
        recorded = json.loads((folder / name).read_text("utf-8"))
        error = recorded["body"]["error"]
        texts = [error, *error.get("details", ())]
        whole = " ".join(one["message"] for one in texts)
        code = texts[-1]["code"]
        assert decode(fault(code, whole, recorded["statusCode"])).code.id == meaning, name


def test_what_a_server_does_not_implement_is_no_temporary_fault() -> None:
    assert decode(fault("HTTP501", status=501)).code.id == "service.unknown"
    assert decode(fault("HTTP500", status=500)).code.id == "service.temporary"
