"""What a service answered, and the one table that says what to do about it.

ARM code first, HTTP status second (AZURE.md §13, §16, §17). The table has three verdicts:
RETRY (time alone mends it), NEEDS_USER (a person must act), FATAL (a fault of ours or theirs).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto


class Verdict(Enum):
    """What a run does about a service error."""

    RETRY = auto()
    NEEDS_USER = auto()
    FATAL = auto()


@dataclass(frozen=True, slots=True)
class ServiceFault:
    """A service's refusal, as read from its answer.

    `status` is 0 when no answer came (connection refused, reset, timed out, TLS).
    `code` is the most telling ARM code of the envelope: the inner one where the outer is a bare
    UserError or BadRequest (AZURE.md §13). `message` is the service's text, whole.
    `retry_after` is in seconds, where the service said so. `operation` is `PUT <arm id>`.
    """

    status: int
    code: str
    message: str
    operation: str = ""
    resource: str | None = None
    correlation_id: str | None = None
    request_id: str | None = None
    retry_after: float | None = None
    outer_code: str | None = None


class CloudError(Exception):
    """The port's only error: a request that did not do what it was asked."""

    def __init__(self, fault: ServiceFault) -> None:
        super().__init__(f"{fault.code or fault.status}: {fault.message}")
        self.fault = fault

    @property
    def verdict(self) -> Verdict:
        return verdict(self.fault.code, self.fault.status)


_BY_CODE: Mapping[str, Verdict] = {
    # Time alone mends these.
    "AnotherOperationInProgress": Verdict.RETRY,
    "Conflict": Verdict.RETRY,
    "TooManyRequests": Verdict.RETRY,
    "SubscriptionRequestsThrottled": Verdict.RETRY,
    "ResourceNotReady": Verdict.RETRY,
    "WorkspaceManagedNetworkNotReady": Verdict.RETRY,
    "TransientError": Verdict.RETRY,
    "BadGatewayConnection": Verdict.RETRY,
    "InternalServerError": Verdict.RETRY,
    "ServerTimeout": Verdict.RETRY,
    "GatewayTimeout": Verdict.RETRY,
    "OperationCanceled": Verdict.RETRY,
    # Somebody has to act.
    "AuthorizationFailed": Verdict.NEEDS_USER,
    "LinkedAuthorizationFailed": Verdict.NEEDS_USER,
    "InvalidAuthenticationToken": Verdict.NEEDS_USER,
    "ExpiredAuthenticationToken": Verdict.NEEDS_USER,
    "AuthenticationFailed": Verdict.NEEDS_USER,
    "ScopeLocked": Verdict.NEEDS_USER,
    "SubscriptionNotRegistered": Verdict.NEEDS_USER,
    "MissingSubscriptionRegistration": Verdict.NEEDS_USER,
    "SubscriptionNotFound": Verdict.NEEDS_USER,
    "ReadOnlyDisabledSubscription": Verdict.NEEDS_USER,
    "ResourceGroupNotFound": Verdict.NEEDS_USER,
    "MarketplaceSubscriptionPurchaseEligibilityCheckFailed": Verdict.NEEDS_USER,
    "MarketplacePurchaseEligibilityFailed": Verdict.NEEDS_USER,
    "MarketplacePlanNotRequiredForModel": Verdict.NEEDS_USER,
    "ServerlessOfferNotFound": Verdict.NEEDS_USER,
    "ServerlessModelNotAvailableInRegion": Verdict.NEEDS_USER,
    "AvailabilityNotInRegion": Verdict.NEEDS_USER,
    "InferencingClientCreateDeploymentFailed": Verdict.NEEDS_USER,
    "InferencingClientCallFailed": Verdict.NEEDS_USER,
    "OutOfQuota": Verdict.NEEDS_USER,
    "OutOfCapacity": Verdict.NEEDS_USER,
    "ImageBuildFailure": Verdict.NEEDS_USER,
    "DeploymentIdentityError": Verdict.NEEDS_USER,
    "SecretsInjectionError": Verdict.NEEDS_USER,
    "BadArgument": Verdict.NEEDS_USER,
    "NoRegisteredProviderFound": Verdict.NEEDS_USER,
    "CertificateNotTrusted": Verdict.NEEDS_USER,
}

_BY_STATUS: Mapping[int, Verdict] = {
    0: Verdict.RETRY,
    400: Verdict.NEEDS_USER,
    401: Verdict.NEEDS_USER,
    403: Verdict.NEEDS_USER,
    404: Verdict.NEEDS_USER,
    408: Verdict.RETRY,
    409: Verdict.RETRY,
    412: Verdict.RETRY,
    429: Verdict.RETRY,
}


def verdict(code: str, status: int) -> Verdict:
    """The verdict on an ARM `code`, falling back to the HTTP `status` (0: no answer)."""
    known = _BY_CODE.get(code)
    if known is not None:
        return known
    if status >= 500:
        return Verdict.RETRY
    return _BY_STATUS.get(status, Verdict.FATAL)
