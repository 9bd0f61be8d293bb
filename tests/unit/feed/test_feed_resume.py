"""The file that says where a feed goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from newsmill.feed import FileId, Position
from newsmill.feed.errors import ResumeError
from newsmill.feed.resume import ResumeFile


def opened(path: Path, topic: str = "news.raw", cluster: str = "c1") -> ResumeFile:
    return ResumeFile(path, topic=topic, cluster=cluster)


def position(path: str, line: int, *, done: bool = False) -> Position:
    return Position(FileId(path, 100, 5, 100, 7), line, line * 10, done)


def test_what_was_saved_last_is_known_to_the_next(tmp_path: Path) -> None:
    path = tmp_path / "resume.json"
    first = opened(path)
    assert first.known == {}
    assert not path.exists()
    first.save({"/a": position("/a", 1)})
    first.save({"/a": position("/a", 2, done=True), "/b\udce9": position("/b\udce9", 3)})
    first.close()
    second = opened(path)
    assert second.known == {"/a": position("/a", 2, done=True), "/b\udce9": position("/b\udce9", 3)}
    second.close()


def test_two_feeds_can_not_use_it_at_once(tmp_path: Path) -> None:
    first = opened(tmp_path / "r")
    with pytest.raises(ResumeError, match="r is in use by another feed"):
        opened(tmp_path / "r")
    first.close()
    opened(tmp_path / "r").close()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is no resume file, or damaged"),
        (b"\xff", "is no resume file, or damaged"),
        (b'{"text": "a document"}', "is no resume file, or damaged"),
        (b'{"format":1,"topic":"news.raw","cluster":"c1","positions":[[1]]}', "is no resume file, or damaged"),
        (b'{"format":2,"topic":"news.raw","cluster":"c1","positions":[]}', "is of format 2, this newsmill reads 1"),
        (b'{"format":1,"topic":"t.news.raw","cluster":"c1","positions":[]}', "is about the topic t.news.raw, not news"),
        (b'{"format":1,"topic":"news.raw","cluster":"c2","positions":[]}', r"is about another Kafka cluster \(c2\)"),
    ],
)
def test_a_file_that_says_nothing_about_this_feed_is_refused_and_left_as_it_is(
    tmp_path: Path, data: bytes, message: str
) -> None:
    path = tmp_path / "r"
    path.write_bytes(data)
    with pytest.raises(ResumeError, match=message):
        opened(path)
    assert path.read_bytes() == data
    path.unlink()
    opened(path).close()  # the lock was let go of


def test_a_death_while_saving_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r"
    file = opened(path)
    file.save({"/a": position("/a", 1)})
    before = path.read_bytes()

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("newsmill.files.os.replace", fail)
    with pytest.raises(ResumeError, match=r"r: cannot be written: No space left on device\. .*run the same command"):
        file.save({"/a": position("/a", 2)})
    file.close()
    assert path.read_bytes() == before


def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ResumeError, match=r"none/r\.lock: cannot be written: No such file"):
        opened(tmp_path / "none" / "r")
