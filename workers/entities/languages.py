"""Which articles the English model reads, and what is found in the others."""

from __future__ import annotations

from typing import Final

from workers.entities.limits import MAX_MENTIONS
from workers.entities.mentions import Found, read_fields
from workers.entities.names import is_acronym
from workers.entities.places import NAME_CONFIDENCE, country_forms
from workers.entities.tokens import tokenize
from workers.entities.wordlists import word_list

_FUNCTION_WORDS: Final = word_list("english")
_SAMPLE_TOKENS: Final = 1_000
_LEAST_SHARE: Final = 0.2
"""Share of function words above which a text whose language is unknown is read as English. English prose has 0.35 to
0.5, other languages in Latin letters below 0.1."""

_OUTSIDE_ENGLISH: Final = word_list("outside-english")
"""Names left out in other languages, where they mean more or something else."""


def reads_english(language: str, body: str) -> bool:
    """Return whether an article is for the English model: its language says so, or is unknown (`und`) and its words
    look like English."""
    primary = language.lower().partition("-")[0]
    if primary in ("en", "eng"):
        return True
    if primary not in ("und", ""):
        return False
    words = [token.text.lower() for token in tokenize(body, _SAMPLE_TOKENS) if token.text[0].isalpha()]
    return bool(words) and sum(word in _FUNCTION_WORDS for word in words) >= _LEAST_SHARE * len(words)


def find_countries(headline: str, body: str) -> list[Found]:
    """Return the countries that a text in any language names in the English spelling, with capitals.

    Names that are also something else (Georgia, Congo) are left out.
    """
    forms = country_forms()
    longest = max(map(len, forms))
    by_first: dict[str, bool] = {phrase[0]: True for phrase in forms}
    found: list[Found] = []
    fields, sentences = read_fields(headline, body)
    for field, sentence in zip(fields, sentences, strict=True):
        words = [token.text for token in sentence]
        lowered = [word.lower() for word in words]
        at = 0
        while at < len(words):
            step = 1
            if lowered[at] in by_first and words[at][0].isupper():
                for size in range(min(longest, len(words) - at), 0, -1):
                    phrase = tuple(lowered[at : at + size])
                    sure = [form for form in forms.get(phrase, ()) if not form.unsure and not form.demonym]
                    if not sure or phrase[0] in _OUTSIDE_ENGLISH or (size == 1 and is_acronym(words[at : at + 1])):
                        continue
                    found.append(
                        Found(
                            field,
                            sentence[at].start,
                            sentence[at + size - 1].end,
                            "LOC",
                            round(NAME_CONFIDENCE * 0.9, 3),
                            tuple(words[at : at + size]),
                            False,
                        )
                    )
                    step = size
                    break
            at += step
        if len(found) >= MAX_MENTIONS:
            return found[:MAX_MENTIONS]
    return found
