"""Signing in from a pipeline without a secret: the runner's own OIDC token for an Azure token.

GitHub Actions gives a job with `permissions: id-token: write` an address and a token to ask at it
(GitHub's documentation of OpenID Connect, 2026-11); Azure Pipelines gives SYSTEM_OIDCREQUESTURI to
every job and SYSTEM_ACCESSTOKEN to a step that maps it (the same protocol that azure-identity's
AzurePipelinesCredential follows). Such a token lives for minutes and a run may take hours, so
each request for an Azure token begins by asking for a new one. azure-identity's asynchronous
ClientAssertionCredential takes the assertion from a plain function, and its
AzurePipelinesCredential (1.27) asks the runner with a blocking pipeline that our transport cannot
serve; hence the two steps here: ask the runner, then let ClientAssertionCredential exchange what
it said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from azure.core import AsyncPipelineClient
from azure.core.credentials import AccessTokenInfo, TokenRequestOptions
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.core.pipeline.policies import AsyncRetryPolicy
from azure.core.pipeline.transport import AioHttpTransport
from azure.core.rest import AsyncHttpResponse, HttpRequest

AUDIENCE: Final = "api://AzureADTokenExchange"
_OIDC_VERSION: Final = "7.1"


@dataclass(frozen=True, slots=True)
class Runner:
    """Where a job asks for its OIDC token. `field` holds it in the JSON answer."""

    name: str
    tenant: str
    client: str
    method: str
    url: str
    bearer: str
    field: str

    def __repr__(self) -> str:
        return f"Runner({self.name})"


def find(environment: Mapping[str, str]) -> Runner | None:
    """The runner of this job, when it can sign in for us; a given secret or file goes first."""
    given = ("AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE")
    if any(environment.get(name) for name in given):
        return None
    return _github(environment) or _azure_pipelines(environment)


def _github(environment: Mapping[str, str]) -> Runner | None:
    tenant, client = environment.get("AZURE_TENANT_ID"), environment.get("AZURE_CLIENT_ID")
    url = environment.get("ACTIONS_ID_TOKEN_REQUEST_URL")
    bearer = environment.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
    if not (tenant and client and url and bearer):
        return None
    joint = "&" if urlsplit(url).query else "?"
    asked = f"{url}{joint}{urlencode({'audience': AUDIENCE})}"
    return Runner("GitHub Actions", tenant, client, "GET", asked, bearer, "value")


def _azure_pipelines(environment: Mapping[str, str]) -> Runner | None:
    def first(*names: str) -> str | None:
        return next((environment[name] for name in names if environment.get(name)), None)

    tenant = first("AZURESUBSCRIPTION_TENANT_ID", "AZURE_TENANT_ID")
    client = first("AZURESUBSCRIPTION_CLIENT_ID", "AZURE_CLIENT_ID")
    connection = first("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID")
    url, bearer = first("SYSTEM_OIDCREQUESTURI"), first("SYSTEM_ACCESSTOKEN")
    if not (tenant and client and connection and url and bearer):
        return None
    query = urlencode({"api-version": _OIDC_VERSION, "serviceConnectionId": connection})
    asked = f"{url.rstrip('/')}?{query}"
    return Runner("Azure Pipelines", tenant, client, "POST", asked, bearer, "oidcToken")


def advice(environment: Mapping[str, str]) -> str | None:
    """What a job that could sign in without a secret still lacks."""
    if environment.get("GITHUB_ACTIONS") and not environment.get("ACTIONS_ID_TOKEN_REQUEST_URL"):
        return "give the job `permissions: {id-token: write}`, AZURE_TENANT_ID and AZURE_CLIENT_ID"
    if environment.get("GITHUB_ACTIONS"):
        return "set AZURE_TENANT_ID and AZURE_CLIENT_ID in the job's environment"
    if environment.get("TF_BUILD"):
        return (
            "run the step in AzureCLI@2 with a service connection of workload identity "
            "federation, and map SYSTEM_ACCESSTOKEN: $(System.AccessToken)"
        )
    return None


class Federated:
    """A `Source`: every Azure token begins with a new OIDC token of the runner."""

    def __init__(
        self, runner: Runner, transport: AioHttpTransport, settings: Mapping[str, Any]
    ) -> None:
        from azure.identity import aio as identity  # noqa: PLC0415 - 0.2 s of import

        self._runner = runner
        self._assertion = ""
        self._exchange = identity.ClientAssertionCredential(
            runner.tenant, runner.client, func=lambda: self._assertion, **settings
        )
        retry = AsyncRetryPolicy(retry_total=4, retry_backoff_factor=0.3, retry_backoff_max=5)
        self._client: AsyncPipelineClient[HttpRequest, AsyncHttpResponse] = AsyncPipelineClient(
            runner.url, policies=[retry], transport=transport
        )

    async def get_token_info(
        self, *scopes: str, options: TokenRequestOptions | None = None
    ) -> AccessTokenInfo:
        """Raises AzureError when the runner or Entra refuses."""
        self._assertion = await self._ask()
        if options is None:
            return await self._exchange.get_token_info(*scopes)
        return await self._exchange.get_token_info(*scopes, options=options)

    async def close(self) -> None:
        await self._exchange.close()

    async def _ask(self) -> str:
        runner = self._runner
        if urlsplit(runner.url).scheme != "https":
            raise ClientAuthenticationError(f"{runner.name} names an address that is not https.")
        headers = {
            "Authorization": f"Bearer {runner.bearer}",
            "Accept": "application/json",
            "X-TFS-FedAuthRedirect": "Suppress",  # Azure Pipelines would redirect to a sign-in page
        }
        request = HttpRequest(runner.method, runner.url, headers=headers)
        answer = await self._client.send_request(request)
        if answer.status_code != 200:
            raise ClientAuthenticationError(
                f"{runner.name} gave no OIDC token: it answered {answer.status_code}."
            )
        try:
            token = answer.json()[runner.field]
        except (ValueError, KeyError, TypeError, AzureError) as error:
            raise ClientAuthenticationError(f"{runner.name} gave no OIDC token.") from error
        return str(token)
