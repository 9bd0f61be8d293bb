from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import decode
from schemas.messages import TaggedArticle, UniqueArticle
from workers.entities import EntitiesStage, wordlists
from workers.entities.limits import MAX_MENTIONS, MAX_TOKENS
from workers.entities.tagger import Span
from workers.stage import Emit, Record, Reject

HEADLINE = "Ruritania swears in Marta Kowalczyk"
BODY = (
    "Marta Kowalczyk was sworn in as president of Costa Rica on Monday, the Associated Press (AP) reported.\n\n"
    "Kowalczyk, a former mayor of San José, met the Venezuelan ambassador and spoke to reporters in Washington. "
    "The AP said that the US would wait."
)


class NoTagger:
    """Finds nothing."""

    version = "none"

    def tag(self, sentences: list[list[str]]) -> list[list[Span]]:
        return [[] for _ in sentences]


class EveryCapital:
    """Takes every word with a capital for a person."""

    version = "capitals"

    def tag(self, sentences: list[list[str]]) -> list[list[Span]]:
        return [
            [Span(at, at + 1, "PER", 0.7) for at, word in enumerate(words) if word[0].isupper()] for words in sentences
        ]


def tagged(stage: EntitiesStage, record: Record) -> TaggedArticle:
    (outcome,) = stage.process([record])
    assert isinstance(outcome, Emit), outcome
    (message,) = outcome.messages
    assert message.topic == "news.tagged"
    assert message.key == record.key
    return decode(message.value, TaggedArticle)


def by_name(article: TaggedArticle) -> dict[str, str]:
    return {entity.name: entity.type for entity in article.entities.items}


def test_an_article_gets_its_entities(stage, article, record) -> None:
    before = article(HEADLINE, BODY, extra={"desk": "world"}, url="https://lantern.example/1")
    after = tagged(stage, record(before))
    found = by_name(after)
    assert found["Marta Kowalczyk"] == "PER"
    assert found["Associated Press"] == "ORG"
    assert found["Costa Rica"] == "LOC"
    assert found["Venezuelan"] == "MISC"
    assert found["US"] == "LOC"
    assert "Kowalczyk" not in found
    assert "AP" not in found
    texts = {"headline": HEADLINE, "body": BODY}
    for entity in after.entities.items:
        for mention in entity.mentions:
            text = texts[mention.field][mention.start : mention.end]
            assert text == text.strip()
            assert set(text.lower().split()) & set(entity.name.lower().split()) or text == "AP"
    links = {entity.name: [link.id for link in entity.links] for entity in after.entities.items}
    assert links["Costa Rica"] == ["iso3166:CR", "wikidata:Q800"]
    assert links["Venezuelan"] == ["iso3166:VE"]
    assert links["US"] == ["iso3166:US", "wikidata:Q30"]


def test_all_other_fields_are_as_they_were(stage, article, record) -> None:
    before = article(HEADLINE, BODY, extra={"desk": ["a", {"b": None}]}, authors=("A. Writer",), revision=3)
    after = tagged(stage, record(before))
    for name in UniqueArticle.__struct_fields__:
        if name != "processing":
            assert getattr(after, name) == getattr(before, name), name
    assert after.processing == before.processing | {"entities": stage.version}


def test_the_version_names_rules_weights_and_lists(stage) -> None:
    declared, _, hashes = stage.version.partition("+")
    weights, lists = hashes.split(".")
    assert declared.count(".") == 2
    assert (len(weights), len(lists)) == (8, 8)
    assert int(weights, 16) >= 0
    assert EntitiesStage(NoTagger()).version == f"{declared}+none.{lists}"


def test_every_list_counts_in_the_version() -> None:
    folder = Path(wordlists.__file__).parent / "data"
    lists = {path.name for path in folder.iterdir() if path.suffix in (".txt", ".tsv", ".npz")}
    assert lists - {"extra.txt", "english.npz"} == set(wordlists.FILES)


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b'{"id": 1}', b"\xff\xfe", b'{"id": "' + b"0" * 32 + b'"}'])
def test_what_is_no_article_is_rejected_alone(stage, article, record, value: bytes | None) -> None:
    good = record(article(HEADLINE, BODY))
    first, second, third = stage.process([good, record(value, 1), good])
    assert isinstance(first, Emit)
    assert isinstance(second, Reject)
    assert second.reason == "bad_article"
    assert second.reason in stage.reasons
    assert second.detail
    assert third == first


def test_outcomes_do_not_depend_on_batches_or_on_what_came_before(article, record) -> None:
    from workers.entities import load

    texts = [(HEADLINE, BODY), ("", ""), ("Rain", "It rained in Lima."), ("KENYA WINS", "Kenya won."), (BODY, HEADLINE)]
    records = [record(article(*text, id=f"{at:032x}"), at) for at, text in enumerate(texts)]
    whole = load().process(records)
    single = load()
    assert [single.process([one])[0] for one in reversed(records)][::-1] == whole
    assert [outcome for cut in (records[:2], records[2:]) for outcome in single.process(cut)] == whole


def test_a_full_cache_changes_nothing(stage, article, record, monkeypatch) -> None:
    from workers.entities import load, tagger

    monkeypatch.setattr(tagger, "MAX_CACHED_KEYS", 5)
    one = record(article(HEADLINE, BODY))
    small = load()
    assert small.process([one, one]) == stage.process([one, one])


def test_bytes_do_not_depend_on_the_hash_seed() -> None:
    program = (
        "import hashlib, msgspec; from workers.entities import load\n"
        f"e = load().entities({HEADLINE!r}, {BODY!r}, 'en')\n"
        "print(hashlib.sha256(msgspec.json.encode(e)).hexdigest())"
    )
    root = Path(__file__).resolve().parents[3]
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
    assert len(found.pop()) == 65


def test_each_entity_is_noted_for_the_metrics(stage, article, record) -> None:
    (outcome,) = stage.process([record(article(HEADLINE, BODY))])
    assert isinstance(outcome, Emit)
    found = decode(outcome.messages[0].value, TaggedArticle).entities.items
    names = {"PER": "person", "ORG": "organisation", "LOC": "place", "MISC": "other"}
    assert list(outcome.notes) == [names[entity.type] for entity in found]
    assert {"person", "organisation", "place", "other"} == set(outcome.notes) == set(stage.notes)
    (nothing,) = stage.process([record(article("", ""))])
    assert isinstance(nothing, Emit)
    assert nothing.notes == ()


def test_other_languages_get_countries_only(stage, article, record) -> None:
    body = "A presidente Ana Ruiz viajou de Costa Rica a El Salvador. Jordan Pérez não foi a Chad."
    (outcome,) = stage.process([record(article("Viagem a Panama", body, "pt"))])
    assert isinstance(outcome, Emit)
    assert outcome.kind == "unsupported_language"
    after = decode(outcome.messages[0].value, TaggedArticle)
    assert after.entities.status == "unsupported_language"
    assert {entity.name: [link.id for link in entity.links] for entity in after.entities.items} == {
        "Panama": ["iso3166:PA", "wikidata:Q804"],
        "Costa Rica": ["iso3166:CR", "wikidata:Q800"],
        "El Salvador": ["iso3166:SV", "wikidata:Q792"],
    }


@pytest.mark.parametrize(
    ("language", "body", "status"),
    [
        ("en", BODY, "ok"),
        ("en-GB", BODY, "ok"),
        ("und", BODY, "ok"),
        ("und", "Der Minister sagte am Montag in Berlin, dass er nach Kenya fliegt.", "unsupported_language"),
        ("und", "", "unsupported_language"),
        ("de", BODY, "unsupported_language"),
    ],
)
def test_which_languages_the_model_reads(stage, language: str, body: str, status: str) -> None:
    assert stage.entities("", body, language).status == status


@pytest.mark.parametrize(
    "headline",
    [
        "Bukele meets Marco Rubio in El Salvador",
        "Bukele Meets Marco Rubio in El Salvador as Deportation Talks Begin",
        "BUKELE MEETS MARCO RUBIO IN EL SALVADOR AS DEPORTATION TALKS BEGIN",
    ],
)
def test_headlines_in_any_case(stage, headline: str) -> None:
    body = "President Nayib Bukele met Secretary of State Marco Rubio in El Salvador on Monday. Bukele smiled."
    items = stage.entities(headline, body, "en").items
    found = {entity.name: [m.field for m in entity.mentions] for entity in items}
    assert set(found) == {"Nayib Bukele", "Marco Rubio", "El Salvador"}
    assert all("headline" in fields for fields in found.values())


def test_us_is_a_country_only_where_it_is_one(stage) -> None:
    body = (
        "They told us to wait, and let us go. It cost US$94.8 billion.\n\n"
        "He reached the US The goal was to stay in the US.\n\nGIVE US A CHANCE TO LIVE HERE, THEY SAY TO US ALL."
    )
    items = stage.entities("", body, "en").items
    places = [
        body[m.start : m.start + 6]
        for entity in items
        for m in entity.mentions
        if "iso3166:US" in [link.id for link in entity.links]
    ]
    assert places == ["US The", "US.\n\nG"]


def test_titles_and_possessives_are_not_part_of_names(stage) -> None:
    body = "President Nayib Bukele’s plan and Prime Minister Ana Ruiz's budget, said Dr. John Osei and Mr Tom Okafor."
    items = stage.entities("", body, "en").items
    assert {entity.name for entity in items} == {"Nayib Bukele", "Ana Ruiz", "John Osei", "Tom Okafor"}


def test_work_and_output_are_bounded() -> None:
    every = EntitiesStage(EveryCapital())
    items = every.entities("Zed", "Abe and " * (MAX_TOKENS * 2), "en").items
    mentions = [mention for entity in items for mention in entity.mentions]
    assert len(mentions) == MAX_MENTIONS


def test_the_bound_on_tokens_holds() -> None:
    body = "word " * MAX_TOKENS + "Costa Rica"
    assert EntitiesStage(NoTagger()).entities("", body, "en").items == ()
    assert EntitiesStage(NoTagger()).entities("", body[-200:], "en").items != ()


@settings(max_examples=60, deadline=None)
@given(headline=st.text(max_size=80), body=st.text(max_size=400))
def test_any_text_gives_mentions_inside_it(stage, headline: str, body: str) -> None:
    texts = {"headline": headline, "body": body}
    for entity in (
        EntitiesStage(EveryCapital()).entities(headline, body, "en").items + stage.entities(headline, body, "en").items
    ):
        assert entity.name.strip()
        places = [(mention.field == "body", mention.start) for mention in entity.mentions]
        assert places == sorted(set(places))
        for mention in entity.mentions:
            text = texts[mention.field][mention.start : mention.end]
            assert len(text) == mention.end - mention.start > 0
            assert text == text.strip()


def test_the_shared_sample(stage, shared: Path) -> None:
    text = (shared / "samples" / "scraped-article-1.txt").read_text(encoding="utf-8")
    headline = text.partition("\n")[0]
    end = "en route."
    body = text[text.index("The Trump administration is in talks") : text.index(end) + len(end)]
    items = stage.entities(headline, body, "en").items
    names = {kind: [entity.name for entity in items if entity.type == kind] for kind in ("PER", "ORG", "LOC", "MISC")}
    assert sorted(names["PER"]) == ["Donald Trump", "Marco Rubio", "Mauricio Claver-Carone", "Nayib Bukele"]
    assert sorted(names["ORG"]) == ["AP", "State Department", "Tren de Aragua"]
    assert {"El Salvador", "Venezuela", "US", "Panama", "Latin America"} <= set(names["LOC"])
    assert "Venezuelan" in names["MISC"]
    links = {entity.name: [link.id for link in entity.links] for entity in items}
    assert links["El Salvador"] == ["iso3166:SV", "wikidata:Q792"]
    assert links["Venezuela"][0] == links["Venezuelan"][0] == "iso3166:VE"
    assert links["US"] == ["iso3166:US", "wikidata:Q30"]
    assert links["Panama"] == ["iso3166:PA", "wikidata:Q804"]
    assert items[0].name == "El Salvador"


def test_the_output_is_json_that_orjson_reads(stage, article, record) -> None:
    (outcome,) = stage.process([record(article(HEADLINE, BODY))])
    assert isinstance(outcome, Emit)
    plain = orjson.loads(outcome.messages[0].value)
    assert plain["entities"]["status"] == "ok"
