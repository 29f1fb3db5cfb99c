"""What is live: the workspace and at most three lists per workspace, plus one list per managed
endpoint that matters."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from provisioner.cloud import CloudReader, Observed, WorkspaceSeen
from provisioner.desired import Desired
from provisioner.errors.cloud import CloudError
from provisioner.resources import (
    TAG_STACK,
    Live,
    OnlineEndpoint,
    ResourceId,
    WorkspaceId,
    tag_of,
    workspace_of,
)

V = TypeVar("V")
T = TypeVar("T")


async def observe(cloud: CloudReader, desired: Desired, *, whole: bool = False) -> Observed:
    """The live state of every workspace that `desired` names.

    Only the collections that the wishes need are listed; `whole` lists all of them and every
    deployment, in idle workspaces too, which pruning and reports need. Raises CloudError.
    """
    needs_serverless = {wish.resource.id.workspace for wish in desired.serverless}
    managed: dict[WorkspaceId, set[ResourceId]] = {}
    for wanted in desired.endpoints:
        managed.setdefault(wanted.resource.id.workspace, set()).add(wanted.resource.id)
    seen = await asyncio.gather(
        *(
            observe_workspace(
                cloud,
                id,
                serverless=whole or id in needs_serverless,
                managed=whole or id in managed,
                relevant=_relevant(desired.stack, managed.get(id, set()), whole=whole),
            )
            for id in (*desired.workspaces, *(desired.idle if whole else ()))
        )
    )
    return {view.id: view for view in seen}


async def observe_everything(cloud: CloudReader, workspaces: Iterable[WorkspaceId]) -> Observed:
    """All endpoints and deployments of the given workspaces. Raises CloudError."""
    seen = await asyncio.gather(
        *(
            observe_workspace(cloud, id, serverless=True, managed=True, relevant=lambda _: True)
            for id in workspaces
        )
    )
    return {view.id: view for view in seen}


async def observe_tagged(
    cloud: CloudReader, subscriptions: Sequence[str] = ()
) -> tuple[Observed, list[CloudError]]:
    """All that is in the workspaces in which something carries our tags, of all visible Azure
    subscriptions if none is named; and why the rest could not be read, which hides only itself.

    Raises CloudError where nothing could be read at all.
    """
    chosen = list(subscriptions)
    if not chosen:
        facts = await cloud.subscriptions()
        chosen = [fact.id for fact in facts if fact.state.lower() not in ("disabled", "deleted")]
    failures: list[CloudError] = []
    found = await _readable((cloud.tagged(id, TAG_STACK) for id in chosen), failures)
    ids = {workspace_of(arm_id) for arm_ids in found for arm_id in arm_ids}
    workspaces = sorted(id for id in ids if id is not None)
    seen = await _readable((observe_everything(cloud, [id]) for id in workspaces), failures)
    if failures and not seen:
        raise failures[0]
    return {id: view for observed in seen for id, view in observed.items()}, failures


async def _readable(readings: Iterable[Awaitable[T]], failures: list[CloudError]) -> list[T]:
    """The answers that came; why the others did not is added to `failures`."""

    async def one(reading: Awaitable[T]) -> tuple[T, ...]:
        try:
            return (await reading,)
        except CloudError as error:
            failures.append(error)
            return ()

    return [answer for found in await asyncio.gather(*map(one, readings)) for answer in found]


def _relevant(
    stack: str, wanted: set[ResourceId], *, whole: bool
) -> Callable[[Live[OnlineEndpoint]], bool]:
    def relevant(live: Live[OnlineEndpoint]) -> bool:
        return live.id in wanted or (whole and tag_of(live.resource.tags, TAG_STACK) == stack)

    return relevant


async def observe_workspace(
    cloud: CloudReader,
    id: WorkspaceId,
    *,
    serverless: bool,
    managed: bool,
    relevant: Callable[[Live[OnlineEndpoint]], bool],
) -> WorkspaceSeen:
    """One workspace; `relevant` picks the online endpoints whose deployments are listed."""
    workspace, subscriptions, endpoints, online = await asyncio.gather(
        cloud.workspace(id),
        _unless_gone(cloud.marketplace_subscriptions(id) if serverless else _nothing()),
        _unless_gone(cloud.serverless_endpoints(id) if serverless else _nothing()),
        _unless_gone(cloud.online_endpoints(id) if managed else _nothing()),
    )
    if workspace is None:
        return WorkspaceSeen(id, None)
    live_online = _listed(online)
    chosen = [live for live in live_online if relevant(live)]
    parts = await asyncio.gather(*(cloud.online_deployments(live.id) for live in chosen))
    deployments = {live.id: found for live, found in zip(chosen, parts, strict=True)}
    return WorkspaceSeen(
        id, workspace, _listed(subscriptions), _listed(endpoints), live_online, deployments
    )


async def _nothing() -> Sequence[V]:
    return ()


async def _unless_gone(listing: Awaitable[Sequence[V]]) -> Sequence[V] | CloudError:
    """A list, or its 404, which a workspace that does not exist explains; its own GET tells."""
    try:
        return await listing
    except CloudError as error:
        if error.fault.status == 404:
            return error
        raise


def _listed(found: Sequence[V] | CloudError) -> Sequence[V]:
    """What is in a workspace that is there. A 404 says that there is nothing only where this Azure
    has no such kind at all: otherwise what exists would be made again."""
    if not isinstance(found, CloudError):
        return found
    if found.fault.code in ("InvalidResourceType", "NoRegisteredProviderFound"):
        return ()
    raise found
