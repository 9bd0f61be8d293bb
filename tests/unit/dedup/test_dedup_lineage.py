"""Which agencies a text credits, and how many independent sources a cluster has."""

from __future__ import annotations

import time

import pytest

from workers.dedup.lineage import AGENCIES, MOST_ORIGINS, independent, mask, names, origins, writer

STORY = "The council met on Monday and put off the vote until a report on the dam is there."


def credited(body: str, *authors: str) -> tuple[str, ...]:
    return names(origins(body, authors))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("LINDMOUTH, March 3 (AP) — ", ("AP",)),
        ("LINDMOUTH (Reuters) - ", ("Reuters",)),
        ("PARIS, 3 mars (AFP) - ", ("AFP",)),
        ("Berlin (dpa/lnw) - ", ("dpa",)),
        ("Madrid, 3 mar (EFE).- ", ("EFE",)),
        ("(ANSA) - ROMA, 3 MAR - ", ("ANSA",)),
        ("BEIJING, March 3 (Xinhua) -- ", ("Xinhua",)),
        ("NEW YORK (AP/Reuters) — ", ("AP", "Reuters")),
        ("EFE: ", ("EFE",)),
        ("МОСКВА, 3 марта. /ТАСС/. ", ("TASS",)),
        ("新华社北京3月3日电 ", ("Xinhua",)),
        ("【ロンドン＝共同】", ("Kyodo",)),
        ("据路透社报道，", ("Reuters",)),
        ("LONDON, March 3 /PRNewswire/ -- ", ("PR Newswire",)),
        ("The mayor resigned, Reuters reports. ", ("Reuters",)),
        ("The mayor told Bloomberg on Monday that he was leaving. ", ("Bloomberg",)),
        ("Der Minister tritt zurück, meldet Reuters. Laut dpa bleibt er bis Mai. ", ("dpa",)),
        ("Selon l'AFP et selon AFP, ", ("AFP",)),
    ],
)
def test_datelines_and_attributions(line, expected):
    assert credited(f"{line}{STORY}\n\n{STORY}") == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("— AP", ("AP",)),
        ("(Reuters)", ("Reuters",)),
        ("Source: Xinhua", ("Xinhua",)),
        ("Quelle: dpa", ("dpa",)),
        ("Fuente: EFE", ("EFE",)),
        ("Fonte: ANSA", ("ANSA",)),
        ("Источник: ТАСС", ("TASS",)),
        ("来源：新华社", ("Xinhua",)),
        ("With inputs from PTI", ("PTI",)),
        ("PA Media", ("PA",)),
        ("Agencies", ()),
    ],
)
def test_credit_lines(line, expected):
    assert credited("\n\n".join([STORY] * 20 + [line])) == expected


def test_bylines():
    assert credited(STORY, "Reuters Staff", "By The Associated Press", "Ana Diaz") == ("AP", "Reuters")
    assert credited(STORY, "Paul Reuters", "Apsley Cherry") == ()


@pytest.mark.parametrize(
    "text",
    [
        "AP exams began in May, and the PA system of the school in Scranton, PA, broke down. TT was second.",
        "Petra said that she was happy. Hina and Antara agreed.",
        "The WAPA (MAPA) index rose. The Reutersward family said no.",
        "They read the Bloomberg terminal all day.",
        "",
    ],
)
def test_what_credits_nobody(text):
    assert credited(text) == ()


def test_bounded():
    everyone = "\n".join(f"({spellings[0]})" for _, spellings in AGENCIES)
    assert len(origins(everyone, ())) == MOST_ORIGINS
    for hostile in (
        "(" * 900,
        "Reuters " * 200_000,
        "AP/" * 300_000,
        "\n".join(["the the the"] * 50_000),
        "by " * 400_000,
    ):
        start = time.process_time()
        origins(hostile, (hostile[:50_000],) * 50)
        # A bound on work, far above what it takes: a pattern that backtracks badly would need hours.
        assert time.process_time() - start < 20


def test_agencies_fit_a_bit_each():
    assert len(AGENCIES) <= 64
    assert len({name for name, _ in AGENCIES}) == len(AGENCIES)
    assert mask(("AP", "Reuters", "Nobody's Press")) == 0b11
    assert 0 <= writer("courier.example") < 64
    assert [independent(0, 0), independent(0b11, 0), independent(0, 0b1), independent(0b1, 0b1)] == [1, 2, 2, 2]


def test_one_wire_story_in_many_outlets_is_one_source(box):
    text = box.stories["bridge"]["paragraphs"]
    bench = box.Bench()
    wire = [f"LINDMOUTH (Reuters) - {text[0]}", *text[1:]]
    emits = bench.feed(
        box.article(),
        *(
            box.article(
                url=f"https://o{n}.example/1", source=f"o{n}.example", minutes=n, headline=f"Take {n}", paragraphs=wire
            )
            for n in range(1, 12)
        ),
    )
    assert {emit.kind for emit in emits[1:]} == {"near_copy"}
    last = box.duplicate(emits[-1])
    assert last.origins == ("Reuters",)
    assert last.independent_sources == 1
    other = box.article(url="https://x.example/1", minutes=60, paragraphs=[*text, "Quelle: dpa"])
    assert box.duplicate(bench.feed(other)[0]).independent_sources == 2


def test_an_outlet_that_wrote_most_itself_is_a_source(box):
    text, own = box.stories["bridge"]["paragraphs"], box.stories["museum"]["paragraphs"]
    bench = box.Bench(containment=0.2, evidence=-1.0)
    article = box.article(url="https://x.example/1", source="x.example", minutes=5, paragraphs=[*text[:2], *own])
    _, emit = bench.feed(box.article(), article)
    assert box.duplicate(emit).match.rule == "near_copy.rewritten"
    assert box.duplicate(emit).independent_sources == 2
    assert box.entry(emit).writer is not None
