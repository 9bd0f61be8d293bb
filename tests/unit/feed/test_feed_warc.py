"""WARC files: which pages come out of them, damaged or not, and from where reading goes on."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsmill.feed import Document, FileSource, Position, expand, warc
from schemas import headers as h

HTML = "<html><head><title>Fähre</title></head><body><p>Die Fähre {n} fuhr spät.</p></body></html>"


def http(status: str = "200 OK", media_type: str | None = "text/html; charset=utf-8", **more: str) -> bytes:
    fields = {"Content-Type": media_type} | {name.replace("_", "-"): value for name, value in more.items()}
    lines = [f"{name}: {value}\r\n" for name, value in fields.items() if value]
    return f"HTTP/1.1 {status}\r\n{''.join(lines)}\r\n".encode()


class Crawl:
    """A WARC file in the making, as crawlers write it: a gzip member for each record, two empty lines behind it."""

    def __init__(self, *, compressed: bool = True) -> None:
        self.file = io.BytesIO()
        self.ends: list[int] = []
        self._compressed = compressed
        self._write("warcinfo", {"Content-Type": "application/warc-fields"}, b"software: test\r\n")

    def _write(self, kind: str, fields: dict[str, str], content: bytes) -> None:
        given = {"WARC-Type": kind, "WARC-Record-ID": "<urn:uuid:0>", **fields, "Content-Length": str(len(content))}
        head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        record = f"WARC/1.0\r\n{head}\r\n".encode() + content + b"\r\n\r\n"
        self.file.write(gzip.compress(record, mtime=0) if self._compressed else record)
        self.ends.append(self.file.tell())

    def add(self, n: int, body: bytes | None = None, headers: bytes | None = None, kind: str = "response") -> None:
        body = HTML.format(n=n).encode() if body is None else body
        media_type = f"application/http; msgtype={kind}"
        fields = {
            "WARC-Target-URI": f"https://ellery.example/{n}",
            "WARC-Date": f"2026-11-0{n % 9 + 1}T08:00:00Z",
            "Content-Type": media_type,
        }
        self._write(kind, fields, (http() if headers is None else headers) + body)

    @property
    def data(self) -> bytes:
        return self.file.getvalue()


def crawl(count: int, *, compressed: bool = True) -> Crawl:
    made = Crawl(compressed=compressed)
    for n in range(1, count + 1):
        made.add(n)
    return made


def documents(path: Path, data: bytes | None = None) -> list[Document]:
    if data is not None:
        path.write_bytes(data)
    return list(FileSource(expand([str(path)]), ingested_ms=1))


def told(found: list[Document]) -> list[str]:
    """The last part of each page's address, or what is wrong."""
    return [d.problem or json.loads(d.value)["url"].rpartition("/")[2] for d in found]


@pytest.fixture(params=["a.warc.gz", "a.warc"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / str(request.param)


def made(path: Path) -> Crawl:
    return Crawl(compressed=path.suffix == ".gz")


def test_pages_come_out_with_address_and_time_and_everything_else_does_not(path: Path) -> None:
    file = made(path)
    file.add(1)
    file.add(2, headers=http("404 Not Found"))
    file.add(3, headers=http(media_type="image/png"))
    file.add(4, headers=http(media_type=None))
    file.add(5, kind="request", body=b"", headers=b"GET /5 HTTP/1.1\r\nHost: x\r\n\r\n")
    file.add(6, headers=http(media_type="Application/XHTML+XML"))
    file.add(7, body=b" \n ")
    found = documents(path, file.data)
    assert [json.loads(d.value) for d in found] == [
        {"url": "https://ellery.example/1", "html": HTML.format(n=1), "fetched_at": "2026-11-02T08:00:00Z"},
        {"url": "https://ellery.example/6", "html": HTML.format(n=6), "fetched_at": "2026-11-07T08:00:00Z"},
    ]
    assert [d.origin for d in found] == [f"{path}:2", f"{path}:7"]
    assert found[0].key == b"ellery.example"
    assert h.get(found[0].headers, h.CONTENT_TYPE) is None


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (HTML.encode("latin-1"), "text/html; charset=ISO-8859-1"),
        (HTML.encode("latin-1"), 'text/html; charset="windows-1252"'),
        (HTML.replace("<head>", '<head><meta charset="latin-1">').encode("latin-1"), "text/html"),
        (b"\xef\xbb\xbf" + HTML.encode(), "text/html"),
        (HTML.encode("cp1251", "ignore"), "text/html; charset=windows-1251"),
    ],
)
def test_the_charset_is_that_of_the_headers_else_of_the_page(tmp_path: Path, body: bytes, media_type: str) -> None:
    file = Crawl()
    file.add(1, body=body, headers=http(media_type=media_type))
    (document,) = documents(tmp_path / "a.warc.gz", file.data)
    html = json.loads(document.value)["html"]
    assert "Die F" in html
    assert ("Fähre" in html) == ("1251" not in media_type)


def test_chunks_and_compression_of_http_are_undone(path: Path) -> None:
    file = made(path)
    page = HTML.format(n=1).encode()
    packed = gzip.compress(page)
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(packed), packed)
    file.add(1, body=packed, headers=http(Content_Encoding="gzip"))
    file.add(2, body=chunked, headers=http(Content_Encoding="gzip", Transfer_Encoding="chunked"))
    found = documents(path, file.data)
    assert [json.loads(d.value)["html"].encode() for d in found] == [page, page]


def test_a_page_larger_than_a_record_is_cut_and_marked_and_a_bomb_is_not_unpacked(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warc, "MAX_RECORD_BYTES", 100_000)
    monkeypatch.setattr(warc, "KEPT_BYTES", 10)
    file = made(path)
    file.add(1, body=b"x" * 500_000)
    file.add(2, body=gzip.compress(b"y" * 50_000_000), headers=http(Content_Encoding="gzip"))
    file.add(3, body=b'"' * 90_000)  # as JSON it is twice as long
    file.add(4)
    found = documents(path, file.data)
    assert [d.too_large for d in found] == [True, True, True, False]
    assert all(len(d.value) <= 10 for d in found[:3])
    assert found[0].size >= 500_000
    assert told(found[3:]) == ["4"]


def test_what_is_no_text_is_told(tmp_path: Path) -> None:
    file = Crawl()
    file.add(1, body=bytes(range(256)) * 10)
    file.add(2)
    found = documents(tmp_path / "a.warc.gz", file.data)
    assert found[0].problem.startswith("bad_encoding: ")
    assert found[0].refused
    assert told(found[1:]) == ["2"]


# -- damage


def test_a_file_that_ends_too_early_gives_what_is_before_its_end(path: Path) -> None:
    file = made(path)
    for n in (1, 2, 3):
        file.add(n)
    found = documents(path, file.data[:-60])
    assert told(found[:2]) == ["1", "2"]
    assert "ends in the middle" in found[2].problem
    assert len(found) == 3


def test_behind_a_damaged_record_the_next_ones_are_read(path: Path) -> None:
    file = made(path)
    for n in (1, 2, 3, 4):
        file.add(n)
    data = bytearray(file.data)
    at = file.ends[1]  # where the second page begins
    data[at + 10 : at + 40] = b"\x00" * 30
    found = documents(path, bytes(data))
    good = [one for one in told(found) if one.isdigit()]
    assert good in (["1", "3", "4"], ["1", "2", "3", "4"])
    assert [bool(d.problem) for d in found].count(True) == 1
    assert found[-1].position.line == found[-2].position.line + 1


@pytest.mark.parametrize("length", ["", "many", "-5", "9" * 400])
def test_a_record_without_a_length_is_told_and_the_next_ones_are_read(tmp_path: Path, length: str) -> None:
    file = Crawl(compressed=False)
    file.add(1)
    head = f"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: {length}\r\n\r\nrubbish\r\n\r\n".encode()
    file.file.write(head)
    file.add(2)
    found = documents(tmp_path / "a.warc", file.data)
    assert told(found) == ["1", "a record without a length", "2"]


def test_a_head_without_an_end_is_bounded(path: Path) -> None:
    file = made(path)
    file.add(1)
    endless = b"WARC/1.0\r\nX: " + b"x" * 3_000_000
    file.file.write(gzip.compress(endless) if path.suffix == ".gz" else endless)
    found = documents(path, file.data)
    assert told(found)[0] == "1"
    assert "cut off or too long" in found[1].problem


def test_a_file_that_is_damaged_all_over_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from newsmill.feed import InputError

    monkeypatch.setattr(warc, "MAX_DAMAGES", 20)
    with pytest.raises(InputError, match=r"a\.warc\.gz: cannot be read: damaged in more than 20 places"):
        documents(tmp_path / "a.warc.gz", b"\x1f\x8b\x08\x00" * 5_000)


def test_a_file_that_is_no_warc_is_told_once(path: Path) -> None:
    data = b"This is a letter.\n" * 1_000
    found = documents(path, gzip.compress(data) if path.suffix == ".gz" else data)
    assert told(found) == ["something that is no record"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.booleans(), st.data())
def test_any_damage_is_survived(compressed: bool, data: Any) -> None:
    file = crawl(3, compressed=compressed)
    content = bytearray(file.data)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=40))
    pieces = list(warc.pages(io.BufferedReader(io.BytesIO(bytes(content))), "x"))
    assert len(pieces) < 20
    assert [piece.number for piece in pieces] == sorted({piece.number for piece in pieces})
    assert all(piece.offset <= len(content) for piece in pieces)


# -- going on


def go_on(path: Path, position: Position) -> list[str]:
    known = {str(path): Position.load(json.loads(json.dumps(position.dump())))}
    return told(list(FileSource(expand([str(path)]), ingested_ms=0, refuse_changed=True).read(known)))


def test_reading_goes_on_behind_any_page_without_reading_what_is_before(path: Path) -> None:
    file = made(path)
    for n in (1, 2, 3):
        file.add(n)
    found = documents(path, file.data)
    for index, document in enumerate(found):
        assert document.position.offset == file.ends[index + 1] - (0 if path.suffix == ".gz" else 4)
        assert go_on(path, document.position) == ["1", "2", "3"][index + 1 :]


def test_of_records_that_were_added_only_they_are_read(path: Path) -> None:
    file = made(path)
    file.add(1)
    last = documents(path, file.data)[-1]
    assert last.position.done
    file.add(2)
    path.write_bytes(file.data)
    assert go_on(path, last.position) == ["2"]


def test_many_records_in_one_gzip_member_are_read_and_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    found = documents(path, gzip.compress(crawl(4, compressed=False).data))
    assert told(found) == ["1", "2", "3", "4"]
    assert [d.position.offset for d in found[:3]] == [-1, -1, -1]
    for index, document in enumerate(found):
        assert go_on(path, document.position) == ["1", "2", "3", "4"][index + 1 :]
        assert document.origin == f"{path}:{index + 2}"


def test_going_on_behind_damage_keeps_the_numbers(path: Path) -> None:
    file = made(path)
    for n in (1, 2, 3):
        file.add(n)
    data = bytearray(file.data)
    data[file.ends[1] + 1 : file.ends[1] + 9] = b"\x00" * 8
    found = documents(path, bytes(data))
    known = {str(path): found[0].position}
    again = list(FileSource(expand([str(path)]), ingested_ms=1).read(known))
    assert [(d.origin, d.value, d.problem) for d in again] == [(d.origin, d.value, d.problem) for d in found[1:]]


def test_standard_input_is_read_too(tmp_path: Path) -> None:
    data = crawl(2, compressed=False).data
    source = FileSource(expand(["-"]), ingested_ms=1, stdin=io.BufferedReader(io.BytesIO(data)))
    assert told(list(source)) == ["1", "2"]
    packed = io.BufferedReader(io.BytesIO(crawl(2).data))
    assert told(list(FileSource(expand(["-"], "warc"), ingested_ms=1, stdin=packed))) == ["1", "2"]


@pytest.mark.parametrize("size", [65_536 * 2, 65_536 * 2 - 1, 65_536 * 2 + 1])
def test_output_that_fills_its_pieces_to_the_brim_is_whole(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    head = b"WARC/1.0\r\nWARC-Type: resource\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n"
    page = b"<p>" + b"a" * (size - len(head % 100_000) - 3)
    data = gzip.compress(head % len(page) + page)
    (piece,) = warc.pages(io.BufferedReader(io.BytesIO(data)), "x")
    assert json.loads(piece.value)["html"].encode() == page
    assert piece.offset == len(data)
