"""Microsoft's management libraries, unmodified: agreements, resources, rights."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import pytest
from azure.core.credentials import TokenCredential
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.mgmt.authorization import AuthorizationManagementClient
from azure.mgmt.marketplaceordering import MarketplaceOrderingAgreements
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.resource.subscriptions import SubscriptionClient

from provisioner.emulator.control import Record

GROUP = "rg-ml-prod"
OFFER = ("metagenai", "meta-llama-3-3-70b-instruct-offer", "meta-llama-3-3-70b-instruct-plan")
CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"


@pytest.fixture(scope="module")
def resources(emulator: Record, credential: TokenCredential) -> Iterator[ResourceManagementClient]:
    scopes = [f"{emulator.url}/.default"]
    with ResourceManagementClient(
        credential, emulator.subscription_id, base_url=emulator.url, credential_scopes=scopes
    ) as client:
        yield client


@pytest.fixture(scope="module")
def agreements(
    emulator: Record, credential: TokenCredential
) -> Iterator[MarketplaceOrderingAgreements]:
    scopes = [f"{emulator.url}/.default"]
    with MarketplaceOrderingAgreements(
        credential, emulator.subscription_id, base_url=emulator.url, credential_scopes=scopes
    ) as client:
        yield client


@pytest.fixture(scope="module")
def rights(
    emulator: Record, credential: TokenCredential
) -> Iterator[AuthorizationManagementClient]:
    scopes = [f"{emulator.url}/.default"]
    with AuthorizationManagementClient(
        credential, emulator.subscription_id, base_url=emulator.url, credential_scopes=scopes
    ) as client:
        yield client


def test_terms_are_read_signed_and_cancelled(agreements: MarketplaceOrderingAgreements) -> None:
    operations = agreements.marketplace_agreements
    publisher, offer, plan = OFFER
    signed = operations.sign(publisher, offer, plan)
    assert signed.state == "Active"
    assert operations.get_agreement(publisher, offer, plan).state == "Active"
    assert plan in [each.name for each in operations.list().value or ()]
    assert operations.cancel(publisher, offer, plan).state == "Canceled"


def test_virtual_machine_terms_are_accepted_by_putting_them_back(
    agreements: MarketplaceOrderingAgreements,
) -> None:
    operations = agreements.marketplace_agreements
    terms = operations.get("virtualmachine", *OFFER)
    assert terms.signature
    terms.accepted = True
    accepted = operations.create("virtualmachine", *OFFER, parameters=terms)
    assert accepted.accepted
    assert operations.get("virtualmachine", *OFFER).accepted


def test_subscriptions_and_locations(emulator: Record, credential: TokenCredential) -> None:
    scopes = [f"{emulator.url}/.default"]
    with SubscriptionClient(credential, base_url=emulator.url, credential_scopes=scopes) as client:
        subscription = client.subscriptions.get(emulator.subscription_id)
        assert subscription.state == "Enabled"
        assert subscription.subscription_policies is not None
        assert subscription.subscription_policies.quota_id == "PayAsYouGo_2014-09-01"
        assert [each.subscription_id for each in client.subscriptions.list()] == [
            emulator.subscription_id
        ]
        names = [
            each.name for each in client.subscriptions.list_locations(emulator.subscription_id)
        ]
        assert "eastus2" in names
        assert [each.tenant_id for each in client.tenants.list()] == [emulator.tenant_id]


def test_resource_groups_providers_and_tags(
    emulator: Record, resources: ResourceManagementClient
) -> None:
    assert resources.resource_groups.check_existence(GROUP)
    assert not resources.resource_groups.check_existence("rg-nowhere")
    assert GROUP in [each.name for each in resources.resource_groups.list()]
    made = resources.resource_groups.create_or_update("rg-interop", {"location": "eastus2"})
    assert made.location == "eastus2"
    resources.resource_groups.begin_delete("rg-interop", polling_interval=1).result()
    with pytest.raises(ResourceNotFoundError):
        resources.resource_groups.get("rg-interop")

    provider = resources.providers.get("Microsoft.MachineLearningServices")
    assert provider.registration_state == "Registered"
    kinds = {kind.resource_type: kind for kind in provider.resource_types or ()}
    assert "East US 2" in (kinds["workspaces"].locations or ())
    assert "2024-10-01" in (kinds["workspaces/serverlessEndpoints"].api_versions or ())
    registered = resources.providers.register("Microsoft.SaaS")
    assert registered.registration_state in ("Registered", "Registering")

    workspace = (
        f"/subscriptions/{emulator.subscription_id}/resourceGroups/{GROUP}"
        "/providers/Microsoft.MachineLearningServices/workspaces/mlw-prod"
    )
    patch = {"operation": "Merge", "properties": {"tags": {"interop": "yes"}}}
    resources.tags.begin_update_at_scope(workspace, patch, polling_interval=1).result()
    tags = resources.tags.get_at_scope(workspace).properties.tags
    assert tags is not None
    assert tags["interop"] == "yes"
    found = resources.resources.list(filter="tagName eq 'interop' and tagValue eq 'yes'")
    assert [each.name for each in found] == ["mlw-prod"]
    drop = {"operation": "Delete", "properties": {"tags": {"interop": "yes"}}}
    resources.tags.begin_update_at_scope(workspace, drop, polling_interval=1).result()


def test_a_resource_that_is_generic(emulator: Record, resources: ResourceManagementClient) -> None:
    kind = "resourceType eq 'Microsoft.MachineLearningServices/workspaces'"
    listed = [str(each.name) for each in resources.resources.list(filter=kind)]
    assert sorted(listed) == ["mlw-dev", "mlw-eu", "mlw-prod"]
    in_group = [each.name for each in resources.resources.list_by_resource_group(GROUP)]
    assert "mlw-prod" in in_group
    identifier = (
        f"/subscriptions/{emulator.subscription_id}/resourceGroups/{GROUP}"
        "/providers/Microsoft.MachineLearningServices/workspaces/mlw-prod"
    )
    assert resources.resources.get_by_id(identifier, api_version="2024-10-01").location == "eastus2"


def test_permissions_roles_and_assignments(
    emulator: Record, rights: AuthorizationManagementClient
) -> None:
    held = list(rights.permissions.list_for_resource_group(GROUP))
    assert "*" in held[0].actions
    workspace = list(
        rights.permissions.list_for_resource(
            GROUP, "Microsoft.MachineLearningServices", "", "workspaces", "mlw-prod"
        )
    )
    assert workspace
    scope = f"/subscriptions/{emulator.subscription_id}"
    roles = {role.role_name: role for role in rights.role_definitions.list(scope)}
    assert roles["Contributor"].name == CONTRIBUTOR
    assert {"Owner", "Reader", "AzureML Data Scientist"} <= set(roles)
    name = str(uuid.uuid4())
    made = rights.role_assignments.create(
        f"{scope}/resourceGroups/{GROUP}",
        name,
        {
            "role_definition_id": roles["Reader"].id,
            "principal_id": "cccccccc-0000-4000-8000-000000000002",
            "principal_type": "ServicePrincipal",
        },
    )
    assert made.name == name
    listed = rights.role_assignments.list_for_scope(f"{scope}/resourceGroups/{GROUP}")
    assert name in [each.name for each in listed]
    rights.role_assignments.delete(f"{scope}/resourceGroups/{GROUP}", name)
    assert list(rights.deny_assignments.list()) == []


def test_a_reader_may_read_and_not_write(emulator: Record) -> None:
    reader = ClientSecretCredential(
        emulator.tenant_id,
        "bbbbbbbb-0000-4000-8000-000000000002",
        "emulator-reader-secret",
        authority=emulator.url,
        disable_instance_discovery=True,
    )
    with ResourceManagementClient(
        reader,
        emulator.subscription_id,
        base_url=emulator.url,
        credential_scopes=[f"{emulator.url}/.default"],
    ) as client:
        assert client.resource_groups.get(GROUP).name == GROUP
        with pytest.raises(HttpResponseError) as refused:
            client.resource_groups.create_or_update("rg-x", {"location": "eastus2"})
    assert refused.value.status_code == 403
    assert refused.value.error is not None
    assert refused.value.error.code == "AuthorizationFailed"
    assert "Microsoft.Resources/subscriptions/resourceGroups/write" in refused.value.message


def test_tokens_carry_their_expiry(credential: TokenCredential, emulator: Record) -> None:
    token = credential.get_token(f"{emulator.url}/.default")
    assert token.expires_on > time.time()
