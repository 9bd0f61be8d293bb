"""Plain text to article: what a scraper copied off a page, told apart line by line.

First rules, for what is surely furniture; then a model, for which lines are the article at all (`labeller`); then rules
again, for what is the article's text and yet stands in the wrong place: lists of other articles, repeated quotes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Final, NamedTuple

from workers.ingest import labeller
from workers.ingest.characters import clean_lines, folded, folded_lines
from workers.ingest.furniture import PROSE_ENDS, ends_like_prose, furniture_kind, heading_kind, is_prose, is_truncated
from workers.ingest.headline import byline, find_headline, is_about
from workers.ingest.lines import (
    comments_begin,
    features,
    has_quote,
    headings_of,
    is_date_line,
    main_span,
)
from workers.ingest.repeats import QUOTES, repeats
from workers.ingest.teasers import teasers
from workers.ingest.wording import (
    Words,
    addressing,
    first_words,
    has_telltale,
    may_address_the_reader,
    speaks_of_the_site,
)

_WRAPPED: Final = range(40, 101)
"""Lengths, in characters, of lines that were broken by a program and not by an author."""

_SURE_CHARS: Final = 100
"""Length, in characters, of a sentence that is surely an article's."""

_SENTENCE_ENDS: Final = PROSE_ENDS | {":"}

_GAP_LINES: Final = 8
"""From so many lines outside on, what stands beyond them is another part of the page."""

_FAR_SHARE: Final = 4
"""Another part of the page is the article, too, when it has at least one over this of the prose of its main part."""


_STANDFIRST_CHARS: Final = 30
_EDGE_LINES: Final = 3
_MOST_QUOTES: Final = 20
_MOST_LEFT_OUT: Final = 24


class Removed(NamedTuple):
    """A line that is not the article: its number among the lines, what it says, and why it went."""

    line: int
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Paragraphs of an article in order, and the folded form (`characters.folded`) of each.

    `headline` is the line that was recognised as the headline (it is no paragraph then), `byline` the name of a byline.
    """

    paragraphs: list[str]
    folds: list[str]
    headline: str | None = None
    byline: str | None = None
    removed: list[Removed] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    """The line of each paragraph."""
    doubts: list[bool] = field(default_factory=list)
    """Whether each paragraph may be the page's rather than the article's: it speaks to the reader or of the site, or
    its own features tell against it and only its neighbours are for it."""
    left_out: list[str] = field(default_factory=list)
    """Sentences that speak to the reader or of the site and are not the article: another time they may look like it."""
    standfirst: str | None = None
    """The paragraph that is the standfirst: the sentence or two between headline and byline that sum the story up."""


RECURS: Final = "recurs_in_source"
"""Why a line goes that many articles of one source have."""

REASONS: Final = (
    "label", "ad", "promotion", "related", "caption", "copyright", "counter", "credit", "ornament",
    "teaser", "comment", "about", "byline", "date", "headline_again", "repeat", "menu", "page",
    RECURS,
)  # fmt: skip
"""Every reason for which a line goes: kinds of furniture; parts of lists; what stands around a headline; text that the
article says again; short lines that are none of it (`menu`), and longer ones (`page`); what recurs in the source."""


def clean_text(text: str, title: str | None = None) -> Cleaned:
    """Return the article in `text`; `title` is its headline where that is known. Raises Refusal (`too_many_lines`)."""
    lines = split_lines(text)
    if not lines:
        return Cleaned([], [])
    kinds = [furniture_kind(line) for line in lines]
    gone: dict[int, str] = {at: kind for at, kind in enumerate(kinds) if kind}
    words = first_words(lines)
    inside, doubted = _inside(lines, kinds, words)
    found = find_headline(lines, kinds, inside, title)
    start = found.line if found.line is not None else next((at for at, is_in in enumerate(inside) if is_in), 0)
    name = None
    standfirst = None
    if found.line is not None and _is_standfirst(lines, found.line + 1, found.body):
        inside[found.line + 1] = True
        standfirst = lines[found.line + 1]
    for at in range(start, min(found.body, len(lines))):
        if at != found.line and is_about(lines[at]):
            name = name or byline(lines[at])
            gone[at] = "date" if is_date_line(lines[at]) else "byline"
    headline = folded(lines[found.line]) if found.line is not None else ""
    for at in range(min(max(start, found.body), len(lines))):
        if at in gone or at == found.line:
            continue
        if at < start and (not inside[at] or found.line is not None):
            gone[at] = _why(lines[at], 0)
        elif at < found.body and found.line is not None and folded(lines[at]) == headline:
            gone[at] = "headline_again"
    heading, before = 0, -1
    for at in [at for at, is_in in enumerate(inside) if not is_in]:
        if at < found.body or before != at - 1:
            heading = 0
        if at >= found.body:
            heading = heading_kind(lines[at]) or heading
        if at not in gone and at != found.line:
            gone[at] = _why(lines[at], heading)
        before = at
    left = [at for at in range(len(lines)) if at not in gone and at != found.line]
    cleaned = _finished(lines, words, left, gone, found.line, name, doubted)
    return replace(cleaned, standfirst=standfirst) if standfirst in cleaned.paragraphs[:1] else cleaned


def clean_paragraphs(paragraphs: list[str]) -> Cleaned:
    """Return what an extractor found in a page, without furniture, lists of other articles and repeated quotes."""
    gone: dict[int, str] = {at: kind for at, line in enumerate(paragraphs) if (kind := furniture_kind(line))}
    left = [at for at in range(len(paragraphs)) if at not in gone]
    return _finished(paragraphs, first_words(paragraphs), left, gone, None, None, frozenset())


def _finished(
    lines: Sequence[str],
    words: Words,
    left: list[int],
    gone: dict[int, str],
    headline: int | None,
    name: str | None,
    doubted: frozenset[int],
) -> Cleaned:
    """Take lists of other articles and repeats out of the lines that are left."""
    paragraphs = [lines[at] for at in left]
    if listed := teasers(paragraphs):
        for at in listed:
            gone[left[at]] = "teaser"
        left = [at for at in left if at not in gone]
        paragraphs = [lines[at] for at in left]
    folds = folded_lines(paragraphs)
    if again := repeats(paragraphs, folds):
        for at in again:
            gone[left[at]] = "repeat"
        kept = [number for number in range(len(left)) if number not in again]
        left, paragraphs = [left[number] for number in kept], [paragraphs[number] for number in kept]
        folds = [folds[number] for number in kept]
    page = [at for at, reason in gone.items() if reason == "page"]
    if quotes := [at for at in page if lines[at][0] in QUOTES]:
        said = "\n".join(folds)
        for at in quotes[:_MOST_QUOTES]:
            if folded(lines[at]) in said:
                gone[at] = "repeat"
    spoken = addressing(words)
    return Cleaned(
        paragraphs=paragraphs,
        folds=folds,
        numbers=left,
        doubts=[spoken[at] or at in doubted for at in left],
        left_out=[lines[at] for at in page if spoken[at] and gone[at] == "page" and ends_like_prose(lines[at])][
            :_MOST_LEFT_OUT
        ],
        headline=lines[headline] if headline is not None else None,
        byline=name,
        removed=[Removed(at, lines[at], gone[at]) for at in sorted(gone)],
    )


def _inside(lines: Sequence[str], kinds: Sequence[str | None], words: Words) -> tuple[list[bool], frozenset[int]]:
    """Return for each line whether it is the article, and the numbers of the lines that are not like one."""
    headings = headings_of(lines, kinds)
    if _is_bare(lines, kinds, headings, words):
        return [kind is None for kind in kinds], frozenset()
    span = main_span(lines, kinds, headings)
    scored = labeller.scores(_weights(), features(lines, kinds, headings, span, words))
    answer = labeller.label(_weights(), scored)
    doubted = frozenset(at for at, own in enumerate(scored) if own < 0)
    end = comments_begin(lines, headings)
    answer[end:] = [False] * (len(lines) - end)
    if not any(answer):
        first, last = span
        if first > last:
            return [kind is None for kind in kinds], doubted
        # The model finds nothing: then the densest stretch of prose is the article.
        return [first <= at <= last and kind is None for at, kind in enumerate(kinds)], doubted
    _continue(lines, kinds, words, span, answer)
    parts: list[list[int]] = [[]]
    for at in (at for at, is_in in enumerate(answer) if is_in):
        if parts[-1] and at - parts[-1][-1] > _GAP_LINES:
            parts.append([])
        parts[-1].append(at)
    masses = [sum(len(lines[at]) for at in part if ends_like_prose(lines[at])) for part in parts]
    least = max(masses) // _FAR_SHARE
    for part, mass in zip(parts, masses, strict=True):
        if mass < least or (mass < max(masses) and speaks_of_the_site([lines[at] for at in part])):
            for at in part:
                answer[at] = False
    return answer, doubted


def _continue(
    lines: Sequence[str], kinds: Sequence[str | None], words: Words, span: tuple[int, int], answer: list[bool]
) -> None:
    """A paragraph that follows one of the article, with nothing but furniture between, and speaks neither of the page
    nor to the reader, is the article's, too, within the densest stretch of prose. Sets `answer`."""
    first, last = span
    follows = False
    for at in range(first, last + 1):
        if kinds[at]:
            continue
        line, prose = lines[at], is_prose(lines[at])
        if follows and prose and not answer[at]:
            spoken = may_address_the_reader(words[at]) and not has_quote(line)
            answer[at] = not spoken and not has_telltale(words[at]) and not speaks_of_the_site([line])
        follows = prose and answer[at]


def _is_standfirst(lines: Sequence[str], at: int, body: int) -> bool:
    """Return whether the line after a headline is its standfirst: a byline or a date follows."""
    return (
        at + 1 < body
        and len(lines[at]) >= _STANDFIRST_CHARS
        and not is_about(lines[at])
        and any(is_about(line) for line in lines[at + 1 : min(body, at + 3)])
    )


def _is_bare(lines: Sequence[str], kinds: Sequence[str | None], headings: Sequence[int], words: Words) -> bool:
    """Return whether a text is an article and nothing else, but for furniture that the rules know: below the first line
    all are sentences, one of them long, and no word speaks of the page. Most texts are; the model is not asked then."""
    if any(headings):
        return False
    # Scrapers cut long texts off: a long last line without an end is a paragraph, too.
    end = len(lines) - 1 if len(lines[-1]) >= _SURE_CHARS else len(lines)
    for line, kind in zip(lines[1:end], kinds[1:end], strict=True):
        if not kind and (line[-1] not in _SENTENCE_ENDS or is_truncated(line)):
            return False
    # What speaks of the page stands at its edges.
    if any(map(has_telltale, (*words[:_EDGE_LINES], *words[-_EDGE_LINES:]))):
        return False
    return any(len(line) >= _SURE_CHARS and ends_like_prose(line) for line in lines)


@cache
def _weights() -> labeller.Weights:
    return labeller.load()


def _why(line: str, heading: int) -> str:
    """Why a line goes that the model finds outside the article."""
    if heading:
        return ("", "teaser", "comment", "about")[heading]
    if is_date_line(line):
        return "date"
    if is_about(line):
        return "byline"
    return "menu" if len(line) <= 40 and not ends_like_prose(line) else "page"


def split_lines(text: str) -> list[str]:
    """Return the cleaned paragraphs of `text`, nothing removed. Raises Refusal (`too_many_lines`)."""
    return split_paragraphs(clean_lines(text))


def split_paragraphs(lines: list[str]) -> list[str]:
    """Return the paragraphs that cleaned lines make up.

    A blank line always ends a paragraph. A line break does, too, unless most lines of the text were broken at a fixed
    width, as mail and old agency software do: then the lines up to the next blank one are one paragraph.
    """
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line:
            blocks[-1].append(line)
        elif blocks[-1]:
            blocks.append([])
    if not blocks[-1]:
        blocks.pop()
    if not _is_wrapped(blocks):
        return [line for block in blocks for line in block]
    return [" ".join(block) for block in blocks]


def _is_wrapped(blocks: list[list[str]]) -> bool:
    inner = [line for block in blocks for line in block[:-1]]
    if len(inner) < 3 or len(blocks) < 2:
        return False
    broken = sum(1 for line in inner if len(line) in _WRAPPED and not ends_like_prose(line))
    return broken * 10 >= len(inner) * 7
