"""What comes of the same records when nothing disturbs the work, to compare with."""

from __future__ import annotations

from collections.abc import Sequence

from newsmill.engines.embedded import EmbeddedEngine, Sink
from newsmill.engines.result import Output
from newsmill.engines.runner import Runner
from newsmill.feed import Document, Position
from newsmill.metrics import Metrics
from schemas import headers as h
from schemas import topics
from tests.support.chaos.count import ENDS
from tests.support.chaos.feeder import INGESTED_AT, own_origin
from tests.support.chaos.news import Raw
from workers import pipeline
from workers.stage import Record

Pair = tuple[bytes | None, bytes | None]


class _Kept(Sink):
    def __init__(self) -> None:
        self.pairs: list[Pair] = []

    def write(self, outputs: Sequence[Output]) -> None:
        self.pairs += [(output.key, output.value) for output in outputs]


def embedded(documents: Sequence[Raw]) -> dict[str, list[Pair]]:
    """Return keys and values at each end of a run of the embedded engine over `documents`, in order."""
    sinks = {topic: _Kept() for topic in ENDS}
    inputs = []
    for number, raw in enumerate(documents):
        origin = own_origin(number)
        headers = ((h.ORIGIN, origin), (h.INGESTED_AT, INGESTED_AT))
        inputs.append(
            Document(raw.value, raw.key, headers, origin.decode(), Position(None, number + 1), len(raw.value))
        )
    stages = [pipeline.load(name) for name in pipeline.STAGES]
    EmbeddedEngine(stages, inputs, {topic: [sink] for topic, sink in sinks.items()}).run()
    return {topic: sink.pairs for topic, sink in sinks.items()}


def dedup(articles: Sequence[Record]) -> dict[str, list[Pair]]:
    """Return keys and values that dedup writes, by topic, when it reads `articles` (of one partition) in order."""
    runner = Runner(pipeline.load("dedup"), Metrics())
    pairs: dict[str, list[Pair]] = {topics.UNIQUE: [], topics.DUPLICATES: [], topics.DEDUP_LOG: []}
    for start in range(0, len(articles), 500):
        result = runner.run(articles[start : start + 500])
        runner.commit(result)
        for output in result.outputs:
            pairs[output.topic].append((output.key, output.value))
    return pairs
