"""Directories that are watched: which files are given out, and when."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from newsmill.feed import FileSource, InputError, Position
from newsmill.feed.inputs import scan
from newsmill.feed.watch import Watch


class Watched:
    """A watch under a clock of the test's own: `turn` is one look at the directories, one second after the last."""

    def __init__(self, *directories: Path, settle_s: float = 2.0, known: dict[str, Position] | None = None) -> None:
        self.now = 0.0
        self.stopped = False
        self._watch: Iterator[object] = iter(
            Watch(
                [str(directory) for directory in directories],
                settle_s=settle_s,
                known=known or {},
                stopping=lambda: self.stopped,
                clock=lambda: self.now,
                sleep=self._sleep,
            )
        )

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def turn(self) -> list[str]:
        found = []
        while (source := next(self._watch)) is not None:
            found.append(Path(source.name).name)  # type: ignore[attr-defined]
        return found

    def turns(self, count: int) -> list[list[str]]:
        return [self.turn() for _ in range(count)]


def test_a_file_is_given_out_once_when_it_has_settled(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_text("{}\n")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "b.json").write_text("{}")
    watched = Watched(tmp_path)
    assert watched.turns(5) == [[], [], ["a.ndjson", "b.json"], [], []]


def test_a_file_that_grows_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    watched = Watched(tmp_path)
    for n in range(5):
        with path.open("a") as file:
            file.write(f'{{"n": {n}}}\n')
        assert watched.turn() == []
    assert watched.turns(3) == [[], ["a.ndjson"], []]


def test_a_file_that_was_given_out_and_has_changed_is_given_out_again(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("{}")
    watched = Watched(tmp_path)
    assert watched.turns(3)[-1] == ["a.json"]
    path.write_text('{"a": 1}')
    assert watched.turns(3) == [[], [], ["a.json"]]
    replacement = tmp_path / "a.json.part"
    replacement.write_text('{"a": 2}')  # as long as the other, and of the same time
    os.utime(replacement, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    replacement.replace(path)
    assert watched.turns(3) == [[], [], ["a.json"]]


@pytest.mark.parametrize("name", [".a.ndjson", "a.ndjson.part", "a.tmp", "README.md"])
def test_what_is_not_finished_by_its_name_is_not_seen_until_it_is_renamed(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}\n")
    watched = Watched(tmp_path)
    assert watched.turns(4) == [[], [], [], []]
    (tmp_path / name).rename(tmp_path / "b.ndjson")
    assert watched.turns(3) == [[], [], ["b.ndjson"]]


def test_what_was_read_to_its_end_before_is_left_alone(tmp_path: Path) -> None:
    for name in ("a.json", "b.json", "c.ndjson"):
        (tmp_path / name).write_text("{}\n{}\n")
    read = {
        name: list(FileSource(scan(str(tmp_path)), ingested_ms=1))[index].position
        for name, index in (("a.json", 1), ("c.ndjson", 4))
    }
    known = {str(tmp_path / name): Position.load(json.loads(json.dumps(p.dump()))) for name, p in read.items()}
    assert known[str(tmp_path / "a.json")].done
    assert not known[str(tmp_path / "c.ndjson")].done
    assert Watched(tmp_path, known=known).turns(4)[2] == ["b.json", "c.ndjson"]


def test_a_file_that_goes_away_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("{}")
    watched = Watched(tmp_path, settle_s=0)
    assert watched.turns(2) == [[], ["a.json"]]
    look = path.stat()
    path.unlink()
    assert watched.turns(2) == [[], []]
    path.write_text("{}")
    os.utime(path, ns=(look.st_atime_ns, look.st_mtime_ns))
    assert watched.turns(2) == [[], ["a.json"]]


def test_a_file_below_two_of_the_directories_is_given_out_once(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    assert Watched(tmp_path, tmp_path, settle_s=0).turns(2) == [[], ["a.json"]]


def test_a_stop_ends_it(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.turn()
    watched.stopped = True
    with pytest.raises(StopIteration):
        next(watched._watch)


def test_what_is_no_directory_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such directory"):
        scan(str(tmp_path / "none"))
    assert scan(str(tmp_path)) == []
