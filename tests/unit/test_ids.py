"""Ids compare as ARM compares them: by the whole id, whatever its case."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from provisioner.resources import Kind, ResourceId, WorkspaceId

# Few names, in several cases, so that equal ids and near misses both come up often.
NAMES = st.sampled_from(["a", "A", "b", "ab", "AB", "aB"])
WORKSPACES = st.builds(WorkspaceId, NAMES, NAMES, NAMES)
KINDS = st.sampled_from([Kind.SERVERLESS_ENDPOINT, Kind.ONLINE_ENDPOINT])
CHILDREN = st.builds(ResourceId, WORKSPACES, KINDS, NAMES)
DEPLOYMENTS = st.builds(
    lambda workspace, name, parent: ResourceId(workspace, Kind.ONLINE_DEPLOYMENT, name, parent),
    WORKSPACES,
    NAMES,
    NAMES,
)
IDS = st.one_of(WORKSPACES, CHILDREN, DEPLOYMENTS)


@given(IDS, IDS)
def test_ids_are_equal_exactly_when_their_arm_ids_are(
    one: WorkspaceId | ResourceId, other: WorkspaceId | ResourceId
) -> None:
    assert (one == other) == (one.arm_id.lower() == other.arm_id.lower())
    if one == other:
        assert hash(one) == hash(other)


def test_an_id_is_not_its_text() -> None:
    workspace = WorkspaceId("s", "g", "w")
    assert workspace != workspace.arm_id
