"""What a sender is told: of each document what became of it, and of the request what to do next."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

ACCEPTED: Final = "accepted"
REJECTED: Final = "rejected"
UNCONFIRMED: Final = "unconfirmed"


class Result(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What became of one document.

    `accepted`: Kafka has acknowledged it. `rejected`: it will never be taken as it is. `unconfirmed`: it is not known
    whether Kafka has it; send it again, unchanged.
    """

    number: Annotated[int, Meta(ge=1, description="its line (NDJSON) or its place (JSON), from 1")]
    status: Literal["accepted", "rejected", "unconfirmed"]
    id: Annotated[
        str | None,
        Meta(description="blake2b-128 of its bytes, 32 hex digits: the header `document-id` of its record"),
    ] = None
    reason: Annotated[str | None, Meta(description="why it was rejected, one of a fixed set of names")] = None
    detail: Annotated[str | None, Meta(description="more about it, for a person")] = None


class Receipt(Struct, kw_only=True, frozen=True):
    """What became of a request's documents, in the order in which they stood in it."""

    accepted: Annotated[int, Meta(ge=0)]
    rejected: Annotated[int, Meta(ge=0)]
    unconfirmed: Annotated[int, Meta(ge=0)]
    documents: tuple[Result, ...]

    @property
    def status(self) -> HTTPStatus:
        """202: all accepted. 503: some unconfirmed. 422: all rejected. 207: some accepted, the others rejected.

        A sender that looks at nothing but the status is safe: it sends again whenever a document may be lost.
        """
        if self.unconfirmed:
            return HTTPStatus.SERVICE_UNAVAILABLE
        if not self.rejected:
            return HTTPStatus.ACCEPTED
        return HTTPStatus.MULTI_STATUS if self.accepted else HTTPStatus.UNPROCESSABLE_ENTITY


def receipt(results: Iterable[Result]) -> Receipt:
    """Return the receipt of `results`."""
    documents = tuple(results)
    count = {status: sum(r.status == status for r in documents) for status in (ACCEPTED, REJECTED, UNCONFIRMED)}
    return Receipt(
        accepted=count[ACCEPTED], rejected=count[REJECTED], unconfirmed=count[UNCONFIRMED], documents=documents
    )
