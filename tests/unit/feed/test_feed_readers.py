"""Readers and sources: what becomes a document, with which key, headers and position."""

from __future__ import annotations

import gzip
import io
import json
import os
from pathlib import Path

import pytest

from newsmill.feed import Document, FileSource, InputError, ListSource, Position, expand, readers
from schemas import headers as h


def read(*arguments: str | Path, format: str | None = None, stdin: bytes = b"") -> list[Document]:
    inputs = expand([str(a) for a in arguments], format)
    source = FileSource(inputs, ingested_ms=1234, stdin=io.BufferedReader(io.BytesIO(stdin)))
    return list(source)


def values(*arguments: str | Path, format: str | None = None, stdin: bytes = b"") -> list[bytes]:
    return [document.value for document in read(*arguments, format=format, stdin=stdin)]


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["a.ndjson", "a.jsonl", "a.JSONL", "a.ndjson.gz", "a.json", "a.json.gz", "a.log"])
def test_lines_of_json_are_documents(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, b'{"a": 1}\n\n  \r\n{"a": 2}\r\n{"a": 3}')
    documents = read(path, format="ndjson" if name == "a.log" else None)
    assert [d.value for d in documents] == [b'{"a": 1}', b'{"a": 2}', b'{"a": 3}']
    assert [d.origin for d in documents] == [f"{path}:1", f"{path}:4", f"{path}:5"]
    assert [d.position.done for d in documents] == [False, False, True]


def test_headers_say_where_from_and_when(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson", b"{}")
    assert read(path)[0].headers == ((h.ORIGIN, f"{path}:1".encode()), (h.INGESTED_AT, b"1234"))


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (b'{"url": "https://www.Example.org/x"}', b"example.org"),
        (b'{"source": " The  Daily ", "url": "https://example.org"}', b"the daily"),
        (b'{"url": 5, "source": ["x"]}', b"unknown"),
        (b'{"url": "https://example.org/', b"unknown"),
        (b"[1]", b"unknown"),
        (b'{"url": "http://[bad"}', b"unknown"),
        (b'{"source": "\xff"}', b"unknown"),
    ],
)
def test_the_key_is_the_source_and_broken_json_has_none(tmp_path: Path, line: bytes, key: bytes) -> None:
    assert read(write(tmp_path / "a.ndjson", line))[0].key == key


def test_a_byte_order_mark_is_cut_off(tmp_path: Path) -> None:
    assert values(write(tmp_path / "a.ndjson", b'\xef\xbb\xbf{"a": 1}\n{"a": 2}\n')) == [b'{"a": 1}', b'{"a": 2}']
    assert values(write(tmp_path / "b.json", b'\xef\xbb\xbf[{"a": 1}]')) == [b'{"a": 1}']


def test_items_of_an_array_keep_their_bytes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", b' [ {"a":  1, "a": 2},\n\n {"b": "\\u00e9"}, 7, {"c": {}} ]\n')
    documents = read(path)
    assert [d.value for d in documents] == [b'{"a":  1, "a": 2}', b'{"b": "\\u00e9"}', b"7", b'{"c": {}}']
    assert documents[2].origin == f"{path}:3"


def test_one_object_may_be_written_over_many_lines(tmp_path: Path) -> None:
    text = json.dumps({"url": "https://example.org/a", "text": "x"}, indent=2).encode()
    (document,) = read(write(tmp_path / "a.json", text))
    assert document.value == text
    assert document.key == b"example.org"


def test_an_array_that_is_broken_is_one_document_as_it_is(tmp_path: Path) -> None:
    assert values(write(tmp_path / "a.json", b'[{"a": 1}, {"a": ')) == [b'[{"a": 1}, {"a": ']


def test_an_array_that_is_too_large_is_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "MAX_ARRAY_BYTES", 10)
    with pytest.raises(InputError, match=r"a\.json: a JSON array .* NDJSON"):
        read(write(tmp_path / "a.json", b'[{"a": 1}, {"a": 2}]'))


@pytest.mark.parametrize(
    ("name", "media_type"), [("a.txt", b"text/plain"), ("a.md", b"text/plain"), ("a.html", b"text/html")]
)
def test_text_and_html_are_one_document_a_file(tmp_path: Path, name: str, media_type: bytes) -> None:
    (document,) = read(write(tmp_path / name, b"A headline\n\nA text.\n"))
    assert document.value == b"A headline\n\nA text.\n"
    assert h.get(document.headers, h.CONTENT_TYPE) == media_type
    assert h.get(document.headers, h.LOCATOR) == name.encode()
    assert document.key == b"unknown"


@pytest.mark.parametrize("name", ["a.txt", "a.ndjson", "a.json", "a.html", "a.ndjson.gz"])
@pytest.mark.parametrize("data", [b"", b" \n\n"])
def test_nothing_comes_of_nothing(tmp_path: Path, name: str, data: bytes) -> None:
    assert values(write(tmp_path / name, data)) == []


@pytest.mark.parametrize(
    ("data", "expected", "media_type"),
    [
        (b'\n\n{"a": 1}\n{"a": 2}\n', [b'{"a": 1}', b'{"a": 2}'], None),
        (b' [{"a": 1}]', [b'{"a": 1}'], None),
        (b"Headline\n\nText", [b"Headline\n\nText"], b"text/plain"),
        (b"<html><p>x</p></html>", [b"<html><p>x</p></html>"], b"text/html"),
        (b"", [], None),
    ],
)
def test_standard_input_is_told_by_its_first_byte(data: bytes, expected: list[bytes], media_type: bytes | None) -> None:
    documents = read("-", stdin=data)
    assert [d.value for d in documents] == expected
    assert all(h.get(d.headers, h.CONTENT_TYPE) == media_type for d in documents)
    assert all(d.position.file is None for d in documents)


def test_lines_of_standard_input_are_numbered_with_the_empty_ones_before() -> None:
    assert [d.origin for d in read("-", stdin=b"\n\n{}\n\n{}\n")] == ["<stdin>:3", "<stdin>:5"]


def test_the_format_can_be_given(tmp_path: Path) -> None:
    (document,) = read(write(tmp_path / "a.ndjson", b'{"a": 1}\n{"a": 2}\n'), format="text")
    assert document.value == b'{"a": 1}\n{"a": 2}\n'


@pytest.mark.parametrize("name", ["a.ndjson", "a.ndjson.gz"])
def test_a_line_longer_than_a_record_is_cut_and_marked_and_the_next_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(readers, "MAX_RECORD_BYTES", 100)
    monkeypatch.setattr(readers, "KEPT_BYTES", 10)
    long = b'{"text": "' + b"x" * 5000 + b'"}'
    exact = b'{"t": "' + b"y" * 91 + b'"}'
    assert len(exact) == 100
    path = write(tmp_path / name, long + b"\r\n" + exact + b"\r\n" + exact + b"z\n{}\n")
    documents = read(path)
    assert [(d.value, d.too_large) for d in documents] == [
        (b'{"text": "', True),
        (exact, False),
        (exact[:10], True),
        (b"{}", False),
    ]
    assert documents[0].size >= 5012
    if name == "a.ndjson":
        assert documents[-1].position.offset == path.stat().st_size


def test_a_text_longer_than_a_record_is_cut_and_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "MAX_RECORD_BYTES", 100)
    monkeypatch.setattr(readers, "KEPT_BYTES", 10)
    (document,) = read(write(tmp_path / "a.txt", b"x" * 1000))
    assert (document.value, document.size, document.too_large) == (b"x" * 10, 1000, True)


def test_a_long_line_is_never_held_whole(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "a.ndjson"
    with path.open("wb") as file:
        for _ in range(64):
            file.write(b"x" * 1024 * 1024)
    tracemalloc.start()
    (document,) = read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert document.too_large
    assert document.size == 64 * 1024 * 1024
    assert peak < 24 * 1024 * 1024


def test_damaged_gzip_is_told_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson.gz"
    path.write_bytes(gzip.compress(b'{"a": 1}\n' * 1000)[:-20])
    with pytest.raises(InputError, match=r"a\.ndjson\.gz: cannot be read"):
        read(path)
    path.write_bytes(b"not gzip at all")
    with pytest.raises(InputError, match=r"a\.ndjson\.gz"):
        read(path)


def test_what_lies_before_the_damage_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson.gz"
    whole = gzip.compress(b"".join(os.urandom(40).hex().encode() + b"\n" for _ in range(100)))
    path.write_bytes(whole[: len(whole) // 2])
    found: list[Document] = []
    with pytest.raises(InputError, match="cannot be read: Compressed file ended"):
        found.extend(FileSource(expand([str(path)]), ingested_ms=0))
    assert 10 < len(found) < 60
    assert not any(document.position.done for document in found)


# -- going on


def go_on(path: Path, position: Position) -> list[bytes]:
    known = {str(path): Position.load(json.loads(json.dumps(position.dump())))}
    return [d.value for d in FileSource(expand([str(path)]), ingested_ms=0).read(known)]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.ndjson", b'{"a": 1}\n\n{"a": 2}\n{"a": 3}\n'),
        ("a.ndjson.gz", b'{"a": 1}\n\n{"a": 2}\n{"a": 3}\n'),
        ("a.json", b'[{"a": 1}, {"a": 2}, {"a": 3}]'),
        ("b.json", b'{"a": 1}\n{"a": 2}\n\n{"a": 3}\n'),
    ],
)
def test_reading_goes_on_behind_any_document(tmp_path: Path, name: str, data: bytes) -> None:
    path = write(tmp_path / name, data)
    documents = read(path)
    assert len(documents) == 3
    for index, document in enumerate(documents):
        assert go_on(path, document.position) == [d.value for d in documents[index + 1 :]]


def test_of_lines_that_were_added_only_they_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson", b'{"a": 1}\n{"a": 2}\n')
    last = read(path)[-1].position
    with path.open("ab") as file:
        file.write(b'{"a": 3}\n')
    assert go_on(path, last) == [b'{"a": 3}']


@pytest.mark.parametrize("name", ["a.ndjson", "a.ndjson.gz", "a.json", "a.txt"])
def test_another_file_under_the_old_name_is_read_from_its_beginning(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, b'{"a": 1, "longer": "........................."}\n')
    last = read(path)[-1].position
    write(path, b'{"b": 1}')
    os.utime(path, ns=(1, 1))
    assert [v.strip() for v in go_on(path, last)] == [b'{"b": 1}']


def test_a_file_that_was_read_and_has_not_changed_is_left_alone(tmp_path: Path) -> None:
    for name in ("a.txt", "a.ndjson.gz", "a.json", "a.ndjson"):
        path = write(tmp_path / name, b'{"a": 1}\n')
        assert go_on(path, read(path)[-1].position) == []


def test_positions_that_were_not_written_by_dump_are_refused() -> None:
    for plain in (None, [], ["p", 1, 2, 3, 4, 5, 6, 1], ["p", 1, 2, 3, 4, "5", 6, True]):
        with pytest.raises(ValueError, match="not a position"):
            Position.load(plain)


def test_a_name_that_is_no_text_is_gone_on_with(tmp_path: Path) -> None:
    path = write(tmp_path / os.fsdecode(b"caf\xe9.ndjson"), b'{"a": 1}\n{"a": 2}\n')
    assert go_on(path, read(path)[0].position) == [b'{"a": 2}']


def test_a_list_is_a_source_that_can_be_gone_on_with(tmp_path: Path) -> None:
    documents = read(write(tmp_path / "a.ndjson", b"{}\n[]\n"))
    source = ListSource(documents)
    first, second = source
    assert first.position.file is not None
    assert list(source.read({first.position.file.path: first.position})) == [second]
