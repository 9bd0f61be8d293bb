from __future__ import annotations

import json
from pathlib import Path

import pytest

from workers.ingest.silver import is_fit, labelled
from workers.ingest.webpages import (
    Measured,
    Reviewed,
    WebPage,
    main,
    page_files,
    read_reviewed,
    read_web_page,
    read_web_pages,
)

BODY = [
    "The harbour board of Port Ellery voted on Tuesday to rebuild the north pier, which a storm tore away in March.",
    "Fishermen had asked for a longer breakwater instead, since boats still lie open to the swell from the east.",
    "The work will take two summers and cost nine million crowns, of which the province pays a third, officials said.",
    "“We measured the swell for eleven months,” said Tove Brandt, who leads the board. “The pier has to come first.”",
    "Divers found in April that the piles below the old pier were sound, so that none need be driven a second time.",
]


def page(body: list[str], title: str = "Port Ellery rebuilds its pier", address: str = "pier") -> str:
    """A news page of an invented outlet, with menu, caption, related links and a line of rights."""
    paragraphs = "\n".join(f"<p>{text}</p>" for text in body)
    return f"""<html lang="en"><head><title>{title} | The Ellery Mail</title>
<link rel="canonical" href="https://mail.example/{address}">
<meta property="og:title" content="{title}"></head><body>
<nav><ul><li><a href="/">Home</a></li><li><a href="/sport">Sport</a></li></ul></nav>
<main><article><h1>{title}</h1><div class="byline">By Ada Green</div>
<figure><img src="p.jpg"><figcaption>The pier in February</figcaption></figure>
{paragraphs}</article></main>
<footer><p>© The Ellery Mail</p></footer></body></html>"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    saved = tmp_path / "saved"
    (saved / "deep").mkdir(parents=True)
    (saved / "pier.html").write_text(page(BODY))
    (saved / "deep" / "copy.htm").write_text(page(BODY))
    (saved / "deep" / "short.html").write_text(page(BODY[:1], "A pier", "short"))
    (saved / "deep" / "expected.html").write_text("<p>no page</p>")
    (saved / "notes.txt").write_text("no page")
    return saved


def test_each_page_is_read_once_and_no_other_file(folder: Path) -> None:
    assert [path.name for path in page_files([folder])] == ["copy.htm", "short.html"]


def test_a_page_has_its_article_and_labelled_lines(folder: Path) -> None:
    found = read_web_page(folder / "pier.html", {})
    assert found is not None
    assert (found.title, found.url, found.language) == (
        "Port Ellery rebuilds its pier", "https://mail.example/pier", "en",
    )  # fmt: skip
    assert found.paragraphs == BODY
    assert found.lines == [
        ("Home", False),
        ("Sport", False),
        ("Port Ellery rebuilds its pier", True),
        ("By Ada Green", False),
        ("The pier in February", False),
        *((text, True) for text in BODY),
        ("© The Ellery Mail", False),
    ]


def test_a_page_that_is_hardly_an_article_has_no_labelled_lines(folder: Path) -> None:
    found = read_web_page(folder / "deep" / "short.html", {})
    assert found is not None
    assert found.lines == []


def test_a_reviewed_extraction_that_differs_leaves_lines_without_label(tmp_path: Path) -> None:
    (tmp_path / "source.html").write_text(page(BODY))
    (tmp_path / "expected.html").write_text("".join(f"<p>{text}</p>" for text in BODY[:4]))
    found = read_web_page(tmp_path / "source.html", {})
    assert found is not None
    labels = dict(found.lines)
    assert [labels[text] for text in BODY] == [True, True, True, True, None]
    assert labels["Home"] is False


def test_what_a_person_has_found_decides() -> None:
    lines = ["Menu of the day", *BODY, "A note that the extraction has left out of the article."]
    assert labelled(lines, BODY, [], None)[-1] is False
    labels = labelled(lines, BODY, [], None, ["that the extraction has left out"], ["Fishermen had asked for a longer"])
    assert labels[1:] == [True, False, True, True, True, True]


def test_a_standfirst_is_known_by_the_description() -> None:
    lines = ["Pier", "A pier comes back", "It fell in March, and nobody is to blame for it.", "By Ada Green", *BODY]
    told = labelled(lines, BODY, ["A pier comes back | Mail"], "It fell in March, and nobody is to blame for it.")
    assert told[:4] == [False, True, True, False]
    assert labelled(lines, BODY, ["A pier comes back | Mail"], None)[:4] == [False, True, None, False]


def test_a_short_line_far_from_the_article_is_not_known() -> None:
    lines = ["Cost", *["Elsewhere"] * 6, *BODY[:2], "Cost", *BODY[2:]]
    labels = labelled(lines, [*BODY[:2], "Cost", *BODY[2:]], [], None)
    assert labels[0] is None
    assert labels[9] is True


def test_labels_must_cover_the_article() -> None:
    assert is_fit(BODY, [True] * 5, BODY)
    assert not is_fit(BODY, [True, True, True, False, False], BODY)
    assert not is_fit(BODY, [True, True, True, True, None], [*BODY[:3], "Short"])


def test_the_table_of_reviewed_texts() -> None:
    table = (
        'var a = map[string]E{\n\t"https://mail.example/": {\n\t\tFile:    "pier.html",\n'
        '\t\tWith:    []string{"a \\"pier\\"", "two"},\n\t\tWithout: []string{"Home"},\n\t},\n'
        '\t"x": {\n\t\tFile:    "b.html",\n\t\tWith:    []string{},\n\t},\n}\n'
    )
    assert read_reviewed(table) == {"pier.html": Reviewed(('a "pier"', "two"), ("Home",)), "b.html": Reviewed()}


def test_pages_that_are_measured_on_are_known_by_text_and_address() -> None:
    measured = Measured({"1": {"url": "https://www.mail.example/pier/?a=1", "articleBody": "\n\n".join(BODY)}})
    other = ["Nothing of that is in this article, which speaks of a lighthouse and of the people who kept it."]
    assert WebPage("1", None, "http://mail.example/pier", "en", other) in measured
    assert WebPage("2", None, None, "en", [*other, BODY[2]]) in measured
    assert WebPage("3", None, "https://mail.example/other", "en", other) not in measured


def test_pages_are_written_and_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    truth, out = folder / "ground-truth.json", folder / "out.ndjson.gz"
    truth.write_text(json.dumps({"1": {"url": "https://mail.example/short", "articleBody": "Other words."}}))
    arguments = ["webpages", str(folder), "--except", str(truth), "--out", str(out)]
    monkeypatch.setattr("sys.argv", arguments)
    main()
    assert capsys.readouterr().out == "2 files; 1 are measured on; 1 pages, 1 with labelled lines\n"
    assert list(read_web_pages(out)) == [read_web_page(folder / "pier.html", {})]
    written = out.read_bytes()
    main()
    assert out.read_bytes() == written
