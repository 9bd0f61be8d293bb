"""From a tagger's spans to a document's: known names that it missed or cut, and one reading of a name throughout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from workers.entities.features import NORMAL, TITLE, case_of, known_marks
from workers.entities.tagger import Span

_KNOWN_CONFIDENCE: Final = 0.85
"""Of a span that comes from our lists alone."""

_REPEATED: Final = 0.9
"""Factor on the confidence of the reading that a missed mention takes over."""

_TYPES: Final = {"country": "LOC", "place": "LOC", "org": "ORG", "demonym": "MISC"}
_ALSO_WORDS: Final = frozenset(
    "turkey jordan chad georgia guinea mali niger congo polish pole poles dane danes finn finns swede swedes kiwi kiwis "
    "lao turk turks dutch french german english chinese american america".split()
)
"""Single-word forms that are also words, people or parts of longer names: never added on the word of a list alone."""


def consistent(sentences: Sequence[Sequence[str]], spans: Sequence[Sequence[Span]]) -> list[list[Span]]:
    """Return the spans of a document's sentences after three steps:

    1. A known name of several words, or an unmistakable country, is a span where the tagger saw none or only part.
    2. A form that the tagger read in two ways in this document takes the reading with more weight.
    3. A form of a name that stands elsewhere in the document with capitals, and untagged, is tagged.

    Spans of a sentence stay in order and never overlap.
    """
    cases = [case_of(words) for words in sentences]
    found = [_with_known(words, row, case) for words, row, case in zip(sentences, spans, cases, strict=True)]
    weights = _readings(sentences, found)
    found = [[_settled(words, span, weights) for span in row] for words, row in zip(sentences, found, strict=True)]
    return _with_repeated(sentences, found, cases, weights)


def _with_known(words: Sequence[str], spans: Sequence[Span], case: str) -> list[Span]:
    if case not in (NORMAL, TITLE):
        return list(spans)
    marks = known_marks(words, [word.lower() for word in words], case)
    out = list(spans)
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
        if single and (kind not in ("country", "demonym") or words[start].lower() in _ALSO_WORDS):
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


_Readings = dict[tuple[str, ...], dict[str, float]]


def _readings(sentences: Sequence[Sequence[str]], spans: Sequence[Sequence[Span]]) -> _Readings:
    """Return, for each form, the sum of confidences of each type that it was given."""
    weights: _Readings = {}
    for words, row in zip(sentences, spans, strict=True):
        for span in row:
            types = weights.setdefault(tuple(words[span.start : span.end]), {})
            types[span.type] = types.get(span.type, 0.0) + span.confidence
    return weights


def _settled(words: Sequence[str], span: Span, weights: _Readings) -> Span:
    types = weights[tuple(words[span.start : span.end])]
    if len(types) == 1:
        return span
    best = max(sorted(types), key=lambda kind: types[kind])
    if types[best] >= 2 * types[span.type] and span.confidence < 0.9:
        return span._replace(type=best)
    return span


def _with_repeated(
    sentences: Sequence[Sequence[str]], spans: list[list[Span]], cases: Sequence[str], weights: _Readings
) -> list[list[Span]]:
    by_first: dict[str, list[tuple[str, ...]]] = {}
    for form in weights:
        if form[0][0].isupper() and (len(form) > 1 or len(form[0]) > 2):
            by_first.setdefault(form[0], []).append(form)
    for forms in by_first.values():
        forms.sort(key=lambda form: (-len(form), form))
        del forms[8:]
    small = {word for words in sentences for word in words if word[0].islower()}
    out = []
    for words, row, case in zip(sentences, spans, cases, strict=True):
        if case not in (NORMAL, TITLE) or by_first.keys().isdisjoint(words):
            out.append(row)
            continue
        taken = {at for span in row for at in range(span.start, span.end)}
        added = []
        at = 0
        while at < len(words):
            step = 1
            for form in by_first.get(words[at], ()) if at not in taken else ():
                end = at + len(form)
                if tuple(words[at:end]) != form or not taken.isdisjoint(range(at, end)):
                    continue
                if len(form) == 1 and (form[0].lower() in small or _has_capital_beside(words, at)):
                    continue
                types = weights[form]
                best = max(sorted(types), key=lambda kind: types[kind])
                if types[best] >= 0.6:
                    added.append(Span(at, end, best, round(min(1.0, types[best]) * _REPEATED, 3)))
                    step = len(form)
                    break
            at += step
        out.append(sorted(row + added) if added else row)
    return out


def _has_capital_beside(words: Sequence[str], at: int) -> bool:
    """Return whether a word stands next to another with a capital, and so may be part of a different name."""
    after = words[at + 1] if at + 1 < len(words) else ""
    before = words[at - 1] if at > 1 else ""
    return after[:1].isupper() or before[:1].isupper()
