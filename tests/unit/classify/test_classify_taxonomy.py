import json
from importlib.resources import files

import pytest

from workers.classify import taxonomy
from workers.classify.corpus import SHORT_NAMES
from workers.classify.taxonomy import TaxonomyError, parse


@pytest.fixture(scope="module")
def table():
    return parse(files("workers.classify").joinpath("media_topics.tsv").read_bytes())


def test_levels_one_and_two_are_there_and_hang_together(table):
    levels = [concept.level for concept in table.concepts.values()]
    assert (levels.count(1), levels.count(2)) == (17, 121)
    assert table.version == "medtop-2023-10"
    assert table.ancestor("medtop:20000657").name == "religion"
    assert table.ancestor("medtop:17000000").name == "weather"


def test_the_training_files_name_every_top_subject(table):
    assert sorted(SHORT_NAMES.values()) == [concept.id for concept in table.top]


def test_the_table_is_what_the_vocabulary_says(table, shared):
    facts = json.loads((shared / "data/subjects/iptc-media-topics.json").read_text("utf-8"))
    expected = {
        fact["id"]: (fact["parent"], fact["level"], fact["name"])
        for fact in facts
        if fact["level"] <= 2 and fact["retired"] is None
    }
    assert {id: (c.parent, c.level, c.name) for id, c in table.concepts.items()} == expected


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("medtop:01000000\t\t1", "line 1"),
        ("medtop:01000000\t\tone\tarts", "line 1"),
        ("x:01000000\t\t1\tarts", "line 1"),
        ("medtop:01000000\t\t1\tarts\nmedtop:01000000\t\t1\tarts", "line 2"),
        ("medtop:01000000\t\t1\tarts\nmedtop:20000002\tmedtop:09999999\t2\tlost", "medtop:20000002"),
        ("medtop:01000000\t\t1\tarts\nmedtop:20000002\tmedtop:01000000\t3\tdeep", "medtop:20000002"),
        ("medtop:20000002\t\t2\torphan", "medtop:20000002"),
    ],
)
def test_a_damaged_table_is_refused_with_its_place(text, part):
    with pytest.raises(TaxonomyError, match=part):
        taxonomy.parse(text.encode())
