"""The nouns: Azure's things as frozen values, in Azure's words.

A *resource* is what a person can wish for (its settable fields only); a `Live` is one that was
observed, with the service's own account of it. Ids compare without regard to case, as ARM does.
"""

from __future__ import annotations

from provisioner.resources.ids import (
    AgreementId,
    Kind,
    MarketplacePlan,
    ResourceId,
    WorkspaceId,
    describe,
    workspace_of,
)
from provisioner.resources.model import (
    ModelRef,
)
from provisioner.resources.nouns import (
    AnyLive,
    ContentSafety,
    DataCollection,
    Identity,
    Live,
    MarketplaceSubscription,
    OnlineDeployment,
    OnlineEndpoint,
    Probe,
    R,
    RequestSettings,
    Resource,
    ServerlessEndpoint,
    State,
    normal_region,
    tags_of,
)
from provisioner.resources.secrets import (
    KeyName,
    Keys,
    Secret,
)
from provisioner.resources.tags import (
    NOTHING,
    OWN_TAGS,
    SHARED_CAPACITY,
    TAG_EXPIRES,
    TAG_NAME,
    TAG_ON_EXPIRY,
    TAG_STACK,
    TAG_TERMS,
    TARGET_DELETION,
    instant_text,
    parse_instant,
    tag_of,
)

__all__ = [
    "NOTHING",
    "OWN_TAGS",
    "SHARED_CAPACITY",
    "TAG_EXPIRES",
    "TAG_NAME",
    "TAG_ON_EXPIRY",
    "TAG_STACK",
    "TAG_TERMS",
    "TARGET_DELETION",
    "AgreementId",
    "AnyLive",
    "ContentSafety",
    "DataCollection",
    "Identity",
    "KeyName",
    "Keys",
    "Kind",
    "Live",
    "MarketplacePlan",
    "MarketplaceSubscription",
    "ModelRef",
    "OnlineDeployment",
    "OnlineEndpoint",
    "Probe",
    "R",
    "RequestSettings",
    "Resource",
    "ResourceId",
    "Secret",
    "ServerlessEndpoint",
    "State",
    "WorkspaceId",
    "describe",
    "instant_text",
    "normal_region",
    "parse_instant",
    "tag_of",
    "tags_of",
    "workspace_of",
]
