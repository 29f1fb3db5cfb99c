"""The pipeline's own policies: spend from the budget, and keep tokens at home."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import AsyncHTTPPolicy
from azure.core.rest import AsyncHttpResponse, HttpRequest
from azure.mgmt.core.policies import AsyncARMChallengeAuthenticationPolicy

from provisioner.azure.budget import Bucket, Budget, remaining_in
from provisioner.azure.credentials import Tokens
from provisioner.azure.faults import fault_of
from provisioner.azure.retry import body_of
from provisioner.clock import Clock
from provisioner.errors.cloud import CloudError, ServiceFault


class HomePolicy(AsyncHTTPPolicy[HttpRequest, AsyncHttpResponse]):
    """Refuses a request to any host but ARM's, before a token is put on it.

    A nextLink, Location or operation URL is the service's word; one that points elsewhere would
    carry our token there. Redirects are not followed at all: the pipeline has no redirect policy.
    """

    def __init__(self, base: str) -> None:
        super().__init__()
        self._home = origin(base)

    async def send(
        self, request: PipelineRequest[HttpRequest]
    ) -> PipelineResponse[HttpRequest, AsyncHttpResponse]:
        url = request.http_request.url
        if not url.startswith(self._home) and origin(url) != self._home:
            raise foreign(url, self._home)
        return await self.next.send(request)


class TokenPolicy(AsyncARMChallengeAuthenticationPolicy):
    """ARM's own policy, and one more try with a new token where the old one is refused without a
    challenge that says how to do better."""

    def __init__(self, tokens: Tokens, scope: str) -> None:
        super().__init__(tokens, scope, enable_cae=True)
        self._tokens = tokens

    async def on_challenge(self, request: Any, response: Any) -> bool:
        if await super().on_challenge(request, response):
            return True
        sent = request.http_request.headers["Authorization"].removeprefix("Bearer ")
        if not await self._tokens.replace(sent):
            return False
        await self.authorize_request(request, *self._scopes)
        return True


class BudgetPolicy(AsyncHTTPPolicy[HttpRequest, AsyncHttpResponse]):
    """Takes a token before each attempt, and corrects the budget by what the answer says."""

    def __init__(self, budget: Budget, clock: Clock, *, counted: bool = False) -> None:
        """`counted`: this ARM surely keeps buckets, even where an answer shows no count."""
        super().__init__()
        self._budget = budget
        self._clock = clock
        self._counted = counted

    async def send(
        self, request: PipelineRequest[HttpRequest]
    ) -> PipelineResponse[HttpRequest, AsyncHttpResponse]:
        sent = request.http_request
        bucket = self._budget.bucket(sent.method, sent.url)
        receipt = await bucket.take()
        try:
            response = await self.next.send(request)
        finally:
            bucket.heard()
        answer = response.http_response
        remaining = remaining_in(sent.method, answer.headers)
        if remaining is not None:
            bucket.correct(remaining, receipt)
        elif bucket.undecided and not self._counted and _is_uncounted(answer):
            bucket.uncounted()
        if answer.status_code == 429:
            fault = fault_of(status=429, headers=answer.headers, body=body_of(answer),
                             now=self._clock.now())  # fmt: skip
            if _is_arms_own(fault, remaining, bucket):
                bucket.close(fault.retry_after or 1.0)
        return response


def _is_uncounted(answer: AsyncHttpResponse) -> bool:
    """Whether a good answer shows none of ARM's counts; a deployment's PUT shows that of its
    provider in place of the subscription's (AZURE.md §17)."""
    return answer.status_code < 400 and not any(
        name.lower().startswith("x-ms-ratelimit-remaining-") for name in answer.headers
    )


def foreign(url: str, home: str) -> CloudError:
    """The error for an address that is not ARM's."""
    host = urlsplit(url).netloc
    return CloudError(
        ServiceFault(
            status=200,
            code="ForeignAddress",
            message=f"The service points to another host, {host}, which is not asked: only "
            f"{urlsplit(home).netloc} gets this tool's token.",
        )
    )


def _is_arms_own(fault: ServiceFault, remaining: float | None, bucket: Bucket) -> bool:
    """ARM's bucket ran dry, as against a provider's own limit, which binds that request only.

    A cloud that counts without saying so may say no more than TooManyRequests; the ML provider
    has that inside a UserError (AZURE.md §17).
    """
    if remaining is not None:
        return remaining <= 0 or fault.code == _THROTTLED
    plain = fault.code == "TooManyRequests" and fault.outer_code is None
    return fault.code == _THROTTLED or (plain and not bucket.counted)


_THROTTLED: Final = "SubscriptionRequestsThrottled"


MICROSOFT: Final = (
    *("management.azure.com", "management.usgovcloudapi.net"),
    *("management.chinacloudapi.cn", "management.microsoftazure.de"),
)
"""Microsoft's Azure Resource Managers in all its clouds, and what is below them. Not the domains
above: `cloudapp.azure.com` has hosts of everybody."""


def is_within(address: str, domains: tuple[str, ...]) -> bool:
    """Whether an address's host is one of the domains, or in one."""
    host = f".{(urlsplit(address).hostname or '').lower().rstrip('.')}"
    return any(host.endswith(f".{domain}") for domain in domains)


def origin(url: str) -> str:
    """`https://host[:port]/`, lower-cased, default port left out."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    port = "" if parts.port in (None, 443) else f":{parts.port}"
    if ":" in host:
        host = f"[{host}]"
    return f"{parts.scheme.lower()}://{host}{port}/"
