"""The stage: news.unique -> news.tagged."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal

from schemas import topics
from schemas.codec import InvalidMessage, decode, encode
from schemas.messages import Entities, TaggedArticle, UniqueArticle
from workers.entities import weights
from workers.entities.cities import cities
from workers.entities.gazetteer import known_names
from workers.entities.languages import find_countries, reads_english
from workers.entities.lexicon import lexicon
from workers.entities.mentions import Found, find_all_mentions, with_hits
from workers.entities.resolve import resolve
from workers.entities.rules import LANGUAGES, find_by_rules
from workers.entities.spacy_tagger import SpacyTagger
from workers.entities.tagger import CrfTagger, Tagger
from workers.entities.team import Gazetteer, read_gazetteer
from workers.entities.wordlists import lists_version
from workers.stage import Emit, Message, Outcome, Record, Reject, Stage

DECLARED_VERSION: Final = "1.1.0"
"""Of the rules and the form of the output. Raise it when they change. Weights and lists add a hash each."""

_NOTES: Final = {"PER": "person", "ORG": "organisation", "LOC": "place", "MISC": "other"}


class EntitiesStage(Stage):
    """Adds its entities to each article. It has no state; a record that is not a UniqueArticle is rejected."""

    name = "entities"
    source = topics.UNIQUE
    sinks = (topics.TAGGED,)
    kinds = ("tagged", "unsupported_language")
    reasons = ("bad_article",)
    notes = ("person", "organisation", "place", "other")
    """One for each entity, so that metrics show how many of each type articles have."""

    def __init__(self, tagger: Tagger, gazetteer: Gazetteer | None = None) -> None:
        self._tagger = tagger
        self._gazetteer = gazetteer
        self.version = f"{DECLARED_VERSION}+{tagger.version}.{lists_version()}"
        if gazetteer is not None:
            self.version += "." + gazetteer.digest[:8]

    def process(self, batch: Sequence[Record]) -> list[Outcome]:
        """Return one outcome for each record: the article with its entities, or a rejection (`bad_article`)."""
        read: list[UniqueArticle | Reject] = []
        for record in batch:
            try:
                read.append(decode(record.value, UniqueArticle))
            except InvalidMessage as error:
                read.append(Reject("bad_article", str(error)))
        articles = [one for one in read if isinstance(one, UniqueArticle)]
        found = iter(self.entities_of([(one.headline, one.body, one.language) for one in articles]))
        return [one if isinstance(one, Reject) else self._outcome(one, next(found)) for one in read]

    def _outcome(self, article: UniqueArticle, entities: Entities) -> Outcome:
        fields = {name: getattr(article, name) for name in UniqueArticle.__struct_fields__}
        fields["processing"] = article.processing | {self.name: self.version}
        try:
            value = encode(TaggedArticle(**fields, entities=entities))
        except InvalidMessage as error:
            return Reject("bad_article", str(error))
        kind = "tagged" if entities.status == "ok" else "unsupported_language"
        notes = tuple(_NOTES[entity.type] for entity in entities.items)
        return Emit(kind, (Message(topics.TAGGED, article.id.encode(), value),), notes=notes)

    def entities(self, headline: str, body: str, language: str) -> Entities:
        """Return the entities of a text in `language` (a BCP 47 tag, `und` where unknown)."""
        return self.entities_of([(headline, body, language)])[0]

    def entities_of(self, texts: Sequence[tuple[str, str, str]]) -> list[Entities]:
        """Return the entities of each text (headline, body, language), as `entities` does for it alone."""
        english = [reads_english(language, body) for _, body, language in texts]
        read = [(headline, body) for (headline, body, _), is_read in zip(texts, english, strict=True) if is_read]
        tagged = iter(find_all_mentions(read, self._tagger))
        out = []
        for (headline, body, language), is_read in zip(texts, english, strict=True):
            found = next(tagged) if is_read else self._without_model(headline, body, language)
            if self._gazetteer is not None:
                found = with_hits(headline, body, found, self._gazetteer)
            status: Literal["ok", "unsupported_language"] = "ok" if is_read else "unsupported_language"
            out.append(Entities(status=status, items=resolve(headline, body, found)))
        return out

    def _without_model(self, headline: str, body: str, language: str) -> list[Found]:
        primary = language.lower().partition("-")[0]
        if primary in LANGUAGES:
            return find_by_rules(headline, body, primary)
        return find_countries(headline, body)


def load(gazetteer: Path | None = None, spacy_model: str | None = None) -> EntitiesStage:
    """Return the stage with the weights of the package, or with a spaCy model in their place, and with the team's
    gazetteer in the file `gazetteer`, if any.

    Raises WeightsError when the weights are damaged, SpacyError, and OSError and GazetteerError for the gazetteer.
    """
    lexicon(), cities(), known_names()  # read now, not during the first article
    tagger: Tagger
    if spacy_model is None:
        tagger = CrfTagger(weights.load((files("workers.entities") / "data" / "english.npz").read_bytes()))
    else:
        tagger = SpacyTagger(spacy_model)
    return EntitiesStage(tagger, None if gazetteer is None else read_gazetteer(gazetteer))
