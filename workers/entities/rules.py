"""Names in German, Spanish and French news, by rules: known names, titles, first names, words that open organisations.

There is no model behind it: a name counts only where a list or the word before it speaks for it. Precision comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final, NamedTuple

from workers.entities.casing import NORMAL, case_of
from workers.entities.cities import cities, form_of
from workers.entities.gazetteer import words_of
from workers.entities.lexicon import lists_of
from workers.entities.limits import MAX_MENTIONS
from workers.entities.mentions import Found, read_fields
from workers.entities.names import parts_of
from workers.entities.people import by_surname
from workers.entities.places import country_forms
from workers.entities.tokens import Token, tokenize
from workers.entities.wordlists import lines, word_list

LANGUAGES: Final = ("de", "es", "fr")

_KNOWN_CONFIDENCE: Final = 0.9
_PERSON_CONFIDENCE: Final = 0.8
_CITY_CONFIDENCE: Final = 0.75
_ORGANISATION_CONFIDENCE: Final = 0.65
_ACRONYM_CONFIDENCE: Final = 0.6

_LARGE_CITY: Final = 150_000
_LONGEST_NAME: Final = 5
"""Words of a person's name, particles among them."""
_LONGEST_ORGANISATION: Final = 7
_ELIDED: Final = ("l'", "d'", "qu'", "j'", "s'", "n'")
_HYPHENS: Final = frozenset("-‐‑–")

_Span = tuple[int, int, str, float, str | None]
"""First token, token behind the last, type, confidence, public id."""


class _Name(NamedTuple):
    """A known name: type, and public id where there is one."""

    type: str
    id: str | None


class _Words(NamedTuple):
    """What the rules know of a language."""

    titles: frozenset[str]
    particles: frozenset[str]
    organisations: frozenset[str]
    no_names: frozenset[str]
    names: dict[tuple[str, ...], _Name]
    longest: int


@cache
def _words(language: str) -> _Words:
    names = {
        phrase: _Name("LOC", "iso3166:" + forms[0].country.code)
        for phrase, forms in country_forms().items()
        # The English spelling, too, where it means nothing else.
        if not (forms[0].unsure or forms[0].demonym or forms[0].exact or phrase[0] in word_list("outside-english"))
    }
    column = 1 + LANGUAGES.index(language)
    for line in lines("lang_countries.tsv"):
        columns = line.split("\t")
        if columns[column]:
            names[_phrase(columns[column], language)] = _Name("LOC", "iso3166:" + columns[0])
    for line in lines("lang_names.tsv"):
        of, surface, kind, *ids = line.split("\t")
        if of == language:
            names[_phrase(surface, language)] = _Name(kind, _public_id(ids[0]) if ids and ids[0] else None)
    lists = [word_list(f"{language}-{name}") for name in ("title", "particle", "org", "no-name")]
    return _Words(lists[0], lists[1], lists[2], lists[3], names, max(map(len, names)))


def _phrase(name: str, language: str) -> tuple[str, ...]:
    return tuple(_lowered(token.text) for token in _apart(tokenize(name, 20), language))


def _lowered(text: str) -> str:
    return text.lower().replace("’", "'")


def _public_id(text: str) -> str:
    """Return the id of a city written `@Name/CC` (the largest of that name there), or any other id as it is."""
    if not text.startswith("@"):
        return text
    name, country = text[1:].split("/")
    same = cities()[form_of([token.text for token in tokenize(name, 20)])]
    return f"geonames:{next(city for city in same if city.country == country).id}"


def _apart(tokens: Sequence[Token], language: str) -> list[Token]:
    """Return `tokens` with French elided words (l', d') as tokens of their own."""
    if language != "fr":
        return list(tokens)
    out = []
    for token in tokens:
        cut = next((len(one) for one in _ELIDED if _lowered(token.text).startswith(one)), 0)
        if 0 < cut < len(token.text):
            out.append(Token(token.text[:cut], token.start, token.start + cut))
            out.append(Token(token.text[cut:], token.start + cut, token.end))
        else:
            out.append(token)
    return out


def find_by_rules(headline: str, body: str, language: str) -> list[Found]:
    """Return the names in a German, Spanish or French article (`language` is de, es or fr), in order of place."""
    words = _words(language)
    fields, sentences = read_fields(headline, body)
    apart = [_apart(sentence, language) for sentence in sentences]
    readers = [_Reader(sentence, words, language) for sentence in apart]
    surnames = {name for reader in readers for name in reader.surnames}
    found: list[Found] = []
    for field, sentence, reader in zip(fields, apart, readers, strict=True):
        for start, end, kind, confidence, identity in reader.with_surnames(surnames):
            texts = tuple(token.text for token in sentence[start:end])
            found.append(
                Found(field, sentence[start].start, sentence[end - 1].end, kind, confidence, texts, False, identity)
            )
            if len(found) == MAX_MENTIONS:
                return found
    return found


class _Reader:
    """Reads one sentence from left to right; `spans` are (start, end, type, confidence, id), `surnames` last names."""

    def __init__(self, sentence: Sequence[Token], words: _Words, language: str) -> None:
        self._texts = [token.text for token in sentence]
        self._low = [_lowered(text) for text in self._texts]
        self._words = words
        self._language = language
        self._shouted = not any(text[0].islower() for text in self._texts) and case_of(self._texts, self._low) != NORMAL
        self.spans: list[_Span] = []
        self.surnames: list[str] = []
        at = 0
        while at < len(self._texts):
            at = self._read(at)

    def _read(self, at: int) -> int:
        """Note the name that begins at token `at`, if any, and return where to go on."""
        for size in range(min(self._words.longest, len(self._texts) - at), 0, -1):
            known = self._words.names.get(tuple(self._low[at : at + size]))
            if known is not None and any(text[0].isupper() for text in self._texts[at : at + size]):
                return self._note(at, at + size, known.type, _KNOWN_CONFIDENCE, known.id)
        if self._shouted or not self._texts[at][0].isupper():
            return at + 1  # in capitals nothing but a list can tell a name
        end = self._organisation(at)
        if end > at:
            return self._note(at, end, "ORG", _ORGANISATION_CONFIDENCE, None)
        end = self._person(at)
        if end > at:
            self.surnames.append(self._texts[end - 1])
            return self._note(at, end, "PER", _PERSON_CONFIDENCE, None)
        if self._is_acronym(at):
            return self._note(at, at + 1, "ORG", _ACRONYM_CONFIDENCE, None)
        end = self._city(at)
        if end > at:
            return self._note(at, end, "LOC", _CITY_CONFIDENCE, None)
        if self._is_prominent(at):
            return self._note(at, at + 1, "PER", _PERSON_CONFIDENCE, None)
        return at + 1

    def _note(self, start: int, end: int, kind: str, confidence: float, identity: str | None) -> int:
        self.spans.append((start, end, kind, confidence, identity))
        return end

    def _is_capital(self, at: int) -> bool:
        text = self._texts[at]
        return text[0].isupper() and self._low[at] not in self._words.no_names

    def _person(self, at: int) -> int:
        """Return the end of a person's name that begins at `at`, or `at`. A first name or a title must speak for it."""
        low = self._low[at]
        if not self._is_capital(at) or low in self._words.titles:
            return at
        titled = at > 0 and self._low[at - 1].rstrip(".") in self._words.titles
        if not titled and at > 1 and self._texts[at - 1] == ".":
            titled = self._low[at - 2] in self._words.titles
        lists = lists_of(low)
        is_first = low in words_of("first") or "f" in lists or ("g" in lists and self._language != "de")
        if not (titled or is_first):
            return at
        end, names = at + 1, 1
        while end < len(self._texts) and end - at < 2 * _LONGEST_NAME:
            if self._texts[end] in _HYPHENS and end + 1 < len(self._texts) and self._texts[end + 1][0].isupper():
                end += 2
            elif self._is_capital(end) and names < _LONGEST_NAME and self._low[end] not in self._words.organisations:
                if self._language == "de" and names >= 2 and not lists_of(self._low[end]):
                    break  # a noun has a capital, too
                end, names = end + 1, names + 1
            elif self._low[end] in self._words.particles and self._after_particles(end) > end:
                end, names = self._after_particles(end) + 1, names + 1
            else:
                break
        return end if names > 1 or titled else at

    def _after_particles(self, at: int) -> int:
        """Return the place of the capital that follows one or two particles at `at`, or `at`."""
        for ahead in (at + 1, at + 2):
            if ahead < len(self._texts) and self._is_capital(ahead):
                return ahead
            if ahead >= len(self._texts) or self._low[ahead] not in self._words.particles:
                return at
        return at

    def _organisation(self, at: int) -> int:
        """Return the end of an organisation's name that begins at `at`, or `at`."""
        if self._language == "de":
            # One compound says it: Finanzministerium, Landgericht, Staatsanwaltschaft.
            low = self._low[at]
            ends = any(low.endswith(word) and len(low) > len(word) + 3 for word in self._words.organisations)
            return at + 1 if ends else at
        if self._low[at] not in self._words.organisations or not self._is_capital(at):
            return at
        end = last = at + 1
        while end < len(self._texts) and end - at < _LONGEST_ORGANISATION:
            if self._texts[end][0].isupper() and self._low[end] not in self._words.no_names:
                end = last = end + 1
            elif self._low[end] in self._words.particles or self._low[end] in ("l'", "d'", "e"):
                end += 1
            else:
                break
        return last if last > at + 1 else at

    def _is_acronym(self, at: int) -> bool:
        text = self._texts[at]
        return 2 <= len(text) <= 6 and text.isalpha() and text.isupper() and self._low[at] not in word_list("not-org")

    def _city(self, at: int) -> int:
        if not self._is_capital(at) or (at == 0 and len(self._texts) > 1 and self._texts[1][0].islower()):
            return at
        for size in (3, 2, 1):
            texts = self._texts[at : at + size]
            if len(texts) == size and texts[-1][0].isupper() and len(parts_of(texts)) <= size:
                same = cities().get(form_of(texts), ())
                if same and same[0].population >= _LARGE_CITY:
                    return at + size
        return at

    def _is_prominent(self, at: int) -> bool:
        return self._is_capital(at) and by_surname((self._low[at],)) is not None

    def with_surnames(self, surnames: set[str]) -> list[_Span]:
        """Return the spans, and the surnames that the article gives elsewhere with a first name."""
        taken = {at for start, end, *_ in self.spans for at in range(start, end)}
        more: list[_Span] = [
            (at, at + 1, "PER", _PERSON_CONFIDENCE, None)
            for at, text in enumerate(self._texts)
            if at not in taken and text in surnames and len(text) > 2
        ]
        return sorted(self.spans + more, key=lambda span: span[0])
