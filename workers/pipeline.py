"""The stages in order: the one place where they meet. A stage itself doesn't know its place in the pipeline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from schemas.topics import DEDUP_WINDOW
from workers.stage import Stage


@dataclass(frozen=True, slots=True)
class StageOptions:
    """What a user may choose about the stages' decisions. The same options give the same bytes."""

    dedup_window: timedelta = DEDUP_WINDOW
    dedup_forward_copies: bool = False
    dedup_max_entries: int = 2_000_000
    classify_rules: str = ""
    """Text of a team's rules for subjects of its own (workers/classify/rules.py)."""


# Imports are inside the functions: a worker loads the libraries and models of its own stage alone.


def _ingest(options: StageOptions) -> Stage:
    from workers import ingest

    return ingest.load()


def _dedup(options: StageOptions) -> Stage:
    from workers.dedup import DedupOptions, DedupStage

    return DedupStage(
        DedupOptions(
            window=options.dedup_window,
            forward_copies=options.dedup_forward_copies,
            max_entries=options.dedup_max_entries,
        )
    )


def _entities(options: StageOptions) -> Stage:
    from workers import entities

    return entities.load()


def _classify(options: StageOptions) -> Stage:
    from workers import classify

    return classify.load(options.classify_rules)


_LOADERS: Final[dict[str, Callable[[StageOptions], Stage]]] = {
    "ingest": _ingest,
    "dedup": _dedup,
    "entities": _entities,
    "classify": _classify,
}

STAGES: Final = tuple(_LOADERS)
"""Names of the stages, in the order in which an article passes them."""


def load(name: str, options: StageOptions | None = None) -> Stage:
    """Return the stage called `name` with its models loaded. Raises KeyError for an unknown name."""
    return _LOADERS[name](options or StageOptions())
