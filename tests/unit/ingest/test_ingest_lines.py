from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workers.ingest import labeller
from workers.ingest.composer import composed, source
from workers.ingest.furniture import furniture_kind
from workers.ingest.lines import (
    FORMAT,
    OFFSETS,
    SIZE,
    TEMPLATES,
    comments_begin,
    features,
    headings_of,
    is_date_line,
    main_span,
)
from workers.ingest.pages import ARTICLE_KINDS, LabelledPage, read_labelled
from workers.ingest.repeats import repeats
from workers.ingest.text import REASONS, clean_text
from workers.ingest.wording import capitals, first_words, may_address_the_reader, roles

PAGES = Path(__file__).resolve().parents[2] / "data" / "ingest" / "pages"
A = "The harbour board of Port Ellery voted on Tuesday to rebuild the north pier, which a storm tore away in March."
B = "Fishermen had asked for a longer breakwater instead, since boats still lie open to the swell from the east."


TUNE_FLOOR = (0.92, 0.975)
HELD_OUT_FLOOR = (0.91, 0.96)
"""Precision and recall, somewhat below what docs/decisions/0026-lines-from-real-pages.md reports."""


@pytest.fixture(scope="module")
def pages() -> list[LabelledPage]:
    return read_labelled(PAGES)


def line_scores(pages: list[LabelledPage]) -> tuple[float, float]:
    """Precision and recall of lines that are the article."""
    right = kept = wanted = 0
    for page in pages:
        gone = {cut.line for cut in clean_text("\n\n".join(text for _kind, text in page.lines)).removed}
        for number, (kind, _text) in enumerate(page.lines):
            kept += number not in gone
            wanted += kind in ARTICLE_KINDS
            right += number not in gone and kind in ARTICLE_KINDS
    return right / kept, right / wanted


def test_the_labelled_set_is_what_it_says(pages: list[LabelledPage]) -> None:
    assert len(pages) >= 60
    assert len({page.outlet for page in pages}) >= 15
    held_out = {page.outlet for page in pages if page.split == "held-out"}
    assert len(held_out) == 6
    assert not held_out & {page.outlet for page in pages if page.split == "tune"}
    for page in pages:
        assert sum(kind == "headline" for kind, _text in page.lines) == 1
        assert "" not in [text for _kind, text in page.lines]


def test_lines_of_outlets_that_were_tuned_on(pages: list[LabelledPage]) -> None:
    precision, recall = line_scores([page for page in pages if page.split == "tune"])
    assert precision >= TUNE_FLOOR[0]
    assert recall >= TUNE_FLOOR[1]


def test_lines_of_outlets_that_were_never_tuned_on(pages: list[LabelledPage]) -> None:
    precision, recall = line_scores([page for page in pages if page.split == "held-out"])
    assert precision >= HELD_OUT_FLOOR[0]
    assert recall >= HELD_OUT_FLOOR[1]


def test_headlines_are_found(pages: list[LabelledPage]) -> None:
    found = sum(
        clean_text("\n\n".join(text for _kind, text in page.lines)).headline
        == next(text for kind, text in page.lines if kind == "headline")
        for page in pages
    )
    assert found >= 0.95 * len(pages)


def test_a_known_title_tells_the_headline() -> None:
    lines = ["Pier", "Two cows on the runway again", "The pier that a storm took", A, B]
    assert clean_text("\n\n".join(lines)).headline != "Pier"
    found = clean_text("\n\n".join(lines), "Two Cows on the Runway – again!")
    assert (found.headline, found.paragraphs[-2:]) == ("Two cows on the runway again", [A, B])


def test_each_line_is_kept_or_gone_with_a_reason(pages: list[LabelledPage]) -> None:
    for page in pages:
        texts = [text for _kind, text in page.lines]
        found = clean_text("\n\n".join(texts))
        assert {cut.reason for cut in found.removed} <= set(REASONS)
        seen = [*found.numbers, *(cut.line for cut in found.removed)]
        seen += [texts.index(found.headline)] if found.headline else []
        assert len(set(seen)) == len(texts)
        assert all(texts[number] == text for number, text in zip(found.numbers, found.paragraphs, strict=True))
        assert all(texts[cut.line] == cut.text for cut in found.removed)


def test_features_are_in_range(pages: list[LabelledPage]) -> None:
    ends = [*OFFSETS[1:], SIZE]
    for page in pages[::7]:
        texts = [text for _kind, text in page.lines]
        kinds = [furniture_kind(text) for text in texts]
        headings = headings_of(texts, kinds)
        span, words = main_span(texts, kinds, headings), first_words(texts)
        rows = features(texts, kinds, headings, span, words, every=True)
        for row in rows:
            assert len(row) == len(TEMPLATES)
            assert all(low <= number < high for low, number, high in zip(OFFSETS, row, ends, strict=True))
        asked = features(texts, kinds, headings, span, words)
        assert all(not short or short == row for short, row in zip(asked, rows, strict=True))


def test_sentences_between_sentences_are_not_asked_about() -> None:
    texts = [
        A,
        B,
        A.replace("north", "south"),
        B.replace("east", "west"),
        f"You can {A}",
        B.replace("east", "north"),
        A,
    ]
    kinds = [None] * len(texts)
    headings = headings_of(texts, kinds)
    rows = features(texts, kinds, headings, main_span(texts, kinds, headings), first_words(texts))
    assert [bool(row) for row in rows] == [True, False, False, False, True, False, True]
    assert labeller.scores(labeller.load(), [()]) > [0]


def test_weights_are_read_as_they_are_written() -> None:
    weights = labeller.load()
    assert labeller.load(labeller.dump(weights)) == labeller.Weights(
        weights.unary, weights.enter, weights.leave, weights.bias, labeller.load(labeller.dump(weights)).digest
    )
    with pytest.raises(labeller.WeightsError):
        labeller.load("0 5 0 0 0\n")
    with pytest.raises(labeller.WeightsError):
        labeller.load(f"{FORMAT} {SIZE} 0 0 0\n{SIZE} 3\n")


def test_labels_are_those_with_the_highest_sum() -> None:
    unary = [0] * SIZE
    unary[0], unary[1], unary[2] = 10, -4, -30
    weights = labeller.Weights(tuple(unary), enter=-3, leave=-3, bias=0, digest="")

    def label(*features: int) -> list[bool]:
        return labeller.label(weights, labeller.scores(weights, [(feature,) for feature in features]))

    assert label(0, 1, 0) == [True, True, True]  # out and in again would cost 6
    assert label(0, 2, 0) == [True, False, True]
    assert label(1, 2) == [False, False]
    assert label() == []


def test_the_main_span_ends_before_comments() -> None:
    lines = ["Home", "News", A, B, A.replace("Tuesday", "Monday"), "12 Comments", "Ada Green says:", *[A] * 9]
    kinds = [furniture_kind(line) for line in lines]
    headings = headings_of(lines, kinds)
    assert main_span(lines, kinds, headings) == (2, 4)
    assert comments_begin(lines, headings) == 5


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Published on 3 May 2026 at 10:15", True),
        ("Nov 12, 2026 Updated 3 hrs ago", True),
        ("Mis à jour le 3 mai 2026 à 10h15", True),
        ("Man, 91, returns library book borrowed in 1951", False),
        ("The board met on 3 May 2026", False),
    ],
)
def test_date_lines(line: str, expected: bool) -> None:
    assert is_date_line(line) is expected


def test_a_pull_quote_that_is_said_in_parts_goes() -> None:
    quote = "“This was no bolt from the blue. It was years of warnings, filed by date.”"
    text = "“This was no bolt from the blue,” she said. “It was years of warnings, filed by date.”"
    folds = ["".join(filter(str.isalnum, line.lower())) for line in (quote, A, text)]
    assert repeats([quote, A, text], folds) == {0}
    assert repeats([quote, A], folds[:2]) == set()


def test_composed_pages_are_the_same_each_time() -> None:
    sources = [source("https://x.example/a-pier-for-port-ellery", [A, B, A + " " + B])]
    first, second = (list(composed(sources, ["Sign in"], 5)) for _ in range(2))
    assert first == second
    assert any(label for page in first for _text, label in page)


def test_removed_lines_are_kept_when_asked_for(article: Callable[..., dict[str, Any]]) -> None:
    from workers.ingest import IngestStage
    from workers.stage import Record, Reject

    value = b'{"text": "Advertisement\\n\\n%s\\n\\n%s"}' % (A.encode(), B.encode())
    assert "removed" not in article(value)
    (outcome,) = IngestStage.load(keep_removed=True).process([Record("news.raw", 0, 0, None, value, (), 0)])
    assert not isinstance(outcome, Reject)
    assert b'"removed":[{"text":"Advertisement","reason":"label"}]' in outcome.messages[0].value


def test_words_are_told_by_what_they_are_for() -> None:
    (words,) = first_words(["Tell us your story, subscribe to the newsletter."])
    assert words == ["tell", "us", "your", "story", "subscribe", "to", "the", "newsletter"]
    assert roles(words) == (4, 2, 2, 1)  # us, your, to, the; subscribe, newsletter; us, your; story
    assert may_address_the_reader(words)
    assert first_words([]) == []
    assert capitals("The Board, the Mayor.", first_words(["The Board, the Mayor."])[0]) == 3


def test_only_the_beginning_of_a_line_is_looked_at() -> None:
    (words,) = first_words(["word " * 200])
    assert len(words) == 20


def test_lines_that_are_kept_for_their_neighbours_alone_are_doubted() -> None:
    """Which line is doubted tells `Lines`: in fewer stories, what recurs goes."""
    spoken = f"{A} {B}", "Tell us your story by writing to the newsroom, and it may be in the next edition.", f"{B} {A}"
    found = clean_text("\n\n".join(spoken))
    doubts = dict(zip(found.paragraphs, found.doubts, strict=True))
    assert doubts.get(spoken[0]) is False
    assert doubts.get(spoken[1], True)
