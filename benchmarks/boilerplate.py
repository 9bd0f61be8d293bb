"""Measures what ingest learns of its sources: what it brings, what it eats, what it costs.

    python -m benchmarks.boilerplate [--data articles.ndjson.gz] [--stories N ...] [--show]

On the labelled pages (tests/data/ingest/pages): precision and recall of lines that are the article, by how many other
pages of its outlet the stage has read before. An outlet has four pages at most, so more are made: a page of the outlet
with the article of another outlet in the place of its own. A page is never warmed up with itself.

On `--data` (raw documents, in order): how many articles lose a line because it recurs, and which lines with `--show`;
what learning takes, in microseconds an article and bytes of log and memory. `--stories` tries other numbers of stories
after which a line goes: of lines that are doubted, and of prose two more.
"""

from __future__ import annotations

import argparse
import gc
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import orjson

from benchmarks.measuring import load, print_table
from benchmarks.raw_documents import raw_documents
from workers.ingest import IngestStage, memory
from workers.ingest.language import FastTextIdentifier
from workers.ingest.pages import ARTICLE_KINDS, LabelledPage, read_labelled
from workers.ingest.recurring import DOUBTED, LOOSE, PROSE
from workers.ingest.text import RECURS
from workers.stage import Emit, Record, Reject

PAGES = Path(__file__).parent.parent / "tests" / "data" / "ingest" / "pages"
KNOWN = (0, 3, 5, 8, 12, 20)
LANGUAGES = FastTextIdentifier()
INGESTED_MS = 1_795_500_000_000


def record(number: int, source: str, name: str, lines: Sequence[str]) -> Record:
    """A page as a scraper sends it."""
    plain = {"url": f"https://outlet.example/{name}", "source": source, "text": "\n\n".join(lines)}
    return Record("news.raw", 0, number, b"", orjson.dumps(plain), (), INGESTED_MS)


def grafted(page: LabelledPage, article: LabelledPage) -> list[str]:
    """The lines of `page` with the article of another page in the place of its own."""
    theirs = [text for kind, text in article.lines if kind in ARTICLE_KINDS]
    places = [number for number, (kind, _) in enumerate(page.lines) if kind in ARTICLE_KINDS]
    share = -(-len(theirs) // len(places))
    lines: list[str] = []
    for number, (kind, text) in enumerate(page.lines):
        if kind not in ARTICLE_KINDS:
            lines.append(text)
        elif number == places[-1]:
            lines += theirs
        else:
            lines += theirs[:share]
            del theirs[:share]
    return lines


def others(page: LabelledPage, number: int, pages: Sequence[LabelledPage]) -> Iterator[list[str]]:
    """Pages of the outlet of `page` (its own ones first, then grafted ones), never with its own article; `number` is
    that of the page."""
    own = [other for other in pages if other.outlet == page.outlet and other is not page]
    yield from ([text for _, text in other.lines] for other in own)
    for turn, article in enumerate(other for other in pages if other.outlet != page.outlet):
        yield grafted(own[(turn + number) % len(own)], article)


def score(pages: Sequence[LabelledPage], split: str, known: int) -> tuple[float, float, int]:
    """Precision, recall and lines of articles that were cut because they recur, of the pages of a split."""
    kept = right = wanted = eaten = 0
    for number, page in enumerate(pages):
        if page.split != split:
            continue
        stage = IngestStage(LANGUAGES)
        before = [lines for _, lines in zip(range(known), others(page, number, pages), strict=False)]
        for at, lines in enumerate(before):
            stage.settle(record(at, page.outlet, f"known-{at}", lines))
        draft = stage.settle(record(known, page.outlet, "page", [text for _, text in page.lines]))
        if isinstance(draft, Reject):
            raise TypeError(f"a page of {page.outlet} is refused: {draft.reason}")
        gone = {cut.line: cut.reason for cut in draft.removed}
        for line, (kind, _) in enumerate(page.lines):
            is_article = kind in ARTICLE_KINDS
            kept += line not in gone
            wanted += is_article
            right += is_article and line not in gone
            eaten += is_article and gone.get(line) == RECURS
    return right / kept, right / wanted, eaten


def measure_pages() -> None:
    """Print precision and recall by the pages that are known."""
    pages = read_labelled(PAGES)
    rows = []
    for split in ("tune", "held-out"):
        for known in KNOWN:
            precision, recall, eaten = score(pages, split, known)
            rows.append((split, str(known), f"{precision:.3f}", f"{recall:.3f}", str(eaten)))
    print_table(("pages", "known before", "precision", "recall", "lines of articles that it ate"), rows)


def measure_stream(path: Path, show: bool) -> None:
    """Print what goes from a stream of raw documents, and what learning costs."""
    documents = raw_documents(path, sum(1 for _ in _lines(path)))
    stage = IngestStage(LANGUAGES, keep_removed=True)
    records = [Record("news.raw", 0, n, d.key, d.value, d.headers, INGESTED_MS) for n, d in enumerate(documents)]
    records = [replace(one, prepared=stage.prepare(one)) for one in records]
    outcomes = stage.process(records)
    logs = [len(outcome.log.value) for outcome in outcomes if isinstance(outcome, Emit) and outcome.log]
    cut: Counter[tuple[str, str]] = Counter()
    touched = 0
    for outcome in outcomes:
        if isinstance(outcome, Emit):
            article = orjson.loads(outcome.messages[0].value)
            lines = [gone["text"] for gone in article.get("removed", ()) if gone["reason"] == RECURS]
            touched += bool(lines)
            cut.update((article["source"], line) for line in lines)
    print(f"{len(logs):,} articles of {path.name}: {touched} lose {cut.total()} lines that recur, {len(cut)} different")
    for (source, line), times in cut.most_common() if show else ():
        print(f"  {times:4} {source}: {line[:140]}")
    costs, sizes = [], []
    for _ in range(3):
        fresh = IngestStage(LANGUAGES)
        begin = time.process_time()
        for one in records:
            fresh.settle(one)
        costs.append((time.process_time() - begin) / len(records) * 1e6)
        fresh.commit()
    gc.collect()
    tracemalloc.start()
    fresh = IngestStage(LANGUAGES)
    for one in records:
        fresh.settle(one)
        fresh.commit()
    gc.collect()
    sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    entries, told = fresh.state_size()
    logs.sort()
    print(
        f"learning: {min(costs):.1f} us an article; log entries of {logs[len(logs) // 2]} bytes (median; nine in ten "
        f"below {logs[len(logs) * 9 // 10]})\n"
        f"state: {entries:,} lines and articles, {sizes[0] / entries:.0f} bytes each (told: {told / entries:.0f}), "
        f"{sizes[0] / len(logs):.0f} bytes a document"
    )


def _lines(path: Path) -> Iterator[bytes]:
    import gzip

    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        yield from file


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="*", default=[], help="raw documents, NDJSON or NDJSON.gz")
    parser.add_argument("--stories", type=int, nargs="*", default=[], help="numbers of stories to try")
    parser.add_argument("--show", action="store_true", help="the lines that go from --data")
    options = parser.parse_args()
    print(load())
    for stories in options.stories or [memory.STORIES[DOUBTED]]:
        if options.stories:
            memory.STORIES.update({LOOSE: stories, DOUBTED: stories, PROSE: stories + 2})
        print(f"a line goes after {stories} stories, prose after {memory.STORIES[PROSE]}")
        measure_pages()
        for path in options.data:
            measure_stream(path, options.show)


if __name__ == "__main__":
    main()
