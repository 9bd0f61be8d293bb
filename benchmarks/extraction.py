"""Measures what ingest makes of news pages, beside other extractors in the same run.

    python -m benchmarks.extraction --data DIR [--text] [--half 0|1] [--curve] [--worst N]

DIR holds `ground-truth.json` ({id: {"url", "articleBody"}}) and `html/ID.html.gz`, as scrapinghub's
article-extraction-benchmark has them. Scored as its authors do: shingles of four words, each page's counts divided by
their sum; precision and recall are means over pages, F1 is of those means. `±` is 1.96 standard deviations of 1,000
bootstrap samples of the pages.

With `--text` the pages come as a naive scraper delivers them: every visible block a line. `all lines` keeps everything;
`long lines` keeps lines of ten or more words with an end of sentence in them.

Speed is pages a second of CPU time of this process, in one thread; for newsmill that is the whole stage, from the bytes
of news.raw to those of news.articles. `--curve` adds trafilatura's other modes. `--half` takes the pages whose id has
that CRC-32, shifted right by one, modulo 2: half 0 is looked at while rules are written, half 1 only measured.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import statistics
import time
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orjson

from workers.ingest import IngestStage
from workers.ingest.visible import visible_text
from workers.stage import Record, Reject

Extract = Callable[["Page"], str]
Counts = tuple[float, float, float]

INGESTED_MS = 1_795_500_000_000
SAMPLES = 1_000
WORDS = re.compile(r"\w+")


@dataclass(frozen=True)
class Page:
    """A page: its address, its HTML or (with `--text`) its visible text, and the text of its article."""

    key: str
    url: str
    content: str
    truth: str


def read_pages(folder: Path, as_text: bool, half: int | None) -> list[Page]:
    """The pages of a folder, by id."""
    truth = json.loads((folder / "ground-truth.json").read_text(encoding="utf-8"))
    pages = []
    for key, entry in sorted(truth.items()):
        if half is not None and (zlib.crc32(key.encode()) >> 1) % 2 != half:
            continue
        with gzip.open(folder / "html" / f"{key}.html.gz", "rt", encoding="utf-8", errors="replace") as file:
            html = file.read()
        pages.append(Page(key, entry.get("url", ""), visible_text(html) if as_text else html, entry["articleBody"]))
    return pages


def newsmill(field: str) -> Extract:
    """The stage, from record to record."""
    stage = IngestStage.load()

    def extract(page: Page) -> str:
        value = orjson.dumps({"url": page.url, field: page.content})
        (outcome,) = stage.process([Record("news.raw", 0, 0, None, value, (), INGESTED_MS)])
        return "" if isinstance(outcome, Reject) else str(orjson.loads(outcome.messages[0].value)["body"])

    return extract


def html_extractors(curve: bool) -> dict[str, Extract]:
    """newsmill and its peers, on HTML."""
    import trafilatura
    from lxml.html import fromstring
    from readability import Document
    from resiliparse.extract.html2text import extract_plain_text

    def with_trafilatura(**options: bool) -> Extract:
        return lambda page: trafilatura.extract(page.content, **options) or ""

    def readability(page: Page) -> str:
        return str(fromstring(Document(page.content).summary()).text_content())

    def resiliparse(page: Page) -> str:
        return str(extract_plain_text(page.content, main_content=True, alt_texts=False))

    found = {
        "newsmill ingest": newsmill("html"),
        "trafilatura (fast)": with_trafilatura(fast=True, include_comments=False, include_tables=False),
        "readability-lxml": readability,
        "resiliparse": resiliparse,
    }
    if curve:
        found["trafilatura (default)"] = with_trafilatura()
        found["trafilatura (no fast)"] = with_trafilatura(include_comments=False, include_tables=False)
        found["trafilatura (precision)"] = with_trafilatura(
            favor_precision=True, include_comments=False, include_tables=False
        )
        found["trafilatura (fast+prec)"] = with_trafilatura(
            fast=True, favor_precision=True, include_comments=False, include_tables=False
        )
    return found


def text_extractors() -> dict[str, Extract]:
    """newsmill and two rules of thumb, on visible text."""

    def long_lines(page: Page) -> str:
        lines = page.content.split("\n\n")
        return "\n\n".join(line for line in lines if line.count(" ") >= 9 and any(end in line for end in ".!?。"))

    return {"newsmill ingest": newsmill("text"), "all lines": lambda page: page.content, "long lines": long_lines}


def counts(true: str, predicted: str) -> Counts:
    """Shingles in both, only predicted and only true, as shares of their sum."""
    wanted, found = shingles(true), shingles(predicted)
    both = sum((wanted & found).values())
    extra, missed = sum(found.values()) - both, sum(wanted.values()) - both
    whole = both + extra + missed
    return (both / whole, extra / whole, missed / whole) if whole else (0.0, 0.0, 0.0)


def shingles(text: str) -> Counter[tuple[str, ...]]:
    """Runs of four words with their number; of a shorter text, the text."""
    words = WORDS.findall(text)
    found = (tuple(words[at : at + 4]) for at in range(max(1, len(words) - 3)))
    return Counter(shingle for shingle in found if shingle)


def score(rows: list[Counts]) -> tuple[float, float, float]:
    """F1, precision and recall over pages. A page without a prediction has no precision."""
    precision = statistics.fmean(
        [1.0 if not (fp or fn) else tp / (tp + fp) for tp, fp, fn in rows if tp + fp > 0] or [0.0]
    )
    recall = statistics.fmean(
        [1.0 if not (fp or fn) else tp / (tp + fn) for tp, fp, fn in rows if tp + fn > 0] or [0.0]
    )
    return (2 * precision * recall / (precision + recall) if precision + recall else 0.0), precision, recall


def spread(rows: list[Counts]) -> float:
    """1.96 standard deviations of F1 over bootstrap samples; the seed is fixed."""
    draw = random.Random(0)
    return 1.96 * statistics.stdev(score(draw.choices(rows, k=len(rows)))[0] for _ in range(SAMPLES))


def measure(extract: Extract, pages: list[Page], seconds: float) -> tuple[list[Counts], float]:
    """Counts of each page, and pages a second of CPU time (at least `seconds` of it, after one pass to warm up)."""
    rows = [counts(page.truth, extract(page)) for page in pages]
    if not seconds:
        return rows, 0.0
    done, begin = 0, time.process_time()
    while time.process_time() - begin < seconds or done % len(pages):
        extract(pages[done % len(pages)])
        done += 1
    return rows, done / (time.process_time() - begin)


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with ground-truth.json and html/*.html.gz")
    parser.add_argument("--text", action="store_true", help="the visible text instead of the HTML")
    parser.add_argument("--half", type=int, choices=(0, 1), help="one half of the pages alone")
    parser.add_argument("--curve", action="store_true", help="other modes of trafilatura, too")
    parser.add_argument("--seconds", type=float, default=3.0, help="least CPU time of each speed measurement; 0: none")
    parser.add_argument("--worst", type=int, default=0, help="also list the pages with the lowest scores of newsmill")
    options = parser.parse_args()
    pages = read_pages(options.data, options.text, options.half)
    print(f"{len(pages)} pages\n{'':26}{'F1':>7}{'±':>7}{'precision':>11}{'recall':>8}{'pages/s':>9}")
    for name, extract in (text_extractors() if options.text else html_extractors(options.curve)).items():
        rows, speed = measure(extract, pages, options.seconds)
        f1, precision, recall = score(rows)
        print(f"{name:26}{f1:7.4f}{spread(rows):7.4f}{precision:11.4f}{recall:8.4f}{speed:9,.0f}", flush=True)
        if name == "newsmill ingest" and options.worst:
            for (tp, fp, fn), page in sorted(zip(rows, pages, strict=True), key=lambda pair: pair[0][0])[
                : options.worst
            ]:
                print(f"  {tp:.2f} right, {fp:.2f} too much, {fn:.2f} missed: {page.key[:8]} {page.url[:80]}")


if __name__ == "__main__":
    main()
