"""Parquet as a format of documents: for feed, run and explain as for replays."""

from __future__ import annotations

import io
import random
import sys
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from newsmill.cli import group
from newsmill.feed import ChangedInputError, FileSource, InputError, expand
from newsmill.parquet import ParquetMissingError, rows

STORY = "The ferry to Port Alder was late on Monday because of a storm, the harbour master said. " * 4


def table(count: int) -> Any:
    return pa.Table.from_pylist(
        [
            {"url": f"https://alder.example/{n}", "text": f"{STORY}{n}", "rank": n, "tags": ["a", "b"]}
            for n in range(count)
        ]
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    pq.write_table(table(50), tmp_path / "a.parquet", row_group_size=7)
    return tmp_path / "a.parquet"


def test_each_row_is_a_document(path: Path) -> None:
    documents = list(FileSource(expand([str(path)]), ingested_ms=1))
    assert [document.origin for document in documents] == [f"{path}:{n}" for n in range(1, 51)]
    assert orjson.loads(documents[3].value) == {
        "url": "https://alder.example/3",
        "text": f"{STORY}3",
        "rank": 3,
        "tags": ["a", "b"],
    }
    assert documents[3].key == b"alder.example"
    assert [document.position.done for document in documents[-2:]] == [False, True]


@pytest.mark.parametrize("read", [1, 6, 7, 8, 32, 49, 50])
def test_reading_goes_on_behind_any_row(path: Path, read: int) -> None:
    documents = list(FileSource(expand([str(path)]), ingested_ms=1))
    known = {str(path): documents[read - 1].position}
    rest = list(FileSource(expand([str(path)]), ingested_ms=1).read(known))
    assert [document.value for document in rest] == [document.value for document in documents[read:]]


def test_a_file_that_has_changed_is_another_one(path: Path) -> None:
    first = next(iter(FileSource(expand([str(path)]), ingested_ms=1)))
    pq.write_table(table(51), path)
    with pytest.raises(ChangedInputError):
        list(FileSource(expand([str(path)]), ingested_ms=1, refuse_changed=True).read({str(path): first.position}))


def test_the_content_tells_the_format(path: Path) -> None:
    bare = path.rename(path.with_suffix(".data"))
    assert len(list(FileSource(expand([str(bare)]), ingested_ms=1))) == 50


def test_a_run_and_a_pipe(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.ndjson"
    result = CliRunner().invoke(group, ["run", str(path), "--until", "ingest", "--out", str(out), "-q"])
    assert result.exit_code == 0, result.output
    assert len(out.read_bytes().splitlines()) == 50
    piped = CliRunner().invoke(group, ["run", "-", "--until", "ingest"], input=path.read_bytes())
    assert piped.exit_code == 2
    assert "read from files alone" in piped.output


def test_without_pyarrow_it_says_what_to_install(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ParquetMissingError, match="pip install pyarrow"):
        list(FileSource(expand([str(path)]), ingested_ms=1))
    result = CliRunner().invoke(group, ["run", str(path), "--until", "ingest", "-q"])
    assert (result.exit_code, "pip install pyarrow" in result.output) == (2, True)


def test_any_damage_is_an_input_error(path: Path) -> None:
    whole = path.read_bytes()
    rng = random.Random(7)
    refused: list[str] = []
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 8)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if rng.random() < 0.2:
            del data[rng.randrange(len(data)) :]
        try:
            for piece in rows(io.BytesIO(bytes(data)), "a.parquet"):
                assert len(piece.value) <= piece.size
        except InputError as error:
            refused.append(str(error))
    assert len(refused) > 100
    assert all(text.startswith("a.parquet: ") for text in refused)
