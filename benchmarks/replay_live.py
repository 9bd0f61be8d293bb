"""A replay beside live traffic: is it the same, and what does it cost the live articles?

    python -m benchmarks.replay_live identity --articles 50000
    python -m benchmarks.replay_live latency

A real Apache Kafka and the four workers, each a process. First the articles go through live, as fast as they can.

identity   The articles are then replayed into a run of its own, while others arrive live at a steady rate. Compared in
           the order of each partition: every topic of the run with the live one; and every topic that live wrote with
           what the stages make of the same records undisturbed, in this process.
latency    Pairs of equal length, of live articles at a steady rate: with a replay of the first ones beside them (begun
           with them, models and all, ended with them) and without one, in turns. Told is the time from when an article
           was due at news.raw until it was seen on news.classified. Then live topics are compared as above.

The articles are samples, made ones like them (`--data`: of another file, for example a labelled stream of copies), and
among those copies, edited copies, recrawls, revisions and broken documents.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import orjson

from benchmarks.live_comparison import Row, live_and_undisturbed, run_and_live
from benchmarks.measuring import load, print_table, spread
from benchmarks.pipeline_kafka import Pipeline, Running
from benchmarks.raw_documents import SAMPLES, raw_documents
from newsmill.feed import Document
from newsmill.replay import journal
from newsmill.replay.fused import RECORDS
from newsmill.replay.reader import bounds
from newsmill.settings import PREFIX
from schemas import headers as h
from schemas import topics
from schemas.keys import source_key

FINAL: Final = (topics.CLASSIFIED, topics.DUPLICATES, topics.DEAD_LETTERS)


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=("identity", "latency"))
    parser.add_argument("--articles", type=int, default=4_000, help="that are replayed (default: %(default)s)")
    parser.add_argument("--data", type=Path, default=SAMPLES, help="raw documents (default: samples/)")
    parser.add_argument("--rate", type=float, help="live articles a second (default: 10, for latency 20)")
    parser.add_argument("--pairs", type=int, default=5, help="for latency (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=40, help="of each half of a pair (default: %(default)s)")
    parser.add_argument("--no-check", action="store_true", help="for latency: don't compare what live wrote")
    options = parser.parse_args()
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    ok = identity(options) if options.mode == "identity" else latency(options)
    sys.exit(0 if ok else 1)


# -- what goes through


def articles(data: Path, count: int, then: int) -> tuple[list[Document], list[Document]]:
    """Return `count` documents to replay and `then` that arrive live meanwhile, some of which are copies of the first.

    The origins are `range:N` and `live:N`.
    """
    made = list(_mixed(raw_documents(data, count + then)))
    return [_called(one, f"range:{n}") for n, one in enumerate(made[:count])], [
        _called(one, f"live:{n}") for n, one in enumerate(made[count:])
    ]


def _called(document: Document, origin: str) -> Document:
    return replace(document, headers=((h.ORIGIN, origin.encode()),), origin=origin)


def _mixed(documents: Sequence[Document]) -> Iterator[Document]:
    """Yield as many documents: of 100 about 8 are copies under another name, 6 edited copies, 4 recrawls, 4 revisions
    and 2 broken."""
    draw = random.Random(2)
    known: list[dict[str, Any]] = []
    for number, document in enumerate(documents):
        kind = draw.random()
        if kind < 0.02:
            yield replace(document, value=document.value[: len(document.value) // 2])
            continue
        try:
            plain = orjson.loads(document.value)
        except orjson.JSONDecodeError:
            plain = None
        if not isinstance(plain, dict) or not isinstance(plain.get("text"), str) or not plain.get("url"):
            yield document
            continue
        # Event time is that of arrival then: copies of long ago would be beyond dedup's window of now.
        plain = {name: value for name, value in plain.items() if name not in ("fetched_at", "label")}
        if kind < 0.24 and known:
            plain = _again(draw, draw.choice(known), number, kind)
        else:
            known = [*known[-299:], plain]
        value = orjson.dumps(plain)
        yield replace(document, value=value, size=len(value), key=source_key(plain["url"], plain.get("source")))


def _again(draw: random.Random, before: dict[str, Any], number: int, kind: float) -> dict[str, Any]:
    outlet = draw.randrange(20)
    elsewhere = {"source": f"Outlet {outlet}", "url": f"https://outlet{outlet}.example/wire/{number}"}
    sentences = before["text"].split(". ")
    if kind < 0.10:
        return before | elsewhere
    if kind < 0.16:
        return before | elsewhere | {"text": ". ".join(sentences[: max(2, len(sentences) * 4 // 5)]) + "."}
    if kind < 0.20:
        return before
    return before | {"text": f"{before['text']} The figures of edition {number} were added at noon."}


# -- the replay


@dataclass(slots=True)
class Replaying:
    """A `newsmill replay` at work, in a process of its own, of all that came before the live articles."""

    place: Running
    run: str
    until: str
    process: subprocess.Popen[str]

    @classmethod
    def begin(cls, place: Running, run: str, until: str) -> Replaying:
        """Start it."""
        command = ["replay", "--run", run, "--until", until, "--quiet"]
        return cls(place, run, until, subprocess.Popen(_newsmill(command), env=_environment(place), text=True))

    def stop(self) -> int:
        """Have it stop after the batch at hand; return how many records it has replayed."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        work = journal.read(self.place.settings).work(self.run, "run")
        return work.counts.get(RECORDS, 0) if work else 0

    def drop(self) -> None:
        """Remove its topics. There are none where it was stopped before it had begun."""
        if self.run not in journal.read(self.place.settings).runs:
            return
        command = _newsmill(["replay", "drop", self.run, "--yes"])
        subprocess.run(command, env=_environment(self.place), check=True, capture_output=True)


def _newsmill(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-W", "ignore", "-m", "newsmill", *arguments]


def _environment(place: Running) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return kept | {f"{PREFIX}BOOTSTRAP": place.settings.bootstrap, f"{PREFIX}LOG_LEVEL": "error"}


def _ends(place: Running) -> str:
    """Return what `--until` is called that leaves out everything that comes from now on."""
    return "offset:" + ",".join(f"{span.partition}={span.end}" for span in bounds(place.settings, topics.RAW))


def _pass(place: Running, documents: Sequence[Document]) -> float:
    """Have all documents go through live; return the seconds."""
    begin = time.perf_counter()
    before = _through(place)
    place.feed(documents)
    place.wait_for(before + len(documents), FINAL)
    return time.perf_counter() - begin


def _through(place: Running) -> int:
    return sum(len(place.seen[topic]) for topic in FINAL)


def _is_live(origin: bytes) -> bool:
    return origin.startswith(b"live:")


def _latencies(place: Running, due: dict[bytes, float]) -> list[float]:
    """Return the seconds until each document was seen on news.classified, ascending; copies and broken ones end
    elsewhere."""
    seen = place.seen[topics.CLASSIFIED]
    return sorted(seen[origin] - at for origin, at in due.items() if origin in seen)


def _p(share: int, values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[share - 1]


def _tell(title: str, rows: Sequence[Row]) -> bool:
    """Print a comparison; return whether nothing differs."""
    shown = [(row.topic, f"{row.records:,}", f"{row.differing:,}") for row in rows]
    total = (sum(row.records for row in rows), sum(row.differing for row in rows))
    print_table((title, "records", "differing"), [*shown, ("all", f"{total[0]:,}", f"{total[1]:,}")])
    print(flush=True)
    return total[1] == 0 and total[0] > 0


# -- the two measurements


def identity(options: argparse.Namespace) -> bool:
    """Replay under live load; compare. Returns whether all is as it should be."""
    rate = options.rate or 10.0
    first, later = articles(options.data, options.articles, max(200, options.articles // 4))
    print(f"{len(first):,} articles of {options.data.name}, then live {rate:g} a second; {load()}", flush=True)
    with Pipeline("kafka", {}).running() as place:
        seconds = _pass(place, first)
        print(f"live pass: {len(first) / seconds:,.0f} articles a second; {load()}", flush=True)
        until, before = _ends(place), _through(place)
        begin = time.perf_counter()
        replaying = Replaying.begin(place, "beside", until)
        over = threading.Event()
        threading.Thread(target=lambda: (replaying.process.wait(), over.set()), daemon=True).start()
        due = place.feed_at(later, rate, over.is_set)
        if not over.is_set():
            print(f"the live articles came to an end after {time.perf_counter() - begin:,.0f} s, before the replay")
        if (status := replaying.process.wait()) != 0:
            raise SystemExit(f"the replay ended with status {status}")
        seconds = time.perf_counter() - begin
        place.wait_for(before + len(due), FINAL)
        print(f"replay: {len(first) / seconds:,.0f} articles a second with {len(due):,} live ones beside it; {load()}")
        waited = _latencies(place, due)
        print(f"live meanwhile, to news.classified: p50 {_p(50, waited):.2f} s, p99 {_p(99, waited):.2f} s\n")
        same = _tell("replay against live", run_and_live(place.settings, "beside", lambda origin: not _is_live(origin)))
        return _tell("live against undisturbed", live_and_undisturbed(place.settings, _is_live)) and same


def latency(options: argparse.Namespace) -> bool:
    """Measure pairs; compare. Returns whether live wrote what it should."""
    rate = options.rate or 20.0
    each = int(rate * options.seconds)
    first, later = articles(options.data, options.articles, 2 * options.pairs * each)
    found: dict[str, list[tuple[float, float]]] = {"without a replay": [], "with a replay beside it": []}
    replayed = []
    print(f"{options.pairs} pairs of {options.seconds:g} s at {rate:g} articles a second; {load()}", flush=True)
    with Pipeline("kafka", {}).running() as place:
        print(f"live pass: {len(first) / _pass(place, first):,.0f} articles a second", flush=True)
        until, halves = _ends(place), iter(range(2 * options.pairs))
        for pair in range(options.pairs):
            titles = list(found)
            for title in titles if pair % 2 else reversed(titles):
                half = next(halves)
                before = _through(place)
                replaying = Replaying.begin(place, f"half-{half}", until) if title != titles[0] else None
                due = place.feed_at(later[half * each : (half + 1) * each], rate)
                if replaying is not None:
                    replayed.append(replaying.stop())
                place.wait_for(before + len(due), FINAL)
                waited = _latencies(place, due)
                found[title].append((_p(50, waited), _p(99, waited)))
                print(f"{title}: p50 {_p(50, waited):.2f} s, p99 {_p(99, waited):.2f} s; {load()}", flush=True)
                if replaying is not None:
                    replaying.drop()
        rows = [
            (title, spread([one[0] for one in pairs], 2), spread([one[1] for one in pairs], 2))
            for title, pairs in found.items()
        ]
        print_table(("seconds to news.classified", "p50", "p99"), rows)
        print(f"replayed meanwhile, articles: {spread(replayed)} of {len(first):,}; {load()}\n", flush=True)
        if options.no_check:
            return True
        return _tell("live against undisturbed", live_and_undisturbed(place.settings, _is_live))


if __name__ == "__main__":
    main()
