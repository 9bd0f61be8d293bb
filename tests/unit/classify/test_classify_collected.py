import gzip
import json

import pytest

from workers.classify.articles import GoldError, up_to_level_2
from workers.classify.collected import EXTRACTION, PAGES, read_collected
from workers.classify.stage import read_taxonomy

KEY = "0123456789abcdef"


@pytest.fixture(scope="module")
def table():
    return read_taxonomy()


@pytest.fixture
def data(tmp_path):
    (tmp_path / EXTRACTION).parent.mkdir()
    (tmp_path / EXTRACTION).write_text(json.dumps({KEY: {"articleBody": "The ferry is late.", "url": ""}}), "utf-8")
    page = {"id": "aa11", "title": "Ferry is late", "url": None, "language": "en", "paragraphs": ["One.", "Two."]}
    with gzip.open(tmp_path / PAGES, "wt", encoding="utf-8") as out:
        out.write(json.dumps(page) + "\n" + json.dumps(page | {"id": "bb22", "title": None}) + "\n")
    return tmp_path


def labels(data, text):
    path = data / "web.tsv"
    path.write_text(text, "utf-8")
    return path


def test_pages_and_articles_of_the_extraction_benchmark_are_read_in_the_order_of_the_labels(data, table):
    lines = (
        "page-bb22\tmedtop:04000000",
        "extraction-0123456789ab\tmedtop:20000002",
        "page-aa11\tmedtop:15000000,medtop:04000000",
    )
    second, article, first = read_collected(labels(data, "\n".join(lines)), data, table)
    assert (first.headline, first.body) == ("Ferry is late", "One.\nTwo.")
    assert first.subjects == {"medtop:15000000", "medtop:04000000"}
    assert (second.headline, second.id) == ("", "page-bb22")
    assert (article.headline, article.body) == ("", "The ferry is late.")
    assert article.subjects == up_to_level_2(["medtop:20000002"], table)


@pytest.mark.parametrize("missing", [PAGES, EXTRACTION])
def test_a_missing_file_is_named_with_where_to_read_how_to_get_it(data, table, missing):
    (data / missing).unlink()
    with pytest.raises(GoldError, match=rf"{missing} is missing: .*MODEL_CARD"):
        read_collected(labels(data, "page-aa11\tmedtop:15000000\n"), data, table)


@pytest.mark.parametrize(
    "line", ["page-cc33\tmedtop:15000000", "page-aa11", "page-aa11\tmedtop:99999999", "page-aa11\t"]
)
def test_a_damaged_line_is_named(data, table, line):
    with pytest.raises(GoldError, match=r"web.tsv, line 2"):
        read_collected(labels(data, f"page-aa11\tmedtop:15000000\n{line}\n"), data, table)


def test_no_collected_article_is_labelled_twice_and_none_is_a_text(classify_data, table):
    lines = [line.split("\t") for line in (classify_data / "web.tsv").read_text("utf-8").splitlines()]
    assert len({id for id, _ in lines}) == len(lines) == 472
    assert all(id.startswith(("page-", "extraction-")) and " " not in id for id, _ in lines)
    assert all(up_to_level_2(subjects.split(","), table) == set(subjects.split(",")) for _, subjects in lines)


def test_collected_articles_are_trained_on_and_scored_unseen():
    pytest.importorskip("sklearn")
    from workers.classify import calibrate, corpus
    from workers.classify.articles import Labelled
    from workers.classify.stage import read_vectors
    from workers.classify.trainer import Trainer
    from workers.classify.weights import dump

    own = [example for example in corpus.own_examples(1.0) if example.subjects]
    articles = [Labelled(f"outlet{n % 9}_{n}", "", e.text, e.subjects) for n, e in enumerate(own[:300:15])]
    collected = [Labelled(f"page-{n}", "", e.text, e.subjects) for n, e in enumerate(own[1000:1200:20])]
    trainer = Trainer(own[::24], articles, read_taxonomy(), read_vectors(), (), collected)
    numbers = calibrate.unseen_numbers(trainer, articles, collected)
    assert len(numbers) == 30
    assert all(row.any() for row in numbers)
    everywhere, without = dump(trainer.train()), dump(trainer.train(frozenset(range(20, 30))))
    assert everywhere != without
