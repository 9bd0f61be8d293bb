"""From a tagger's spans to a document's: known names that it missed or cut, and one reading of a name throughout."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Final

from workers.entities.casing import NORMAL, TITLE, UPPER
from workers.entities.sentences import Sentence
from workers.entities.tagger import Span
from workers.entities.wordlists import word_list

_KNOWN_CONFIDENCE: Final = 0.85
"""Of a span that comes from our lists alone."""

_REPEATED: Final = 0.9
"""Factor on the confidence of the reading that a missed mention takes over."""

_DOMINANT: Final = 1.5
"""How many times the weight of another reading lets a reading take its mentions over."""

_FULL_NAME: Final = 2
"""How much more a person's full name says of the surname than the surname alone."""

_ENOUGH: Final = 0.6
"""Least weight of a reading that missed mentions take over."""

_MAX_FORMS: Final = 8
"""Forms with the same first word that are looked for."""

_Form = tuple[str, ...]
_HYPHENS: Final = frozenset("-‐‑–")
_BEFORE_US: Final = frozenset(["THE", "IN", "INTO", "ACROSS", "THROUGHOUT", ",", ":", ";", "-", "–", "—", "VS", "VS."])

_TYPES: Final = {"country": "LOC", "place": "LOC", "org": "ORG", "demonym": "MISC", "person": "PER"}
"""Classes of known names that are names by themselves; a city may be part of anything."""

_ALSO_WORDS: Final = word_list("also-word")
"""Single-word forms that are also words, people or parts of longer names: never added on the word of a list alone."""


def consistent(sentences: Sequence[Sentence], spans: Sequence[Sequence[Span]]) -> list[list[Span]]:
    """Return the spans of a document's sentences after these steps:

    1. A known name of several words, or an unmistakable country, is a span where the tagger saw none or only part;
       `US` is none before `$`, and in a sentence in capitals only where no pronoun can stand.
    2. A form that the tagger read in two ways in this document takes the reading with more weight. A person's full name
       speaks for the surname, too.
    3. A form of a name that stands elsewhere in the document with capitals, and untagged, is tagged.

    Spans of a sentence stay in order and never overlap.
    """
    found = [
        _without_pronouns(sentence.words, _with_known(sentence, row), sentence.case)
        for sentence, row in zip(sentences, spans, strict=True)
    ]
    words = [sentence.words for sentence in sentences]
    readings = _Readings(words, found)
    found = [[readings.settled(one, span) for span in row] for one, row in zip(words, found, strict=True)]
    return [
        readings.repeated(sentence.words, row, sentence.case) for sentence, row in zip(sentences, found, strict=True)
    ]


def _without_pronouns(words: Sequence[str], spans: Sequence[Span], case: str) -> list[Span]:
    out = []
    for span in spans:
        start, end = span.start, span.end
        if end - start == 1 and words[start] in ("US", "U.S."):
            if end < len(words) and words[end] == "$":
                continue
            if case == UPPER and words[start] == "US" and start and words[start - 1] not in _BEFORE_US:
                continue
        out.append(span)
    return out


def _with_known(sentence: Sentence, spans: Sequence[Span]) -> list[Span]:
    out = list(spans)
    if sentence.case not in (NORMAL, TITLE):
        return out
    marks = sentence.marks
    at = 0
    while at < len(marks):
        mark = marks[at]
        if not mark:
            at += 1
            continue
        start, kind = at, mark[2:]
        at += 1
        while at < len(marks) and marks[at].startswith("I-"):
            at += 1
        single = at - start == 1
        if kind not in _TYPES or (
            single and (kind not in ("country", "demonym") or sentence.lowered[start] in _ALSO_WORDS)
        ):
            continue
        over = [span for span in out if span.start < at and start < span.end]
        if any(span.start < start or span.end > at for span in over):
            continue  # part of a longer name, or across its edge: the tagger knows better
        if len(over) == 1 and over[0].end - over[0].start == at - start:
            continue
        confidence = max([_KNOWN_CONFIDENCE, *(span.confidence for span in over)])
        out = [span for span in out if span not in over]
        out.append(Span(start, at, _TYPES[kind], confidence))
    out.sort()
    return out


class _Readings:
    """How the names of a document were read: for each form, in capitals, the sum of confidences of each type."""

    def __init__(self, sentences: Sequence[Sequence[str]], spans: Sequence[Sequence[Span]]) -> None:
        self._weights: dict[_Form, dict[str, float]] = {}
        self._exact: set[_Form] = set()
        self._sentences = sentences
        for words, row in zip(sentences, spans, strict=True):
            for span in row:
                form = tuple(words[span.start : span.end])
                self._add(form, span)
                if span.type == "PER" and len(form) > 1 and form[1] not in _HYPHENS:
                    self._add(form[1:], span._replace(confidence=_FULL_NAME * span.confidence))
        self._by_first: dict[str, list[_Form]] = {}
        for form in self._weights:
            if len(form) > 1 or len(form[0]) > 2:
                self._by_first.setdefault(form[0], []).append(form)
        for forms in self._by_first.values():
            forms.sort(key=lambda form: (-len(form), form))
            del forms[_MAX_FORMS:]

    @cached_property
    def _small(self) -> set[str]:
        """In capitals, the words that the document also writes without one."""
        return {word.upper() for words in self._sentences for word in words if word[0].islower()}

    def _add(self, form: _Form, span: Span) -> None:
        self._exact.add(form)
        types = self._weights.setdefault(tuple(word.upper() for word in form), {})
        types[span.type] = types.get(span.type, 0.0) + span.confidence

    def _best(self, form: _Form) -> tuple[str, float]:
        types = self._weights[form]
        best = max(sorted(types), key=lambda kind: types[kind])
        return best, types[best]

    def settled(self, words: Sequence[str], span: Span) -> Span:
        """Return `span` with the type that its form has in this document."""
        form = tuple(word.upper() for word in words[span.start : span.end])
        best, weight = self._best(form)
        if weight >= _DOMINANT * self._weights[form][span.type]:
            return span._replace(type=best)
        return span

    def repeated(self, words: Sequence[str], spans: list[Span], case: str) -> list[Span]:
        """Return `spans` and those of names of the document that stand untagged in `words`."""
        if case not in (NORMAL, TITLE, UPPER):
            return spans
        upper = [word.upper() for word in words]
        if self._by_first.keys().isdisjoint(upper):
            return spans
        taken = {at for span in spans for at in range(span.start, span.end)}
        added = []
        at = 0
        while at < len(words):
            step = 1
            for form in self._by_first.get(upper[at], ()) if at not in taken else ():
                end = at + len(form)
                if tuple(upper[at:end]) != form or not taken.isdisjoint(range(at, end)):
                    continue
                best, weight = self._best(form)
                if weight >= _ENOUGH and self._is_name(words, at, end, case, best):
                    added.append(Span(at, end, best, round(min(1.0, weight) * _REPEATED, 3)))
                    step = end - at
                    break
            at += step
        return sorted(spans + added) if added else spans

    def _is_name(self, words: Sequence[str], start: int, end: int, case: str, kind: str) -> bool:
        """Return whether the untagged words look like the name that they are elsewhere."""
        if case != UPPER and tuple(words[start:end]) not in self._exact:
            return False
        if end - start > 1:
            return True
        if words[start].upper() in self._small:
            return False
        if case != NORMAL:
            # Every word has a capital there, so that it says nothing; surnames are long enough to be no accident.
            return kind == "PER" and len(words[start]) > 3
        return not (words[end : end + 1] and words[end][0].isupper()) and not (
            start > 1 and words[start - 1][0].isupper()
        )
