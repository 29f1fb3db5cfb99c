"""What a service's refusal can mean: the codes of errors/causes.py."""

from __future__ import annotations

from typing import Final

from provisioner.errors import Who, define

NOT_AUTHORIZED: Final = define(
    "service.not-authorized",
    "an action is not allowed",
    "The role assignments of whoever signed in do not cover an action at its scope, or a deny "
    "assignment takes it away. A role that was just assigned can take up to 30 minutes to work.",
    Who.SUBSCRIPTION_OWNER,
)
NOT_AUTHENTICATED: Final = define(
    "service.not-authenticated",
    "Azure does not accept the token",
    "The token is expired, for another tenant, or for another cloud.",
    Who.OPERATOR,
)
LOCKED: Final = define(
    "service.locked",
    "a management lock is in the way",
    "A lock at the resource, its resource group or the subscription forbids the change; a "
    "CanNotDelete lock stops deletes, a ReadOnly lock stops writes too.",
    Who.SUBSCRIPTION_OWNER,
)
NOT_REGISTERED: Final = define(
    "service.provider-not-registered",
    "a resource provider is not registered",
    "An Azure subscription must register a resource provider once before it can use it.",
    Who.SUBSCRIPTION_OWNER,
)
SUBSCRIPTION_MISSING: Final = define(
    "service.subscription-not-found",
    "no such Azure subscription",
    "The subscription id does not exist in the tenant that was signed in to, or is not visible.",
    Who.AUTHOR,
)
SUBSCRIPTION_DISABLED: Final = define(
    "service.subscription-disabled",
    "the Azure subscription is disabled",
    "A disabled subscription can be read but not changed, as a rule for a payment reason or "
    "because its credit or spending limit is used up.",
    Who.BILLING_ADMIN,
)
GROUP_MISSING: Final = define(
    "service.resource-group-not-found",
    "no such resource group",
    "The resource group that the manifest names does not exist in the subscription.",
    Who.AUTHOR,
)
NOT_FOUND: Final = define(
    "service.not-found",
    "a resource was not found",
    "Something that the request builds on is not there: deleted meanwhile, never made, or not "
    "visible to whoever signed in.",
    Who.OPERATOR,
)
TERMS_NOT_ACCEPTED: Final = define(
    "service.terms-not-accepted",
    "the offer's legal terms are not accepted",
    "The Marketplace agreement of the offer's plan is not signed for this subscription.",
    Who.OPERATOR,
)
NOT_ELIGIBLE: Final = define(
    "service.purchase-not-eligible",
    "the subscription may not buy the offer",
    "Azure Marketplace checks every purchase against the billing account, and refused this one.",
    Who.BILLING_ADMIN,
)
BILLING_COUNTRY: Final = define(
    "service.billing-country",
    "the offer is not sold in the billing country",
    "Where an offer can be bought depends on the country of the billing account. That is another "
    "test than the region of the workspace.",
    Who.BILLING_ADMIN,
)
OFFER_MISSING: Final = define(
    "service.offer-not-found",
    "no such serverless offer",
    "The model has no offer that can be bought as a serverless API, or none that this "
    "subscription can see.",
    Who.AUTHOR,
)
NO_PLAN_NEEDED: Final = define(
    "service.no-plan-needed",
    "the model needs no Marketplace subscription",
    "Models that Microsoft sells itself are deployed without a Marketplace subscription.",
    Who.MAINTAINER,
)
NOT_SUBSCRIBED: Final = define(
    "service.not-subscribed",
    "the workspace is not subscribed to the model's offer",
    "A serverless endpoint of a Marketplace model needs the workspace's subscription to its offer.",
    Who.OPERATOR,
)
MODEL_REGION: Final = define(
    "service.model-not-in-region",
    "the model is not served in this region",
    "Serverless APIs are offered in some regions only, and which ones depends on the model.",
    Who.AUTHOR,
)
MODEL_UNAVAILABLE: Final = define(
    "service.model-not-available",
    "the model is not available",
    "The service answers so for a model that is retired or deprecated, that does not exist under "
    "that name, or that a free or trial subscription may not use.",
    Who.AUTHOR,
)
ONE_PER_MODEL: Final = define(
    "service.one-per-model",
    "the workspace has an endpoint for this model already",
    "A workspace can have one serverless deployment per model.",
    Who.AUTHOR,
)
DEPLOYMENT_REFUSED: Final = define(
    "service.deployment-refused",
    "the inference service refused the deployment",
    "The service that runs managed endpoints found something wrong with the deployment; its "
    "message says what.",
    Who.AUTHOR,
)
CARRIES_TRAFFIC: Final = define(
    "service.carries-traffic",
    "the deployment still carries traffic",
    "A deployment can be deleted only when its share of the endpoint's traffic is 0.",
    Who.OPERATOR,
)
SHARED_REFUSED: Final = define(
    "service.shared-quota",
    "the model cannot use shared quota",
    "Only some models may run on shared quota.",
    Who.AUTHOR,
)
CORE_QUOTA: Final = define(
    "service.core-quota",
    "not enough cores in the quota",
    "Managed compute draws on the subscription's core quota of the VM family in the region; 20 % "
    "more than the instances use is reserved for upgrades, but for some GPU families.",
    Who.SUBSCRIPTION_OWNER,
)
ENDPOINT_QUOTA: Final = define(
    "service.endpoint-quota",
    "too many endpoints or deployments",
    "A subscription can have a limited number of online endpoints and deployments per region.",
    Who.SUBSCRIPTION_OWNER,
)
OUT_OF_CAPACITY: Final = define(
    "service.out-of-capacity",
    "the region has no free machines of this size",
    "The quota would allow it, but Azure has no capacity for the VM size in the region now.",
    Who.AZURE,
)
OUT_OF_QUOTA: Final = define(
    "service.out-of-quota",
    "a quota is used up",
    "A quota other than the cores of the VM family is used up: cluster, disk, memory or role "
    "assignments.",
    Who.SUBSCRIPTION_OWNER,
)
NAME_TAKEN: Final = define(
    "service.name-taken",
    "the endpoint name is taken",
    "Endpoint names are unique in an Azure region, across all customers; a name can stay taken "
    "for minutes after its endpoint was deleted.",
    Who.AUTHOR,
)
BAD_NAME: Final = define(
    "service.bad-name",
    "the name is not allowed",
    "Every kind of resource has a pattern for its names.",
    Who.AUTHOR,
)
BAD_SIZE: Final = define(
    "service.instance-type",
    "the instance type cannot be used",
    "The VM size is not offered for managed online endpoints in the region, or not for the model.",
    Who.AUTHOR,
)
STARTUP: Final = define(
    "service.container-not-ready",
    "the model's container did not become ready",
    "The container crashed, ran out of memory, or failed its liveness or readiness probe.",
    Who.AUTHOR,
)
IMAGE: Final = define(
    "service.image-build",
    "the image could not be built",
    "The environment's image failed to build or to be pulled.",
    Who.WORKSPACE_OWNER,
)
IDENTITY: Final = define(
    "service.deployment-identity",
    "the endpoint's identity lacks rights",
    "The managed identity of the endpoint cannot read the model, the image or the storage.",
    Who.WORKSPACE_OWNER,
)
SECRETS: Final = define(
    "service.secrets-injection",
    "secrets could not be injected",
    "The endpoint's identity cannot read the secrets that the deployment's environment names.",
    Who.WORKSPACE_OWNER,
)
NETWORK: Final = define(
    "service.managed-network",
    "the workspace's managed network is not ready",
    "A workspace with a managed network provisions it before the first managed endpoint.",
    Who.WORKSPACE_OWNER,
)
POLICY: Final = define(
    "service.policy",
    "a policy forbids it",
    "An Azure Policy assignment of the organization denies the request.",
    Who.SUBSCRIPTION_OWNER,
)
BUSY: Final = define(
    "service.busy",
    "another operation is running",
    "The service runs one operation at a time on a resource; whoever started that one, it has to "
    "end first.",
    Who.OPERATOR,
)
THROTTLED: Final = define(
    "service.throttled",
    "too many requests",
    "Azure limits requests per subscription and caller. Other tools that work in the same "
    "subscription as the same caller share the limit.",
    Who.OPERATOR,
)
TEMPORARY: Final = define(
    "service.temporary",
    "a temporary fault of the service",
    "The service or a gateway before it failed in a way that time mends; it was tried again "
    "already.",
    Who.AZURE,
)
CANCELED: Final = define(
    "service.canceled",
    "the operation was canceled",
    "The operation was canceled, by somebody or by one of higher priority.",
    Who.OPERATOR,
)
IMMUTABLE: Final = define(
    "service.immutable",
    "a property cannot be changed",
    "The property is fixed when the resource is created.",
    Who.AUTHOR,
)
NO_SUCH_TYPE: Final = define(
    "service.not-offered",
    "the resource provider does not offer this here",
    "The resource type or the api-version is not offered in the region or in this cloud.",
    Who.AUTHOR,
)
BAD_ARGUMENT: Final = define(
    "service.bad-argument",
    "the service did not accept a value",
    "A value of the request is missing or wrong; the service's message names it.",
    Who.AUTHOR,
)
NO_ANSWER: Final = define(
    "service.no-answer",
    "the service does not answer",
    "No connection could be made, or it was lost before the answer came.",
    Who.OPERATOR,
)
UNTRUSTED: Final = define(
    "service.untrusted",
    "the service's certificate is not trusted",
    "TLS is always verified. The certificate shown is not signed by an authority trusted here, as "
    "happens behind an inspecting proxy.",
    Who.OPERATOR,
)
UNKNOWN: Final = define(
    "service.unknown",
    "an error that has no entry here",
    "The service refused in words that this tool does not know; they are shown whole.",
    Who.OPERATOR,
)
