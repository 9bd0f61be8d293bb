"""The topics that a stage needs."""

from __future__ import annotations

from collections.abc import Sequence

from newsmill import clients
from newsmill.errors import NewsmillError
from newsmill.settings import Settings
from schemas import topics
from workers.stage import Stage, StatefulStage


class MissingTopicsError(NewsmillError):
    """Topics that the stage needs are not there. The text names them."""

    def __init__(self, missing: Sequence[str]) -> None:
        super().__init__(f"these topics don't exist: {', '.join(missing)}. Run `newsmill topics create`")


def required_topics(settings: Settings, stage: Stage) -> list[str]:
    """Return the names, on the cluster, of every topic that `stage` reads or writes."""
    log_topics = [stage.log_topic] if isinstance(stage, StatefulStage) else []
    needed = (stage.source, *stage.sinks, topics.DEAD_LETTERS, *log_topics)
    return [clients.physical(settings, topic) for topic in needed]
