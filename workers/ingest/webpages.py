"""Turns folders of saved web pages into training pages: `python -m workers.ingest.webpages FOLDER... --out FILE`.

FILE (NDJSON, also .gz) has one object a page, by the SHA-256 of its file: `id` (its first 16 hex digits), `title`,
`url`, `language` (ISO 639-1), `paragraphs` (the article, as the extraction from HTML finds it) and `lines`, the visible
lines as [text, true, false or null]: whether the line is the article, null where that is not known (`silver`). Pages
whose labels are not worth learning from have no lines.

`--except FILE` names a ground-truth.json of the article-extraction benchmark: pages with one of its articles or
addresses are left out, so that what measures is never trained on. `--reviewed FILE` names a table of texts that a
person has found in pages (`scripts/comparison/data.go` of go-trafilatura). A file `expected.html` beside a
`source.html`, as readability's test pages have it, is a reviewed extraction, too: where the two differ, no line is
labelled.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson

from workers.ingest.characters import clean_line, folded
from workers.ingest.decoding import declared_encoding, decode_text
from workers.ingest.html import read_page
from workers.ingest.language import FastTextIdentifier, identify
from workers.ingest.refusal import Refusal
from workers.ingest.silver import Label, is_fit, labelled
from workers.ingest.text import split_lines
from workers.ingest.visible import visible_text

_SUFFIXES: Final = (".html", ".htm", ".htlm")
_SOURCE: Final = "source.html"
_EXPECTED: Final = "expected.html"
_MOST_BYTES: Final = 3_000_000
_RUN: Final = 8
"""Words in a row that two texts share when one is a copy of the other."""

_SAME_SHARE: Final = 10
"""Share of an article's runs of words, in per cent, from which on a page is taken to hold the article."""

_GO_STRING: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_GO_ENTRY: Final = re.compile(r"^\t\t(File|With|Without):\s*(.*)$", re.MULTILINE)
_ESCAPES: Final = {"n": "\n", "t": "\t"}


@dataclass(frozen=True, slots=True)
class Reviewed:
    """Texts that a person has found to be in the article of a page, and not to be."""

    wanted: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WebPage:
    """A saved web page, read: `lines` are its visible lines with whether each is the article, none if that is not
    known well enough."""

    id: str
    title: str | None
    url: str | None
    language: str
    paragraphs: list[str]
    lines: list[tuple[str, Label]] = field(default_factory=list)


def page_files(folders: Iterable[Path]) -> list[Path]:
    """Return the files of saved pages below the folders, in order, each content once."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in _SUFFIXES and path.name != _EXPECTED and path.stat().st_size <= _MOST_BYTES:
                found.setdefault(hashlib.sha256(path.read_bytes()).hexdigest(), path)
    return list(found.values())


def read_web_page(path: Path, reviewed: Mapping[str, Reviewed]) -> WebPage | None:
    """Return what is in a saved page, with labelled lines; None when it can't be read or holds no text."""
    value = path.read_bytes()
    try:
        html = decode_text(value, declared_encoding(value))
        page = read_page(html)
        lines = split_lines(visible_text(html))
    except Refusal:
        return None
    about = page.metadata
    paragraphs = page.cleaned.paragraphs
    if about.title and paragraphs and folded(paragraphs[0]) == folded(about.title):
        paragraphs = paragraphs[1:]
    if not paragraphs or not lines:
        return None
    language = identify(_languages(), "\n".join(paragraphs), about.language).code
    checks = reviewed.get(path.name, Reviewed())
    titles = [text for text in (about.title, _title_of(html)) if text]
    labels = labelled(lines, paragraphs, titles, about.description, checks.wanted, checks.unwanted)
    expected = path.with_name(_EXPECTED)
    if path.name == _SOURCE and expected.exists():
        other = labelled(lines, split_lines(visible_text(expected.read_text("utf-8"))), titles, about.description)
        labels = [one if one == two else None for one, two in zip(labels, other, strict=True)]
    fit = is_fit(lines, labels, paragraphs)
    return WebPage(
        hashlib.sha256(value).hexdigest()[:16], about.title, about.canonical, language, paragraphs,
        list(zip(lines, labels, strict=True)) if fit else [],
    )  # fmt: skip


def read_reviewed(text: str) -> dict[str, Reviewed]:
    """Return by file name what go-trafilatura's table of reviewed texts says."""
    found: dict[str, Reviewed] = {}
    name = ""
    for key, value in _GO_ENTRY.findall(text):
        texts = tuple(
            re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), one) for one in _GO_STRING.findall(value)
        )
        if key == "File":
            name = texts[0]
        elif name:
            before = found.get(name, Reviewed())
            found[name] = Reviewed(texts, before.unwanted) if key == "With" else Reviewed(before.wanted, texts)
    return found


class Measured:
    """Articles that are measured on: tells whether a page holds one of them."""

    def __init__(self, truth: Mapping[str, Mapping[str, str]]) -> None:
        """`truth` is the content of a ground-truth.json: {id: {"articleBody", "url"}}."""
        self._urls = {_bare(entry["url"]) for entry in truth.values() if entry.get("url")}
        self._runs: dict[str, set[str]] = {}
        self._sizes: dict[str, int] = {}
        for name, entry in truth.items():
            runs = set(_runs(entry["articleBody"]))
            self._sizes[name] = len(runs)
            for run in runs:
                self._runs.setdefault(run, set()).add(name)

    def __contains__(self, page: WebPage) -> bool:
        if page.url and _bare(page.url) in self._urls:
            return True
        shared: dict[str, int] = {}
        texts = [*page.paragraphs, *(text for text, _label in page.lines)]
        for run in set(_runs("\n".join(texts))):
            for name in self._runs.get(run, ()):
                shared[name] = shared.get(name, 0) + 1
        return any(100 * count >= _SAME_SHARE * self._sizes[name] for name, count in shared.items())


def read_web_pages(path: Path) -> Iterator[WebPage]:
    """Yield the pages of a file that this program has written."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    for row in data.splitlines():
        item: dict[str, Any] = orjson.loads(row)
        lines = [(text, label) for text, label in item.pop("lines")]
        yield WebPage(**item, lines=lines)


def _runs(text: str) -> Iterator[str]:
    words = re.findall(r"\w+", text.lower())
    return (" ".join(words[at : at + _RUN]) for at in range(max(1, len(words) - _RUN + 1)))


def _bare(url: str) -> str:
    return re.sub(r"^https?://(?:www\.)?|[?#].*$", "", url.strip().lower()).rstrip("/")


def _title_of(html: str) -> str | None:
    match = re.search(r"<h1\b[^>]{0,500}>(.{1,600}?)</h1>", html, re.DOTALL | re.IGNORECASE)
    return clean_line(re.sub(r"<[^>]{0,500}>", " ", match[1])) if match else None


_identifier: FastTextIdentifier | None = None


def _languages() -> FastTextIdentifier:
    global _identifier
    _identifier = _identifier or FastTextIdentifier()
    return _identifier


def main() -> None:
    """Read the folders, and write the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--except", type=Path, dest="measured", help="ground-truth.json of what is measured on")
    parser.add_argument("--reviewed", type=Path, help="table of texts that a person has found in the pages")
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    measured = Measured(orjson.loads(options.measured.read_bytes()) if options.measured else {})
    reviewed = read_reviewed(options.reviewed.read_text("utf-8")) if options.reviewed else {}
    files = page_files(options.folders)
    rows: dict[str, bytes] = {}
    left_out = 0
    with ProcessPoolExecutor(options.processes) as pool:
        for page in pool.map(partial(read_web_page, reviewed=reviewed), files, chunksize=8):
            if page is None:
                continue
            if page in measured:
                left_out += 1
                continue
            rows[page.id] = orjson.dumps(page)
    written = b"".join(rows[name] + b"\n" for name in sorted(rows))
    options.out.write_bytes(gzip.compress(written, mtime=0) if options.out.suffix == ".gz" else written)
    fit = sum(b'"lines":[]' not in row for row in rows.values())
    print(f"{len(files)} files; {left_out} are measured on; {len(rows)} pages, {fit} with labelled lines")


if __name__ == "__main__":
    main()
