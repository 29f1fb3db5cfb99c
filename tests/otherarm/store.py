"""What exists, as a history: of each resource, which document holds from when on.

A write appends what will be seen later, too: `Creating` now, `Succeeded` in a while. A list that
lags is then nothing but a look at an earlier moment, and no task has to run in the background.
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, field
from typing import Any

Doc = dict[str, Any]


@dataclass(slots=True)
class History:
    """One resource. `path` is as it was first written; None in `moments` means: absent."""

    path: str
    moments: list[tuple[float, Doc | None]] = field(default_factory=list)
    creates: int = 0

    def at(self, moment: float) -> Doc | None:
        found = None
        for since, doc in self.moments:
            if since <= moment:
                found = doc
        return copy.deepcopy(found)

    def then(self, moment: float, doc: Doc | None) -> None:
        """From `moment` on it is `doc`, whatever was foreseen for later."""
        self.moments = [one for one in self.moments if one[0] < moment]
        self.moments.append((moment, copy.deepcopy(doc)))

    def soon(self, moment: float, doc: Doc | None) -> None:
        self.moments.append((moment, copy.deepcopy(doc)))


@dataclass(slots=True)
class Store:
    """All resources by lower-cased path."""

    histories: dict[str, History] = field(default_factory=dict)

    def history(self, path: str) -> History:
        return self.histories.setdefault(path.lower(), History(path))

    def get(self, path: str, lag: float = 0.0) -> Doc | None:
        found = self.histories.get(path.lower())
        return None if found is None else found.at(time.monotonic() - lag)

    def children(self, collection: str, lag: float = 0.0) -> list[tuple[str, Doc]]:
        """Of a collection, direct members only."""
        prefix = f"{collection.lower()}/"
        found = []
        for key, history in sorted(self.histories.items()):
            doc = history.at(time.monotonic() - lag)
            if doc is not None and key.startswith(prefix) and "/" not in key[len(prefix) :]:
                found.append((history.path, doc))
        return found

    def live(self) -> list[str]:
        """Paths of all that exists now."""
        return [one.path for one in self.histories.values() if one.at(time.monotonic())]
