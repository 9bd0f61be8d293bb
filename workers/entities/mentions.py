"""Mentions: where in headline and body a name stands, trimmed to the name itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from workers.entities.consistency import consistent
from workers.entities.gazetteer import words_of
from workers.entities.limits import MAX_MENTIONS, MAX_NAME_CHARS, MAX_TOKENS
from workers.entities.sentences import read_sentence
from workers.entities.tagger import Span, Tagger, tag_all
from workers.entities.team import CONFIDENCE, TAKES_OVER, Gazetteer, Hit
from workers.entities.tokens import Token, split_sentences, tokenize
from workers.entities.wordlists import word_list

Field = Literal["headline", "body"]

_POSSESSIVES: Final = frozenset({"'s", "’s", "'S", "’S", "'", "’"})
_SIGNS: Final = frozenset("\"'“”‘’.,;:-–—()[]/ ")
_ARTICLES: Final = frozenset({"the", "a", "an"})
_SUFFIXES: Final = word_list("person-suffix")
_WOMEN: Final = frozenset({"mrs", "mrs.", "ms", "ms.", "miss", "lady"})


class Found(NamedTuple):
    """One mention before it is resolved. `words` are its tokens; `start` and `end` are offsets into the field's text.

    `other_person` marks a surname that its context gives to somebody else than its best known bearer (Mrs, Ms, Lady).
    `id` is the public id where a team's gazetteer gave it.
    """

    field: Field
    start: int
    end: int
    type: str
    confidence: float
    words: tuple[str, ...]
    other_person: bool
    id: str | None = None


def find_mentions(headline: str, body: str, tagger: Tagger) -> list[Found]:
    """Return the names in an article, headline first, each field in order of place."""
    return find_all_mentions([(headline, body)], tagger)[0]


def find_all_mentions(articles: Sequence[tuple[str, str]], tagger: Tagger) -> list[list[Found]]:
    """Return the names in each article (headline, body), as `find_mentions` does for it alone. Articles are tagged
    together, up to `MAX_TOKENS` tokens or one article at a time: that is faster for short ones."""
    found: list[list[Found]] = []
    waiting: list[tuple[list[Field], list[list[Token]]]] = []
    tokens = 0
    for number, (headline, body) in enumerate(articles, 1):
        waiting.append(read_fields(headline, body))
        tokens += sum(map(len, waiting[-1][1]))
        if tokens < MAX_TOKENS and number < len(articles):
            continue
        read = [[read_sentence([token.text for token in tokens]) for tokens in sentences] for _, sentences in waiting]
        for (fields, sentences), document, spans in zip(waiting, read, tag_all(tagger, read), strict=True):
            found.append(_mentions(fields, sentences, consistent(document, spans)))
        waiting, tokens = [], 0
    return found


def _mentions(
    fields: Sequence[Field], sentences: Sequence[Sequence[Token]], spans: Sequence[Sequence[Span]]
) -> list[Found]:
    found: list[Found] = []
    for field, sentence, row in zip(fields, sentences, spans, strict=True):
        for span in row:
            mention = _trimmed(field, sentence, span.start, span.end, span.type, span.confidence)
            if mention is not None:
                found.append(mention)
                if len(found) == MAX_MENTIONS:
                    return found
    return found


def read_fields(headline: str, body: str) -> tuple[list[Field], list[list[Token]]]:
    """Return the sentences of headline and body, and the field of each; at most `MAX_TOKENS` tokens together."""
    first = split_sentences(headline, tokenize(headline, MAX_TOKENS))
    used = sum(map(len, first))
    rest = split_sentences(body, tokenize(body, MAX_TOKENS - used)) if used < MAX_TOKENS else []
    fields: list[Field] = ["headline"] * len(first)
    fields += ["body"] * len(rest)
    return fields, first + rest


def with_hits(headline: str, body: str, mentions: Sequence[Found], gazetteer: Gazetteer) -> list[Found]:
    """Return `mentions` and the names of a team's gazetteer, in order of place and at most `MAX_MENTIONS`.

    Where they overlap, a longer mention that holds the hit stays, unless it is of the same extent; else the priority of
    the hit decides.
    """
    merged: list[Found] = []
    fields: tuple[tuple[Field, str], ...] = (("headline", headline), ("body", body))
    for field, text in fields:
        kept = [mention for mention in mentions if mention.field == field]
        added: list[Found] = []
        at = 0
        taken: set[int] = set()
        for hit in gazetteer.find(text):
            while at < len(kept) and kept[at].end <= hit.start:
                at += 1
            over = []
            for number in range(at, len(kept)):
                if kept[number].start >= hit.end:
                    break
                over.append(number)
            longer = any(
                kept[number].start <= hit.start and hit.end <= kept[number].end and _size(kept[number]) > _size(hit)
                for number in over
            )
            if longer or (over and hit.entry.priority < TAKES_OVER):
                continue
            taken.update(over)
            words = tuple(token.text for token in tokenize(text[hit.start : hit.end], MAX_TOKENS))
            added.append(Found(field, hit.start, hit.end, hit.entry.type, CONFIDENCE, words, False, hit.entry.id))
        kept = [mention for number, mention in enumerate(kept) if number not in taken]
        merged += sorted(kept + added, key=lambda mention: mention.start)
    return merged[:MAX_MENTIONS]


def _size(span: Found | Hit) -> int:
    return span.end - span.start


def _trimmed(
    field: Field, sentence: Sequence[Token], start: int, end: int, kind: str, confidence: float
) -> Found | None:
    """Return the mention at tokens `start` to `end` without title, article, possessive and signs around it."""
    if kind == "LOC":
        # "eastern Congo" is about Congo; "the" goes with it.
        while end - start > 1 and sentence[start].text[0].islower():
            start += 1
    titles = words_of("title") | words_of("role") if kind == "PER" else _ARTICLES if kind != "MISC" else frozenset()
    while start < end and (
        sentence[start].text in _SIGNS or (end - start > 1 and sentence[start].text.lower() in titles)
    ):
        start += 1
    while start < end and (sentence[end - 1].text in _SIGNS or sentence[end - 1].text in _POSSESSIVES):
        end -= 1
    if kind == "PER" and start < end < len(sentence) and sentence[end].text.lower().rstrip(".") in _SUFFIXES:
        end += 1
    if start >= end or sentence[end - 1].end - sentence[start].start > MAX_NAME_CHARS:
        return None
    words = tuple(token.text for token in sentence[start:end])
    if not any(char.isalnum() for word in words for char in word):
        return None
    other = kind == "PER" and start > 0 and sentence[start - 1].text.lower() in _WOMEN
    return Found(field, sentence[start].start, sentence[end - 1].end, kind, confidence, words, other)
