"""From whatever a scraper sends to one clean article."""

from workers.ingest.stage import IngestStage

__all__ = ["IngestStage"]
