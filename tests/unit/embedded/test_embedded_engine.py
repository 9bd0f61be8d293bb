"""What the engine hands on, counts, cuts and refuses."""

from __future__ import annotations

import io
import json
import queue
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from newsmill.engines.embedded import EmbeddedEngine, EngineError, ListSink, StreamSink, dead_letter_line, value_line
from newsmill.engines.embedded.batches import batches
from newsmill.engines.embedded.engine import TOO_LARGE
from newsmill.engines.result import Output
from newsmill.feed import Document, Position, Source, live
from schemas import headers as h
from schemas import topics
from tests.support.embedded import Run, documents
from tests.support.stages import CountingStage, EchoStage


def run(values: list[bytes], *, stages: list | None = None, **more) -> tuple[dict[str, list[Output]], EmbeddedEngine]:  # type: ignore[no-untyped-def,type-arg]
    sinks = {topic: ListSink() for topic in (topics.ARTICLES, topics.UNIQUE, topics.DEAD_LETTERS)}
    engine = EmbeddedEngine(
        stages or [EchoStage(), CountingStage()],
        documents(values),
        {topic: [sink] for topic, sink in sinks.items()},
        ingested_ms=77,
        **more,
    )
    engine.run()
    return {topic: sink.outputs for topic, sink in sinks.items()}, engine


def test_what_no_stage_reads_goes_to_the_sinks() -> None:
    outputs, _ = run([b"a", b"bad"])
    assert [o.value for o in outputs[topics.UNIQUE]] == [b'{"value": "A", "count": 0}']
    assert outputs[topics.ARTICLES] == []
    outputs, _ = run([b"a", b"bad"], stages=[EchoStage()])
    assert [o.value for o in outputs[topics.ARTICLES]] == [b"A"]


def test_headers_of_the_document_reach_the_end() -> None:
    outputs, _ = run([b"x", b"a"])
    headers = dict(outputs[topics.UNIQUE][1].headers)
    assert headers[h.ORIGIN] == b"test:2"
    assert headers[h.INGESTED_AT] == b"1000"


def test_a_document_without_headers_gets_its_origin_and_the_time_of_the_run() -> None:
    sink = ListSink()
    bare = [replace(d, headers=()) for d in documents([b"a"])]
    EmbeddedEngine([EchoStage()], bare, {topics.ARTICLES: [sink]}, ingested_ms=77).run()
    headers = dict(sink.outputs[0].headers)
    assert headers[h.ORIGIN] == b"test:1"
    assert headers[h.INGESTED_AT] == b"77"


def test_offsets_count_the_records_of_each_topic_by_itself() -> None:
    seen: list[tuple[str, int, int]] = []

    class Noting(CountingStage):
        def process(self, batch):  # type: ignore[no-untyped-def]
            seen.extend((r.topic, r.partition, r.offset) for r in batch)
            return super().process(batch)

    run([b"a", b"bad", b"b", b"bad", b"c"], stages=[EchoStage(), Noting()], batch_records=2)
    assert seen == [("news.articles", 0, 0), ("news.articles", 0, 1), ("news.articles", 0, 2)]


def test_every_input_is_counted_once_in_the_metrics() -> None:
    _, engine = run([b"a", b"bad", b"raise", b"b"], batch_records=3)
    value = engine.metrics.registry.get_sample_value
    assert value("newsmill_records_total", {"stage": "ingest", "outcome": "article"}) == 2
    assert value("newsmill_records_total", {"stage": "ingest", "outcome": "dead_letter"}) == 2
    assert value("newsmill_records_total", {"stage": "dedup", "outcome": "unique"}) == 2


def test_a_document_that_is_too_large_is_refused_without_being_shown_to_a_stage() -> None:
    sink = ListSink()
    first, second, third = documents([b"a", b"raise", b"b"])
    second = replace(second, size=10**9, too_large=True)
    EmbeddedEngine([EchoStage()], [first, second, third], {topics.DEAD_LETTERS: [sink]}).run()
    headers = dict(sink.outputs[0].headers)
    assert headers[h.DEAD_REASON] == TOO_LARGE.encode()
    assert headers[h.DEAD_DETAIL].startswith(b"1000000000 bytes")
    assert sink.outputs[0].value == b"raise"


def test_stages_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValueError, match="ingest writes what an earlier stage reads"):
        EmbeddedEngine([CountingStage(), EchoStage()], [], {})
    with pytest.raises(ValueError, match="no stages"):
        EmbeddedEngine([], [], {})


def test_a_dead_letter_keeps_its_bytes() -> None:
    outputs, _ = run([b"bad \xff\x00", b"bad text"])
    first, second = (json.loads(dead_letter_line(o)) for o in outputs[topics.DEAD_LETTERS])
    assert first["value_base64"] == "YmFkIP8A"
    assert "value" not in first
    assert second["value"] == "bad text"
    assert (second["reason"], second["stage"], second["origin"], second["key"]) == (
        "bad_value",
        "ingest",
        "test:2",
        "key",
    )
    assert second["headers"] == {"ingested-at": "1000", "run": "live"}


def test_without_a_state_directory_output_begins_anew(tmp_path: Path) -> None:
    run_ = Run(tmp_path)
    run_.out.write_bytes(b"old\n" * 100)
    run_([b"a"], state_dir=None)
    assert run_.out.read_bytes() == b'{"value": "A", "count": 0}\n'
    assert not run_.state.exists()


def test_a_stream_that_can_not_be_written_is_told() -> None:
    class Full(io.BytesIO):
        def write(self, data):  # type: ignore[no-untyped-def]
            raise OSError(28, "No space left on device")

    class Closed(io.BytesIO):
        def write(self, data):  # type: ignore[no-untyped-def]
            raise BrokenPipeError

    (output,) = run([b"a"])[0][topics.UNIQUE]
    with pytest.raises(EngineError, match="No space left"):
        StreamSink(Full(), value_line).write([output])
    with pytest.raises(BrokenPipeError):
        StreamSink(Closed(), value_line).write([output])


# -- batches


def sizes(docs: list[Document | None], most: int, most_bytes: int = 10**9) -> list[int]:
    return [len(batch) for batch in batches(docs, lambda: most, most_bytes)]


def test_batches_are_bounded_by_number_and_by_bytes() -> None:
    docs: list[Document | None] = [*documents([b"x" * 10] * 7)]
    assert sizes(docs, 3) == [3, 3, 1]
    assert sizes(docs, 100, most_bytes=25) == [2, 2, 2, 1]
    assert sizes(docs, 100, most_bytes=5) == [1] * 7
    assert sizes([], 3) == []


def test_a_document_that_is_too_large_is_a_batch_of_its_own() -> None:
    a, b, c = documents([b"a", b"b", b"c"])
    assert sizes([a, replace(b, too_large=True), c], 3) == [1, 1, 1]


def test_a_pause_ends_a_batch() -> None:
    a, b = documents([b"a", b"b"])
    assert sizes([a, None, None, b], 3) == [1, 0, 1]


def test_live_documents_do_not_wait_for_more() -> None:
    pipe: queue.Queue[Document | None] = queue.Queue()

    def arriving() -> Iterator[Document]:
        while (document := pipe.get()) is not None:
            yield document

    ticks = live(arriving(), 0.01)
    assert next(ticks) is None
    a, b = documents([b"a", b"b"])
    pipe.put(a)
    assert next(t for t in ticks if t is not None) == a
    pipe.put(b)
    pipe.put(None)
    assert [t for t in ticks if t is not None] == [b]


def test_an_error_in_the_reading_thread_reaches_the_engine() -> None:
    class Broken(Source):
        live = True

        def read(self, known: Mapping[str, Position]) -> Iterator[Document]:
            yield from documents([b"a"])
            raise EngineError("the pipe burst")

    sink = ListSink()
    with pytest.raises(EngineError, match="the pipe burst"):
        EmbeddedEngine([EchoStage()], Broken(), {topics.ARTICLES: [sink]}).run()
