"""The samples, end to end through the real stages: what samples/README.md promises."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from newsmill.cli import group

ROOT = Path(__file__).resolve().parents[3]


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


class Outcome:
    def __init__(self, directory: Path, *options: str) -> None:
        self.result = CliRunner(env={"NEWSMILL_SHARED": None}).invoke(
            group,
            [
                "run",
                str(ROOT / "samples"),
                *("--out", str(directory / "articles.ndjson")),
                *("--duplicates", str(directory / "duplicates.ndjson")),
                *("--dead-letters", str(directory / "dead-letters.ndjson")),
                *("--ingested-at", "2026-11-24T06:00:00Z"),
                *options,
            ],
            catch_exceptions=False,
        )
        self.files = {path.name: path.read_bytes() for path in sorted(directory.glob("*.ndjson"))}
        self.articles = read(directory / "articles.ndjson")
        self.duplicates = read(directory / "duplicates.ndjson")
        self.dead = read(directory / "dead-letters.ndjson")

    def article(self, headline: str) -> dict[str, Any]:
        (found,) = (a for a in self.articles if a["headline"].startswith(headline))
        return found


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return Outcome(tmp_path_factory.mktemp("samples"), "--table")


def test_every_document_is_accounted_for(outcome: Outcome) -> None:
    assert outcome.result.exit_code == 0, outcome.result.output
    assert "newsmill: 49 documents" in outcome.result.stderr
    assert (len(outcome.articles), len(outcome.duplicates), len(outcome.dead)) == (36, 7, 6)


def test_what_is_broken_is_refused_with_the_reason(outcome: Outcome) -> None:
    assert [(d["origin"].rsplit("/", 1)[1], d["reason"]) for d in outcome.dead] == [
        ("broken.ndjson:1", "bad_json"),
        ("broken.ndjson:2", "bad_field"),
        ("broken.ndjson:3", "no_content"),
        ("broken.ndjson:4", "not_an_object"),
        ("broken.ndjson:5", "no_content"),
        ("broken.ndjson:9", "bad_json"),
    ]


def test_copies_are_found_with_their_original(outcome: Outcome) -> None:
    found = {(d["verdict"], _slug(d["url"]), _slug(d["match"]["url"])) for d in outcome.duplicates}
    assert found == {
        ("exact_copy", "huelga-medicos-sevilla", "huelga-medicos"),
        ("exact_copy", "peru-earthquake", "strong-quake-southern-peru"),
        ("exact_copy", "kansas-wheat.html", "kansas-wheat.html"),
        ("near_copy", "rotterdam-strike-suspended", "dockers-suspend-strike-in-rotterdam"),
        ("near_copy", "atacama-antennas", "atacama-antennas"),
        ("near_copy", "nairobi-forests.html", "nairobi-forest-register"),
        ("recrawl", "whitby-lifeboat-house-opens", "whitby-lifeboat-house-opens"),
    }


def test_revisions_go_on(outcome: Outcome) -> None:
    revised = {a["headline"]: a["revision"] for a in outcome.articles if a["revision"] > 1}
    assert revised == {"Holyhead reopens after storm": 2, "Strecke Hamburg–Kiel wird früher frei": 2}


def test_three_languages_are_told_apart(outcome: Outcome) -> None:
    counts = Counter(a["language"] for a in outcome.articles)
    assert (counts["de"], counts["es"]) == (7, 6)
    assert counts["en"] >= 22


@pytest.mark.parametrize(
    ("headline", "gone"),
    [
        ("Venice", ["ad-image", "Image:", "Travel", "View All", "gelato", "quiet islands"]),
        ("Canada", ["cookies", "Photo", "Share", "Most read", "night trains", "inbox", "Copyright"]),
        ("Airlines", ["cookies", "Photo", "Share", "Most read", "night trains", "inbox", "Copyright"]),
        ("Dresden", ["Foto:", "interessieren", "Riesenrad", "Schnee"]),
        ("Los embalses", ["Compartir", "interesar", "playas", "boletín"]),
        ("Omaha", ["ADVERTISEMENT", "Photo", "Share", "Facebook", "newsletter"]),
        ("Kansas", ["ad-image", "READ ALSO", "Follow us"]),
    ],
)
def test_what_is_not_the_article_is_gone(outcome: Outcome, headline: str, gone: list[str]) -> None:
    body = outcome.article(headline)["body"]
    assert len(body.split()) > 80
    assert [text for text in gone if text in body] == []


def test_a_doubled_quote_is_there_once(outcome: Outcome) -> None:
    assert outcome.article("Venice")["body"].count("We closed the gates") == 1
    assert outcome.article("Omaha")["body"].count("No child will lose") == 1


def test_unknown_fields_are_kept(outcome: Outcome) -> None:
    assert outcome.article("Library lends")["extra"]["mood"] == "fine"


def test_names_and_subjects_are_found(outcome: Outcome) -> None:
    chad = outcome.article("Chad starts")
    names = {entity["name"] for entity in chad["entities"]["items"]}
    assert {"Chad", "World Health Organization", "Mariam Abakar"} <= names
    assert "health" in {subject["name"] for subject in chad["subjects"]["items"]}
    marathon = outcome.article("Wolde wins")
    assert "sport" in {subject["name"] for subject in marathon["subjects"]["items"]}


def test_the_table_shows_the_articles(outcome: Outcome) -> None:
    assert "Holyhead reopens after storm (revision 2)" in outcome.result.stdout
    assert outcome.result.stdout.count("│") > 36 * 5


def test_the_bytes_are_the_same_with_a_state_directory(
    outcome: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Outcome(tmp_path, "--state", "state").files == outcome.files


def _slug(url: str) -> str:
    return url.rstrip("/").rsplit("/", 1)[1]
