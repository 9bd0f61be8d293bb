"""What a team may set."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from schemas.topics import DEDUP_WINDOW

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class DedupOptions:
    """Settings of dedup. With another window or bound, a snapshot is refused and the log is folded anew.

    `window`: how far back, in event time, copies are looked for. `forward_copies`: near copies also go to news.unique,
    tagged with their cluster. `similarity`, `containment`: the least that makes a near copy, each between 0 and 1:
    share of word pairs in common, of all pairs; of the pairs of the text that is contained more. `evidence`: the least
    that must speak for one story, between -1 and 2.5: common openings and names, less the longest stretch that is not
    common (see `workers.dedup.verify`); higher means fewer false copies and more missed ones. `max_entries`: most
    articles (and most decisions) held for a partition; the longest unseen go first.
    """

    window: timedelta = DEDUP_WINDOW
    forward_copies: bool = False
    similarity: float = 0.05
    containment: float = 0.3
    evidence: float = 0.7
    max_entries: int = 1_000_000

    def __post_init__(self) -> None:
        if self.window <= timedelta(0):
            raise ValueError(f"the window must be positive, not {self.window}")
        if self.max_entries < 1:
            raise ValueError(f"max_entries must be at least 1, not {self.max_entries}")
        if not -1.0 <= self.evidence <= 2.5:
            raise ValueError(f"evidence must be between -1 and 2.5, not {self.evidence}")
        for name in ("similarity", "containment"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must be between 0 and 1, not {getattr(self, name)}")

    @property
    def window_us(self) -> int:
        """The window in microseconds."""
        return self.window // _MICROSECOND
