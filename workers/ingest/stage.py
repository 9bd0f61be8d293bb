"""The stage ingest: news.raw to news.articles."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from importlib.metadata import version as library_version
from typing import Any, Final

from schemas import topics
from schemas.codec import encode
from schemas.limits import MAX_REMOVED_CHARS
from schemas.messages import Article, RemovedText
from workers.ingest import labeller
from workers.ingest.document import read_document
from workers.ingest.draft import Draft, make_draft
from workers.ingest.identity import article_id, content_hash, word_count
from workers.ingest.language import FastTextIdentifier, LanguageIdentifier, identify, language_code
from workers.ingest.refusal import REASONS, Refusal
from workers.stage import Emit, Message, Outcome, Record, Reject, Stage

VERSION: Final = "1.1.0"
"""Declared version of the rules in this package: it is raised by hand when output changes."""

_LIBRARIES: Final = ("trafilatura", "lxml", "ftfy", "tldextract", "orjson")


class IngestStage(Stage):
    """Turns each raw document into one clean article, or refuses it with a reason.

    Its `version` is the declared version, then `+` and 8 hex digits of the SHA-256 over the versions of what else
    shapes the output: the extractor and parser, the mojibake repair, the list of public suffixes, Unicode's tables, the
    language model, the weights of the model of lines. So an upgrade of a library is a new version of the stage.
    """

    name = "ingest"
    source = topics.RAW
    sinks = (topics.ARTICLES,)
    kinds = ("article",)
    reasons = REASONS

    def __init__(self, languages: LanguageIdentifier, *, keep_removed: bool = False) -> None:
        self._languages = languages
        self._keep_removed = keep_removed
        parts = [f"{library} {library_version(library)}" for library in _LIBRARIES]
        parts += [f"unicode {unicodedata.unidata_version}", f"language {languages.version}"]
        parts += [f"lines {labeller.load().digest}"]
        self.version = f"{VERSION}+{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()[:8]}"

    @classmethod
    def load(cls, *, keep_removed: bool = False) -> IngestStage:
        """Return the stage with the language model that its wheel carries (read from disk once, nothing downloaded).

        With `keep_removed` its articles say which lines went and why, for audits.
        """
        return cls(FastTextIdentifier(), keep_removed=keep_removed)

    def prepare(self, record: Record) -> Draft | Reject:
        """Parse and extract: all the work that needs this record alone. The result is plain data and picklable."""
        try:
            return make_draft(read_document(record))
        except Refusal as refusal:
            return Reject(refusal.reason, refusal.detail)

    def process(self, batch: Sequence[Record]) -> list[Outcome]:
        """Return an article or a rejection for each record, in order."""
        return [self._outcome(record) for record in batch]

    def _outcome(self, record: Record) -> Outcome:
        prepared: Any = record.prepared if record.prepared is not None else self.prepare(record)
        if isinstance(prepared, Reject):
            return prepared
        article = self._article(prepared)
        return Emit("article", (Message(topics.ARTICLES, article.id.encode(), encode(article)),))

    def _article(self, draft: Draft) -> Article:
        body = "\n\n".join(draft.paragraphs)
        language = identify(self._languages, f"{draft.headline}\n{body}", draft.declared_language)
        extra = draft.extra
        if draft.declared_language and language_code(draft.declared_language) != language.code:
            extra = {**extra, "language": draft.declared_language}
        return Article(
            id=article_id(draft.url, draft.source, draft.headline, draft.folds),
            source=draft.source,
            headline=draft.headline,
            body=body,
            language=language.code,
            language_confidence=language.confidence,
            word_count=word_count(draft.paragraphs),
            content_hash=content_hash(draft.headline, draft.folds),
            ingested_at=draft.ingested_at,
            processing={self.name: self.version},
            url=draft.url,
            authors=draft.authors,
            published=draft.published,
            fetched_at=draft.fetched_at,
            extra=extra,
            removed=_removed(draft) if self._keep_removed else (),
        )


def _removed(draft: Draft) -> tuple[RemovedText, ...]:
    """What went, from the top, up to `MAX_REMOVED_CHARS` characters."""
    found = []
    left = MAX_REMOVED_CHARS
    for cut in draft.removed:
        left -= len(cut.text)
        if left < 0:
            break
        found.append(RemovedText(text=cut.text, reason=cut.reason))
    return tuple(found)
