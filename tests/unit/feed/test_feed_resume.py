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


HEADER = b'{"newsmill_resume":1,"topic":"news.raw","cluster":"c1"}\n'


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is no resume file"),
        (b"\xff\n", "is no resume file"),
        (b'{"text": "a document"}\n', "is no resume file"),
        (HEADER + b'[1]\n["/a",1,1,1,1,1,1,true]\n', "is damaged"),
        (HEADER.replace(b":1", b":2"), "is of format 2, this newsmill reads 1"),
        (HEADER.replace(b"news.raw", b"t.news.raw"), "is about the topic t.news.raw, not news.raw"),
        (HEADER.replace(b"c1", b"c2"), r"is about another Kafka cluster \(c2\)"),
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


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_death_while_saving_leaves_what_was_saved_before(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "r"
    file = opened(path)
    file.save({"/a": position("/a", 1)})
    file.save({"/a": position("/a", 2)})
    before = path.read_bytes()
    file.save({"/a": position("/a", 3), "/b": position("/b", 1)})
    file.close()
    written = path.read_bytes()[len(before) :][:cut]
    path.write_bytes(before + written)
    file = opened(path)
    line = 3 if b"\n" in written else 2
    assert file.known == {"/a": position("/a", line)}
    file.save({"/b": position("/b", 1)})
    file.close()
    file = opened(path)
    assert file.known == {"/a": position("/a", line), "/b": position("/b", 1)}
    file.close()


def test_garbage_at_the_end_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "r"
    file = opened(path)
    file.save({"/a": position("/a", 1)})
    file.close()
    path.write_bytes(path.read_bytes() + b"\0" * 50 + b"\n" + b"\0" * 50)
    file = opened(path)
    assert file.known == {"/a": position("/a", 1)}
    file.close()


def test_what_is_written_does_not_grow_with_the_files_that_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)  # hundreds of them take long, and don't matter here
    path = tmp_path / "r"
    file = opened(path)
    written, size, inode = 0, 0, 0
    for window in range(400):
        file.save({f"/{window}/{n}": position(f"/{window}/{n}", 1, done=True) for n in range(20)})
        status = path.stat()
        written += status.st_size - (size if status.st_ino == inode else 0)
        size, inode = status.st_size, status.st_ino
    file.close()
    assert written < 3 * size
    file = opened(path)
    assert len(file.known) == 8_000
    file.close()


def test_a_long_feed_of_one_file_keeps_it_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    path = tmp_path / "r"
    file = opened(path)
    for line in range(1, 2_500):
        file.save({"/a": position("/a", line)})
    file.close()
    assert path.read_bytes().count(b"\n") <= 1_002
    file = opened(path)
    assert file.known == {"/a": position("/a", 2_499)}
    file.close()


@pytest.mark.parametrize("saves", [0, 1])
def test_a_full_disk_is_told_and_what_was_saved_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saves: int
) -> None:
    path = tmp_path / "r"
    file = opened(path)
    for line in range(1, saves + 1):
        file.save({"/a": position("/a", line)})

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("newsmill.files.os.fsync", fail)
        with pytest.raises(
            ResumeError, match=r"r: cannot be written: No space left on device\. .*run the same command"
        ):
            file.save({"/a": position("/a", 9)})
    file.close()
    assert path.exists() == bool(saves)


def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ResumeError, match=r"none/r\.lock: cannot be written: No such file"):
        opened(tmp_path / "none" / "r")
