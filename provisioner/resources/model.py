"""References to models of a registry."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MODEL = re.compile(
    r"""(?:azureml://registries/(?P<r1>[^/]+)/models/(?P<n1>[^/]+)
         (?:/versions/(?P<v1>[^/]+)|/labels/(?P<l1>[^/]+))?
        |(?P<r2>[^/:]+)/(?P<n2>[^/:]+)(?:/versions/(?P<v2>[^/]+)|/labels/(?P<l2>[^/]+))?)/?$""",
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model of a registry. `version` None means the latest (`labels/latest`).

    A model that is not in a registry (a workspace asset, a path) has an empty `registry` and its
    whole text as `name`: it is carried and compared, never interpreted.
    """

    registry: str
    name: str
    version: str | None = None

    @classmethod
    def parse(cls, text: str) -> ModelRef:
        """Read `registry/name`, `azureml://registries/…[/versions/N|/labels/latest]`, or opaque."""
        match = _MODEL.match(text)
        if match is None or text.startswith("/"):
            return cls("", text)
        group = match.groupdict()
        label = group["l1"] or group["l2"]
        if label is not None and label.lower() != "latest":
            return cls("", text)
        return cls(
            group["r1"] or group["r2"], group["n1"] or group["n2"], group["v1"] or group["v2"]
        )

    @property
    def id(self) -> str:
        """The registry id without a version: what serverless and subscriptions take."""
        if not self.registry:
            return self.name
        return f"azureml://registries/{self.registry}/models/{self.name}"

    @property
    def versioned_id(self) -> str:
        """The registry id with its version: what managed compute takes.

        Raises ValueError when the version is not known yet.
        """
        if not self.registry:
            return self.name
        if self.version is None:
            raise ValueError(f"the version of {self.id} is not resolved")
        return f"{self.id}/versions/{self.version}"

    @property
    def short(self) -> str:
        text = f"{self.registry}/{self.name}" if self.registry else self.name
        return f"{text}/versions/{self.version}" if self.version else text

    def same_model(self, other: ModelRef) -> bool:
        """Whether both name one model, whatever the version and the case of the id."""
        return (self.registry.lower(), self.name.lower()) == (
            other.registry.lower(),
            other.name.lower(),
        )

    def satisfied_by(self, live: ModelRef) -> bool:
        """Whether `live` is this model; an unpinned wish accepts any version."""
        if not self.same_model(live):
            return False
        return self.version is None or live.version is None or self.version == live.version
