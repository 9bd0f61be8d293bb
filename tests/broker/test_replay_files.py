"""Replays into files and from archives, on the real Kafka."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from newsmill.local import LocalKafka
from newsmill.replay import diff, journal
from newsmill.replay.errors import ReplayError
from newsmill.replay.filters import Filters
from newsmill.replay.fused import RECORDS
from newsmill.replay.journal import JournalError
from newsmill.replay.request import Request
from schemas import headers as h
from schemas import topics
from tests.support.chaos.news import invented
from tests.support.driver import Killed
from tests.support.kafka import Place, Running, die_at
from tests.support.replay import feed, pipeline_of, replay, until_through

pytestmark = pytest.mark.broker

ARTICLES = 400
STEPS = ("written", "synced", "checkpointed", "ended", "named", "told")


@pytest.fixture(scope="module")
def lived(kafka: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A pipeline whose work is done."""
    where = Place(kafka.bootstrap, "files", tmp_path_factory.mktemp("lived"), raw=3, ingest_log=3, unique=2)
    feed(where, invented(ARTICLES, seed=3))
    with pipeline_of(where):
        until_through(where, ARTICLES)
    yield where
    Running.bury_all()


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


def test_a_file_holds_what_live_has(lived: Place, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out.ndjson"
    outcome = replay(lived, "one-file", into=str(out))
    assert outcome.finished
    assert outcome.counts[RECORDS] == ARTICLES
    assert sorted(lines(out)) == sorted(lived.values(topics.CLASSIFIED))
    assert [path.name for path in out.parent.iterdir()] == ["out.ndjson"]
    work = journal.read(lived.settings).runs["one-file"].works["run"]
    assert work.status == "finished"
    assert work.counts == dict(outcome.counts)
    with pytest.raises(JournalError, match="written files"):
        diff.report(lived.settings, "one-file")


def test_a_directory_has_a_file_for_each_topic(lived: Place, tmp_path: Path) -> None:
    replay(lived, "all-files", into=f"{tmp_path}/out/")
    made = {path.name: path for path in (tmp_path / "out").iterdir()}
    assert set(made) == {
        f"news.{name}.ndjson" for name in ("articles", "unique", "duplicates", "tagged", "classified", "dead-letters")
    }
    for topic in (topics.ARTICLES, topics.UNIQUE, topics.DUPLICATES, topics.TAGGED, topics.CLASSIFIED):
        assert sorted(lines(made[f"{topic}.ndjson"])) == sorted(lived.values(topic)), topic
    assert len(lines(made["news.dead-letters.ndjson"])) == len(lived.read(topics.DEAD_LETTERS)) > 0


def test_a_chosen_topic(lived: Place, tmp_path: Path) -> None:
    out = tmp_path / "copies.jsonl"
    replay(lived, "chosen", Request(filters=Filters(sources=("Birch Post",))), into=str(out), only=(topics.DUPLICATES,))
    origins = {
        h.get(record.headers, h.ORIGIN) or f"{record.topic}/{record.partition}/{record.offset}".encode()
        for record in lived.read(topics.RAW)
        if record.key == b"birch post"
    }
    live = [r.value for r in lived.read(topics.DUPLICATES) if h.get(r.headers, h.ORIGIN) in origins]
    assert live
    assert sorted(lines(out)) == sorted(live, key=bytes)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["ndjson", "parquet"])
def test_killed_and_continued(lived: Place, tmp_path: Path, form: str) -> None:
    small = {"batch_records": 40}
    assert replay(lived, f"{form}-not", settings=small, into=f"{tmp_path}/not/", form=form).finished  # type: ignore[arg-type]
    into = f"{tmp_path}/killed/"
    for step in STEPS:
        for nth in (1, 3):
            if nth == 3 and step in ("ended", "told"):
                continue  # there is one of each
            with pytest.raises(Killed):
                replay(lived, form, settings=small, on_step=die_at(step, nth), into=into, form=form)  # type: ignore[arg-type]
    assert replay(lived, form, settings=small, into=into, form=form).finished  # type: ignore[arg-type]
    undisturbed = sorted((tmp_path / "not").iterdir())
    assert [path.name for path in sorted((tmp_path / "killed").iterdir())] == [path.name for path in undisturbed]
    for path in undisturbed:
        assert (tmp_path / "killed" / path.name).read_bytes() == path.read_bytes(), path.name


def test_parquet_has_the_fields_as_columns(lived: Place, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    replay(lived, "parquet-file", into=str(out))
    table = pq.read_table(out)
    live = {record.key: record for record in lived.read(topics.CLASSIFIED)}
    assert table.num_rows == len(lived.read(topics.CLASSIFIED))
    for row in table.to_pylist():
        headers = dict(row["headers"])
        assert h.RUN not in headers
        assert headers[h.INGESTED_AT] == "1767225600000" or headers[h.INGESTED_AT].isdigit()
        assert row["key"].encode() in live
        assert row["id"] == row["key"]
        assert all({"name", "type", "mentions"} <= set(entity) for entity in row["entities"]["items"])


def test_what_is_in_the_way_is_not_overwritten(lived: Place, tmp_path: Path) -> None:
    out = tmp_path / "out.ndjson"
    out.write_text("mine\n")
    with pytest.raises(ReplayError, match="there already"):
        replay(lived, "in-the-way", into=str(out))
    assert out.read_text() == "mine\n"


def test_without_its_state_directory_a_run_does_not_go_on(lived: Place, tmp_path: Path) -> None:
    out, small = tmp_path / "out.ndjson", {"batch_records": 40}
    with pytest.raises(Killed):
        replay(lived, "elsewhere", settings=small, on_step=die_at("checkpointed", 3), into=str(out))
    shutil.rmtree(lived.settings.path("replay", "elsewhere"))
    with pytest.raises(ReplayError, match="does not hold what is known"):
        replay(lived, "elsewhere", settings=small, into=str(out))
    assert not out.exists()
