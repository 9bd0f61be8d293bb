"""Bodies of any bytes: an answer or a refusal, never a crash, and nothing is made up or lost on the way."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import zlib

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from newsmill.gateway.body import read_body
from newsmill.gateway.budget import Budget
from newsmill.gateway.documents import REASONS, Bad, Good, document_id, read
from newsmill.gateway.problems import Problem

BOUNDED = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TYPES = st.sampled_from(["application/json", "application/x-ndjson", "", "text/plain", "application/ld+json", "x/y"])
MOST = 20

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
names = st.sampled_from(["url", "text", "html", "body", "source", "authors", "published_at", "title", "language", "x"])
articles = st.dictionaries(names, plain | st.text(max_size=40), max_size=6)
fragments = st.lists(
    st.sampled_from(
        [b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b"\n", b" ", b"1", b"null", b'"text"', b"\xff", b"\x00"]
    ),
    max_size=60,
).map(b"".join)


class Parts:
    """A stream that gives `data` in pieces."""

    def __init__(self, data: bytes, size: int) -> None:
        self._parts = [data[at : at + size] for at in range(0, len(data), size)]

    async def readany(self) -> bytes:
        return self._parts.pop(0) if self._parts else b""


def found(body: bytes, content_type: str) -> list[Good | Bad] | None:
    """What is read, checked for what holds of anything; None when it is refused as a whole."""
    try:
        documents = read(body, content_type, most=MOST)
    except Problem as problem:
        refused = problem
    else:
        return checked(documents, body)
    assert refused.status in (400, 413, 415)
    assert json.loads(refused.body())["detail"]
    return None


def checked(documents: list[Good | Bad], body: bytes) -> list[Good | Bad]:
    assert 1 <= len(documents) <= MOST
    numbers = [document.number for document in documents]
    assert numbers == sorted(set(numbers))
    for document in documents:
        if isinstance(document, Good):
            assert document.value in body
            assert document.id == document_id(document.value)
            assert 0 < len(document.key) <= 200
            assert (
                read(document.value, "application/x-ndjson", most=1)
                == [Good(1, document.value, document.key, document.id)]
                or b"\n" in document.value
            )
        else:
            assert document.reason in REASONS
            assert document.detail
    return documents


@BOUNDED
@given(st.binary(max_size=400) | fragments, TYPES)
@example(b"[" * 100_000, "application/json")
@example(b'[{"a":' * 50_000, "application/json")
@example(b'{"a":' * 50_000, "application/x-ndjson")
@example(b'["\\', "application/json")
@example(b'[""""]', "application/json")
@example(b"[,]", "application/json")
@example(b'{"published_at": 1' + b"0" * 5_000 + b', "text": "x", "n": NaN}', "application/json")
def test_any_bytes_are_read_or_refused(body: bytes, content_type: str) -> None:
    found(body, content_type)


@BOUNDED
@given(st.lists(articles, min_size=1, max_size=8), st.booleans())
def test_the_same_documents_are_found_in_every_form(values: list[object], ascii_only: bool) -> None:
    lines = [json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass") for value in values]
    as_lines = found(b"\n".join(lines), "application/x-ndjson")
    as_array = found(b"[" + b" ,\n".join(lines) + b"]", "application/json")
    alone = [found(line, "application/json") for line in lines]
    assert as_lines is not None
    assert as_array is not None
    assert [d.value if isinstance(d, Good) else d.reason for d in as_lines] == [
        d.value if isinstance(d, Good) else d.reason for d in as_array
    ]
    for line, value, document, (single,) in zip(lines, values, as_lines, filter(None, alone), strict=True):
        assert isinstance(document, Good) == isinstance(single, Good)
        if isinstance(document, Good):
            assert document.value == line == single.value
            assert document.key == single.key
            assert isinstance(value, dict)


@BOUNDED
@given(st.lists(st.text(max_size=30), min_size=1, max_size=MOST))
def test_every_item_of_an_array_of_texts_is_found(texts: list[str]) -> None:
    documents = found(orjson.dumps([{"text": text} for text in texts]), "application/json")
    assert documents is not None
    assert [isinstance(document, Good) for document in documents] == [bool(text.strip()) for text in texts]


def body(data: bytes, encoding: str, most: int, size: int = 7) -> bytes:
    budget = Budget(10_000_000)
    with budget.hold() as hold:
        return asyncio.run(
            read_body(Parts(data, size), encoding=encoding, length=None, most=most, hold=hold, seconds=10)
        )


@BOUNDED
@given(st.binary(max_size=300), st.integers(1, 50), st.integers(0, 300))
def test_any_bytes_as_gzip_are_decompressed_or_refused(data: bytes, size: int, cut: int) -> None:
    with pytest.raises(Problem):
        body(b"\x00" + data, "gzip", 1_000, size)
    packed = gzip.compress(data, mtime=0)
    assert body(packed, "gzip", 1_000, size) == data
    assert body(packed + packed, "gzip", 1_000, size) == data + data
    if cut < len(packed):
        broken = packed[:cut] + bytes([packed[cut] ^ 0xFF]) + packed[cut + 1 :]
        with contextlib.suppress(Problem):  # damage in a checksum's place can also make it right
            assert len(body(broken, "gzip", 1_000, size)) <= 1_000


@pytest.mark.parametrize("extra", range(-3, 4))
@pytest.mark.parametrize("size", [1_000, 65_536, 1_000_000])
def test_output_that_fills_its_pieces_to_the_brim_is_whole(extra: int, size: int) -> None:
    data = b"a" * (65_536 * 2 + extra)
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    assert body(packer.compress(data) + packer.flush(), "gzip", 1_000_000, size) == data
