"""From whatever a scraper sends to one clean article."""

from workers.ingest.memory import MOST_ENTRIES
from workers.ingest.stage import IngestStage

__all__ = ["IngestStage", "load"]


def load(*, keep_removed: bool = False, max_entries: int = MOST_ENTRIES, outlets: str = "") -> IngestStage:
    """Return the stage with the language model that its wheel carries, as `IngestStage.load` does."""
    return IngestStage.load(keep_removed=keep_removed, max_entries=max_entries, outlets=outlets)
