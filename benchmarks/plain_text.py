"""Measures how many articles of plain text ingest makes a second and a core.

    python -m benchmarks.plain_text [--data articles.ndjson.gz] [--documents N] [--repeats N]

The whole stage: from the bytes of news.raw to those of news.articles and of its log, in batches of 500, one thread, CPU
time of this process. Of `--repeats` runs the median and the range; each run has a stage that knows nothing yet. Where
more documents are wanted than the file has, the rest are made from its texts. `--parts`: what each step takes, too.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.measuring import load, print_table, spread
from benchmarks.raw_documents import SAMPLES, raw_documents
from workers.ingest import IngestStage
from workers.ingest.document import read_document
from workers.ingest.draft import make_draft
from workers.ingest.language import FastTextIdentifier
from workers.ingest.text import clean_text, split_lines
from workers.stage import Record, Reject

BATCH = 500
INGESTED_MS = 1_795_500_000_000
LANGUAGES = FastTextIdentifier()


def whole_stage(records: Sequence[Record]) -> float:
    """Run the stage over the records; return seconds of CPU time."""
    stage = IngestStage(LANGUAGES)
    begin = time.process_time()
    for at in range(0, len(records), BATCH):
        stage.process(records[at : at + BATCH])
        stage.commit()
    return time.process_time() - begin


def step(function: Callable[..., Any], arguments: Iterable[Any]) -> tuple[float, list[Any]]:
    """Call a function with each argument; return seconds of CPU time and the results."""
    given = list(arguments)
    begin = time.process_time()
    found = [function(one) for one in given]
    return time.process_time() - begin, found


def measure_parts(records: Sequence[Record]) -> None:
    """Print what the steps take, each over all documents; those that are refused are left out."""
    stage = IngestStage(LANGUAGES)
    records = [record for record in records if not isinstance(stage.prepare(record), Reject)]
    reading, incoming = step(read_document, records)
    texts = [one.document.text or "" for one in incoming]
    splitting, _ = step(split_lines, texts)
    cleaning, _ = step(clean_text, texts)
    drafting, drafts = step(make_draft, incoming)
    prepared = [replace(record, prepared=draft) for record, draft in zip(records, drafts, strict=True)]
    finishing, _ = step(lambda record: stage.process([record]), prepared)
    rows = [
        ("read the document", reading),
        ("clean the text", cleaning),
        ("  of that: characters and paragraphs", splitting),
        ("the rest of the draft", drafting - cleaning),
        ("learnt lines, language, record", finishing),
    ]
    print_table(("step", "CPU us an article"), [(name, f"{one / len(records) * 1e6:.0f}") for name, one in rows])


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SAMPLES, help="raw documents with plain text")
    parser.add_argument("--documents", type=int, default=877)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--parts", action="store_true", help="what each step takes, too")
    options = parser.parse_args()
    documents = raw_documents(options.data, options.documents)
    records = [Record("news.raw", 0, n, d.key, d.value, d.headers, INGESTED_MS) for n, d in enumerate(documents)]
    whole_stage(records)
    print(load())
    runs = [whole_stage(records) for _ in range(options.repeats)]
    size = sum(len(record.value or b"") for record in records) / len(records) / 1000
    rates, micros = [len(records) / one for one in runs], [one / len(records) * 1e6 for one in runs]
    print(f"{len(records):,} documents of {size:.1f} kB: {spread(rates)} a second and core, {spread(micros)} us each")
    if options.parts:
        measure_parts(records)


if __name__ == "__main__":
    main()
