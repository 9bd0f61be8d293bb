"""Which files a run writes, and what is known of them afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from newsmill.engines.embedded import Checkpoint
from newsmill.replay.errors import ReplayError
from newsmill.replay.files import FileTarget, choose, directory_of, written_by
from newsmill.replay.fused import State
from newsmill.settings import Settings
from schemas import topics
from tests.support.stages import CountingStage, EchoStage

STAGES = (EchoStage(), CountingStage())


def test_a_known_suffix_is_a_file_for_the_last_topic(tmp_path: Path) -> None:
    for name, form in (("a.ndjson", "ndjson"), ("a.JSONL", "ndjson"), ("a.parquet", "parquet"), ("a.pq", "parquet")):
        files = choose(str(tmp_path / name), None, (), STAGES)
        assert (files.form, dict(files.paths)) == (form, {topics.UNIQUE: tmp_path / name})
    chosen = choose(str(tmp_path / "a.ndjson"), "ndjson", (topics.DEAD_LETTERS,), STAGES)
    assert list(chosen.paths) == [topics.DEAD_LETTERS]
    assert chosen.part(topics.DEAD_LETTERS, "r1") == tmp_path / ".a.ndjson.r1.part"


@pytest.mark.parametrize("name", ["out", "out.d/", "there.parquet"])
def test_anything_else_is_a_directory(tmp_path: Path, name: str) -> None:
    (tmp_path / "there.parquet").mkdir()
    files = choose(f"{tmp_path}/{name}", "parquet", (), STAGES)
    assert set(files.paths) >= {topics.ARTICLES, topics.UNIQUE, topics.DEAD_LETTERS}
    assert files.paths[topics.UNIQUE] == tmp_path / name / "news.unique.parquet"
    some = choose(f"{tmp_path}/{name}", None, (topics.UNIQUE, topics.ARTICLES), STAGES)
    assert list(some.paths) == [topics.ARTICLES, topics.UNIQUE]


def test_one_file_takes_one_topic(tmp_path: Path) -> None:
    with pytest.raises(ReplayError, match="one topic"):
        choose(str(tmp_path / "a.ndjson"), None, (topics.UNIQUE, topics.ARTICLES), STAGES)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    settings = Settings(state_dir=str(tmp_path))
    files = choose(f"{tmp_path}/out/", None, (), STAGES)
    first = FileTarget(settings, "r1", files, STAGES)
    with pytest.raises(ReplayError, match="another process works on r1"):
        FileTarget(settings, "r1", files, STAGES)
    first.close()
    FileTarget(settings, "r1", files, STAGES).close()


def test_what_was_written_is_known_as_complete_or_not(tmp_path: Path) -> None:
    settings = Settings(state_dir=str(tmp_path))
    assert written_by(settings, "r1") == ([], False)
    directory = directory_of(settings, "r1")
    directory.mkdir(parents=True)
    part, begun, whole = tmp_path / ".a.parquet.r1.part", tmp_path / ".a.parquet.r1.part.tmp", tmp_path / "a.parquet"
    for path in (part, begun, whole):
        path.touch()
    for path, expected in ((part, ([part, begun], False)), (whole, ([whole], True))):
        Checkpoint(ingested_ms=0, stages={}, options={}, outputs={str(path): 0}, replay=State().dump()).save(directory)
        assert written_by(settings, "r1") == expected
    (directory / "checkpoint.json").write_text("{")
    assert written_by(settings, "r1") == ([], False)
