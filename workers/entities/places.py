"""Links to countries: ISO 3166-1 codes for their names and for what their people are called."""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

from workers.entities.gazetteer import Country, Phrase, countries, phrase_of

NAME_CONFIDENCE: Final = 0.98
DEMONYM_CONFIDENCE: Final = 0.9
"""A demonym is about a country's people or its affairs, and at times about a language or a diaspora."""
CUED_CONFIDENCE: Final = 0.8
"""A form that names something else, too, in an article that speaks of this country in other words."""


class CountryForm(NamedTuple):
    """A way to write a country (`demonym`: its people). `exact` is the text where the form is in capitals (US)."""

    country: Country
    demonym: bool
    unsure: bool
    exact: str | None


@cache
def country_forms() -> dict[Phrase, tuple[CountryForm, ...]]:
    """Return the forms of all countries by their lower-cased tokens; several where a form is shared (Congo)."""
    forms: dict[Phrase, list[CountryForm]] = {}
    for country in countries():
        for demonym, texts in ((False, country.names), (True, country.demonyms)):
            for text in texts:
                exact = text if text.upper() == text and " " not in text else None
                forms.setdefault(phrase_of(text), []).append(
                    CountryForm(country, demonym, text in country.unsure, exact)
                )
    return {phrase: tuple(found) for phrase, found in forms.items()}


class CountryLinker:
    """Links mentions of one article, whose text is `text`."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._cued: dict[str, bool] = {}

    def link(self, words: tuple[str, ...], kind: str) -> tuple[CountryForm, float] | None:
        """Return the country that a mention of type `kind` names, and the confidence in that. A person is none.

        An unsure form counts only where one of its country's cues stands in the text, and only when no other country
        that shares the form has a cue there.
        """
        if kind == "PER":
            return None
        phrase = tuple(word.lower() for word in words)
        forms = country_forms().get(phrase)
        if forms is None and len(phrase) > 1 and phrase[0] == "the":
            forms = country_forms().get(phrase[1:])
        if forms is None or (len(words) == 1 and words[0].islower() and any(form.exact for form in forms)):
            return None
        sure = [form for form in forms if not form.unsure]
        if sure:
            return sure[0], DEMONYM_CONFIDENCE if sure[0].demonym else NAME_CONFIDENCE
        cued = [form for form in forms if self._has_cue(form.country)]
        return (cued[0], CUED_CONFIDENCE) if len(cued) == 1 else None

    def has_cue(self, code: str) -> bool:
        """Return whether the article speaks of the country with this code in words that name nothing else."""
        return any(self._has_cue(country) for country in countries() if country.code == code)

    def _has_cue(self, country: Country) -> bool:
        found = self._cued.get(country.code)
        if found is None:
            found = self._cued[country.code] = any(cue in self._text for cue in country.cues)
        return found
