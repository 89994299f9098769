"""A request that is refused, and the answer to it: OpenAI's error object.

``{"error": {"message": …, "type": …, "param": …, "code": …}}`` (OpenAI, "API reference: errors").
OpenAI's clients turn the status and this object into their exceptions.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse


class Refusal(Exception):
    """Why a request is refused: the status and the parts of the error object."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.headers = dict(headers or {})

    @property
    def kind(self) -> str:
        """OpenAI's ``type``: whether the client or the server must change something."""
        if self.status == 401:
            return "authentication_error"
        if self.status in (429, 503):
            return "overloaded_error"
        return "invalid_request_error" if self.status < 500 else "server_error"

    def content(self) -> dict[str, object]:
        """Return the error object."""
        return {
            "error": {
                "message": self.message,
                "type": self.kind,
                "param": self.param,
                "code": self.code,
            }
        }

    def response(self) -> JSONResponse:
        """Return the answer."""
        return JSONResponse(self.content(), self.status, headers=self.headers)


def busy(retry_after_s: int, why: str) -> Refusal:
    """Return the refusal of a busy server."""
    return Refusal(503, why, code="overloaded", headers={"Retry-After": str(retry_after_s)})
