import json

import pytest

from workers.classify import taxonomy
from workers.classify.corpus import SHORT_NAMES
from workers.classify.stage import read_taxonomy
from workers.classify.taxonomy import TaxonomyError, parse

COUNTS = [17, 121, 496, 465]


@pytest.fixture(scope="module")
def table():
    return read_taxonomy()


def test_all_levels_are_there_and_hang_together(table):
    levels = [concept.level for concept in table.concepts.values()]
    assert [levels.count(level) for level in (1, 2, 3, 4)] == COUNTS
    assert table.version == "medtop-2023-10"
    assert table.ancestor("medtop:20000657").name == "religion"
    assert table.ancestor("medtop:17000000").name == "weather"


def test_the_training_files_name_every_top_subject(table):
    assert sorted(SHORT_NAMES.values()) == [concept.id for concept in table.top]


def test_the_table_is_what_the_vocabulary_says(table, shared):
    facts = json.loads((shared / "data/subjects/iptc-media-topics.json").read_text("utf-8"))
    expected = {fact["id"]: (fact["parent"], fact["level"], fact["name"]) for fact in facts if fact["retired"] is None}
    assert set(table.successors) == {fact["id"] for fact in facts if fact["retired"] is not None}
    assert {id: (c.parent, c.level, c.name) for id, c in table.concepts.items()} == expected


def test_a_retired_id_stands_for_its_successor(table):
    assert "medtop:20000119" not in table.concepts
    assert table.current("medtop:20000119").name == "judiciary"
    # Of the same name, elsewhere in the tree.
    assert table.current("medtop:20000436").id == "medtop:20000257"
    assert table.ancestor("medtop:20000493").name == "health"
    assert table.ancestor("medtop:20000162", 2).name == "accident and emergency incident"
    with pytest.raises(KeyError):
        table.current("medtop:99999999")


@pytest.mark.parametrize(
    "retired", ["medtop:1\tmedtop:2", "medtop:01000000\tmedtop:01000000", "x", "x\tmedtop:01000000"]
)
def test_a_damaged_table_of_successors_is_refused(retired):
    with pytest.raises(TaxonomyError, match="retired ids, line 1"):
        parse(b"medtop:01000000\t\t1\tarts", retired.encode())


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
