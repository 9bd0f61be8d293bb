"""What a request is refused with as a whole: a status, and problem details (RFC 9457)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import msgspec

CONTENT_TYPE: Final = "application/problem+json"


class ProblemDetails(msgspec.Struct, kw_only=True, frozen=True):
    """Why a request was refused as a whole (RFC 9457, with `type` left at its default)."""

    title: str
    status: int
    detail: str


class Problem(Exception):
    """A request that is refused as a whole.

    Args:
        status: of HTTP.
        detail: one sentence for whoever wrote the client.
        retry_after: when the same request may be sent again, seconds from now; rounded up. None: not unchanged.
        headers: others for the response.
    """

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(max(1, math.ceil(retry_after)))

    def body(self) -> bytes:
        """Return the JSON of the response."""
        return details(self.status, self.detail)


def details(status: HTTPStatus, detail: str) -> bytes:
    """Return problem details as JSON."""
    return msgspec.json.encode(ProblemDetails(title=status.phrase, status=status.value, detail=detail))
