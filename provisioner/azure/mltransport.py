"""azure-ai-ml's way out, which leads to a registry's own hosts and to no other.

azure-core follows a nextLink wherever it points and puts a token on the request. A module of its
own, because it imports requests: only what lists a registry pays for that.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from azure.core.pipeline.transport import RequestsTransport

from provisioner.azure.policies import foreign, origin


class HomeTransport(RequestsTransport):  # type: ignore[misc]  # untyped in azure-core
    """Refuses, with CloudError, a request to a host that is not one of `homes`, before it is sent.

    One for all pipelines of an MLClient, whose options for connections it takes over.
    """

    def __init__(self, homes: Iterable[str], **options: Any) -> None:
        super().__init__(**options)
        self._homes = dict.fromkeys(map(origin, homes))

    def send(self, request: Any, **options: Any) -> Any:
        if origin(request.url) not in self._homes:
            raise foreign(request.url, next(reversed(self._homes)))
        return super().send(request, **options)
