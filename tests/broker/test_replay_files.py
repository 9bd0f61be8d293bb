"""Replays into files and from archives, on the real Kafka."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from newsmill.engines.embedded import EmbeddedEngine, FileSink, value_line
from newsmill.feed import FileSource, expand
from newsmill.local import LocalKafka
from newsmill.replay import diff, files, isolated, journal
from newsmill.replay.archive import open_archive
from newsmill.replay.errors import ReplayError
from newsmill.replay.filters import Filters
from newsmill.replay.fused import RECORDS
from newsmill.replay.journal import JournalError
from newsmill.replay.request import Request
from newsmill.replay.run import Outcome
from newsmill.worker import load_stage, stage_options
from schemas import headers as h
from schemas import topics
from tests.support.chaos.news import invented
from tests.support.driver import Killed
from tests.support.kafka import Place, Running, die_at
from tests.support.replay import LIVE, feed, pipeline_of, replay, until_through
from tests.support.replays import REPOSITORY
from workers.pipeline import STAGES

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
        f"news.{name}.ndjson"
        for name in ("articles", "source-health", "unique", "duplicates", "tagged", "classified", "dead-letters")
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
        assert headers[h.INGESTED_AT].isdigit()
        assert row["key"].encode() in live
        assert row["id"] == row["key"]
        assert all({"name", "type", "mentions"} <= set(entity) for entity in row["entities"]["items"])


def test_what_is_in_the_way_is_not_overwritten(lived: Place, tmp_path: Path) -> None:
    out = tmp_path / "out.ndjson"
    out.write_text("mine\n")
    with pytest.raises(ReplayError, match="there already"):
        replay(lived, "in-the-way", into=str(out))
    assert out.read_text() == "mine\n"
    assert "in-the-way" not in journal.read(lived.settings).runs


def test_without_its_state_directory_a_run_does_not_go_on(
    lived: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "NOTE_SECONDS", 0.0)
    out, small = tmp_path / "out.ndjson", {"batch_records": 40}
    with pytest.raises(Killed):
        replay(lived, "elsewhere", settings=small, on_step=die_at("checkpointed", 3), into=str(out))
    with pytest.raises(Killed):
        replay(lived, "elsewhere", settings=small, on_step=die_at("checkpointed", 1), into=str(out))
    told = [one for one in journal.history(lived.settings, "elsewhere") if one.event == "checkpoint"]
    worked = [bool(one.counts) for one in told]
    assert worked == sorted(worked), "it begins once"
    assert worked[-1]
    assert all(one.state for one in told)
    shutil.rmtree(lived.settings.path("replay", "elsewhere"))
    with pytest.raises(ReplayError, match="does not hold what is known"):
        replay(lived, "elsewhere", settings=small, into=str(out))
    assert not out.exists()


def archive_of(lived: Place, folder: Path) -> Path:
    """Write what is on news.raw as files: plain, compressed, and Parquet of those documents that are objects."""
    folder.mkdir()
    values = [(record.value or b"").replace(b"\n", b" ") for record in lived.read(topics.RAW)]
    (folder / "a.ndjson").write_bytes(b"".join(value + b"\n" for value in values[:150]))
    (folder / "b.ndjson.gz").write_bytes(gzip.compress(b"".join(value + b"\n" for value in values[150:280])))
    whole = []
    for value in values[280:]:
        with contextlib.suppress(orjson.JSONDecodeError):
            if isinstance(plain := orjson.loads(value), dict) and isinstance(plain.get("text"), str):
                whole.append(plain)
    pq.write_table(pa.Table.from_pylist(whole), folder / "c.parquet", row_group_size=30)
    return folder


def of_archive(folder: Path, **more: Any) -> Request:
    return Request(archive=open_archive([str(folder)], None, 1_772_431_200_000), base="empty", **more)


def test_an_archive_comes_to_what_the_embedded_engine_makes_of_it(lived: Place, tmp_path: Path) -> None:
    folder = archive_of(lived, tmp_path / "archive")
    outcome = replay(lived, "archived", of_archive(folder), into=f"{tmp_path}/out/")
    assert outcome.finished
    made = tmp_path / "embedded"
    sinks = {topic: [FileSink(made / topic, value_line)] for topic in (topics.CLASSIFIED, topics.DUPLICATES)}
    stages = [load_stage(name, stage_options(lived.settings)) for name in STAGES]
    source = FileSource(expand([str(folder)]), ingested_ms=1_772_431_200_000)
    EmbeddedEngine(stages, source, sinks, ingested_ms=1_772_431_200_000).run()
    for topic in sinks:
        assert (tmp_path / "out" / f"{topic}.ndjson").read_bytes() == (made / topic).read_bytes(), topic
    assert journal.read(lived.settings).runs["archived"].works["run"].plan.options["archive"] == str(folder)


@pytest.mark.parametrize("into", ["topics", "files"])
def test_an_archive_is_gone_on_with(lived: Place, tmp_path: Path, into: str) -> None:
    folder = archive_of(lived, tmp_path / "archive")
    small = {"batch_records": 25}

    def run(name: str, **more: Any) -> Outcome:
        where = f"{tmp_path}/{name}/" if into == "files" else None
        return replay(lived, f"{name}-{into}", of_archive(folder), settings=small, into=where, **more)

    assert run("undisturbed").finished
    steps = STEPS if into == "files" else ("begun", "sent", "flushed", "committed", "confirmed")
    for step in steps:
        with pytest.raises(Killed):
            run("killed", on_step=die_at(step, 1 if step in ("ended", "told") else 3))
    assert run("killed").finished
    if into == "files":
        for path in (tmp_path / "undisturbed").iterdir():
            assert (tmp_path / "killed" / path.name).read_bytes() == path.read_bytes(), path.name
        return
    for topic in (*LIVE, topics.DEAD_LETTERS):
        killed, whole = (lived.read(isolated.own_topic(f"{name}-topics", topic)) for name in ("killed", "undisturbed"))
        assert [(r.partition, r.key, r.value) for r in killed] == [(r.partition, r.key, r.value) for r in whole], topic
        assert topic in (topics.INGEST_LOG, topics.DEAD_LETTERS) or whole


def test_a_changed_archive_is_not_gone_on_with(lived: Place, tmp_path: Path) -> None:
    folder = archive_of(lived, tmp_path / "archive")
    small, out = {"batch_records": 25}, str(tmp_path / "out.ndjson")
    with pytest.raises(Killed):
        replay(lived, "changed", of_archive(folder), settings=small, into=out, on_step=die_at("checkpointed", 3))
    with (folder / "a.ndjson").open("ab") as file:
        file.write(b"{}\n")
    with pytest.raises(ReplayError, match="not what it was when the run began"):
        replay(lived, "changed", of_archive(folder), settings=small, into=out)


def test_an_archive_may_know_what_live_knows(lived: Place, tmp_path: Path) -> None:
    folder = archive_of(lived, tmp_path / "archive")
    request = replace(of_archive(folder), base="log", most=40)
    replay(lived, "known", request, into=f"{tmp_path}/out/")
    assert not lines(tmp_path / "out" / "news.unique.ndjson")
    assert len(lines(tmp_path / "out" / "news.duplicates.ndjson")) > 30


def test_records_in_parquet_are_replayed_from_the_middle(lived: Place, tmp_path: Path) -> None:
    out = tmp_path / "tagged.parquet"
    replay(lived, "to-parquet", into=str(out), only=(topics.TAGGED,))
    request = Request(topic=topics.TAGGED, archive=open_archive([str(out)]), base="empty")
    assert replay(lived, "from-parquet", request).finished
    found = diff.report(lived.settings, "from-parquet")
    assert not found.kinds
    assert found.same[topics.CLASSIFIED] == len(lived.read(topics.CLASSIFIED))


def test_drop_leaves_complete_files_and_removes_parts(lived: Place, tmp_path: Path) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("NEWSMILL_")},
        "NEWSMILL_BOOTSTRAP": lived.settings.bootstrap,
        "NEWSMILL_NAMESPACE": lived.settings.namespace,
        "NEWSMILL_STATE_DIR": lived.settings.state_dir,
    }

    def newsmill(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "newsmill", "replay", *arguments]
        return subprocess.run(
            command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    folder = archive_of(lived, tmp_path / "archive")
    (folder / "d.parquet").write_bytes(b"PAR1 no Parquet at all")
    out = tmp_path / "out.parquet"
    done = newsmill("--archive", str(folder), "--max", "300", "--into", str(out), "--run", "by-command")
    assert done.returncode == 0, done.stderr
    assert f"written: {out}" in done.stderr
    assert pq.read_table(out).num_rows > 100
    broken = newsmill("--archive", str(folder / "d.parquet"), "--into", f"{tmp_path}/none.ndjson", "--run", "broken")
    assert broken.returncode == 1
    assert "d.parquet: cannot be read as Parquet" in broken.stderr
    shown = newsmill("show", "by-command").stdout
    assert f"archive {folder}" in shown
    assert f"into {out}" in shown

    with pytest.raises(Killed):
        replay(lived, "parts", settings={"batch_records": 40}, on_step=die_at("synced", 3), into=f"{tmp_path}/parts/")
    assert all(path.name.endswith(".part") for path in (tmp_path / "parts").iterdir())
    assert "files that stay" not in newsmill("drop", "parts", "--yes").stdout
    assert not list((tmp_path / "parts").iterdir())
    kept = newsmill("drop", "by-command", "--yes")
    assert f"files that stay: {out}" in kept.stdout
    assert out.exists()
    assert not lived.settings.path("replay", "by-command").exists()
    assert newsmill("drop", "broken", "--files", "--yes").returncode == 0
    assert not (tmp_path / "none.ndjson").exists()
