"""The topics that a stage needs."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from newsmill import clients, routes
from newsmill.errors import NewsmillError
from newsmill.settings import Settings
from schemas import topics
from workers.stage import Stage, StatefulStage

log = logging.getLogger(__name__)


class MissingTopicsError(NewsmillError):
    """Topics that the stage needs are not there. The text names them."""

    def __init__(self, missing: Sequence[str]) -> None:
        super().__init__(f"these topics don't exist: {', '.join(missing)}. Run `newsmill topics create`")


def required_topics(settings: Settings, stage: Stage) -> list[str]:
    """Return the names, on the cluster, of every topic that `stage` reads or writes."""
    log_topics = [stage.log_topic] if isinstance(stage, StatefulStage) else []
    needed = (stage.source, *stage.sinks, topics.DEAD_LETTERS, *log_topics)
    return [clients.physical(settings, topic) for topic in needed]


def check_routes(settings: Settings, partitions: int) -> None:
    """Check what says where articles go against the number of partitions of news.articles.

    Raises newsmill.routes.RoutesError when the table names a partition that is not there.
    """
    table = routes.parse(settings.dedup_routes)
    if table is not None:
        table.check(partitions)
    elif partitions > 1:
        log.warning(
            "%s has %d partitions and NEWSMILL_DEDUP_ROUTES is not set: copies on different partitions are not found",
            topics.ARTICLES,
            partitions,
        )
