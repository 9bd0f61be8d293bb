"""Measure dedup: verdicts on a labelled stream of copies, and cost and memory as the window fills.

    python -m benchmarks.dedup --stream stream.ndjson --decisions decisions.ndjson
    python -m benchmarks.dedup --scale 20000

A labelled stream has one document a line: url, source, title, text, fetched_at and label {cluster, kind, of}. The
decisions come out as {url, duplicate_of, kind}, for a scorer; the table shows the verdicts for each kind of document.
`--scale N` feeds N made-up articles of 500 words and prints the cost of each tenth.
"""

from __future__ import annotations

import argparse
import json
import random
import time
import unicodedata
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from schemas.codec import decode, encode
from schemas.keys import digest
from schemas.messages import Article, DedupLogEntry
from schemas.topics import ARTICLES
from workers.dedup import DedupStage
from workers.stage import Emit, Record

KINDS = {
    "unique": "unique",
    "exact_copy": "exact",
    "near_copy": "near",
    "recrawl": "recrawl",
    "revision": "revision",
}


def article(url: str, source: str, title: str, text: str, fetched_at: datetime) -> Article:
    """Return the article of one document; a plain stand-in for what ingest does."""
    paragraphs = [" ".join(line.split()) for line in unicodedata.normalize("NFC", text).splitlines() if line.strip()]
    body = "\n\n".join(paragraphs)
    plain = "".join(char for char in unicodedata.normalize("NFKC", title + body).casefold() if char.isalnum())
    return Article(
        id=digest(url),
        source=source,
        headline=title,
        body=body,
        language="en",
        language_confidence=1.0,
        word_count=len(body.split()),
        content_hash=digest(plain),
        ingested_at=fetched_at,
        processing={},
        url=url,
        fetched_at=fetched_at,
    )


def label_stream(path: Path, decisions: Path | None) -> None:
    """Feed a labelled stream, print verdicts by kind, and write the decisions."""
    documents = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    records = []
    for offset, row in enumerate(documents):
        made = article(row["url"], row["source"], row["title"], row["text"], datetime.fromisoformat(row["fetched_at"]))
        records.append(Record(ARTICLES, 0, offset, made.id.encode(), encode(made)))
    stage = DedupStage()
    start = time.process_time()
    outcomes = []
    for at in range(0, len(records), 100):
        outcomes.extend(stage.process(records[at : at + 100]))
        stage.commit()
    spent = time.process_time() - start
    url_of = {digest(row["url"]): row["url"] for row in documents}
    table: dict[str, Counter[str]] = defaultdict(Counter)
    lines = []
    for row, outcome in zip(documents, outcomes, strict=True):
        if not isinstance(outcome, Emit) or outcome.log is None:
            raise SystemExit(f"{row['url']} was refused: {outcome}")
        entry = decode(outcome.log.value, DedupLogEntry)
        copied = entry.verdict in ("exact_copy", "near_copy") and entry.match is not None
        of = url_of[entry.match.article_id] if copied and entry.match else None
        lines.append(json.dumps({"url": row["url"], "duplicate_of": of, "kind": KINDS[entry.verdict]}))
        table[row["label"]["kind"]][entry.verdict] += 1
    if decisions:
        decisions.write_text("\n".join(lines) + "\n", "utf-8")
    names = ["unique", "exact_copy", "near_copy", "revision", "recrawl"]
    print(f"{'document':<14}" + "".join(f"{name:>12}" for name in names))
    for kind in sorted(table):
        print(f"{kind:<14}" + "".join(f"{table[kind][name]:>12}" for name in names))
    entries, size = stage.state_size()
    print(f"{len(records) / spent:,.0f} articles a second; {entries} entries, {size / max(1, entries):,.0f} bytes each")


def scale(count: int) -> None:
    """Feed `count` made-up articles; print the cost of each tenth, memory, and the time to restore."""
    draw = random.Random(1)
    vocabulary = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(2, 11))) for _ in range(30_000)]
    # Zipf's law, as words have it: some pairs and triples are common, most are rare.
    weights = [1 / (rank + 10) for rank in range(len(vocabulary))]
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    stage, offset = DedupStage(), 0
    print(f"{'articles':>10}{'us each':>10}{'bytes each':>12}")
    for _ in range(10):
        spent = 0.0
        for _ in range(count // 1000):
            batch = []
            for _ in range(100):
                words = draw.choices(vocabulary, weights, k=500)
                text = " ".join(w.title() if draw.random() < 0.08 else w for w in words)
                made = article(f"https://n.example/{offset}", "n", text[:60], text, begin + timedelta(seconds=offset))
                batch.append(Record(ARTICLES, 0, offset, made.id.encode(), encode(made)))
                offset += 1
            start = time.process_time()
            stage.process(batch)
            stage.commit()
            spent += time.process_time() - start
        entries, size = stage.state_size()
        print(f"{offset:>10}{spent / (count // 1000 * 100) * 1e6:>10.0f}{size / max(1, entries):>12.0f}")
    start = time.process_time()
    data = stage.snapshot(0)
    between = time.process_time()
    DedupStage().load_snapshot(0, data)
    print(
        f"snapshot: {len(data):,} bytes, {between - start:.2f} s to write, "
        f"{time.process_time() - between:.2f} s to load"
    )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stream", type=Path, help="labelled stream, NDJSON")
    parser.add_argument("--decisions", type=Path, help="where to write the decisions on the stream, NDJSON")
    parser.add_argument("--scale", type=int, metavar="N", help="made-up articles to feed (at least 1000)")
    options = parser.parse_args()
    if options.stream:
        label_stream(options.stream, options.decisions)
    if options.scale:
        scale(options.scale)


if __name__ == "__main__":
    main()
