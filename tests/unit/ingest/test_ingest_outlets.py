"""A team's table of outlets: what each row stands for, what makes a table wrong, and what it changes of an article."""

from __future__ import annotations

import contextlib
import json
import pickle
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.ingest import IngestStage, outlets
from workers.ingest.characters import folded
from workers.ingest.language import FastTextIdentifier
from workers.ingest.outlets import OutletError, parse
from workers.stage import Emit, Record

TABLE = """\
# who comes from where
alder.co.uk\t\talder
www.Alder.com  alder
ellery.example\tEllery Post
ellery.example/us/  Ellery US
ellery.example/us/sport  Ellery Sport
blogs.ellery.example\tEllery Blogs
möwenhafen.example  Möwe
medium.com/@AdaGreen  Ada Green
Der Möwenbote  Möwe
https://intranet/news  Desk
192.0.2.7  Box
blogspot.com  Blogs
lemonde.fr/idées  Idées
wire.example  wire
"""
LANGUAGES = FastTextIdentifier()
BODY = "The harbour board of Port Ellery voted on Tuesday to rebuild the north pier, which a storm tore away in March."


@pytest.mark.parametrize(
    ("url", "outlet", "line"),
    [
        ("https://alder.co.uk/news/1", "alder", 2),
        ("https://www.alder.co.uk/", "alder", 2),
        ("https://news.alder.com/x?id=1", "alder", 3),
        ("https://notalder.com/", None, None),
        ("https://ellery.example/", "Ellery Post", 4),
        ("https://m.ellery.example/usa", "Ellery Post", 4),
        ("https://ellery.example/us", "Ellery US", 5),
        ("https://www.ellery.example/US/a/b", "Ellery US", 5),
        ("https://ellery.example/us/sport/1?page=2", "Ellery Sport", 6),
        ("https://ellery.example/us/sporting", "Ellery US", 5),
        ("https://blogs.ellery.example/us/sport", "Ellery Blogs", 7),
        ("https://ada.blogs.ellery.example/", "Ellery Blogs", 7),
        ("https://xn--mwenhafen-07a.example/", "Möwe", 8),
        ("https://medium.com/@adagreen/a-pier-1a2b", "Ada Green", 9),
        ("https://medium.com/@adagreener/a-pier-1a2b", None, None),
        ("https://medium.com/", None, None),
        ("http://intranet/news/today", "Desk", 11),
        ("http://intranet:8080/news", "Desk", 11),
        ("http://intranet/sport", None, None),
        ("http://192.0.2.7/a", "Box", 12),
        ("https://ada.blogspot.com/2026/03/pier.html", "Blogs", 13),
        ("https://www.lemonde.fr/id%C3%A9es/a", "Idées", 14),
        ("https://ellery.example/" + "us/" * 500, "Ellery US", 5),
        ("http://[2001:db8::1]/", None, None),
    ],
)
def test_a_url_is_of_the_most_specific_row(url: str, outlet: str | None, line: int | None) -> None:
    row = parse(TABLE).find(None, url)
    assert (row and row.outlet, row and row.line) == (outlet, line)


@pytest.mark.parametrize(
    ("name", "url", "outlet"),
    [
        ("Der Möwenbote", None, "Möwe"),
        ("DER MÖWEN-BOTE", None, "Möwe"),
        ("Der Mowenbote", "https://ellery.example/us", "Möwe"),  # a name that is known decides
        ("Ellery US", "https://alder.com/", "Ellery US"),  # an outlet's own name is one
        ("The Ellery Post Online", "https://ellery.example/us", "Ellery US"),  # one that is not known does not count
        ("The Ellery Post Online", "https://nowhere.example/", None),
        ("ellery.example", "https://ellery.example/us/a", "Ellery US"),  # a domain says less than the URL below it
        ("blogs.ellery.example", "https://ellery.example/us/a", "Ellery Blogs"),  # or more
        ("https://www.alder.com/feed", "https://news.wire.example/alder/1", "alder"),  # another site's: an aggregator
        ("nowhere.example", "https://wire.example/1", "wire"),
        ("möwenhafen.example", None, "Möwe"),
        ("x" * 100_000, "https://wire.example/1", "wire"),
        ("!!", "https://wire.example/1", "wire"),
        ("", None, None),
    ],
)
def test_what_a_scraper_calls_its_source(name: str, url: str | None, outlet: str | None) -> None:
    row = parse(TABLE).find(name, url)
    assert (row and row.outlet) == outlet


def test_no_table_knows_nothing() -> None:
    assert parse("") is outlets.NONE
    assert parse("").find("Der Möwenbote", "https://alder.com/") is None
    assert len(parse("\ufeff# nothing\r\n\r\n")) == 0
    assert parse("\ufeffalder.com\talder\r\n").find(None, "https://alder.com/") == (1, "alder.com", "alder")
    assert (len(parse(TABLE)), parse(TABLE).outlets) == (14, 12)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("alder.com", "line 2, column 1: expected a place and an outlet, apart by a tab or two spaces"),
        ("alder.com alder", "line 2, column 1: expected a place and an outlet, apart by a tab or two spaces"),
        ("\talder", "line 2, column 2: expected a place and an outlet, apart by a tab or two spaces"),
        ("alder.com\t", "line 2, column 1: expected a place and an outlet, apart by a tab or two spaces"),
        ("alder.com  alder  GB", "line 2, column 12: did not expect a third column: 'GB'"),
        ("alder.com\t!!", "line 2, column 11: an outlet has a letter or digit, and at most 100 characters"),
        (f"alder.com\t{'x' * 101}", "line 2, column 11: an outlet has a letter or digit, and at most 100 characters"),
        ("alder.com\tFIRST", "line 2, column 11: 'FIRST' is spelt 'First' in line 1"),
        ("www.first.example\tOther", "line 2, column 1: 'www.first.example' is there already, in line 1"),
        ("First.Example/\tFirst", "line 2, column 1: 'First.Example/' is there already, in line 1"),
        ("--  Other", "line 2, column 1: the place has no letter and no digit"),
        (f"{'x' * 501}  Other", "line 2, column 1: a place has at most 500 characters"),
        ("  *.alder.com/news  Other", "line 2, column 3: leave '*' out: a domain stands for all hosts below it, a path "
         "for all that begin with it"),
        ("alder.com/*  Other", "line 2, column 1: leave '*' out: a domain stands for all hosts below it, a path for "
         "all that begin with it"),
        ("alder.com:8080/x  Other", "line 2, column 1: leave the port out: it makes no outlet"),
        ("https://alder.com:443  Other", "line 2, column 1: leave the port out: it makes no outlet"),
        ("ftp://alder.com  Other", "line 2, column 1: 'ftp://alder.com' is no URL (http or https)"),
        ("alder.com/?section=us  Other", "line 2, column 1: leave out what begins at '?' or '#': outlets are told by "
         "host and path alone"),
        ("alder.com/#us  Other", "line 2, column 1: leave out what begins at '?' or '#': outlets are told by host and "
         "path alone"),
        ("co.uk  Other", "line 2, column 1: co.uk is a public suffix, under which many have their sites: name one of "
         "these"),
        ("alder.com/1/2/3/4/5/6/7/8/9  Other", "line 2, column 1: a path has at most 8 segments"),
    ],
)  # fmt: skip
def test_a_row_that_is_wrong_is_told_with_line_and_column(row: str, problem: str) -> None:
    with pytest.raises(OutletError) as caught:
        parse(f"first.example\tFirst\n{row}\n")
    assert str(caught.value) == problem


def test_all_mistakes_are_told_at_once_up_to_twenty() -> None:
    with pytest.raises(OutletError) as caught:
        parse("alder.com\talder\n" + "nonsense\n" * 50)
    assert len(caught.value.problems) == 20
    assert caught.value.problems[19].startswith("line 21, ")


def test_a_table_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlets, "MAX_ROWS", 3)
    monkeypatch.setattr(outlets, "MAX_CHARS", 1_000)
    rows = [f"alder{n}.example  alder" for n in range(5)]
    assert len(parse("\n".join(rows[:3]))) == 3
    with pytest.raises(OutletError, match=r"^line 4, column 1: more than 3 rows$"):
        parse("\n".join(rows))
    with pytest.raises(OutletError, match="more than 1,000 characters"):
        parse("#" * 1_001)


labels = st.sampled_from(["a", "b", "news", "us"])
hosts = st.lists(labels, max_size=3).map(lambda parts: ".".join([*parts, "alder", "example"]))
paths = st.lists(labels, max_size=4).map(lambda parts: "".join(f"/{part}" for part in parts))
places = st.dictionaries(st.tuples(hosts, paths), st.sampled_from(["one", "two", "three"]), max_size=12)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(places, hosts, paths, st.booleans(), st.randoms(use_true_random=False))
def test_it_is_the_longest_domain_then_the_longest_path_in_any_order_of_rows(
    table: dict[tuple[str, str], str], host: str, path: str, slash: bool, shuffled: random.Random
) -> None:
    rows = list(table.items())
    shuffled.shuffle(rows)
    found = parse("\n".join(f"{at}{below}\t{outlet}" for (at, below), outlet in rows)).find(
        None, f"https://{host}{path}{'/' if slash else ''}"
    )
    fitting = [
        (at.count("."), below.count("/"), outlet)
        for (at, below), outlet in rows
        if f".{host}".endswith(f".{at}") and f"{path}/".startswith(f"{below}/")
    ]
    assert (found and found.outlet) == (max(fitting)[2] if fitting else None)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text(max_size=200), st.text(max_size=60))
def test_any_text_is_a_table_or_told_to_be_none(text: str, name: str) -> None:
    with contextlib.suppress(OutletError):
        row = parse(text).find(name, "https://alder.example/a")
        assert row is None or folded(row.outlet)


def article(stage: IngestStage, **fields: Any) -> dict[str, Any]:
    record = Record("news.raw", 0, 0, None, json.dumps(fields).encode(), (), 1_795_500_000_000)
    (outcome,) = stage.process([record])
    assert isinstance(outcome, Emit)
    found: dict[str, Any] = json.loads(outcome.messages[0].value)
    return found


@pytest.fixture(scope="module")
def with_table() -> IngestStage:
    return IngestStage.load(outlets=TABLE)


@pytest.mark.parametrize(
    ("fields", "source", "extra"),
    [
        ({"url": "https://www.ellery.example/us/pier"}, "Ellery US", None),
        ({"url": "https://alder.com/pier", "publisher": "ALDER News"}, "alder", {"publisher": "ALDER News"}),
        ({"source": {"name": "Der Möwenbote"}}, "Möwe", {"source": "Der Möwenbote"}),
        ({"source": "Möwe"}, "Möwe", None),
        ({"url": "https://wire.example/1", "source": "https://ada:pw@alder.com"}, "alder", {"source": "https://alder.com"}),
        ({"html": f"<meta property='og:site_name' content='Der Möwenbote'><p>{BODY}</p>"}, "Möwe", None),
    ],
)  # fmt: skip
def test_an_article_says_that_its_source_is_of_the_table(
    with_table: IngestStage, stage: IngestStage, fields: dict[str, Any], source: str, extra: dict[str, str] | None
) -> None:
    fields = fields if "html" in fields else {**fields, "text": BODY}
    found, plain = article(with_table, **fields), article(stage, **fields)
    assert found["source"] == source
    assert found["provenance"]["source"] == "table"
    assert found.get("extra") == extra
    assert plain["provenance"].get("source") != "table"
    # The table changes nothing else: not what an article is known by either.
    for one in (found, plain):
        for name in ("source", "extra", "processing"):
            one.pop(name, None)
        one["provenance"].pop("source")
    assert found == plain


def test_what_is_not_in_the_table_is_as_without_one(with_table: IngestStage, stage: IngestStage) -> None:
    for fields in ({"url": "https://nowhere.example/1"}, {"source": "Nowhere"}, {}):
        found, plain = article(with_table, text=BODY, **fields), article(stage, text=BODY, **fields)
        assert found.pop("processing") != plain.pop("processing")
        assert found == plain


def test_the_table_is_in_the_version_and_not_in_what_is_learnt(stage: IngestStage, with_table: IngestStage) -> None:
    assert with_table.version != stage.version
    assert IngestStage.load(outlets=TABLE).version == with_table.version
    assert IngestStage.load(outlets=f"{TABLE}#\n").version != with_table.version
    assert IngestStage.load(outlets="").version == stage.version
    value = json.dumps({"url": "https://ellery.example/us/1", "text": BODY}).encode()
    record = Record("news.raw", 0, 0, b"ellery.example", value, (), 1_795_500_000_000)
    logs = []
    for table in ("", TABLE):
        (outcome,) = IngestStage(LANGUAGES, outlets=parse(table)).process([record])
        assert isinstance(outcome, Emit)
        logs.append(outcome.log)
    assert logs[0] == logs[1]
    assert logs[0] is not None
    assert json.loads(logs[0].value)["source"] == "ellery.example"


def test_lines_are_learnt_of_the_site_whatever_its_outlets() -> None:
    """Two sections of one site share their furniture: what is learnt from one is cut from the other."""
    line = "Our weather desk answers letters from readers on each Wednesday"
    stage = IngestStage(LANGUAGES, outlets=parse(TABLE))
    kept = []
    for number, section in enumerate(["us", "uk", "us", "uk", "us", "uk"]):
        body = (
            f"Pier number {number} of Port Ellery was closed by its {number + 3} owners, who had found cracks in it. "
        )
        value = {"url": f"https://ellery.example/{section}/{number}", "text": f"{body * 2}\n\n{line}\n\n{body}Again."}
        record = Record("news.raw", 0, number, b"ellery.example", json.dumps(value).encode(), (), 1_795_500_000_000)
        (outcome,) = stage.process([record])
        stage.commit()
        assert isinstance(outcome, Emit)
        found = json.loads(outcome.messages[0].value)
        assert found["source"] == ("Ellery US" if section == "us" else "Ellery Post")
        kept.append(line in found["body"])
    assert kept == [True, True, True, False, False, False]


def test_a_draft_with_its_row_goes_from_process_to_process(with_table: IngestStage) -> None:
    value = json.dumps({"url": "https://alder.com/1", "text": BODY}).encode()
    draft = with_table.prepare(Record("news.raw", 0, 0, None, value, (), 1_795_500_000_000))
    assert pickle.loads(pickle.dumps(draft)) == draft
