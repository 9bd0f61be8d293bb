"""What a run was asked to do, and the stages that do it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from newsmill.engines.embedded import StagePool
from newsmill.replay.archive import Archive
from newsmill.replay.errors import ReplayError
from newsmill.replay.filters import Filters
from newsmill.replay.ranges import OPEN, Bound
from newsmill.worker import load_stage
from schemas import topics
from workers import pipeline
from workers.stage import Stage, StatefulStage

Base = Literal["log", "empty"]
OrderName = Literal["live", "time"]


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be replayed. `topic` is named without a namespace.

    `archive`: files that are read instead of the topic; they hold what it would hold.
    `base`: the state with which stages begin: that of the live run at the range's start, or none. `order`: that in
    which the live run met the records, or by append time. `most`: records to replay; None: all.
    """

    topic: str = topics.RAW
    since: Bound = OPEN
    until: Bound = OPEN
    filters: Filters = field(default_factory=Filters)
    base: Base = "log"
    order: OrderName = "live"
    most: int | None = None
    archive: Archive | None = None

    def options(self, stages: Sequence[Stage], chosen: pipeline.StageOptions) -> dict[str, str]:
        """Return all that the outcome depends on, as text: a run goes on with the same alone."""
        filters, archive = self.filters, self.archive
        named: dict[str, object] = {
            "archive": ", ".join(archive.names) if archive else "",
            "format": archive.format if archive else "",
            "ingested_at": archive.ingested_ms if archive else "",
            "from": self.since.text,
            "until": self.until.text,
            "source": ",".join(filters.sources),
            "url": ",".join(filters.urls),
            "language": ",".join(filters.languages),
            "key": ",".join(filters.keys),
            "header": ",".join("=".join(pair) for pair in filters.headers),
            "made_by": ",".join(f"{m.stage}{m.compare}{'.'.join(map(str, m.version))}" for m in filters.made_by),
            "base": self.base,
            "order": "" if archive else self.order,
            "max": self.most,
            "stages": ", ".join(f"{stage.name} {stage.version}" for stage in stages),
        }
        defaults = pipeline.StageOptions().plain()
        changed = {name: value for name, value in chosen.plain().items() if value != defaults[name]}
        return {name: str(value) for name, value in (named | changed).items() if value not in (None, "")}


def stages_behind(topic: str) -> tuple[str, ...]:
    """Return the names of the stages from the reader of `topic` on. Raises ReplayError where no stage reads it."""
    names = pipeline.STAGES
    for index, name in enumerate(names):
        if pipeline.SOURCES[name] == topic:
            return names[index:]
    readable = ", ".join(pipeline.SOURCES.values())
    raise ReplayError(f"no stage reads {topic!r}, so nothing can be replayed from it; --topic is one of {readable}")


def load_stages(topic: str, options: pipeline.StageOptions) -> list[Stage]:
    """Return the stages from the reader of `topic` on, loaded. Raises ReplayError, StageOptionError."""
    return [load_stage(name, options) for name in stages_behind(topic)]


def stage_pool(jobs: int, stages: Sequence[Stage], options: pipeline.StageOptions) -> StagePool | None:
    """Return processes for the stages without state, and for preparing where that is heavy; None for one job."""
    if jobs == 1:
        return None
    names = [stage.name for stage in stages if stage.heavy_prepare or not isinstance(stage, StatefulStage)]
    return StagePool(jobs, {name: partial(pipeline.load, name, options) for name in names})
