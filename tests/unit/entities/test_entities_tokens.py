from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.entities.tokens import MAX_SENTENCE_TOKENS, split_sentences, tokenize


def words(text: str) -> list[str]:
    return [token.text for token in tokenize(text, 10_000)]


@given(st.text(max_size=300))
def test_tokens_are_slices_in_order_and_leave_out_only_white_space(text: str) -> None:
    tokens = tokenize(text, 10_000)
    at = 0
    for token in tokens:
        assert text[token.start : token.end] == token.text
        assert token.text
        assert token.start >= at
        assert not text[at : token.start].strip()
        at = token.end
    assert not text[at:].strip()


@given(st.text(alphabet="aA .!?\n\"'”U.S1-", max_size=400))
def test_sentences_hold_every_token_once(text: str) -> None:
    tokens = tokenize(text, 10_000)
    sentences = split_sentences(text, tokens)
    assert [token for sentence in sentences for token in sentence] == tokens
    assert all(0 < len(sentence) <= MAX_SENTENCE_TOKENS for sentence in sentences)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mauricio Claver-Carone said", ["Mauricio", "Claver", "-", "Carone", "said"]),
        ("El Salvador’s prisons", ["El", "Salvador", "’s", "prisons"]),
        ("Kenya's", ["Kenya", "'s"]),
        ("the U.S. Senate", ["the", "U.S.", "Senate"]),
        ("Mr. J. K. Osei of St. Lucia.", ["Mr.", "J.", "K.", "Osei", "of", "St.", "Lucia", "."]),
        ("didn't don’t", ["did", "n't", "do", "n’t"]),
        ("O'Neill d’Ivoire", ["O'Neill", "d’Ivoire"]),
        ("won 3-0 for 1,000 at 4:00", ["won", "3-0", "for", "1,000", "at", "4:00"]),
        ("(AP)", ["(", "AP", ")"]),
        ("see https://example.org/a-b?c=1 now", ["see", "https://example.org/a-b?c=1", "now"]),
        ("US$94.8", ["US", "$", "94.8"]),
        ("wait...", ["wait", "..."]),
    ],
)
def test_tokens_follow_the_training_corpus(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_tokenize_stops_at_the_limit() -> None:
    assert len(tokenize("word " * 1000, 10)) == 10


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("One went home. Two stayed.", 2),
        ("“It is over.” She left.", 2),
        ("Mr. Smith met Dr. Jones in the U.S. Senate.", 1),
        ("A headline\nA paragraph", 2),
        ("It cost 3.5 million. 20 people came.", 2),
        ("Is it? no one knows.", 1),
        ("", 0),
        ("x " * (MAX_SENTENCE_TOKENS * 2), 2),
    ],
)
def test_sentences_end_where_they_should(text: str, count: int) -> None:
    assert len(split_sentences(text, tokenize(text, 10_000))) == count


def test_hostile_runs_take_linear_work() -> None:
    # Each of these makes a careless pattern try every split; a million characters must just pass.
    for piece in ("a", "1.", "A.", "n't", "’", "https://", "-", "x'"):
        assert tokenize(piece * (200_000 // len(piece)), 10**9)
