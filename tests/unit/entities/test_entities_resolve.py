from __future__ import annotations

import re

import pytest

from schemas.messages import Entity
from workers.entities.mentions import Found
from workers.entities.names import person_match
from workers.entities.resolve import resolve
from workers.entities.tokens import tokenize

MARKED = re.compile(r"\[(PER|ORG|LOC|MISC)(\*?) ([^\]]+)\]")


def entities(marked: str, headline: str = "") -> list[Entity]:
    """Resolve a text in which mentions are marked: `[PER Ana Ruiz]`, `[PER* Ruiz]` after Mrs."""
    found: list[Found] = []
    plain = {}
    for field, text in (("headline", headline), ("body", marked)):
        out, at = "", 0
        for mark in MARKED.finditer(text):
            out += text[at : mark.start()]
            words = tuple(token.text for token in tokenize(mark[3], 50))
            found.append(Found(field, len(out), len(out) + len(mark[3]), mark[1], 0.9, words, bool(mark[2])))
            out += mark[3]
            at = mark.end()
        plain[field] = out + text[at:]
    result = list(resolve(plain["headline"], plain["body"], found))
    assert sum(len(entity.mentions) for entity in result) == len(found)
    return result


def names(result: list[Entity]) -> dict[str, int]:
    return {entity.name: len(entity.mentions) for entity in result}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[PER Nayib Bukele] spoke. President [PER Bukele] left, [PER Bukele] said.", {"Nayib Bukele": 3}),
        ("[PER Trump] won. [PER Donald Trump] and [PER Donald J. Trump].", {"Donald J. Trump": 3}),
        ("[PER Mauricio Claver-Carone] and [PER Claver-Carone].", {"Mauricio Claver-Carone": 2}),
        ("[PER Ana Ruiz] and [PER Ana].", {"Ana Ruiz": 2}),
        ("[PER Robert Kennedy Jr.] and [PER Kennedy].", {"Robert Kennedy Jr.": 2}),
        ("[PER John Ruiz Jr.] is not [PER John Ruiz].", {"John Ruiz Jr.": 1, "John Ruiz": 1}),
        ("[PER Gustavo Petro Urrego], [PER Gustavo Petro] and [PER Petro].", {"Gustavo Petro Urrego": 3}),
        ("[PER J. Okafor] is [PER Jane Okafor].", {"J. Okafor": 2}),
        ("[PER Ana Ruiz] and [PER Ben Ruiz].", {"Ana Ruiz": 1, "Ben Ruiz": 1}),
        ("[ORG Associated Press] ([ORG AP]) and [ORG the AP].", {"Associated Press": 3}),
        ("[ORG Department of State] is [ORG DOS], the [ORG State Department].", {"Department of State": 3}),
        ("[ORG Lantern Media Group] ([ORG LMG]); [ORG LMG].", {"Lantern Media Group": 3}),
        ("[ORG Halcyon Corp.] is [ORG Halcyon].", {"Halcyon Corp.": 2}),
        ("[ORG Orlando Pirates] won; the [ORG Pirates] rest.", {"Orlando Pirates": 2}),
        ("[ORG Bank of Ruritania] and [ORG Bank of Sylvania]; the [ORG Bank].", None),
        ("the [LOC United States], [LOC US] and [LOC U.S.]; the [LOC US].", {"US": 4}),
        ("[MISC Venezuelan] and [MISC Venezuelans] in [LOC Venezuela].", {"Venezuelan": 2, "Venezuela": 1}),
        ("[LOC Georgia] and [LOC georgia].", {"Georgia": 2}),
        ("", {}),
    ],
)
def test_mentions_become_entities(text: str, expected: dict[str, int] | None) -> None:
    result = names(entities(text))
    if expected is None:
        assert len(result) == 3, "an ambiguous short form stands for itself"
    else:
        assert result == expected


def test_a_shared_surname_goes_to_the_bearer_named_last() -> None:
    result = names(
        entities("[PER Ana Ruiz] spoke, [PER Ruiz] said. [PER Ben Ruiz] came; [PER Ruiz] and [PER Ruiz] left.")
    )
    assert result == {"Ben Ruiz": 3, "Ana Ruiz": 2}


def test_a_prominent_surname_is_looked_up() -> None:
    (trump,) = entities("[PER Trump] met no one.")
    assert trump.name == "Donald Trump"
    assert [link.id for link in trump.links] == ["wikidata:Q22686"]
    assert trump.confidence < 0.9
    assert trump.links[0].confidence < 0.9


def test_a_prominent_surname_belongs_to_whoever_the_article_names() -> None:
    assert names(entities("[PER Ivanka Trump] spoke; [PER Trump] left.")) == {"Ivanka Trump": 2}
    assert names(entities("Mrs [PER* Trump] left.")) == {"Trump": 1}
    both = entities("[PER Donald Trump] came. [PER Ivanka Trump] spoke; [PER Trump] left.")
    assert names(both) == {"Donald Trump": 2, "Ivanka Trump": 1}


def test_a_son_is_not_his_father() -> None:
    son, father = entities("[PER Donald Trump Jr.] spoke. [PER Donald Trump] slept; [PER Trump] snored.")[::-1]
    assert (son.name, son.links) == ("Donald Trump Jr.", ())
    assert (father.name, len(father.mentions)) == ("Donald Trump", 2)
    (alone,) = entities("[PER Donald Trump Jr.] spoke, [PER Trump] said.")
    assert alone.links == ()


def test_salience_is_headline_lead_and_frequency() -> None:
    body = "[PER Ana Ruiz] and [LOC Quito]. " + "x" * 300 + " [PER Ruiz] [PER Ruiz] [ORG Acme]"
    result = {entity.name: entity.salience for entity in entities(body, headline="[LOC Quito] waits")}
    assert result == {
        "Quito": round(0.4 + 0.2 + 0.4 * 2 / 3, 4),
        "Ana Ruiz": 0.6,
        "Acme": round(0.4 / 3, 4),
    }
    assert list(result) == ["Quito", "Ana Ruiz", "Acme"]


def test_equal_salience_sorts_by_place() -> None:
    assert list(names(entities("[LOC Quito] [ORG Acme] [PER Ana Ruiz]"))) == ["Quito", "Acme", "Ana Ruiz"]


@pytest.mark.parametrize(
    ("short", "long", "expected"),
    [
        (("ruiz",), ("ana", "ruiz"), 3),
        (("ana", "ruiz"), ("ana", "maria", "ruiz"), 3),
        (("a.", "ruiz"), ("ana", "ruiz"), 2),
        (("garcia",), ("ana", "garcia", "ruiz"), 2),
        (("ana",), ("ana", "ruiz"), 1),
        (("ben", "ruiz"), ("ana", "ruiz"), 0),
        (("ana", "maria", "ruiz"), ("ana", "ruiz"), 0),
    ],
)
def test_person_match(short: tuple[str, ...], long: tuple[str, ...], expected: int) -> None:
    assert person_match(short, long) == expected


def test_many_names_take_bounded_work() -> None:
    # 2,000 people who share one surname, then the surname: candidates are bounded.
    text = " ".join(f"[PER Anna{number} Ruiz]" for number in range(1000)) + " [PER Ruiz]" * 1000
    result = entities(text)
    assert len(result) == 1000
