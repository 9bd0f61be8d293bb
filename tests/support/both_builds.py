"""What the stages make of many documents, as lines, to compare two builds of newsmill. Run as a program:

    python -P both_builds.py FOLDER-OF-THE-PACKAGES REPOSITORY OUT

The documents: the samples, the labelled pages of ingest, and what a seeded generator makes of their lines and bytes.
"""

from __future__ import annotations

import pickle
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import orjson

ODD_LINES = (
    "Advertisement", "Read more: The harbour (2013)", "Image: Title: x", "Subscribe to our newsletter for alerts",
    "View All", "Most read", "Comments", "Reply", "Ada Green says:", "By Ada Green", "By ADA GREEN and Bo Berg",
    "Published 12 May 2024 at 10:32", "©2024 The Ledger", "(Photo by Ada Green/Getty Images)", "12 comments", "* * *",
    "About the author", "Mehr zum Thema: Hafen", "• one", "1. two", "Ein Hafen ist ein Hafen, sagt die Frau…",
    "她说，港口已经关闭。港口很大。", "مرحبا بالعالم، هذا نص.", "Ã©tÃ© cafÃ©", "&amp; &quot;x&quot; &eacute;",
    "\u200b\ufeff", "\t tab\tbed", "a\u0301bc e\u0301", "ﬁne ½ Ⅳ", "Jane Doe contributed to this report.", "\u2028",
    "\x0b", "İstanbul'da ŞIK",
    "We use cookies; you may read our privacy policy, and your account settings.", "A" * 500, "?" * 90, "Q: why?",
    "🙂🙂", "𝕳𝖊𝖑𝖑𝖔", "U.S. Sen. J. O'Neil-Smith (R-Ga.) of the E.U.'s A.B.C. met Mr. X.", "McDONALD AND SONS LTD",
)  # fmt: skip
DATES = (
    "2024-05-12",
    "May 12, 2024 10:30 pm",
    1715500000,
    "1800-01-01",
    True,
    {"x": 1},
    10**30,
    "Mon, 12 May 2024 10 GMT",
)
URLS = (
    "http://Ex.com:80/a/../b%2f",
    "not a url",
    "https://ж.example/ü",
    "https://a.example/2024/05/12/x?utm_id=1#t",
    7,
)
AUTHORS = ("By Ada Green and Bo Berg", ["A B", {"name": "C D"}, None], "x;y|z", 5, [1], {"name": 3})
ARTICLES = 6


def documents(repository: Path) -> list[bytes]:
    """The values of the records of news.raw."""
    samples = [
        line for path in sorted((repository / "samples").glob("*.ndjson")) for line in path.read_bytes().splitlines()
    ]
    pages = repository / "tests" / "data" / "ingest" / "pages"
    texts = [
        (path.stem, [line.partition("\t")[2] for line in page.splitlines()])
        for path in sorted(pages.glob("*.txt"))
        for page in path.read_text(encoding="utf-8").split("\n\n")[1:]
    ]
    found = [*samples, *(orjson.dumps({"source": name, "text": "\n\n".join(lines)}) for name, lines in texts)]
    draw = random.Random(1)
    for number in range(500):
        name, lines = draw.choice(texts)
        found.append(
            orjson.dumps({"source": name, **_dirty(draw, lines, number)}, option=orjson.OPT_PASSTHROUGH_SUBCLASS)
        )
    for _ in range(300):
        value = bytearray(draw.choice(found))
        for _ in range(draw.randint(1, 6)):
            if value:
                value[draw.randrange(len(value))] = draw.randrange(256)
        found.append(bytes(value))
    return [*found, b"", b"[1]", b"[" * 200, b'{"text": "' + b"a\\n" * 60_000 + b'"}', b'{"text": ["a", 1]}']


def _dirty(draw: random.Random, lines: Sequence[str], number: int) -> dict[str, object]:
    made: list[str] = []
    for line in lines:
        if draw.random() < 0.3:
            made.append(draw.choice(ODD_LINES))
        if draw.random() < 0.1:
            line = line[: draw.randrange(len(line) + 1)] + draw.choice(ODD_LINES)
        if draw.random() < 0.1:
            at = draw.randrange(len(line) + 1)
            line = line[:at] + chr(draw.choice((draw.randrange(1, 0x300), draw.randrange(0x300, 0xD7FF)))) + line[at:]
        made.append(line.upper() if draw.random() < 0.05 else line)
    document: dict[str, object] = {"text": draw.choice(("\n", "\n\n", "\r\n")).join(made)}
    for name, values in (
        ("published_at", DATES[:-2]),
        ("url", URLS),
        ("author", AUTHORS),
        ("language", ("en", "xx", 7)),
    ):
        if draw.random() < 0.3:
            document[name] = draw.choice(values)
    if draw.random() < 0.3:
        document["title"] = draw.choice((made[0], "Harbour reopens | Ledger", "", 1))
    if draw.random() < 0.3:
        document["scraped_at"] = draw.choice(("2026-11-20T10:00:00Z", "nix", number))
    return document


def outputs(repository: Path) -> Iterator[str]:
    """Everything that the four stages make of the documents, and ingest again of what it knows."""
    from schemas import topics
    from workers import pipeline
    from workers.ingest import IngestStage
    from workers.stage import Emit, Record, StatefulStage

    values = documents(repository)
    records = [
        Record(topics.RAW, 0, at, b"k%d" % (at % 7), value, (), 1_795_500_000_000 + at)
        for at, value in enumerate(values)
    ]
    keeping = IngestStage.load(keep_removed=True)
    prepared = [keeping.prepare(record) for record in records]
    yield from map(repr, prepared)
    # A draft may come from another process.
    again = [
        replace(record, prepared=pickle.loads(pickle.dumps(one))) for record, one in zip(records, prepared, strict=True)
    ]
    yield from map(repr, keeping.process(again))
    keeping.commit()
    for name in pipeline.STAGES:
        stage = pipeline.load(name)
        onward = next(topic for topic in stage.sinks if topic != topics.DUPLICATES)
        following: list[Record] = []
        for at in range(0, len(records), 100):
            outcomes = stage.process(records[at : at + 100])
            yield from map(repr, outcomes)
            for outcome in outcomes:
                for message in outcome.messages if isinstance(outcome, Emit) else ():
                    if message.topic == onward:
                        following.append(Record(onward, 0, len(following), message.key, message.value, (), 1))
            if isinstance(stage, StatefulStage):
                stage.commit()
        if isinstance(stage, StatefulStage):
            yield from map(repr, stage.process(records[50:150]))  # delivered again
            stage.rollback()
            yield stage.snapshot(0).hex()
        records = following


def write(repository: Path, out: TextIO) -> None:
    """Write the module that ingest's rules were loaded from, then all outputs, a line each."""
    from workers.ingest import text

    out.write(f"{text.__file__}\n")
    out.writelines(line.encode("unicode_escape").decode() + "\n" for line in outputs(repository))


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    with open(sys.argv[3], "w", encoding="ascii") as _out:
        write(Path(sys.argv[2]), _out)
