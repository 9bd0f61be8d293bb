"""What readers cut off their input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from schemas.headers import Headers

KEPT_BYTES: Final = 64 * 1024
"""How much of a document that is too large goes into its dead letter."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What a reader has cut off: the value, its true size in bytes, its line or item, and the offset behind it.

    `problem` says why it is no document: the place where it stood in an archive is damaged, say. `value` is then what
    could be read of it. `headers` are those of the record, where the file holds records with their headers. `read`:
    bytes of the file that were read for this and what is before, where a reader can tell them by estimate alone.
    """

    value: bytes
    size: int
    number: int
    offset: int = -1
    problem: str = ""
    headers: Headers = ()
    read: int = 0

    @property
    def too_large(self) -> bool:
        """Whether the value is only the beginning."""
        return self.size > len(self.value)
