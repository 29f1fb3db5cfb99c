"""ARM's error envelopes.

Two shapes were recorded (AZURE.md §13, §17): ARM's own `{"error": {code, message}}`, and that of
the Machine Learning provider, whose top code is often a bare `UserError` with the real one inside
`additionalInfo`.
"""

from __future__ import annotations

from typing import Any

JsonObject = dict[str, Any]


class ArmError(Exception):
    """An answer that is not a success. Raised before anything was changed."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: list[JsonObject] | None = None,
        inner: tuple[str, ...] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.inner = inner
        self.headers = headers or {}

    def body(self, *, region: str = "", request_id: str = "", time: str = "") -> JsonObject:
        """The envelope; the provider's form when inner codes were given."""
        error: JsonObject = {"code": self.code, "message": self.message}
        if self.details is not None or self.inner:
            error["details"] = self.details or []
        if self.inner:
            compact = request_id.replace("-", "")
            error["additionalInfo"] = [
                _info("ComponentName", "managementfrontend"),
                _info("Correlation", {"operation": compact, "request": compact[:16]}),
                _info("Environment", region or "emulator"),
                _info("Location", region or "emulator"),
                _info("Time", time),
                _info("InnerError", _nested(self.inner)),
            ]
        return {"error": error}


def _info(kind: str, value: object) -> JsonObject:
    return {"type": kind, "info": {"value": value}}


def _nested(codes: tuple[str, ...]) -> JsonObject | None:
    if not codes:
        return None
    return {"code": codes[0], "innerError": _nested(codes[1:])}


def bad_argument(message: str, *inner: str, status: int = 400) -> ArmError:
    """What the Machine Learning provider says about a request that it cannot accept."""
    return ArmError(status, "UserError", message, inner=("BadArgument", *inner))


def not_found(resource_type: str, name: str, group: str) -> ArmError:
    """ARM's 404 for a tracked resource."""
    return ArmError(
        404,
        "ResourceNotFound",
        f"The Resource '{resource_type}/{name}' under resource group '{group}' was not found. "
        "For more details please go to https://aka.ms/ARMResourceNotFoundFix",
    )


def provider_not_found(what: str) -> ArmError:
    """The provider's own 404, for proxy resources."""
    return ArmError(404, "UserError", f"{what} not found.", inner=("NotFound",))
