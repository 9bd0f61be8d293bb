"""WARC files (ISO 28500:2017), plain or gzip, as crawlers and CC-NEWS have them: the HTML pages in them.

Records are cut here, so that sizes are bounded, damage is noticed and passed over, and each record has an offset to go
on from. What is in one record (HTTP headers, chunks, compression) is read by warcio.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final, Protocol

import orjson
from warcio.recordloader import ArcWarcRecordLoader

from newsmill.feed.errors import InputError
from newsmill.feed.pieces import KEPT_BYTES, Piece
from schemas.limits import MAX_RECORD_BYTES
from workers.ingest.decoding import declared_encoding, decode_text
from workers.ingest.refusal import Refusal

MAX_DAMAGES: Final = 1_000
"""Damaged places after which a file is given up."""

_MAX_HEAD_BYTES: Final = 64 * 1024
_MAX_LINE_BYTES: Final = 16 * 1024
_CHUNK: Final = 64 * 1024
_GZIP_MAGIC: Final = b"\x1f\x8b\x08"
_GZIP: Final = 16 + zlib.MAX_WBITS
_VERSION: Final = b"WARC/"
_TYPES: Final = ("response", "resource")
_HTML: Final = ("text/html", "application/xhtml+xml")
_CHARSET: Final = re.compile(r"""charset\s*=\s*["']?([\w.:-]{1,40})""", re.IGNORECASE | re.ASCII)


class _Damaged(Exception):
    """A record, or what should be one, can't be read. The text says why."""


def pages(stream: io.BufferedReader[Any], name: str, *, number: int = 0, offset: int = 0) -> Iterator[Piece]:
    """Yield the HTML pages of a WARC file as JSON documents: url, html, fetched_at.

    `stream` stands at `offset`, behind record `number`. Records of other kinds (requests, images, errors) are counted
    and left out. A damaged record is a piece with a problem, and reading goes on behind it. The offset of a piece is -1
    where no gzip member ends behind its record.

    Raises InputError when there is no end of damage.
    """
    if offset:
        stream.seek(0)  # what is at the offset may be damaged
    gzip = stream.peek(len(_GZIP_MAGIC)).startswith(_GZIP_MAGIC)
    if offset:
        stream.seek(offset)
    records: _Records = _Members(stream, offset) if gzip else _Plain(stream, offset)
    damages, behind_damage = 0, False
    while True:
        number += not behind_damage
        try:
            if not records.find(anywhere=behind_damage):
                return
            number += behind_damage
            behind_damage = False
            piece = _piece(_record(records), number)
        except _Damaged as damage:
            damages += 1
            if damages > MAX_DAMAGES:
                raise InputError(f"{name}: cannot be read: damaged in more than {MAX_DAMAGES} places") from damage
            if behind_damage:
                continue  # what looked like a record behind the damage was none
            behind_damage = True
            piece = Piece(b"", 0, number, problem=str(damage))
        if piece is not None:
            yield replace(piece, offset=records.behind())


def _record(records: _Records) -> tuple[bytes, bytes, int]:
    """Return head and content of the next record, and the content's true length. Raises _Damaged."""
    head = b""
    while line := records.line(_MAX_LINE_BYTES):
        head += line
        if len(head) > _MAX_HEAD_BYTES or not line.endswith(b"\n"):
            raise _Damaged("the head of a record is cut off or too long")
        if not line.strip():
            break
    length = _field(head, b"content-length")
    if not length.isdigit() or len(length) > 15:
        raise _Damaged("a record without a length")
    size = int(length)
    if not (kind := _field(head, b"warc-type").lower()):
        raise _Damaged("a record without a type")
    wanted = kind.decode("latin-1") in _TYPES
    content = records.read(size, keep=MAX_RECORD_BYTES + _MAX_HEAD_BYTES if wanted else 0)
    return head, content, size


def _field(head: bytes, name: bytes) -> bytes:
    for line in head.splitlines():
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return b""


def _piece(record: tuple[bytes, bytes, int], number: int) -> Piece | None:
    """Return the page in a record; None where there is none. Raises _Damaged."""
    head, content, size = record
    if not content:
        return None
    # The length that warcio reads must be that of what was kept.
    head = re.sub(rb"(?im)^content-length:[^\r\n]*", b"Content-Length: %d" % len(content), head)
    try:
        parsed = ArcWarcRecordLoader(verify_http=False, arc2warc=False).parse_record_stream(
            io.BytesIO(b"WARC/1.0\r\n" + head + content)
        )
        http = parsed.http_headers
        media_type = (http.get_header("Content-Type") if http else parsed.content_type) or ""
        if (http and http.get_statuscode() != "200") or media_type.partition(";")[0].strip().lower() not in _HTML:
            return None
        page = parsed.content_stream().read(MAX_RECORD_BYTES + 1)
        url = parsed.rec_headers.get_header("WARC-Target-URI") or ""
        date = parsed.rec_headers.get_header("WARC-Date") or ""
    except Exception as error:  # warcio raises whatever it meets
        raise _Damaged(f"a record that can't be read: {str(error)[:200] or type(error).__name__}") from error
    if len(page) > MAX_RECORD_BYTES or len(content) < size:
        return Piece(page[:KEPT_BYTES], max(size, len(page)), number)
    if not page.strip():
        return None
    charset = _CHARSET.search(media_type)
    try:
        html = decode_text(page, charset.group(1) if charset else declared_encoding(page))
    except Refusal as refusal:
        return Piece(page[:KEPT_BYTES], len(page), number, problem=f"{refusal.reason}: {refusal.detail}")
    document = {"url": url.strip("<>"), "html": html, "fetched_at": date}
    value = orjson.dumps({key: text for key, text in document.items() if text})
    return Piece(value[:KEPT_BYTES] if len(value) > MAX_RECORD_BYTES else value, len(value), number)


class _Records(Protocol):
    """Bytes in which records stand one behind the other."""

    def find(self, *, anywhere: bool) -> bool:
        """Go behind the first line of the next record; False at the end.

        Raises _Damaged when something else is there, unless the record may be `anywhere` behind.
        """

    def line(self, most: int) -> bytes:
        """Return the next line, cut off at `most` bytes; nothing at the end. Raises _Damaged."""

    def read(self, size: int, *, keep: int) -> bytes:
        """Pass over `size` bytes, and return the first `keep` of them. Raises _Damaged when there are fewer."""

    def behind(self) -> int:
        """Return the offset in the file at which reading can go on, or -1."""


def _find(records: _Records, *, anywhere: bool) -> bool:
    while line := records.line(_MAX_LINE_BYTES):
        if line.startswith(_VERSION):
            return True
        if line.strip() and not anywhere:
            raise _Damaged("something that is no record")
    return False


class _Plain:
    """A file that is not compressed."""

    def __init__(self, stream: io.BufferedReader[Any], offset: int) -> None:
        self._stream = stream
        self._offset = offset

    def find(self, *, anywhere: bool) -> bool:
        return _find(self, anywhere=anywhere)

    def line(self, most: int) -> bytes:
        line = self._stream.readline(most)
        self._offset += len(line)
        return line

    def read(self, size: int, *, keep: int) -> bytes:
        return _take(self._read, size, keep)

    def behind(self) -> int:
        return self._offset

    def _read(self, most: int) -> bytes:
        data = self._stream.read(most)
        self._offset += len(data)
        return data


class _Members:
    """A file of gzip members: one for each record as a rule, but any number of records may stand in one."""

    def __init__(self, stream: io.BufferedReader[Any], offset: int) -> None:
        self._stream = stream
        self._offset = offset  # of the bytes that were taken out of the stream
        self._input = b""
        self._member: Any = None
        self._more_inside = False  # the member may have output that needs no more input
        self._output = bytearray()
        self._at = 0
        self._broken = ""

    def find(self, *, anywhere: bool) -> bool:
        if self._broken:
            if not anywhere:
                raise _Damaged(self._broken)
            self._go_to_member()
        return _find(self, anywhere=anywhere)

    def line(self, most: int) -> bytes:
        seen = 0
        while (end := self._output.find(b"\n", self._at + seen)) < 0 and (seen := len(self._output) - self._at) < most:
            if not self._fill():
                break
        end = min(end + 1 if end >= 0 else len(self._output), self._at + most)
        line = bytes(self._output[self._at : end])
        self._at = end
        return line

    def read(self, size: int, *, keep: int) -> bytes:
        return _take(self._read, size, keep)

    def behind(self) -> int:
        # The empty lines behind a record stand in its member.
        while self._member is not None and not self._rest() and len(self._output) - self._at < _CHUNK:
            try:
                if not self._inflate():
                    break
            except _Damaged:
                break  # it is told by the next `find`
        ended = self._member is None and not self._broken and not self._rest()
        return self._offset - len(self._input) if ended else -1

    def _rest(self) -> bytes:
        return bytes(self._output[self._at : self._at + _CHUNK]).strip(b"\r\n")

    def _read(self, most: int) -> bytes:
        if self._at == len(self._output) and not self._fill():
            return b""
        data = bytes(self._output[self._at : self._at + most])
        self._at += len(data)
        return data

    def _fill(self) -> bool:
        """Add to the output; False at the end of the file. Raises _Damaged."""
        del self._output[: self._at]
        self._at = 0
        before = len(self._output)
        while len(self._output) == before:
            if not self._inflate():
                if self._member is not None:
                    self._member = None
                    raise _Damaged("the file ends in the middle of a gzip member")
                return False
        return True

    def _inflate(self) -> bool:
        """Decompress a piece of bounded size; False when there is nothing left to. Raises _Damaged."""
        if not self._input and not self._more_inside:
            self._input = self._stream.read1(_CHUNK)
            self._offset += len(self._input)
            if not self._input:
                return False
        if self._member is None:
            self._member = zlib.decompressobj(_GZIP)
        try:
            part = self._member.decompress(self._input, _CHUNK)
        except zlib.error as error:
            self._broken = f"damaged gzip: {error}"
            raise _Damaged(self._broken) from error
        self._output += part
        self._more_inside = len(part) == _CHUNK and not self._member.eof
        self._input = self._member.unconsumed_tail
        if self._member.eof:
            self._input = self._member.unused_data
            self._member = None
        return True

    def _go_to_member(self) -> None:
        """Go to the next bytes that a gzip member may begin with."""
        self._output.clear()
        self._at = 0
        self._member = None
        self._more_inside = False
        self._broken = ""
        # Not those at which it is now: they are where the damage is.
        self._input = self._input[1:]
        while (found := self._input.find(_GZIP_MAGIC)) < 0:
            more = self._stream.read1(_CHUNK)
            self._offset += len(more)
            if not more:
                self._input = b""
                return
            self._input = self._input[-len(_GZIP_MAGIC) + 1 :] + more
        self._input = self._input[found:]


def _take(read: Callable[[int], bytes], size: int, keep: int) -> bytes:
    kept: list[bytes] = []
    left = size
    while left:
        data = read(min(left, _CHUNK))
        if not data:
            raise _Damaged("the file ends in the middle of a record")
        left -= len(data)
        if keep > 0:
            kept.append(data[:keep])
            keep -= len(data)
    return b"".join(kept)
