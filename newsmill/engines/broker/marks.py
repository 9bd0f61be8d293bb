"""What a worker leaves for the next one in the metadata of a committed offset: the marks of a partition."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import msgspec

DEADLY_STARTS: Final = 3
"""Starts on a partition that died without progress, after which its records are tried one at a time."""


@dataclass(frozen=True, slots=True)
class Marks:
    """Marks of a partition, committed with its offset.

    `failures` is a dumped FailureWindow. `starts` counts workers that began on a batch at this offset and have not
    finished one. `trying` is the offset of a record that is being tried alone: found at a start, that record has
    taken a worker down by itself.
    """

    failures: str = ""
    starts: int = 0
    trying: int = -1

    @property
    def careful(self) -> bool:
        """Whether the next records are to be tried one at a time."""
        return self.starts >= DEADLY_STARTS

    def started(self) -> Marks:
        """Return the marks of a worker that begins on the partition's next batch."""
        return replace(self, starts=self.starts + 1)

    def dump(self) -> str:
        """Return the marks as short JSON (the broker takes at most 4,096 bytes)."""
        return msgspec.json.encode({"f": self.failures, "s": self.starts, "t": self.trying}).decode()

    @classmethod
    def load(cls, text: str | None) -> Marks:
        """Return the marks that `dump` wrote; for any other text, none."""
        try:
            plain = msgspec.json.decode((text or "").encode(), type=dict[str, str | int])
            return cls(str(plain["f"]), int(plain["s"]), int(plain["t"]))
        except (msgspec.MsgspecError, KeyError, ValueError):
            return cls()
