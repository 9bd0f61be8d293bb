"""People, organisations and places: mentions, resolved within the article."""

from workers.entities.spacy_tagger import SpacyError
from workers.entities.stage import EntitiesStage, load
from workers.entities.team import GazetteerError

__all__ = ["EntitiesStage", "GazetteerError", "SpacyError", "load"]
