"""spaCy's models as a tagger, for those who want them: needs spaCy and a model, which the extra `spacy` brings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from workers.entities.tagger import Span

CONFIDENCE: Final = 0.8
"""spaCy's recogniser gives none; this is about its precision on news."""

_TYPES: Final = {
    "PERSON": "PER",
    "PER": "PER",
    "ORG": "ORG",
    "GPE": "LOC",
    "LOC": "LOC",
    "FAC": "LOC",
    "NORP": "MISC",
    "EVENT": "MISC",
    "LAW": "MISC",
    "PRODUCT": "MISC",
    "WORK_OF_ART": "MISC",
    "MISC": "MISC",
}
_ARTICLES: Final = ("the", "a", "an")
_UNUSED: Final = ("tagger", "parser", "attribute_ruler", "lemmatizer", "senter")


class SpacyError(Exception):
    """spaCy or the model is not installed, or the model finds no names."""


class SpacyTagger:
    """The named entity recogniser of a spaCy model (`model`: name of an installed package, or a path).

    Its sums are in floating point: the same machine gives the same spans, another one nearly always.
    """

    def __init__(self, model: str) -> None:
        try:
            import spacy
            from spacy.tokens import Doc

            self._nlp: Any = spacy.load(model, exclude=list(_UNUSED))
        except (ImportError, OSError) as error:
            raise SpacyError(f"spaCy with the model {model!r} can't be loaded: {error}") from error
        if "ner" not in self._nlp.pipe_names:
            raise SpacyError(f"the model {model!r} has no named entity recogniser")
        self._doc = Doc
        self._version = f"spacy-{model.rpartition('/')[2]}-{self._nlp.meta['version']}-{spacy.__version__}"

    @property
    def version(self) -> str:
        """The names and versions of model and spaCy."""
        return self._version

    def tag(self, sentences: Sequence[Sequence[str]]) -> list[list[Span]]:
        """Return the spans of each sentence of one document (see Tagger); numbers, times and languages are no names."""
        docs = self._nlp.pipe(self._doc(self._nlp.vocab, words=list(words)) for words in sentences)
        found: list[list[Span]] = []
        for doc in docs:
            row = []
            for entity in doc.ents:
                start = entity.start + (len(entity) > 1 and entity[0].lower_ in _ARTICLES)
                if entity.label_ in _TYPES:
                    row.append(Span(start, entity.end, _TYPES[entity.label_], CONFIDENCE))
            found.append(row)
        return found
