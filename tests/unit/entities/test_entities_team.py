from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from newsmill.settings import Settings
from newsmill.worker import StageOptionError, load_stage, stage_options
from workers import pipeline
from workers.entities import EntitiesStage
from workers.entities.tagger import Span
from workers.entities.team import Entry, Gazetteer, GazetteerError, read_gazetteer


class Words:
    """Takes the words that it is given for organisations, also several in a row."""

    version = "words"

    def __init__(self, *words: str) -> None:
        self._words = words

    def tag(self, sentences: list[list[str]]) -> list[list[Span]]:
        spans = []
        for sentence in sentences:
            row: list[Span] = []
            for at, word in enumerate(sentence):
                if word not in self._words:
                    continue
                if row and row[-1].end == at:
                    row[-1] = row[-1]._replace(end=at + 1)
                else:
                    row.append(Span(at, at + 1, "ORG", 0.6))
            spans.append(row)
        return spans


def gazetteer(*entries: tuple[str, str, str, int]) -> Gazetteer:
    return Gazetteer([Entry(*entry) for entry in entries], "0" * 64)


def find(gazetteer: Gazetteer, text: str) -> list[tuple[str, str]]:
    hits = gazetteer.find(text)
    assert all(before.end <= after.start for before, after in pairwise(hits))
    return [(text[hit.start : hit.end], hit.entry.id) for hit in hits]


LAKES = gazetteer(
    ("Vell Lake", "LOC", "x:1", 50),
    ("Vell Lake Bank", "ORG", "x:2", 50),
    ("Lake Bank of Or", "ORG", "x:3", 50),
    ("VLB", "ORG", "x:2", 50),
    ("or-tec", "ORG", "x:4", 50),
    ("Straße", "LOC", "x:5", 50),
    ("Dora’s", "ORG", "x:6", 50),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("at Vell Lake, in", [("Vell Lake", "x:1")]),
        ("the Vell  Lake\nBank of", [("Vell  Lake\nBank", "x:2")]),
        ("VELL LAKE rose", [("VELL LAKE", "x:1")]),
        ("vell lake rose", []),
        ("Vell Lakes and Novell Lake", []),
        ("Vell Lake Banker", [("Vell Lake", "x:1")]),
        ("VLB but not vlb, Vlb or VLBs", [("VLB", "x:2")]),
        ("Or-Tec and or - tec", [("Or-Tec", "x:4"), ("or - tec", "x:4")]),
        ("İn der Straße", [("Straße", "x:5")]),
        ("İİİ STRASSE", []),
        ("at Dora's and Dora’s", [("Dora's", "x:6"), ("Dora’s", "x:6")]),
        ("\x1evell\x1fVell Lake\x1e", [("Vell Lake", "x:1")]),
        ("", []),
    ],
)
def test_names_are_found_where_their_words_stand(text: str, expected: list[tuple[str, str]]) -> None:
    assert find(LAKES, text) == expected


def test_priority_then_order_decide_between_lines_of_one_name() -> None:
    names = gazetteer(
        ("Orin", "PER", "x:1", 10), ("Orin", "ORG", "x:2", 60), ("ORIN", "LOC", "x:3", 60), ("orin", "PER", "x:4", 59)
    )
    assert find(names, "Orin came") == [("Orin", "x:2")]


def items(tagger: Words, names: Gazetteer, body: str, language: str = "en") -> list[tuple[str, str, int, list[str]]]:
    found = EntitiesStage(tagger, names).entities("", body, language).items
    return [(one.name, one.type, len(one.mentions), [link.id for link in one.links]) for one in found]


def test_a_hit_takes_the_place_of_what_the_tagger_found() -> None:
    names = gazetteer(("Vell Lake", "LOC", "x:1", 50))
    assert items(Words("Vell"), names, "By Vell Lake.") == [("Vell Lake", "LOC", 1, ["x:1"])]
    assert items(Words("Vell", "Lake"), names, "By Vell Lake.") == [("Vell Lake", "LOC", 1, ["x:1"])]


def test_a_longer_name_of_the_tagger_stays() -> None:
    names = gazetteer(("Vell", "LOC", "x:1", 90))
    assert items(Words("Vell", "Bank"), names, "By Vell Bank in Vell.") == [
        ("Vell Bank", "ORG", 1, []),
        ("Vell", "LOC", 1, ["x:1"]),
    ]


def test_a_name_of_low_priority_fills_gaps_only() -> None:
    names = gazetteer(("Vell", "LOC", "x:1", 49), ("Orin", "PER", "x:2", 49))
    assert items(Words("Vell"), names, "By Vell and Orin.") == [("Vell", "ORG", 1, []), ("Orin", "PER", 1, ["x:2"])]


def test_names_of_one_id_are_one_entity_and_keep_other_links() -> None:
    names = gazetteer(("Acme Corp", "ORG", "x:1", 50), ("AC Holdings", "ORG", "x:1", 50), ("Google", "ORG", "x:2", 50))
    assert items(Words(), names, "Acme Corp, AC Holdings and Google.") == [
        ("Acme Corp", "ORG", 2, ["x:1"]),
        ("Google", "ORG", 1, ["x:2", "wikidata:Q95"]),
    ]


def test_hits_in_languages_without_a_model() -> None:
    names = gazetteer(("Bodensee", "LOC", "x:1", 50))
    found = EntitiesStage(Words(), names).entities("Am Bodensee", "Hochwasser am Bodensee und in Kenya.", "sw")
    assert found.status == "unsupported_language"
    assert [(one.name, len(one.mentions)) for one in found.items] == [("Bodensee", 2), ("Kenya", 1)]


def test_both_forms_of_the_file(tmp_path: Path) -> None:
    table = tmp_path / "names.tsv"
    table.write_text("# ours\nAcme Corp\tORG\tx:1\n\nOrin\tPER\tx:2\t70\r\n", encoding="utf-8-sig")
    lines = tmp_path / "names.ndjson"
    lines.write_text(
        '{"surface": "Acme Corp", "type": "ORG", "id": "x:1"}\n'
        '{"surface": "Orin", "type": "PER", "id": "x:2", "priority": 70, "note": "kept by us"}\n',
        encoding="utf-8",
    )
    for path in (table, lines):
        names = read_gazetteer(path)
        assert len(names) == 2
        assert [(hit.entry.id, hit.entry.priority) for hit in names.find("Orin left Acme Corp")] == [
            ("x:2", 70),
            ("x:1", 50),
        ]
    assert read_gazetteer(table).digest != read_gazetteer(lines).digest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Acme\tORG\tx:1\nOrin\tPER\n", "line 2: 2 columns"),
        ("Acme\tCITY\tx:1\n", "line 1: type 'CITY'"),
        ("Acme\tORG\tx:1\thigh\n", "line 1: priority 'high'"),
        ("Acme\tORG\tx:1\t101\n", "line 1: the priority"),
        ("A\tORG\tx:1\n", "line 1: the surface has fewer"),
        ("--\tORG\tx:1\n", "line 1: the surface has fewer"),
        ("A" * 201 + "\tORG\tx:1\n", "line 1: the surface has more"),
        ("Acme\tORG\t\n", "line 1: the id"),
        ("Acme\tORG\tx 1\n", "line 1: the id"),
        ('\n{"surface": "Acme"}\n', "line 2: .*type"),
        ('{"surface": "Acme", "type": "ORG", "id": "x:1"}\nAcme\tORG\tx:1\n', "line 2: "),
        ("Acme\tORG\n" * 30, "line 20: 2 columns[^;]*$"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "names"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(GazetteerError, match=expected):
        read_gazetteer(path)


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "names"
    path.write_bytes(b"Acme\tORG\tx:1\n\xff\xfe\tORG\tx:2\n")
    with pytest.raises(GazetteerError, match=r"line 2: .*decode"):
        read_gazetteer(path)


def test_the_number_of_names_is_bounded(tmp_path: Path, monkeypatch) -> None:
    from workers.entities import team

    monkeypatch.setattr(team, "MAX_NAMES", 2)
    path = tmp_path / "names"
    path.write_text("".join(f"Acme {at}\tORG\tx:{at}\n" for at in range(4)), encoding="utf-8")
    with pytest.raises(GazetteerError, match="line 3: more than 2 names"):
        read_gazetteer(path)


def test_the_setting_loads_it(tmp_path: Path) -> None:
    path = tmp_path / "names.tsv"
    path.write_text("Vell Lake\tLOC\tx:1\n", encoding="utf-8")
    stage = pipeline.load("entities", stage_options(Settings(entities_gazetteer=str(path))))
    assert isinstance(stage, EntitiesStage)
    assert stage.version == f"{pipeline.load('entities').version}.{read_gazetteer(path).digest[:8]}"
    found = stage.entities("", "Rain fell on Vell Lake.", "en").items
    assert [link.id for entity in found for link in entity.links] == ["x:1"]


def test_a_gazetteer_that_cannot_be_used_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "names.tsv"
    with pytest.raises(StageOptionError, match=r"NEWSMILL_ENTITIES_GAZETTEER: .*No such file"):
        load_stage("entities", stage_options(Settings(entities_gazetteer=str(path))))
    path.write_text("Vell Lake\tLAKE\tx:1\n", encoding="utf-8")
    with pytest.raises(StageOptionError, match="line 1: type 'LAKE'") as caught:
        load_stage("entities", stage_options(Settings(entities_gazetteer=str(path))))
    assert caught.value.exit_code == 2
