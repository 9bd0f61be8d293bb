"""The stage: tagged articles in, classified articles out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Final

import numpy as np

from schemas import topics
from schemas.codec import InvalidMessage, decode, encode
from schemas.messages import ClassifiedArticle, Subject, Subjects, TaggedArticle
from workers.classify import calibration, rules, taxonomy, vectors, weights
from workers.classify.model import Model
from workers.classify.rules import Rules
from workers.classify.taxonomy import Taxonomy
from workers.stage import Emit, Message, Outcome, Record, Reject, Stage

VERSION: Final = "3.2.0"
"""Declared version of the code; the stage's version adds a hash of weights, calibration, taxonomy and rules."""

LANGUAGES: Final = frozenset({"en"})
"""Languages that the model was made for (primary subtags of BCP 47). `und` is not among them: a text whose language
could not be told is too short or too odd to classify, and scoring it as English would be a guess."""

MIN_EVIDENCE: Final = 8
"""Fewest known terms on which a subject is named. Below that, chance decides."""

MAX_SUBJECTS: Final = 5
"""Most subjects of one article on each level."""


class ClassifyStage(Stage):
    """Adds the IPTC Media Topics that an article is about, with probabilities, or says why there are none.

    Level 1, and level 2 where the evidence carries it; beside them the custom subjects of a team's rules.
    """

    name = "classify"
    source = topics.TAGGED
    sinks = (topics.CLASSIFIED,)
    kinds = ("classified", "unclassified", "unsupported_language")
    reasons = ("bad_article",)

    def __init__(self, model: Model, table: Taxonomy, data_hash: str, custom: Rules | None = None) -> None:
        """`data_hash` (8 hex digits) stands for the data of `model`, `table` and `custom` in the version.

        Raises ValueError when the model knows a subject that the taxonomy does not have.
        """
        missing = [id for id in model.subjects if id not in table.concepts]
        if missing:
            raise ValueError(f"subjects of the model that are not in the taxonomy: {', '.join(missing)}")
        self.model = model
        self.taxonomy = table
        self._rules = custom or Rules()
        self._concepts = [table.concepts[id] for id in model.subjects]
        self.version = f"{VERSION}+{data_hash}"

    def process(self, batch: Sequence[Record]) -> Sequence[Outcome]:
        """Return one outcome for each record: the classified article, or a rejection of what is no tagged article."""
        return [self._one(record) for record in batch]

    def subjects(self, headline: str, body: str, language: str) -> Subjects:
        """Return what a text is about: the subjects that reach their threshold, most probable first.

        A subject of level 2 is named only beside its parent.
        """
        supported = language.lower().split("-")[0] in LANGUAGES
        items = self._items(headline, body) if supported else ()
        return Subjects(
            status=("ok" if items else "unclassified") if supported else "unsupported_language",
            taxonomy=self.taxonomy.version,
            items=items,
            custom=self._rules.apply(headline, body, {item.id for item in items}),
        )

    def _items(self, headline: str, body: str) -> tuple[Subject, ...]:
        scores = self.model.score(headline, body)
        if scores.evidence < MIN_EVIDENCE:
            return ()
        calibrated = self.model.calibration
        reached = scores.probability >= calibrated.threshold
        reached &= reached[calibrated.parent]
        order = sorted(np.flatnonzero(reached).tolist(), key=lambda n: (-scores.probability[n], self._concepts[n].id))
        top = [n for n in order if self._concepts[n].level == 1][:MAX_SUBJECTS]
        second = [n for n in order if self._concepts[n].level == 2 and calibrated.parent[n] in top][:MAX_SUBJECTS]
        kept = {*top, *second}
        return tuple(
            Subject(
                id=concept.id, name=concept.name, level=concept.level, probability=int(scores.probability[n]) / 1000
            )
            for n in order
            if n in kept
            for concept in (self._concepts[n],)
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


def read_taxonomy() -> Taxonomy:
    """Return the taxonomy that comes with this package."""
    table, retired = _data("media_topics.tsv", "retired_topics.tsv")
    return taxonomy.parse(table, retired)


def read_vectors() -> vectors.Vectors:
    """Return the vectors of words that come with this package."""
    return vectors.parse(_data("vectors.bin")[0])


def load(custom_rules: str = "") -> ClassifyStage:
    """Return the stage with the model and the taxonomy that come with this package.

    `custom_rules`: the text of a team's rules (rules.py). Raises RuleError when it is wrong.
    """
    weight_bytes, calibration_bytes, vector_bytes = _data("weights.bin", "calibration.json", "vectors.bin")
    table, retired = _data("media_topics.tsv", "retired_topics.tsv")
    state = hashlib.sha256()
    fixed = (weight_bytes, calibration_bytes, vector_bytes, taxonomy.VERSION.encode(), table, retired)
    for data in (*fixed, custom_rules.encode()):
        # The length keeps bytes that move from one file to the next from going unnoticed.
        state.update(len(data).to_bytes(8, "little") + data)
    model = Model(weights.parse(weight_bytes), calibration.parse(calibration_bytes), vectors.parse(vector_bytes))
    return ClassifyStage(model, taxonomy.parse(table, retired), state.hexdigest()[:8], rules.parse(custom_rules))


def _data(*names: str) -> list[bytes]:
    folder = files("workers.classify")
    return [folder.joinpath(name).read_bytes() for name in names]
