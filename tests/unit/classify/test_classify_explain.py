import numpy as np
import pytest

from workers.classify.corpus import SHORT_NAMES
from workers.classify.explain import explain_subjects
from workers.classify.model import LOGIT_LIMIT, LOGIT_UNIT


def reasons(stage, articles, name):
    item = articles[name]
    return {reason.id: reason for reason in explain_subjects(stage, item["headline"], item["body"], "en")}


def test_every_subject_of_the_record_is_explained_in_its_order(stage, articles):
    for item in articles.values():
        found = explain_subjects(stage, item["headline"], item["body"], "en")
        subjects = stage.subjects(item["headline"], item["body"], "en").items
        assert [(r.id, r.probability) for r in found] == [(s.id, s.probability) for s in subjects]
        assert all(reason.terms and reason.sentences for reason in found)


@pytest.mark.parametrize(
    ("name", "subject", "word"),
    [("strike", "labour", "union"), ("flood", "weather", "rain"), ("graft", "crime", "court")],
)
def test_the_words_that_carried_a_subject_are_named(stage, articles, name, subject, word):
    terms = [term.text for term in reasons(stage, articles, name)[SHORT_NAMES[subject]].terms]
    assert word in terms


def test_sentences_are_pieces_of_the_text_and_strongest_first(stage, articles):
    for name, item in articles.items():
        for reason in reasons(stage, articles, name).values():
            weights = [sentence.weight for sentence in reason.sentences]
            assert weights == sorted(weights, reverse=True)
            for sentence in reason.sentences:
                assert item[sentence.field][sentence.start : sentence.end].strip() == sentence.text


def test_a_sentence_about_something_else_carries_nothing(stage, articles):
    item = articles["strike"]
    body = item["body"] + " The zebra of the museum is blue."
    found = explain_subjects(stage, item["headline"], body, "en")
    labour = next(reason for reason in found if reason.id == SHORT_NAMES["labour"])
    assert not any("zebra" in sentence.text for sentence in labour.sentences)


def test_shares_add_up_to_the_logit_that_the_model_gives(stage):
    from workers.classify.explain import _shares

    headline, body = "Union calls strike", "Nurses will walk out on Monday. The wage talks failed. " * 3
    reading = stage.model.read(headline, body)
    logits = np.concatenate([reading.logits, reading.meanings])
    column = stage.model.subjects.index(SHORT_NAMES["economy"])
    assert abs(logits[:, column]).max() < LOGIT_LIMIT  # nothing is cut off here
    constant = [stage.model.bias[column]] * 4 + [stage.model.meaning_bias[column]] * 3
    numbers = stage.model.numbers(headline, body)[column] - constant
    expected = float((numbers * stage.model.calibration.coefficients[column]).sum()) / LOGIT_UNIT**2
    assert sum(share.weight[column] for share in _shares(stage, headline, body)) == pytest.approx(expected, abs=0.1)


def test_nothing_is_explained_where_nothing_is_said(stage):
    assert explain_subjects(stage, "", "", "en") == ()
    assert explain_subjects(stage, "Union calls strike", "Nurses walk out. " * 30, "fr") == ()
