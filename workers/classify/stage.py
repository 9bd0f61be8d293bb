"""The stage: tagged articles in, classified articles out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Final

from schemas import topics
from schemas.codec import InvalidMessage, decode, encode
from schemas.messages import ClassifiedArticle, Subject, Subjects, TaggedArticle
from workers.classify import calibration, taxonomy, weights
from workers.classify.model import Model
from workers.classify.taxonomy import Taxonomy
from workers.stage import Emit, Message, Outcome, Record, Reject, Stage

VERSION: Final = "1.0.0"
"""Declared version of the code; the stage's version adds a hash of weights, calibration and taxonomy."""

LANGUAGES: Final = frozenset({"en"})
"""Languages that the model was made for (primary subtags of BCP 47). `und` is not among them: a text whose language
could not be told is too short or too odd to classify, and scoring it as English would be a guess."""

MIN_EVIDENCE: Final = 8
"""Fewest known terms on which a subject is named. Below that, chance decides."""

MAX_SUBJECTS: Final = 5
"""Most subjects of one article."""


class ClassifyStage(Stage):
    """Adds the IPTC Media Topics that an article is about (level 1), with probabilities, or says why there are none."""

    name = "classify"
    source = topics.TAGGED
    sinks = (topics.CLASSIFIED,)
    kinds = ("classified", "unclassified", "unsupported_language")
    reasons = ("bad_article",)

    def __init__(self, model: Model, table: Taxonomy, data_hash: str) -> None:
        """`data_hash` (8 hex digits) stands for the data of `model` and `table` in the version.

        Raises ValueError when the model knows a subject that the taxonomy does not have.
        """
        missing = [id for id in model.subjects if id not in table.concepts]
        if missing:
            raise ValueError(f"subjects of the model that are not in the taxonomy: {', '.join(missing)}")
        self._model = model
        self.taxonomy = table
        self._concepts = [table.concepts[id] for id in model.subjects]
        self.version = f"{VERSION}+{data_hash}"

    def process(self, batch: Sequence[Record]) -> Sequence[Outcome]:
        """Return one outcome for each record: the classified article, or a rejection of what is no tagged article."""
        return [self._one(record) for record in batch]

    def subjects(self, headline: str, body: str, language: str) -> Subjects:
        """Return what a text is about: the subjects that reach their threshold, most probable first."""
        if language.lower().split("-")[0] not in LANGUAGES:
            return Subjects(status="unsupported_language", taxonomy=self.taxonomy.version)
        scores = self._model.score(headline, body)
        items = []
        if scores.evidence >= MIN_EVIDENCE:
            reached = scores.probability >= self._model.calibration.threshold
            items = [
                Subject(id=concept.id, name=concept.name, level=concept.level, probability=int(probability) / 1000)
                for concept, probability, enough in zip(self._concepts, scores.probability, reached, strict=True)
                if enough
            ]
        items.sort(key=lambda item: (-item.probability, item.id))
        return Subjects(
            status="ok" if items else "unclassified",
            taxonomy=self.taxonomy.version,
            items=tuple(items[:MAX_SUBJECTS]),
        )

    def _one(self, record: Record) -> Outcome:
        try:
            article = decode(record.value, TaggedArticle)
            subjects = self.subjects(article.headline, article.body, article.language)
            fields = {name: getattr(article, name) for name in TaggedArticle.__struct_fields__}
            fields["processing"] = {**article.processing, self.name: self.version}
            value = encode(ClassifiedArticle(**fields, subjects=subjects))
        except InvalidMessage as error:
            return Reject("bad_article", str(error))
        kind = "classified" if subjects.status == "ok" else subjects.status
        return Emit(kind, (Message(topics.CLASSIFIED, article.id.encode(), value),))


def load() -> ClassifyStage:
    """Return the stage with the model and the taxonomy that come with this package."""
    folder = files("workers.classify")
    names = ("weights.bin", "calibration.json", "media_topics.tsv")
    weight_bytes, calibration_bytes, table = (folder.joinpath(name).read_bytes() for name in names)
    state = hashlib.sha256()
    for data in (weight_bytes, calibration_bytes, taxonomy.VERSION.encode(), table):
        # The length keeps bytes that move from one file to the next from going unnoticed.
        state.update(len(data).to_bytes(8, "little") + data)
    model = Model(weights.parse(weight_bytes), calibration.parse(calibration_bytes))
    return ClassifyStage(model, taxonomy.parse(table), state.hexdigest()[:8])
