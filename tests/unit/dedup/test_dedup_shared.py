"""On the measurement data, where it is at hand: copies that occur there naturally, and labelled streams."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def emits(shared, box):
    """Outcome of each article of the data, by its id there."""
    bench, found, name_of = box.Bench(), {}, {}
    with gzip.open(shared / "data/articles.ndjson.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            article = box.article(url=row["id"], headline=row.get("title") or "", paragraphs=[row["text"]])
            name_of[article.id] = row["id"]
            (found[row["id"]],) = bench.feed(article)
    return {
        name: (emit.kind, name_of[box.entry(emit).match.article_id] if box.entry(emit).match else None)
        for name, emit in found.items()
    }


@pytest.mark.parametrize(
    ("copy", "of"),
    [("cn_article_scmp_1", "cn_article_1"), ("sa_star_13", "sa_iol_6"), ("ghana_newsghana_19", "ghana_newsghana_4")],
)
def test_natural_copies_are_found(emits, copy, of):
    decided = {name: emits[name] for name in (copy, of)}
    matches = {(kind, other) for kind, other in decided.values() if kind != "unique"}
    assert matches in [{(kind, other)} for kind in ("exact_copy", "near_copy") for other in (copy, of)]


def test_few_others_are_called_copies(emits):
    copies = [name for name, (kind, _) in emits.items() if kind != "unique"]
    assert 3 <= len(copies) < 0.05 * len(emits)


def test_a_labelled_stream(shared, tmp_path):
    stream, decisions = tmp_path / "stream.ndjson", tmp_path / "decisions.ndjson"

    def run(*command: object) -> str:
        return subprocess.run(
            [sys.executable, *map(str, command)], cwd=REPOSITORY, capture_output=True, text=True, check=True
        ).stdout

    run(
        shared / "tools/near_copies.py",
        shared / "data/articles.ndjson.gz",
        "--bases",
        150,
        "--seed",
        9,
        "--out",
        stream,
    )
    run("-m", "benchmarks.dedup", "--stream", stream, "--decisions", decisions)
    score = json.loads(run(shared / "tools/score_near_copies.py", stream, decisions, "--json"))
    assert score["undecided"] == 0
    assert score["pairs"]["f1"] >= 0.97
    assert score["pairs"]["precision"] >= 0.98
    assert score["recall"]["copy-light"]["recall"] == 1.0
    assert score["recall"]["copy-medium"]["recall"] >= 0.98
    assert score["visits"]["recrawl"]["accuracy"] == score["visits"]["revision"]["accuracy"] == 1.0
    assert score["visits"]["first_visits_wrong"] == 0
