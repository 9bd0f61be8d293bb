"""From arguments to files: directories, patterns, links, what is left out, what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from newsmill.feed import InputError, expand


def names(*arguments: str | Path) -> list[str]:
    return [i.name for i in expand([str(a) for a in arguments])]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (
        "b/2.txt",
        "b/10.ndjson",
        "a.html",
        "c.jsonl.gz",
        ".hidden.txt",
        ".git/x.txt",
        "README.md",
        "b/Readme.txt",
        "b/notes.pdf",
        "b/c/deep.json",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_directory_is_read_in_the_order_of_its_names(tree: Path) -> None:
    assert names(".") == ["./a.html", "./b/10.ndjson", "./b/2.txt", "./b/c/deep.json", "./c.jsonl.gz"]


def test_links_that_go_round_in_circles_end(tree: Path) -> None:
    os.symlink(tree, tree / "b" / "loop")
    os.symlink(tree / "nowhere", tree / "b" / "broken.txt")
    os.symlink(tree / "a.html", tree / "b" / "same.html")
    assert names("b") == ["b/10.ndjson", "b/2.txt", "b/c/deep.json", "b/loop/a.html", "b/loop/c.jsonl.gz"]


def test_a_pattern_is_sorted_and_each_file_comes_once(tree: Path) -> None:
    assert names("b/*", "a.html", "a.html", "./b/2.txt") == [
        "b/10.ndjson",
        "b/2.txt",
        "b/Readme.txt",
        "b/notes.pdf",
        "a.html",
    ]
    assert names("**/*.json") == ["b/c/deep.json"]


def test_the_format_follows_the_suffix(tree: Path) -> None:
    assert [i.format for i in expand(["."])] == ["html", "ndjson", "text", "json", "ndjson"]
    assert expand(["b/notes.pdf"])[0].format is None
    assert expand(["a.html"], "text")[0].format == "text"


def test_a_file_named_by_itself_is_taken_whatever_its_name(tree: Path) -> None:
    assert names("README.md", ".hidden.txt") == ["README.md", ".hidden.txt"]


def test_a_name_with_pattern_signs_may_be_a_file(tree: Path) -> None:
    (tree / "a[1].txt").write_text("x")
    assert names("a[1].txt") == ["a[1].txt"]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("missing.txt", "missing.txt: no such file"),
        ("*.nothing", r"\*.nothing: the pattern matches nothing"),
        ("empty", "empty: no documents in there"),
        ("broken", "broken: No such file"),
    ],
)
def test_what_is_not_there_is_told(tree: Path, argument: str, message: str) -> None:
    (tree / "empty").mkdir()
    os.symlink(tree / "nowhere", tree / "broken")
    with pytest.raises(InputError, match=message):
        expand(["a.html", argument])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_told(tree: Path) -> None:
    (tree / "a.html").chmod(0)
    with pytest.raises(InputError, match=r"a\.html: no permission"):
        expand(["a.html"])


def test_a_pipe_is_a_stream(tree: Path) -> None:
    os.mkfifo(tree / "pipe")
    assert [i.stream for i in expand(["pipe", "-", "a.html"])] == [True, True, False]
    assert all("pipe" not in i.name for i in expand(["."]))
