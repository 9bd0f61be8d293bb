"""The stages in order: the one place where they meet. A stage itself doesn't know its place in the pipeline."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from schemas import topics
from schemas.topics import DEDUP_WINDOW
from workers.stage import Stage


@dataclass(frozen=True, slots=True)
class StageOptions:
    """What a user may choose about the stages' decisions. The same options give the same bytes."""

    ingest_keep_removed: bool = False
    ingest_max_entries: int = 600_000
    ingest_outlets: str = ""
    """Text of a team's table of outlets (workers/ingest/outlets.py)."""
    dedup_window: timedelta = DEDUP_WINDOW
    dedup_forward_copies: bool = False
    dedup_max_entries: int = 2_000_000
    dedup_similarity: float = 0.05
    dedup_containment: float = 0.3
    dedup_evidence: float = 0.7
    entities_gazetteer: Path | None = None
    entities_spacy_model: str | None = None
    classify_rules: str = ""
    """Text of a team's rules for subjects of its own (workers/classify/rules.py)."""

    def plain(self) -> dict[str, str | int | float | bool | None]:
        """Return the options by name as plain JSON; the texts of files by their hashes, so that they can be told."""
        found: dict[str, str | int | float | bool | None] = {}
        for name, value in asdict(self).items():
            if name in ("ingest_outlets", "classify_rules") and value:
                found[name] = f"sha256 {hashlib.sha256(value.encode('utf-8', 'surrogatepass')).hexdigest()}"
            elif isinstance(value, timedelta):
                found[name] = value.total_seconds()
            else:
                found[name] = str(value) if isinstance(value, Path) else value
        return found


class OptionError(ValueError):
    """A stage can't be made with these options. The text names the option and what is wrong."""


# Imports are inside the functions: a worker loads the libraries and models of its own stage alone.


def _ingest(options: StageOptions) -> Stage:
    from workers import ingest

    return ingest.load(
        keep_removed=options.ingest_keep_removed,
        max_entries=options.ingest_max_entries,
        outlets=options.ingest_outlets,
    )


def _dedup(options: StageOptions) -> Stage:
    from workers.dedup import DedupOptions, DedupStage

    return DedupStage(
        DedupOptions(
            window=options.dedup_window,
            forward_copies=options.dedup_forward_copies,
            max_entries=options.dedup_max_entries,
            similarity=options.dedup_similarity,
            containment=options.dedup_containment,
            evidence=options.dedup_evidence,
        )
    )


def _entities(options: StageOptions) -> Stage:
    from workers import entities

    try:
        return entities.load(options.entities_gazetteer, options.entities_spacy_model)
    except entities.SpacyError as error:
        raise OptionError(f"entities_spacy_model: {error}") from error
    except (OSError, entities.GazetteerError) as error:
        raise OptionError(f"entities_gazetteer: {error}") from error


def _classify(options: StageOptions) -> Stage:
    from workers import classify

    return classify.load(options.classify_rules)


_STAGES: Final[dict[str, tuple[str, Callable[[StageOptions], Stage]]]] = {
    "ingest": (topics.RAW, _ingest),
    "dedup": (topics.ARTICLES, _dedup),
    "entities": (topics.UNIQUE, _entities),
    "classify": (topics.TAGGED, _classify),
}

STAGES: Final = tuple(_STAGES)
"""Names of the stages, in the order in which an article passes them."""

SOURCES: Final = {name: source for name, (source, _) in _STAGES.items()}
"""The topic that each stage reads, told without loading any model."""


def load(name: str, options: StageOptions | None = None) -> Stage:
    """Return the stage called `name` with its models loaded. Raises KeyError for an unknown name, OptionError."""
    _, loader = _STAGES[name]
    return loader(options or StageOptions())
