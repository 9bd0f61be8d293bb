from __future__ import annotations

from pathlib import Path

import pytest

from workers.ingest import labeller
from workers.ingest.lines import LONG_SENTENCES, SIZE
from workers.ingest.pages import read_labelled
from workers.ingest.train import averaged, is_news, main, train
from workers.ingest.webpages import WebPage

PAGES = Path(__file__).resolve().parents[2] / "data" / "ingest" / "pages"
LONG = "The harbour board of Port Ellery voted on Tuesday to rebuild the pier, and the vote was closer than expected."
MENU = ["Home", "Sport", "Weather"]


def test_a_line_without_label_teaches_nothing_of_itself() -> None:
    page = [*((text, False) for text in MENU), (LONG, True), (LONG, True)]
    seen = train([page] * 20)
    unknown = train([[*((text, None) for text in MENU), (LONG, True), (LONG, True)]] * 20)
    short = [feature for feature, weight in enumerate(seen.unary) if weight < 0 and feature not in LONG_SENTENCES]
    assert short
    assert all(unknown.unary[feature] >= 0 for feature in short)


def test_long_sentences_are_worth_more_than_their_number() -> None:
    weights = train([[("Home", False), (LONG, True)]])
    untouched = [weights.unary[feature] for feature in LONG_SENTENCES]
    assert len(LONG_SENTENCES) == 4
    assert min(untouched) >= labeller.SCALE // 2 - 1
    assert len(weights.unary) == SIZE


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (WebPage("1", None, None, "en", [LONG], [(LONG, True)]), True),
        (WebPage("1", None, None, "ja", [LONG], [(LONG, True)]), False),
        (WebPage("1", None, None, "en", [LONG], []), False),
        (WebPage("1", None, None, "en", [LONG] * 200, [(LONG, True)]), False),
        (WebPage("1", None, None, "en", [LONG], [(LONG, True)] * 501), False),
    ],
)
def test_pages_that_are_like_news_are_learnt_from(page: WebPage, expected: bool) -> None:
    assert is_news(page) is expected


def test_who_trains_without_web_pages_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "articles.ndjson").write_text('{{"url": null, "text": "{}"}}\n'.format("\\n\\n".join([LONG] * 4)))
    missing = tmp_path / "webpages.ndjson.gz"
    arguments = [
        "--articles",
        tmp_path / "articles.ndjson",
        "--pages",
        PAGES,
        "--web",
        missing,
        "--out",
        tmp_path / "w",
    ]
    outlets = sorted({page.outlet for page in read_labelled(PAGES) if page.split == "tune"})
    monkeypatch.setattr("workers.ingest.train._COMPOSED", 2)
    monkeypatch.setattr("workers.ingest.train._REPEATS", 1)
    monkeypatch.setattr("sys.argv", ["train", *map(str, arguments), "--without", *outlets[2:]])
    main()
    assert f"no web pages ({missing})" in capsys.readouterr().out
    assert labeller.load((tmp_path / "w").read_text()).unary


def test_the_mean_of_two_weights_leans_to_neither_side() -> None:
    one = labeller.Weights((3, -3, 5, 0), enter=-10, leave=-7, bias=1, digest="")
    two = labeller.Weights((0, 0, 7, 0), enter=-20, leave=-8, bias=3, digest="")
    assert averaged(one, two) == labeller.Weights((2, -2, 6, 0), enter=-15, leave=-8, bias=2, digest="")
