"""Which article is new, which a copy, a revision or a recrawl."""

from workers.dedup.options import DedupOptions
from workers.dedup.stage import DedupStage

__all__ = ["DedupOptions", "DedupStage"]
