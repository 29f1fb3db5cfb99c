"""The table behind `decode`: what each service error means, who can mend it and how.

One `Cause` per meaning. Codes and messages are those of AZURE.md §13, §16 and §17 and of
published errors; where a code wraps many meanings (UserError, BadRequest,
InferencingClientCallFailed) the message decides. Templates name parts of the request
(`{subscription}`, `{group}`, `{workspace}`, `{name}`) and named groups of `pattern`.
As of 2026-11-22. Longer than other modules because it is one table whose order decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from provisioner.errors import Code
from provisioner.errors.meanings import (
    BAD_ARGUMENT,
    BAD_NAME,
    BAD_SIZE,
    BILLING_COUNTRY,
    BUSY,
    CANCELED,
    CARRIES_TRAFFIC,
    CORE_QUOTA,
    DEPLOYMENT_REFUSED,
    ENDPOINT_QUOTA,
    GROUP_MISSING,
    IDENTITY,
    IMAGE,
    IMMUTABLE,
    LOCKED,
    MODEL_REGION,
    MODEL_UNAVAILABLE,
    NAME_TAKEN,
    NETWORK,
    NO_ANSWER,
    NO_PLAN_NEEDED,
    NO_SUCH_TYPE,
    NOT_AUTHENTICATED,
    NOT_AUTHORIZED,
    NOT_ELIGIBLE,
    NOT_FOUND,
    NOT_REGISTERED,
    NOT_SUBSCRIBED,
    OFFER_MISSING,
    ONE_PER_MODEL,
    OUT_OF_CAPACITY,
    OUT_OF_QUOTA,
    POLICY,
    SECRETS,
    SHARED_REFUSED,
    STARTUP,
    SUBSCRIPTION_DISABLED,
    SUBSCRIPTION_MISSING,
    TEMPORARY,
    TERMS_NOT_ACCEPTED,
    THROTTLED,
    UNTRUSTED,
)

ELIGIBILITY_CAUSES: Final = (
    "the enrolment (Enterprise Agreement) has Marketplace purchases switched off, or allows free "
    "offers only: an enrolment administrator changes that under Cost Management + Billing > "
    "Policies",
    "the cloud solution provider (CSP) of the subscription has opted out of Marketplace: ask that "
    "partner",
    "a Private Marketplace of the organization does not list the offer: its administrator adds it",
    "the subscription's spending limit is on: remove it under Cost Management + Billing",
    "no valid payment method: add one under Cost Management + Billing > Payment methods",
    "the offer is not sold in the country of the billing account; the region of the workspace does "
    "not matter here",
    "the publisher has withdrawn the offer from sale",
    "the offer was not found, or is private or a preview that is not open to this subscription",
)
"""Everything that can stand behind a refused purchase (Microsoft's Marketplace purchase
validation checks; AZURE.md §16, "Purchase blockers")."""


@dataclass(frozen=True, slots=True)
class Cause:
    """A row: an error is this one when its code is in `codes` (empty: any) and `pattern` is in
    its message (None: any). `lists` asks for all eligibility causes in the details."""

    code: Code
    what: str
    hint: str
    codes: frozenset[str] = frozenset()
    pattern: re.Pattern[str] | None = None
    status: int | None = None
    lists: bool = False


def _when(*codes: str) -> frozenset[str]:
    return frozenset(code.lower() for code in codes)


def _says(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.DOTALL)


_ELIGIBILITY: Final = r"eligibi?lity ch?eck|purchase failed|cannot complete purchase|be purchased"

_BILLING: Final = "Cost Management + Billing in the Azure portal"
_INCREASE: Final = (
    "https://portal.azure.com/#view/Microsoft_Azure_Capacity/QuotaMenuBlade/~/myQuotas"
)


def _ineligible(pattern: str, what: str, hint: str) -> Cause:
    return Cause(NOT_ELIGIBLE, what, hint, pattern=_says(pattern), lists=True)


CAUSES: Final = (
    # Purchases: the message knows more than the code.
    Cause(
        TERMS_NOT_ACCEPTED,
        "the legal terms of the offer are not accepted for this subscription",
        "apply again with --accept-terms, or: az term accept --publisher <publisher> --product "
        "<offer> --plan <plan> --subscription {subscription}",
        pattern=_says(r"legal terms have not been accepted"),
    ),
    _ineligible(
        r"enrollment for this subscription doesn't allow purchase",
        "the Enterprise Agreement of this subscription does not allow Marketplace purchases",
        f"an enrolment administrator allows paid offers: {_BILLING} > Policies > Azure Marketplace",
    ),
    _ineligible(
        r"allows only free\s+marketplace",
        "the Enterprise Agreement of this subscription allows free Marketplace offers only",
        f"an enrolment administrator allows paid offers: {_BILLING} > Policies > Azure Marketplace",
    ),
    _ineligible(
        r"no valid payment method",
        "no valid payment method belongs to this Azure subscription",
        f"add one: {_BILLING} > Payment methods; or use another subscription",
    ),
    _ineligible(
        r"spending limit",
        "the spending limit of this Azure subscription is on",
        f"remove it: {_BILLING} > the subscription > Remove spending limit; or use another "
        "subscription",
    ),
    _ineligible(
        r"cloud solution provider|\bCSP\b",
        "the cloud solution provider of this subscription does not sell Marketplace offers",
        "ask the partner that manages the subscription, or use another subscription",
    ),
    _ineligible(
        r"private marketplace",
        "the organization's Private Marketplace does not list the offer",
        "a Private Marketplace administrator adds it: Azure portal > Marketplace > "
        "Private Marketplace",
    ),
    _ineligible(
        r"private or preview offer|private offer|is private",
        "the offer is private or a preview that is not open to this subscription",
        "ask the publisher for access, or deploy another model: provision models list",
    ),
    _ineligible(
        r"stopped selling|no longer (?:being )?(?:sold|available for purchase)",
        "the publisher has withdrawn the offer from sale",
        "deploy another model: provision models list",
    ),
    Cause(
        BILLING_COUNTRY,
        "the offer is not sold in the country of the billing account; the workspace's region has "
        "nothing to do with it",
        "use a subscription that is billed in a supported country; "
        "provision models show {model} names the offer",
        pattern=_says(r"not to be sold in market|not available in the billing country"),
        lists=True,
    ),
    Cause(
        BILLING_COUNTRY,
        "the offer is not sold in the country of the billing account; the workspace's region has "
        "nothing to do with it",
        "use a subscription that is billed in a supported country; "
        "provision models show {model} names the offer",
        codes=_when("AvailabilityNotInRegion"),
        lists=True,
    ),
    Cause(
        OFFER_MISSING,
        "the model has no serverless offer that this subscription can buy",
        "check the model's name and its offer: provision models show {model}",
        codes=_when("ServerlessOfferNotFound", "OfferNotFound"),
        lists=True,
    ),
    Cause(
        NOT_ELIGIBLE,
        "Azure Marketplace refused the purchase for this subscription",
        "go through the causes above with whoever manages billing, or use another subscription",
        codes=_when(
            "MarketplaceSubscriptionPurchaseEligibilityCheckFailed",
            "MarketplacePurchaseEligibilityFailed",
        ),
        lists=True,
    ),
    Cause(
        NOT_ELIGIBLE,
        "Azure Marketplace refused the purchase for this subscription",
        "go through the causes above with whoever manages billing, or use another subscription",
        pattern=_says(_ELIGIBILITY),
        lists=True,
    ),
    Cause(
        NO_PLAN_NEEDED,
        "the model needs no Marketplace subscription, yet one was asked for",
        "run `provision models refresh`, so that the catalogue says so, and apply again",
        codes=_when("MarketplacePlanNotRequiredForModel"),
    ),
    Cause(
        NOT_SUBSCRIBED,
        "the workspace is not subscribed to the offer of the model",
        "apply again: the subscription is made first; a suspended one is a matter of payment",
        codes=_when("MarketplaceSubscriptionNotFound"),
    ),
    # Models.
    Cause(
        MODEL_REGION,
        "the model is not served as a serverless API in the workspace's region",
        "use a workspace in one of its regions: provision models show {model}",
        codes=_when("ServerlessModelNotAvailableInRegion"),
    ),
    Cause(
        MODEL_UNAVAILABLE,
        "the model {model} is not available to this subscription",
        "check its name and lifecycle with `provision models show {model}`; a free or trial "
        "subscription has to be upgraded to pay-as-you-go first",
        pattern=_says(r"the requested model (?P<model>\S+) is not available"),
    ),
    Cause(
        MODEL_UNAVAILABLE,
        "the model is not available to this subscription",
        "check its name and lifecycle with `provision models list`; a free or trial subscription "
        "has to be upgraded to pay-as-you-go first",
        codes=_when("ModelNotAvailable"),
    ),
    Cause(
        ONE_PER_MODEL,
        "the workspace has a serverless endpoint for this model already",
        "use that endpoint, or another workspace: provision status lists what is there",
        codes=_when("ServerlessEndpointAlreadyExistsForModel"),
    ),
    Cause(
        ONE_PER_MODEL,
        "the workspace has a serverless endpoint for this model already",
        "use that endpoint, or another workspace: provision status lists what is there",
        pattern=_says(r"only one deployment per model"),
    ),
    Cause(
        MODEL_UNAVAILABLE,
        "the model, or this version of it, is not in its registry",
        "check the name and the version: provision models show {model}",
        codes=_when("ModelNotFound", "ModelVersionNotFound"),
    ),
    Cause(
        MODEL_UNAVAILABLE,
        "the model cannot be deployed to managed compute",
        "use the target serverless, or another model: provision models list",
        codes=_when("ModelNotDeployable"),
    ),
    Cause(
        SHARED_REFUSED,
        "the model may not use shared quota",
        "remove sharedQuota and use a quota of your own, or deploy another model",
        codes=_when("SharedQuotaNotSupported"),
    ),
    # Quota: codes are shared, messages are not.
    Cause(
        CORE_QUOTA,
        "not enough quota for {size}: {used} of {limit} cores are used, {needed} more are needed",
        f"ask for more cores at {_INCREASE} (Machine Learning), or use fewer instances, another "
        "size or sharedQuota: true; provision doctor shows what would fit",
        pattern=_says(
            r"not enough quota available for (?P<size>\w+)"
            r".*?usage/limit: (?P<used>\d+)/(?P<limit>\d+)"
            r".*?additional needed: (?P<needed>\d+)"
        ),
    ),
    Cause(
        CORE_QUOTA,
        "not enough quota for the VM size",
        f"ask for more cores at {_INCREASE} (Machine Learning), or use fewer instances, another "
        "size or sharedQuota: true",
        pattern=_says(r"not enough quota"),
    ),
    Cause(
        ENDPOINT_QUOTA,
        "the subscription has all the {kind}s that it may have in the region: {used} of {limit}",
        "remove some: provision reap and provision status help to find them; or ask for a higher "
        f"limit at {_INCREASE}",
        pattern=_says(
            r"(?P<kind>endpoint|deployment) quota reached"
            r".*?usage/limit:\s*(?P<used>\d+)/(?P<limit>\d+)"
        ),
    ),
    Cause(
        OUT_OF_CAPACITY,
        "Azure has no free machines of this size in the region now",
        "try again later, or use another size or region",
        codes=_when(
            "OutOfCapacity", "AllocationFailed", "ZonalAllocationFailed", "SkuNotAvailable"
        ),
    ),
    Cause(
        OUT_OF_QUOTA,
        "a quota of the subscription is used up",
        f"the message names it; see {_INCREASE}, or remove what is not needed",
        codes=_when("OutOfQuota", "RoleAssignmentLimitExceeded"),
    ),
    # Names and values.
    Cause(
        NAME_TAKEN,
        "the endpoint name {taken} is taken in this region",
        "choose another endpointName; one that was just deleted is free again in some minutes: "
        "apply --wait-for-name 15m",
        pattern=_says(r"endpoint name '(?P<taken>[^']+)' is not available"),
    ),
    Cause(
        NAME_TAKEN,
        "the endpoint name is taken in this region",
        "choose another endpointName; one that was just deleted is free again in some minutes: "
        "apply --wait-for-name 15m",
        codes=_when("EndpointNameNotAvailable"),
    ),
    Cause(
        NAME_TAKEN,
        "the endpoint name is taken in this region",
        "choose another endpointName; one that was just deleted is free again in some minutes: "
        "apply --wait-for-name 15m",
        pattern=_says(
            r"already an? (?:\w+ )?endpoint with (?:this|that|the same) name"
            r"|endpoint names? must be unique"
            r"|endpoint name.{0,60}\b(?:is|was) already (?:taken|in use|being used|reserved)"
        ),
    ),
    Cause(
        BAD_NAME,
        "the name is not allowed for this kind of resource",
        "choose a name that matches the pattern in the service's message",
        codes=_when("InvalidName", "InvalidResourceName"),
    ),
    Cause(
        BAD_SIZE,
        "the instance type cannot be used here",
        "choose an instanceType that the model lists: provision models show {model}",
        pattern=_says(r"instance ?type \S+ is not supported|vm ?size \S* ?is not supported"),
    ),
    Cause(
        BAD_SIZE,
        "the model does not run on this instance type",
        "choose an instanceType that the model lists: provision models show {model}",
        codes=_when("InstanceTypeNotSupported"),
    ),
    Cause(
        CARRIES_TRAFFIC,
        "the deployment still carries traffic of its endpoint",
        "run the same command again: it takes the traffic away first",
        codes=_when("DeploymentHasTraffic"),
    ),
    Cause(
        IMMUTABLE,
        "a property that is fixed at creation was to be changed",
        "destroy and apply again, or leave the property as it is",
        codes=_when("ImmutableProperty", "PropertyChangeNotAllowed"),
    ),
    # Rights and scopes.
    Cause(
        NOT_AUTHORIZED,
        "the action {action} is not allowed at {scope}",
        "have it granted: `provision role --assign-command` prints the smallest role for these "
        "manifests and the az commands; a role that was just assigned can take up to 30 minutes "
        "(--wait-for-rbac 10m)",
        pattern=_says(r"perform action '(?P<action>[^']+)' over scope '(?P<scope>[^']+)'"),
    ),
    Cause(
        NOT_AUTHORIZED,
        "the caller may not do this",
        "have it granted: `provision role --assign-command` prints the smallest role for these "
        "manifests and the az commands",
        codes=_when("AuthorizationFailed", "LinkedAuthorizationFailed", "Authorization", "Auth"),
    ),
    Cause(
        LOCKED,
        "a management lock forbids it: {locks}",
        "remove the lock: az lock list --resource-group {group} --subscription {subscription} "
        "shows it, az lock delete --ids <id> removes it",
        pattern=_says(r"scope\(s\) are\s+locked: '(?P<locks>[^']+)'"),
    ),
    Cause(
        LOCKED,
        "a management lock forbids it",
        "remove the lock: az lock list --resource-group {group} --subscription {subscription}",
        codes=_when("ScopeLocked"),
    ),
    Cause(
        NOT_REGISTERED,
        "the resource provider {namespace} is not registered in this subscription",
        "register it: az provider register --namespace {namespace} --subscription {subscription}",
        codes=_when("SubscriptionNotRegistered", "MissingSubscriptionRegistration"),
        pattern=_says(r"(?P<namespace>Microsoft\.\w+)"),
    ),
    Cause(
        NOT_REGISTERED,
        "a resource provider is not registered in this subscription",
        "register it: az provider register --namespace Microsoft.MachineLearningServices "
        "--subscription {subscription}",
        codes=_when("SubscriptionNotRegistered", "MissingSubscriptionRegistration"),
    ),
    Cause(
        SUBSCRIPTION_DISABLED,
        "the Azure subscription is disabled: it can be read, not changed",
        f"reactivate it: {_BILLING} > the subscription > Reactivate",
        codes=_when("ReadOnlyDisabledSubscription", "DisabledSubscription", "SubscriptionDisabled"),
    ),
    Cause(
        SUBSCRIPTION_MISSING,
        "the Azure subscription {subscription} was not found in this tenant",
        "check subscriptionId, and the tenant that is signed in to: az account show",
        codes=_when("SubscriptionNotFound", "InvalidSubscriptionId"),
    ),
    Cause(
        GROUP_MISSING,
        "the resource group {group} does not exist",
        "check resourceGroup, or create it: az group create --name {group} --location <region> "
        "--subscription {subscription}",
        codes=_when("ResourceGroupNotFound"),
    ),
    Cause(
        POLICY,
        "a policy of the organization forbids it",
        "the message names the policy; ask its owner for an exemption or meet what it asks",
        codes=_when("RequestDisallowedByPolicy", "RequestDisallowedByAzure"),
    ),
    Cause(
        NO_SUCH_TYPE,
        "the resource provider does not offer this here",
        "check the region of the workspace, and --arm-endpoint if this is not the public cloud",
        codes=_when(
            "NoRegisteredProviderFound",
            "InvalidResourceType",
            "InvalidResourceNamespace",
            "LocationNotAvailableForResourceGroup",
            "LocationNotAvailableForResourceType",
            "InvalidApiVersionParameter",
        ),
    ),
    # Deployments that do not come up.
    Cause(
        STARTUP,
        "the model's container did not become ready",
        "read the logs of StorageInitializer and InferenceServer shown with the failure; check "
        "the instanceType, environmentVariables and probes",
        codes=_when("ResourceNotReady", "ContainerCrashed"),
    ),
    Cause(
        IMAGE,
        "the image of the deployment could not be built or pulled",
        "see the build log in the workspace's container registry; its network and rights are the "
        "usual reasons",
        codes=_when("ImageBuildFailure"),
    ),
    Cause(
        IDENTITY,
        "the endpoint's identity may not read what the deployment needs",
        "grant it AcrPull on the registry and Storage Blob Data Reader on the storage account of "
        "the workspace",
        codes=_when("DeploymentIdentityError"),
    ),
    Cause(
        SECRETS,
        "the endpoint's identity may not read the secrets that the environment names",
        "grant it the role Azure Machine Learning Workspace Connection Secrets Reader, or Key "
        "Vault Secrets User on the vault",
        codes=_when("SecretsInjectionError"),
    ),
    Cause(
        NETWORK,
        "the managed network of the workspace is not ready",
        "provision it: az ml workspace provision-network --name {workspace} --resource-group "
        "{group} --subscription {subscription}",
        codes=_when("WorkspaceManagedNetworkNotReady"),
    ),
    # What time mends, and did not mend soon enough.
    Cause(
        BUSY,
        "another operation is still running on it",
        "run the same command again; it waits for what is running and goes on",
        codes=_when("AnotherOperationInProgress", "EndpointNotReady", "Conflict"),
    ),
    Cause(
        BUSY,
        "another operation is still running on it",
        "run the same command again; it waits for what is running and goes on",
        pattern=_says(r"another operation\b.{0,200}?(?:already running|in progress)"),
    ),
    Cause(
        THROTTLED,
        "Azure limits the number of requests, and the limit is reached",
        "wait a minute and run the same command again, with a lower --parallelism if other tools "
        "work in the same subscription",
        codes=_when("TooManyRequests", "SubscriptionRequestsThrottled"),
    ),
    Cause(
        CANCELED,
        "the operation was canceled before its end",
        "run the same command again",
        codes=_when("OperationCanceled", "Canceled"),
    ),
    Cause(
        TEMPORARY,
        "the service has a temporary fault",
        "run the same command again in some minutes; if it stays so, open a support request with "
        "the correlation id",
        codes=_when(
            "InternalServerError",
            "TransientError",
            "BadGatewayConnection",
            "BadGateway",
            "GatewayTimeout",
            "ServerTimeout",
            "ServiceUnavailable",
            "ServiceError",
        ),
    ),
    # No answer at all.
    Cause(
        UNTRUSTED,
        "the certificate of the service is not trusted here",
        "give the certificate authority of your proxy or cloud with --ca-bundle FILE",
        codes=_when("CertificateNotTrusted"),
    ),
    # By status alone.
    Cause(
        NOT_AUTHENTICATED,
        "Azure did not accept the token",
        "sign in again: az login --tenant <tenant>; in a pipeline check AZURE_TENANT_ID, "
        "AZURE_CLIENT_ID and the secret or federated credential",
        status=401,
    ),
    Cause(
        NOT_AUTHENTICATED,
        "Azure did not accept the token",
        "sign in again: az login --tenant <tenant>",
        codes=_when(
            "InvalidAuthenticationToken",
            "InvalidAuthenticationTokenTenant",
            "ExpiredAuthenticationToken",
            "AuthenticationFailed",
        ),
    ),
    Cause(
        NOT_AUTHORIZED,
        "the caller may not do this",
        "have it granted: `provision role --assign-command` prints the smallest role for these "
        "manifests and the az commands",
        status=403,
    ),
    Cause(
        NOT_FOUND,
        "{resource} was not found",
        "check that the workspace and what the manifest names exist: provision doctor",
        codes=_when("ResourceNotFound", "NotFound", "NoSuchEndpoint", "DeploymentNotFound"),
    ),
    Cause(
        NOT_FOUND,
        "{resource} was not found",
        "check that the workspace and what the manifest names exist: provision doctor",
        status=404,
    ),
    Cause(
        BUSY,
        "the resource is being changed by somebody else",
        "run the same command again; it waits for what is running and goes on",
        status=409,
    ),
    Cause(
        BAD_ARGUMENT,
        "the service did not accept a value of the request",
        "the service's message names the value; correct it in the manifest",
        codes=_when(
            "BadArgument",
            "ArgumentInvalid",
            "ArgumentNullOrEmpty",
            "InvalidInput",
            "InvalidTraffic",
            "InvalidTags",
            "InvalidRequest",
            "InvalidRequestContent",
            "RequestContentTooLarge",
            "LocationNotMatched",
        ),
    ),
    Cause(
        DEPLOYMENT_REFUSED,
        "the inference service refused the deployment",
        "the service's message says what is wrong; correct it in the manifest",
        codes=_when(
            "InferencingClientCreateDeploymentFailed",
            "InferencingClientCallFailed",
            "InferencingClientUpdateDeploymentFailed",
        ),
    ),
    Cause(
        NO_ANSWER,
        "no answer came from the service",
        "check the network, the proxy (HTTPS_PROXY) and --arm-endpoint; then run the command again",
        status=0,
    ),
)
"""First match wins: messages before codes before statuses."""
