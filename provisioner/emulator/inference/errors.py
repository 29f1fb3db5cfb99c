"""The errors of the inference API, in the shape that OpenAI's and Microsoft's clients both read.

`{"error": {"code", "message", "param", "type"}, "status", "code", "message"}`: OpenAI clients look
into `error`; the Azure AI Model Inference API documents the same words at the top, with `detail`
{loc, input} beside them for a 422.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ApiError(Exception):
    """An answer other than 200. Carries everything that the response needs."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """The JSON body."""
        error: dict[str, Any] = {
            "code": self.code,
            "message": self.message,
            "param": self.param,
            "type": _TYPES.get(self.status, "invalid_request_error"),
        }
        body: dict[str, Any] = {
            "error": error | self.extra,
            "status": self.status,
            "code": self.code,
            "message": self.message,
        }
        if self.status == 422:
            body["detail"] = [
                {"loc": ["body", *(self.param or "").split(".")], "msg": self.message}
            ]
        return body


_TYPES = {
    401: "authentication_error",
    404: "not_found_error",
    424: "failed_dependency",
    429: "rate_limit_error",
    503: "service_unavailable",
}


def invalid(param: str, message: str) -> ApiError:
    """422: a parameter of the wrong type or out of its range."""
    return ApiError(422, "invalid_parameter", f"{param}: {message}", param=param)


def unsupported(param: str, message: str) -> ApiError:
    """422: a parameter that is right in itself but not for this model."""
    return ApiError(422, "parameter_not_supported", f"{param}: {message}", param=param)
