"""What the article is about: IPTC Media Topics."""

from workers.classify.stage import ClassifyStage, load

__all__ = ["ClassifyStage", "load"]
