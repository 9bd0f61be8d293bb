"""From whatever a scraper sends to one clean article."""

from workers.ingest.stage import IngestStage

__all__ = ["IngestStage", "load"]


def load() -> IngestStage:
    """Return the stage with the language model that its wheel carries, as `IngestStage.load` does."""
    return IngestStage.load()
