"""What cannot be read hides only itself: `reap` still sees the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from provisioner.errors.cloud import CloudError, ServiceFault
from provisioner.observe import observe_everything, observe_tagged
from provisioner.resources import (
    TAG_STACK,
    Kind,
    Live,
    ModelRef,
    ResourceId,
    ServerlessEndpoint,
    WorkspaceId,
)
from tests.fake_clock import FakeClock
from tests.fakes import FakeCloud

OPEN = WorkspaceId("sub-a", "rg", "open")
CLOSED = WorkspaceId("sub-a", "rg", "closed")
NO = CloudError(ServiceFault(403, "AuthorizationFailed", "no"))


class Listless(FakeCloud):
    """Lists no serverless endpoints, with a 404 of this code."""

    code = "NotFound"

    async def serverless_endpoints(
        self, workspace: WorkspaceId
    ) -> Sequence[Live[ServerlessEndpoint]]:
        raise CloudError(ServiceFault(404, self.code, "no"))


class Guarded(FakeCloud):
    """Refuses to list what is in the workspaces, or in the subscriptions, that are `shut`."""

    shut: frozenset[str] = frozenset()

    async def tagged(self, subscription: str, tag: str) -> Sequence[str]:
        if subscription in self.shut:
            raise NO
        return await super().tagged(subscription, tag)

    async def serverless_endpoints(
        self, workspace: WorkspaceId
    ) -> Sequence[Live[ServerlessEndpoint]]:
        if workspace.name in self.shut:
            raise NO
        return await super().serverless_endpoints(workspace)


def guarded(*shut: str) -> Guarded:
    cloud = Guarded(FakeClock())
    cloud.shut = frozenset(shut)
    for home in (OPEN, CLOSED):
        id = ResourceId(home, Kind.SERVERLESS_ENDPOINT, f"in-{home.name}")
        cloud.seed(
            ServerlessEndpoint(id, "eastus2", ModelRef("azureml", "Phi-4"), tags={TAG_STACK: "s"})
        )
    return cloud


def test_a_workspace_that_cannot_be_read_hides_no_other() -> None:
    observed, failures = asyncio.run(observe_tagged(guarded("closed"), ["sub-a"]))
    assert list(observed) == [OPEN]
    assert failures == [NO]


def test_a_subscription_that_cannot_be_searched_hides_no_other() -> None:
    observed, failures = asyncio.run(observe_tagged(guarded("sub-b"), ["sub-b", "sub-a"]))
    assert set(observed) == {OPEN, CLOSED}
    assert failures == [NO]


def test_nothing_that_can_be_read_is_an_error() -> None:
    with pytest.raises(CloudError, match="AuthorizationFailed"):
        asyncio.run(observe_tagged(guarded("sub-a"), ["sub-a"]))


def test_a_list_that_is_not_found_in_a_workspace_that_is_there_is_not_empty() -> None:
    cloud = Listless(FakeClock())
    with pytest.raises(CloudError):
        asyncio.run(observe_everything(cloud, [OPEN]))
    cloud.code = "InvalidResourceType"
    seen = asyncio.run(observe_everything(cloud, [OPEN]))
    assert seen[OPEN].serverless == ()
