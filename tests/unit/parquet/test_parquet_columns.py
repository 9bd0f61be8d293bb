"""Records as rows and back: every message has columns, and what was written is read as it was."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from newsmill.engines.embedded import PackedSink, StateError
from newsmill.engines.result import Output
from newsmill.parquet import columns, rows, write_file, writing
from schemas import headers as h
from schemas import topics
from schemas.codec import encode
from tests.unit.parquet.messages import classified, duplicate

HEADERS = ((h.ORIGIN, b"news.raw/0/7"), (h.INGESTED_AT, b"1772431200000"), (h.RUN, b"r1"))


def packed(path: Path, *batches: list[Output]) -> Path:
    sink = PackedSink(path)
    sink.open(0)
    for batch in batches:
        sink.write(batch)
    sink.sync()
    sink.close()
    return path


def output(topic: str, value: bytes, key: bytes = b"k") -> Output:
    return Output(topic, key, value, HEADERS)


def test_each_topic_with_a_message_has_columns() -> None:
    for topic in topics.TOPICS:
        if topic.message is not None and topic.name != topics.RAW:
            names = columns.of(topic.name).schema.names
            assert names[:2] == ["key", "headers"]
            assert len(names) == len(set(names)) == len(topic.message.__struct_fields__) + 2
    with pytest.raises(ValueError, match="no columns"):
        columns.of("news.nothing")


def test_types() -> None:
    schema = columns.of(topics.CLASSIFIED).schema
    assert schema.field("ingested_at").type == pa.timestamp("us", tz="UTC")
    assert schema.field("word_count").type == pa.int64()
    assert schema.field("authors").type == pa.list_(pa.string())
    assert schema.field("processing").type == pa.map_(pa.string(), pa.string())
    assert schema.field("extra").type == pa.string()
    entity = schema.field("entities").type.field("items").type.value_type
    assert entity.field("mentions").type.value_type.field("start").type == pa.int64()
    assert schema.field("headline").metadata[b"description"] == b"headline, one line"
    assert schema.metadata[columns.TOPIC] == b"news.classified"


@pytest.mark.parametrize(
    ("topic", "messages"),
    [
        (topics.CLASSIFIED, [classified(), classified(plain=True), classified(headline="Zwei \u2028 Zeilen")]),
        (topics.DUPLICATES, [duplicate()]),
    ],
)
def test_what_is_written_is_read_as_it_was(tmp_path: Path, topic: str, messages: list[object]) -> None:
    values = [encode(message) for message in messages]  # type: ignore[arg-type]
    out = tmp_path / "out.parquet"
    write_file(packed(tmp_path / "part", [output(topic, value) for value in values]), out, topic)
    with out.open("rb") as file:
        pieces = list(rows(file, "out.parquet"))
    assert [piece.value for piece in pieces] == values
    assert [piece.number for piece in pieces] == list(range(1, len(values) + 1))
    assert {piece.headers for piece in pieces} == {HEADERS[:2]}
    with out.open("rb") as file:
        assert [piece.number for piece in rows(file, "out.parquet", after=1)] == list(range(2, len(values) + 1))
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".tmp")]


def test_the_bytes_do_not_depend_on_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "GROUP_ROWS", 3)
    outputs = [output(topics.CLASSIFIED, encode(classified(headline=f"Number {n}"))) for n in range(10)]
    cuts = {"one": [outputs], "many": [outputs[:1], [], outputs[1:6], outputs[6:]]}
    for name, batches in cuts.items():
        write_file(packed(tmp_path / f"{name}.part", *batches), tmp_path / f"{name}.parquet", topics.CLASSIFIED)
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "many.parquet").read_bytes()
    metadata = pq.ParquetFile(tmp_path / "one.parquet").metadata
    assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == [3, 3, 3, 1]


def test_nothing_is_a_file_without_rows(tmp_path: Path) -> None:
    write_file(packed(tmp_path / "part"), tmp_path / "out.parquet", topics.UNIQUE)
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 0


def test_dead_letters_keep_their_bytes(tmp_path: Path) -> None:
    dead = Output(topics.DEAD_LETTERS, b"\xff", b"\x80 no text", (*HEADERS, (h.DEAD_REASON, b"bad_json")))
    write_file(packed(tmp_path / "part", [dead]), tmp_path / "out.parquet", topics.DEAD_LETTERS)
    (row,) = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert (row["reason"], row["value"], row["origin"]) == ("bad_json", b"\x80 no text", "news.raw/0/7")
    assert h.RUN not in dict(row["headers"])


def test_a_damaged_part_is_no_file(tmp_path: Path) -> None:
    part = packed(tmp_path / "part", [output(topics.CLASSIFIED, encode(classified()))] * 20)
    part.write_bytes(part.read_bytes()[:-30])
    with pytest.raises(StateError, match="damaged"):
        write_file(part, tmp_path / "out.parquet", topics.CLASSIFIED)
    assert not (tmp_path / "out.parquet").exists()


def test_rows_of_others(tmp_path: Path) -> None:
    table = pa.table(
        {
            "url": ["https://a.example/1", None],
            "body": pa.array([b"plain", b"\xff\xfe"], pa.binary()),
            "fetched_at": pa.array([1_772_431_200_000_000_123, None], pa.timestamp("ns", "UTC")),
            "tags": pa.array([[("a", "b")], None], pa.map_(pa.string(), pa.string())),
            "score": [0.5, float("nan")],
        }
    )
    file = io.BytesIO()
    pq.write_table(table, file)
    first, second = rows(file, "x.parquet")
    assert first.value == (
        b'{"url":"https://a.example/1","body":"plain","fetched_at":"2026-03-02T06:00:00+00:00","tags":{"a":"b"},"score":0.5}'
    )
    assert "no document" in second.problem
