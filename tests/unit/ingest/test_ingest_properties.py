from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.codec import decode
from schemas.messages import Article
from schemas.raw import ALIASES
from workers.ingest import IngestStage
from workers.ingest.characters import clean_lines, folded
from workers.ingest.language import FastTextIdentifier
from workers.ingest.text import clean_text
from workers.ingest.urls import canonical_url
from workers.stage import Record, Reject

NAMES = sorted({*ALIASES, *(alias for aliases in ALIASES.values() for alias in aliases), "section", ""})
TYPES = [b"application/json", b"text/plain", b"text/html", b"text/html; charset=utf-16", b"\xff"]

pieces = st.sampled_from(
    [
        "The pier is closed. ", "“We lost it all,” she said. ", "\n\n", "\n", "View All", "Advertisement", "…", "<p>",
        "</p>", "<b>", "<script>", "&amp;", "\u2028", "\x00", "Ã©", "e\u0301", "港务局", "🎉", "<!--", "-->", "</div>",
        "<a href='", "'>", "<table><tr><td>",
    ]
)  # fmt: skip
texts = st.one_of(st.text(max_size=60), st.lists(pieces, max_size=30).map("".join))
scalars = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False), texts)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=8,
)
documents = st.dictionaries(st.sampled_from(NAMES), values, max_size=6)
encoded = st.one_of(
    st.binary(max_size=200),
    texts.map(lambda text: text.encode("utf-8", "replace")),
    documents.map(lambda document: orjson.dumps(_storable(document))),
)
records = st.builds(
    lambda value, media, at, stamp: Record(
        "news.raw", 0, 0, None, value, (("content-type", media), ("ingested-at", at)), stamp
    ),
    st.one_of(st.none(), encoded),
    st.sampled_from(TYPES),
    st.one_of(st.just(b"1795500000000"), st.binary(max_size=25)),
    st.integers(-1, 2**63 - 1),
)
thorough = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)

LANGUAGES = FastTextIdentifier()


def _storable(item: Any) -> Any:
    """Lone surrogates can't be written as UTF-8; the table of bad input has them as escapes."""
    if isinstance(item, str):
        return item.encode("utf-8", "replace").decode()
    if isinstance(item, list):
        return [_storable(member) for member in item]
    if isinstance(item, dict):
        return {_storable(name): _storable(member) for name, member in item.items()}
    return item


@thorough
@given(st.lists(records, min_size=1, max_size=5), st.data())
def test_any_batch_gives_one_outcome_each_however_it_is_cut(batch: list[Record], data: st.DataObject) -> None:
    batch = [replace(record, offset=offset) for offset, record in enumerate(batch)]
    whole = IngestStage(LANGUAGES).process(batch)
    assert len(whole) == len(batch)
    cut = data.draw(st.integers(0, len(batch)))
    stage = IngestStage(LANGUAGES)
    first = stage.process(batch[:cut])
    stage.commit()
    assert [*first, *stage.process(batch[cut:])] == whole
    for outcome in whole:
        if isinstance(outcome, Reject):
            assert outcome.reason in stage.reasons
        else:
            article = decode(outcome.messages[0].value, Article)
            assert folded(article.body)
            assert article.headline
            assert article.published is None or article.published.at.year >= 1990


@thorough
@given(texts)
def test_cleaning_adds_nothing_and_is_done_once(text: str) -> None:
    first = clean_text(text)
    assert clean_text("\n\n".join(first.paragraphs)).paragraphs == first.paragraphs
    assert len("".join(first.folds)) <= len(folded("".join(clean_lines(text))))


@thorough
@given(st.one_of(st.text(max_size=60), st.text(max_size=40).map(lambda tail: f"https://ellery.example/{tail}")))
def test_a_canonical_url_is_its_own_canonical_form(raw: str) -> None:
    url = canonical_url(raw)
    if url is not None:
        assert url.isascii()
        assert canonical_url(url) == url
