"""Archives as the input of a run: order, range, filters, going on, and what is damaged."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from newsmill.cli import group
from newsmill.replay import archive, pace
from newsmill.replay.archive import TOO_LARGE, UNDATED, UNREADABLE, ArchiveInput, Place, open_archive
from newsmill.replay.errors import RangeError, ReplayError
from newsmill.replay.filters import Filters
from newsmill.replay.fused import State
from newsmill.replay.ranges import OPEN, parse
from schemas import headers as h
from schemas import topics
from schemas.limits import MAX_RECORD_BYTES
from workers.stage import Record

STORY = "The ferry to Port Alder was late on Monday because of a storm, the harbour master said. " * 4


def document(n: int, **more: Any) -> dict[str, Any]:
    outlet = "alder" if n % 2 else "birch"
    return {
        "url": f"https://{outlet}.example/{n}",
        "text": f"{STORY}{n}",
        "fetched_at": f"2026-11-{n % 28 + 1:02}T08:00:00Z",
    } | more


def ndjson(path: Path, numbers: range) -> Path:
    data = b"".join(orjson.dumps(document(n)) + b"\n" for n in numbers)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def parquet(path: Path, numbers: range) -> Path:
    pq.write_table(pa.Table.from_pylist([document(n) for n in numbers]), path, row_group_size=3)
    return path


@pytest.fixture(autouse=True)
def _priority(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands are run in this process, which keeps its priority."""
    monkeypatch.setattr(pace, "lower_priority", lambda: None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ndjson(tmp_path / "a.ndjson", range(10))
    ndjson(tmp_path / "b.ndjson.gz", range(10, 20))
    parquet(tmp_path / "c.parquet", range(20, 30))
    return tmp_path


def begun(folder: Path, since: str = "", until: str = "") -> State:
    bounds = (parse(text) if text else OPEN for text in (since, until))
    return State(archive=msgspec.to_builtins(archive.begin(open_archive([str(folder)]), *bounds)))


def read(folder: Path, state: State, **options: Any) -> ArchiveInput:
    takes = options.pop("takes", lambda record: True)
    return ArchiveInput(open_archive([str(folder)]), topics.RAW, state, takes, **options)


def records(source: ArchiveInput) -> Iterator[Record]:
    return (record for record in source if record is not None)


def urls(found: Iterator[Record]) -> list[str]:
    return [orjson.loads(record.value or b"")["url"].rpartition("/")[2] for record in found]


def test_files_are_read_in_order_with_origin_and_time(folder: Path) -> None:
    state = begun(folder)
    found = list(records(source := read(folder, state)))
    assert urls(iter(found)) == [str(n) for n in range(30)]
    assert [record.offset for record in found] == list(range(30))
    assert h.get(found[12].headers, h.ORIGIN) == f"{folder}/b.ndjson.gz:3".encode()
    assert h.get(found[22].headers, h.ORIGIN) == f"{folder}/c.parquet:3".encode()
    assert len({h.get(record.headers, h.INGESTED_AT) for record in found}) == 1
    assert source.done == source.total > 0


@pytest.mark.parametrize("stop", [1, 9, 10, 11, 19, 20, 24, 29, 30])
def test_it_goes_on_anywhere(folder: Path, stop: int) -> None:
    state = begun(folder)
    source = read(folder, state, partition=lambda topic, key: len(key or b"") % 2)
    items = records(source)
    first = [next(items) for _ in range(stop)]
    source.note(state)
    state = State.load(state.dump())
    for record in first:
        name = f"{topics.RAW}/{record.partition}" if record.partition else topics.RAW
        state.offsets[name] = record.offset + 1
    rest = list(records(read(folder, state, partition=lambda topic, key: len(key or b"") % 2)))
    whole = list(records(read(folder, begun(folder), partition=lambda topic, key: len(key or b"") % 2)))
    assert [(r.partition, r.offset, r.key, r.value) for r in first + rest] == [
        (r.partition, r.offset, r.key, r.value) for r in whole
    ]


def test_a_range_goes_by_the_time_of_the_fetch(folder: Path, tmp_path: Path) -> None:
    (folder / "d.ndjson").write_bytes(orjson.dumps({"url": "https://x.example/99", "text": STORY}) + b"\n")
    state = begun(folder, "2026-11-03T00:00:00Z", "2026-11-06T08:00:00Z")
    source = read(folder, state)
    assert urls(records(source)) == ["2", "3", "4"]  # 5 was fetched at the end, which is not part of it
    assert source.left_out == 28
    assert source.counts() == {UNDATED: 1}


def test_offsets_are_none_of_an_archive(folder: Path) -> None:
    with pytest.raises(RangeError, match="no offsets"):
        begun(folder, "offset:3")


def test_filters(folder: Path) -> None:
    takes = Filters(sources=("alder.example",), urls=("*/1?",)).takes
    assert urls(records(read(folder, begun(folder), takes=takes))) == ["11", "13", "15", "17", "19"]


def test_a_stop_is_looked_for_while_nothing_passes(tmp_path: Path) -> None:
    ndjson(tmp_path / "a.ndjson", range(1_200))
    assert list(read(tmp_path, begun(tmp_path), takes=lambda record: False)) == [None, None]


def grow(folder: Path) -> None:
    with (folder / "a.ndjson").open("ab") as file:
        file.write(b"{}\n")


def touch(folder: Path) -> None:
    os.utime(folder / "b.ndjson.gz", (1, 1))


def same_size(folder: Path) -> None:
    path = folder / "a.ndjson"
    status = path.stat()
    path.write_bytes(path.read_bytes().replace(b"https://birch", b"https://perch", 1))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def add(folder: Path) -> None:
    ndjson(folder / "aa.ndjson", range(3))


def remove(folder: Path) -> None:
    (folder / "c.parquet").unlink()


@pytest.mark.parametrize("change", [grow, touch, same_size, add, remove])
def test_another_archive_does_not_go_on(folder: Path, change: Callable[[Path], None]) -> None:
    state = begun(folder)
    change(folder)
    with pytest.raises(ReplayError, match="not what it was when the run began"):
        read(folder, state)


def test_a_file_that_changes_while_the_run_reads_ends_it(folder: Path) -> None:
    items = records(read(folder, begun(folder)))
    next(items)
    touch(folder)
    with pytest.raises(ReplayError, match=r"b\.ndjson\.gz was changed"):
        list(items)


def test_a_stream_is_no_archive() -> None:
    with pytest.raises(ReplayError, match="stream"):
        open_archive(["-"])


def test_values_of_a_later_topic_have_their_id_as_key(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(b'{"id":"abc","ingested_at":"2026-11-02T08:00:00Z"}\nnone\n')
    state = begun(tmp_path, "2026-11-02T00:00:00Z")
    source = ArchiveInput(open_archive([str(tmp_path)]), topics.TAGGED, state, lambda record: True)
    (record,) = records(source)
    assert (record.topic, record.key) == (topics.TAGGED, b"abc")
    assert source.due_ms(record) == 1_793_606_400_000


def test_the_pace_of_what_does_not_say_when_is_that_of_the_one_before(folder: Path) -> None:
    source = read(folder, begun(folder))
    first = next(records(source))
    dated = source.due_ms(first)
    assert source.due_ms(Record(topics.RAW, 0, 1, b"", b"{}", (), 5)) == dated


def cut_gzip(path: Path) -> Path:
    ndjson(path, range(2_000))
    path.write_bytes(path.read_bytes()[:-2_000])
    return path


def no_parquet(path: Path) -> Path:
    path.write_bytes(b"PAR1 and then something else")
    return path


def cut_parquet(path: Path) -> Path:
    parquet(path, range(50))
    path.write_bytes(path.read_bytes()[:-60])
    return path


def holes_in_parquet(path: Path) -> Path:
    data = bytearray(parquet(path, range(50)).read_bytes())
    data[200:1_200] = b"\x00" * 1_000
    path.write_bytes(data)
    return path


def other_columns(path: Path) -> Path:
    pq.write_table(pa.table({"price": [1, 2], "url": ["a", "b"]}), path)
    return path


def nothing(path: Path) -> Path:
    path.touch()
    return path


def nothing_like_it(path: Path) -> Path:
    path.write_bytes(b"plain text")
    return path


BAD: dict[str, tuple[str, Callable[[Path], Path], str]] = {
    "cut gzip": ("bad.ndjson.gz", cut_gzip, "cannot be read"),
    "no parquet": ("bad.parquet", no_parquet, "cannot be read as Parquet"),
    "cut parquet": ("bad.parquet", cut_parquet, "cannot be read as Parquet"),
    "holes in parquet": ("bad.parquet", holes_in_parquet, "cannot be read as Parquet"),
    "other columns": ("bad.parquet", other_columns, "no column holds the text"),
    "empty parquet": ("bad.parquet", nothing, "cannot be read as Parquet"),
    "no gzip": ("bad.ndjson.gz", nothing_like_it, "cannot be read"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_broken_is_named_and_the_rest_is_read(folder: Path, what: str) -> None:
    name, make, text = BAD[what]
    make(folder / name)
    said: list[str] = []
    state = begun(folder)
    source = read(folder, state, say=said.append)
    found = urls(records(source))
    assert found[:10] == [str(n) for n in range(10)]
    assert found[-10:] == [str(n) for n in range(20, 30)]
    assert source.counts() == {UNREADABLE: 1}
    assert text in said[0]
    assert name in said[0]
    source.note(state)
    assert msgspec.convert(state.archive, Place).rejected == {UNREADABLE: 1}
    result = CliRunner().invoke(group, ["replay", "--archive", str(folder), "--dry-run", "--topic", topics.RAW])
    assert result.exit_code == 1
    assert "would be rejected" in result.output


def test_a_document_that_is_too_large_is_counted(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(b'{"text": "' + b"a" * MAX_RECORD_BYTES + b'"}\n{"text": "b"}\n')
    said: list[str] = []
    source = read(tmp_path, begun(tmp_path), say=said.append)
    assert [record.value for record in records(source)] == [b'{"text": "b"}']
    assert source.counts() == {TOO_LARGE: 1}
    assert f"a.ndjson:1: {MAX_RECORD_BYTES + 13:,} bytes" in said[0]


def test_dry_run_counts_without_a_broker(folder: Path) -> None:
    arguments = ["replay", "--archive", str(folder), "--source", "birch.example", "--max", "4", "--dry-run"]
    result = CliRunner().invoke(group, [*arguments, "--rate", "1/s"])
    assert result.exit_code == 0, result.output
    assert "4 records" in result.output
    assert "about 4 s" in result.output


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--in-place", "--archive", "x", "--from", "last 1h"], "newsmill feed"),
        (["--in-place", "--into", "x", "--from", "last 1h"], "puts records of a topic back"),
        (["--archive", "missing.ndjson"], "no such file"),
        (["--ingested-at", "2026-11-02T08:00:00Z"], "name it with --archive"),
        (["--as", "parquet"], "name them with --into"),
        (["--into", "x.csv"], "a file ends in"),
        (["--into", "x.ndjson", "--as", "parquet"], "--as says parquet"),
        (["--into", "x.ndjson", "--only", "news.raw"], "write no news.raw"),
    ],
)
def test_what_goes_wrong_at_once(arguments: list[str], text: str) -> None:
    result = CliRunner().invoke(group, ["replay", *arguments, "--dry-run"])
    assert result.exit_code == 2
    assert text in " ".join(result.output.split())


def test_progress_moves_within_a_compressed_file(tmp_path: Path) -> None:
    """By bytes read where lines are decompressed, by rows in Parquet; and from there on after a restart."""
    # Random text: it stays larger than the buffer through which it is decompressed.
    rows = [document(n, text=f"{STORY}{os.urandom(2_000).hex()}") for n in range(1_000)]
    (tmp_path / "a.ndjson.gz").write_bytes(gzip.compress(b"".join(orjson.dumps(row) + b"\n" for row in rows)))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "b.parquet", row_group_size=100)
    packed = (tmp_path / "a.ndjson.gz").stat().st_size
    state = begun(tmp_path)
    source = read(tmp_path, state)
    items = records(source)
    done = [(next(items), source.done)[1] for _ in range(2_000)]
    assert done == sorted(done)
    assert 0.3 * packed < done[499] < 0.7 * packed
    assert done[999] == packed
    table = source.total - packed
    assert done[1_499] == packed + table // 2
    source.note(state)
    next(items, None)
    assert source.done == source.total
    again = read(tmp_path, state)
    assert again.done == source.total
