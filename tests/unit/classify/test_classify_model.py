import dataclasses
import json
import math
from importlib.resources import files

import numpy as np
import pytest

from workers.classify import calibration, corpus, vectors
from workers.classify.features import MAX_WORDS, MIN_WINDOW_WORDS, WINDOW_WORDS, stem, windows, words
from workers.classify.model import LOGIT_UNIT, Model, sigmoid
from workers.classify.vectors import Vectors
from workers.classify.weights import MAGIC, Weights, WeightsError, dump, parse

SUBJECTS = ("medtop:11000000", "medtop:15000000")


@pytest.fixture
def tiny() -> Weights:
    return Weights(
        subjects=SUBJECTS,
        terms=("cup", "goal", "vot"),
        places=(),
        form=(),
        pairs=np.array([[0, 1]], np.int32),
        idf=np.array([16, 32, 16, 32], np.int16),
        weight=np.array([[0, 512], [-256, 1024], [1024, -512], [0, 512]], np.int16),
        bias=np.array([-256, -128], np.int32),
        scale=8,
        meaning=np.array([[80, 0], [0, 40]], np.int16),
        meaning_bias=np.array([-26, 13], np.int32),
    )


@pytest.fixture
def nearby() -> Vectors:
    return Vectors(("ballot", "cup"), np.array([[3, 4], [0, 5]], np.int8))


@pytest.fixture
def plain() -> calibration.Calibration:
    return calibration.parse(calibration.dump(SUBJECTS, ("", ""), [256, *[0] * 6], [0] * 7, [0, 0], [500, 500]))


def test_the_file_of_weights_comes_back_as_it_went(tiny):
    data = dump(tiny)
    back = parse(data)
    assert dump(back) == data
    assert (back.subjects, back.terms, back.scale) == (tiny.subjects, tiny.terms, 8)
    assert back.weight.tolist() == tiny.weight.tolist()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"PK" + data[2:],
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: data[:12] + b"[]" + data[14:],
        lambda data: MAGIC + b"\xff\xff\xff\xff" + data[12:],
    ],
)
def test_a_damaged_file_is_refused(tiny, damage):
    with pytest.raises(WeightsError):
        parse(damage(dump(tiny)))


def test_scores_are_the_sums_that_one_gets_by_hand(tiny, plain, nearby):
    model = Model(tiny, plain, nearby)
    numbers = model.numbers("cup goal", "")
    # cup 512 + goal 1024 + the pair 512, over the norm of (1, 2, 2) in rarities = 3 units of 16.
    norm = 3 * 16
    assert numbers[1, 0] == (2048 * LOGIT_UNIT * 16) // (8 * norm * 16) - 128
    assert numbers[0, 0] == (-256 * LOGIT_UNIT * 16) // (8 * norm * 16) - 256


def test_a_repeated_word_counts_once_in_a_window_and_pairs_do_not_span_windows(tiny, plain, nearby):
    model = Model(tiny, plain, nearby)
    assert model.numbers("goal goal goal", "").tolist() == model.numbers("goal", "").tolist()
    split = model.numbers("cup", "goal")
    assert split[:, 0].tolist() == model.numbers("cup", "")[:, 0].tolist()
    assert split[:, 1].tolist() == model.numbers("goal", "")[:, 0].tolist()


def test_any_place_is_the_same_term_and_pairs_with_its_neighbour(tiny, plain, nearby):
    weights = dataclasses.replace(tiny, terms=("#place", "goal", "vot"), places=("kenya", "peru"))
    model = Model(weights, plain, nearby)
    kenya, peru = (model.read("", f"{place} goals") for place in ("Kenya", "Peru"))
    assert (kenya.logits == peru.logits).all()
    assert kenya.known.tolist() == [0, 3], "the place, the goal and their pair"
    assert model.read("", "Chile goals").known.tolist() == [0, 1]


def test_words_that_say_how_it_is_told_are_no_evidence_by_themselves(tiny, plain, nearby):
    told = Model(dataclasses.replace(tiny, form=("cup", "goal")), plain, nearby)
    assert told.score("", "cup goal voted").evidence == 1, "neither the two words nor the pair of them"
    half = Model(dataclasses.replace(tiny, form=("cup",)), plain, nearby)
    assert half.score("", "cup goal voted").evidence == 3, "a pair with one word of content counts"
    assert (half.read("", "cup goal").logits == Model(tiny, plain, nearby).read("", "cup goal").logits).all()


def test_what_is_kept_of_words_is_bounded_and_changes_no_score(tiny, plain, nearby, monkeypatch):
    monkeypatch.setattr("workers.classify.model._KEPT_WORDS", 2)
    model = Model(tiny, plain, nearby)
    text = "cups goal voted ballots zebra goals cup goal"
    first, second = model.read(text, text), model.read(text, text)
    monkeypatch.undo()
    unbounded = Model(tiny, plain, nearby).read(text, text)
    for reading in (first, second):
        assert (reading.logits == unbounded.logits).all()
        assert (reading.meanings == unbounded.meanings).all()
    assert len(model._numbers) <= 2


def test_a_window_of_the_heaviest_terms_is_summed_exactly():
    count = WINDOW_WORDS + MIN_WINDOW_WORDS - 1
    terms = tuple(sorted(f"{a}{b}x" for a in "bcdfghjkl" for b in "mnpqrtvwz"))[:count]
    features = 2 * count - 1
    heavy = np.array([32767] * (features // 2) + [-32767] * (features // 2) + [7], np.int16)
    weights = Weights(
        subjects=SUBJECTS,
        terms=terms,
        places=(),
        form=(),
        pairs=np.array([[n, n + 1] for n in range(count - 1)], np.int32),
        idf=np.ones(features, np.int16),
        weight=np.stack([heavy, -heavy], axis=1),
        bias=np.zeros(2, np.int32),
        scale=1,
        meaning=np.zeros((2, 2), np.int16),
        meaning_bias=np.zeros(2, np.int32),
    )
    none = calibration.parse(calibration.dump(SUBJECTS, ("", ""), [256, *[0] * 6], [0] * 7, [0, 0], [500, 500]))
    reading = Model(weights, none, Vectors((), np.zeros((0, 2), np.int8))).read("", " ".join(terms))
    norm = math.isqrt(features * 256)
    assert reading.known.tolist() == [0, features]
    assert reading.logits[1].tolist() == [7 * LOGIT_UNIT * 16 // norm, -7 * LOGIT_UNIT * 16 // norm]


def test_a_word_that_has_only_a_vector_speaks_by_its_meaning(tiny, plain, nearby):
    reading = Model(tiny, plain, nearby).read("", "cup ballot ballot")
    # The two vectors sum to (3, 9), of length 9.48 = 151 sixteenths; the repeated word counts once.
    assert reading.meanings[1].tolist() == [
        3 * 80 * LOGIT_UNIT * 16 // (8 * 151) - 26,
        9 * 40 * LOGIT_UNIT * 16 // (8 * 151) + 13,
    ]


def test_the_ceiling_holds_down_level_1(tiny, nearby):
    zeros = [0] * 7
    data = calibration.dump(SUBJECTS, ("", ""), zeros, zeros, [2560, 0], [500, 500], 910)
    assert Model(tiny, calibration.parse(data), nearby).score("cup goal", "").probability.tolist() == [910, 455]


def test_vectors_come_back_as_they_went_and_damage_is_refused(nearby):
    data = vectors.dump(nearby)
    assert vectors.parse(data).words == nearby.words
    assert vectors.parse(data).matrix.tolist() == nearby.matrix.tolist()
    for wrong in (b"", data[:-1], data + b"\0", b"PK" + data[2:]):
        with pytest.raises(vectors.VectorsError):
            vectors.parse(wrong)


def test_every_report_can_be_read_and_none_stands_twice():
    reports = corpus.reports()
    assert len({report.body for report in reports}) == len(reports) > 550
    assert all(report.subjects and len(report.body.split()) > 25 for report in reports)


def test_nothing_known_gives_no_evidence(tiny, plain, nearby):
    scores = Model(tiny, plain, nearby).score("zebra", "zebra " * 300)
    assert scores.evidence == 0


def test_a_subject_of_level_2_has_at_most_the_probability_of_the_one_above(tiny, nearby):
    data = calibration.dump(SUBJECTS, ("", SUBJECTS[0]), [256, *[0] * 6], [512, *[0] * 6], [256, -128], [500, 500])
    model = Model(tiny, calibration.parse(data), nearby)
    first, second = model.score("cup goal vot", "").probability.tolist()
    numbers = model.numbers("cup goal vot", "")
    assert first == sigmoid(numbers[0, 0] + 256)
    assert second == first * sigmoid(2 * numbers[1, 0] - 128) // 1000 < first


def test_other_subjects_than_the_calibration_are_refused(tiny, plain, nearby):
    with pytest.raises(ValueError, match="subjects"):
        Model(dataclasses.replace(tiny, subjects=("medtop:01000000", "medtop:02000000")), plain, nearby)


def test_sigmoid_is_the_logistic_function_in_thousandths():
    logits = np.array([-9999, -256, 0, 100, 9999])
    expected = [round(1000 / (1 + math.exp(-min(8, max(-8, value / 256))))) for value in logits.tolist()]
    assert sigmoid(logits).tolist() == expected


@pytest.mark.parametrize(
    "text",
    [
        '{"subjects":["a"],"parents":[""],"coefficients":[1,2,3],"second":[1,2,3,4,5,6,7],"bias":[0],"threshold":[1],"ceiling":910}',
        '{"subjects":["a"],"parents":["b"],"coefficients":[1,2,3,4,5,6,7],"second":[1,2,3,4,5,6,7],"bias":[0],"threshold":[1],"ceiling":910}',
        '{"subjects":["a"]}',
        "no json",
    ],
)
def test_a_damaged_calibration_is_refused(text):
    with pytest.raises(ValueError, match=r".+"):
        calibration.parse(text.encode())


def test_windows_cover_every_word_once():
    for count in (0, 1, 19, 47, 48, 49, 67, 68, 110, 1500):
        cut = windows(count)
        assert [position for start, end in cut for position in range(start, end)] == list(range(count))
        assert all(end - start < 48 + 20 for start, end in cut)


def test_words_are_bounded_and_lower_case():
    assert words("Ça va? 12 x O'Neill’s CO2-free") == ["ça", "va", "neill", "co", "free"]
    assert len(words("ab " * 5000)) == MAX_WORDS


def test_forms_of_a_word_meet():
    for forms in (("elections", "election"), ("voted", "voting", "votes", "vote"), ("studies", "study")):
        assert len({stem(form) for form in forms}) == 1
    assert stem("crisis") == "crisis"
    assert stem("press") == "press"


def test_the_weights_that_ship_are_small_and_fit_their_calibration():
    folder = files("workers.classify")
    data = folder.joinpath("weights.bin").read_bytes()
    assert len(data) < 15 * 2**20
    assert parse(data).subjects == tuple(json.loads(folder.joinpath("calibration.json").read_bytes())["subjects"])


def test_every_training_file_can_be_read_and_has_no_text_twice():
    examples = list(corpus.own_examples(1.0))
    texts = [example.text for example in examples]
    assert len(set(texts)) == len(texts) > 2_000
    counts = {id: sum(id in example.subjects for example in examples) for id in corpus.SHORT_NAMES.values()}
    assert min(counts.values()) >= 140
    assert all(len(terms) == len(set(terms)) for terms in corpus.lexicon().values())


def test_no_test_article_is_in_the_training_files(articles):
    trained = {example.text.partition(". ")[0].lower() for example in corpus.own_examples(1.0)}
    assert not trained & {item["headline"].lower() for item in articles.values()}


def test_training_repeats_itself():
    pytest.importorskip("sklearn")
    from workers.classify import calibrate
    from workers.classify.articles import Labelled
    from workers.classify.stage import read_taxonomy, read_vectors
    from workers.classify.trainer import Trainer

    examples = [example for example in corpus.own_examples(1.0) if "second-" in example.theme]
    bodies = [(f"outlet{n % 9}_{n}", example) for n, example in enumerate(corpus.own_examples(1.0)) if n % 12 == 0]
    articles = [Labelled(id, "", example.text, example.subjects) for id, example in bodies if example.subjects]
    runs = []
    for _ in range(2):
        trainer = Trainer(examples, articles, read_taxonomy(), read_vectors(), corpus.reports()[::9])
        runs.append((dump(trainer.train()), calibrate.fit(trainer, articles)))
    assert runs[0] == runs[1]
    assert Model(parse(runs[0][0]), calibration.parse(runs[0][1].data), read_vectors()).subjects == trainer.subjects


def test_no_outlet_is_in_two_parts_of_the_calibration():
    pytest.importorskip("sklearn")
    from workers.classify import calibrate
    from workers.classify.articles import Labelled

    articles = [Labelled(f"out_let{n % 11}_{n}", "", "", frozenset()) for n in range(60)]
    parts = calibrate.parts(articles)
    assert sorted(number for part in parts for number in part) == list(range(60))
    outlets = [{calibrate.outlet(articles[number].id) for number in part} for part in parts]
    assert sum(len(found) for found in outlets) == 11
