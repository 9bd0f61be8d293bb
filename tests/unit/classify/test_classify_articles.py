import gzip
import json

import pytest

from workers.classify.articles import GoldError, read, split_headline
from workers.classify.stage import read_taxonomy


@pytest.fixture(scope="module")
def table():
    return read_taxonomy()


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "articles.ndjson.gz"
    with gzip.open(path, "wt", encoding="utf-8") as out:
        out.write(json.dumps({"id": "a_1", "text": "Short headline\n\nA body."}) + "\n")
    return path


def test_both_forms_are_read(tmp_path, texts, table):
    ids, whole = tmp_path / "ids.tsv", tmp_path / "whole.ndjson"
    ids.write_text("a_1\tmedtop:01000000,medtop:20000002\n", "utf-8")
    whole.write_text(
        json.dumps({"title": "Short headline", "text": "A body.", "subjects": ["medtop:20000002"]}) + "\n", "utf-8"
    )
    by_id, by_text = read(ids, texts, table)[0], read(whole, None, table)[0]
    assert (by_id.headline, by_id.body) == (by_text.headline, by_text.body) == ("Short headline", "A body.")
    # The subject above is implied.
    assert by_id.subjects == by_text.subjects == {"medtop:01000000", "medtop:20000002"}


def test_deeper_and_retired_subjects_count_as_those_above(tmp_path, table):
    path = tmp_path / "gold.ndjson"
    path.write_text(json.dumps({"text": "x", "subjects": ["medtop:20000119", "medtop:20000005"]}), "utf-8")
    (article,) = read(path, None, table)
    assert article.subjects == {"medtop:02000000", "medtop:20000106", "medtop:01000000", "medtop:20000002"}


@pytest.mark.parametrize(
    "line",
    ["a_1", "a_1\tmedtop:99999999", "b_2\tmedtop:01000000", '{"text": "x", "subjects": []}', '{"subjects": ["x"]}'],
)
def test_a_damaged_line_is_named(tmp_path, texts, table, line):
    path = tmp_path / "gold.tsv"
    path.write_text(f"{line}\n", "utf-8")
    with pytest.raises(GoldError, match=r"gold.tsv, line 1"):
        read(path, texts, table)


def test_only_a_short_first_line_without_a_full_stop_is_a_headline():
    assert split_headline("A headline\n\nText.") == ("A headline", "Text.")
    assert split_headline("A sentence.\n\nText.") == ("", "A sentence.\n\nText.")
    assert split_headline("Alone") == ("", "Alone")


def test_gold_and_tuning_articles_are_apart_and_gold_is_large(classify_data, table):
    ids = {}
    for name in ("gold", "tune"):
        lines = [line.split("\t") for line in (classify_data / f"{name}.tsv").read_text("utf-8").splitlines()]
        assert all(subject in table.concepts for _, labels in lines for subject in labels.split(","))
        ids[name] = [id for id, _ in lines]
        assert len(set(ids[name])) == len(ids[name])
    assert not set(ids["gold"]) & set(ids["tune"])
    assert len(ids["gold"]) >= 400
