"""People, organisations and places: mentions, resolved within the article."""

from workers.entities.stage import EntitiesStage, load

__all__ = ["EntitiesStage", "load"]
