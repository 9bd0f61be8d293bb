"""Measure dedup: verdicts on labelled streams beside other methods, and cost and memory as the window fills.

    python -m benchmarks.dedup --stream a.ndjson b.ndjson --scorer score_near_copies.py --peers
    python -m benchmarks.dedup --stream a.ndjson --decisions decisions.ndjson
    python -m benchmarks.dedup --stream a.ndjson --scorer score_near_copies.py --size PAIRS=64 --size KEYS=16
    python -m benchmarks.dedup --stream a.ndjson --shuffles 3
    python -m benchmarks.dedup --scale 10000 100000 1000000 2000000
    python -m benchmarks.dedup --fold 1000000

A labelled stream has one document a line: url, source, title, text, fetched_at and label {cluster, kind, of}. The
scorer is a Python file with a function `score(stream, decisions)`; decisions are {url, duplicate_of, kind}. Without it
they are written for a scorer to read. Figures of several streams are pooled. `--size` measures another fingerprint:
any of the constants of `workers.dedup.sizes`, for the curve of quality against size.

`--shuffles` feeds each stream in so many other orders, and prints how much of the clusters is the same.

`--scale` prints cost, memory (resident, as the system counts it) and restore times at these numbers of articles; all
but the last 26,000 are written into the state at once. `--fold` prints how long it takes to restore so many from the
log alone.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

KINDS = {
    "unique": "unique",
    "exact_copy": "exact",
    "near_copy": "near",
    "recrawl": "recrawl",
    "revision": "revision",
}
Document = dict[str, Any]
Score = Callable[[Iterable[Document], Iterable[Document]], dict[str, Any]]


def newsmill(documents: Sequence[Document]) -> tuple[list[Document], float]:
    """Return the decisions of dedup as they were taken, and the processor seconds that they took, reading and writing
    JSON included."""
    from benchmarks.dedup_order import run

    entries, spent = run(documents)
    url_of = {entry.id: row["url"] for row, entry in zip(documents, entries, strict=True)}
    decisions = []
    for row, entry in zip(documents, entries, strict=True):
        copied = entry.verdict in ("exact_copy", "near_copy") and entry.match is not None
        of = url_of[entry.match.article_id] if copied and entry.match else None
        decisions.append({"url": row["url"], "duplicate_of": of, "kind": KINDS[entry.verdict]})
    return decisions, spent


def clusters(documents: Sequence[Document]) -> tuple[list[Document], float]:
    """Return the decisions of dedup with the clusters that they come to in the end: those that later articles made one
    count as one."""
    from benchmarks.dedup_order import members, run

    entries, spent = run(documents)
    url_of = {entry.id: row["url"] for row, entry in zip(documents, entries, strict=True)}
    first: dict[str, str] = {}
    for group in members(entries):
        for article in group:
            first[article] = url_of[group[0]]
    decisions = [
        {"url": row["url"], "duplicate_of": first[entry.id], "kind": KINDS[entry.verdict]}
        for row, entry in zip(documents, entries, strict=True)
    ]
    return decisions, spent


@dataclass
class Pool:
    """Figures of several streams, pooled: sums, not means."""

    documents: int = 0
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    f1: list[float] = field(default_factory=list)

    def add(self, result: dict[str, Any], documents: int, seconds: float) -> None:
        """Add the score of one stream."""
        self.documents += documents
        self.seconds += seconds
        self.f1.append(result["pairs"]["f1"])
        for name in ("true", "merged", "both"):
            self.counts[name] += result["pairs"][name]
        for kind, found in result["recall"].items():
            self.counts[kind] += found["copies"]
            self.counts[f"{kind} found"] += found["found"]
        self.counts["negatives"] += result["negatives"]["documents"]
        self.counts["false"] += result["negatives"]["false_merges"]
        for kind in ("recrawl", "revision"):
            self.counts["visits"] += result["visits"][kind]["documents"]
            self.counts["visits right"] += result["visits"][kind]["right"]

    def row(self) -> str:
        """The figures as a line of the table."""
        c = self.counts

        def share(part: str, whole: str) -> float:
            return c[part] / c[whole] if c[whole] else 0.0

        recalls = (share(f"copy-{level} found", f"copy-{level}") for level in ("light", "medium", "heavy"))
        f1 = 2 * c["both"] / (c["merged"] + c["true"]) if c["true"] else 0.0
        figures = (f1, min(self.f1), share("both", "merged"), share("both", "true"), *recalls)
        return "".join(f"{figure:>8.4f}" for figure in figures) + (
            f"{c['false']:>6}/{c['negatives']}{100 * share('false', 'negatives'):>6.2f}%"
            f"{100 * share('visits right', 'visits'):>8.1f}%{1e6 * self.seconds / self.documents:>8.0f}"
        )


HEAD = (
    f"{'method':<40}"
    + "".join(f"{name:>8}" for name in ("F1", "worst", "prec", "recall", "light", "medium", "heavy"))
    + f"{'false merges':>17}{'visits':>9}{'us':>8}"
)


def quality(streams: Sequence[Path], scorer: Score, peers: bool) -> None:
    """Print the table: dedup first, then the other methods on the same streams."""
    methods: list[tuple[str, Callable[[Sequence[Document]], tuple[list[Document], float]]]] = [
        ("newsmill", newsmill),
        ("newsmill, clusters in the end", clusters),
    ]
    if peers:
        from benchmarks.dedup_peers import methods as others

        methods.extend(others())
    print(f"{len(streams)} streams, pooled")
    print(HEAD, flush=True)
    for name, method in methods:
        pool = Pool()
        for path in streams:
            documents = read(path)
            decisions, seconds = method(documents)
            pool.add(scorer(documents, decisions), len(documents), seconds)
        print(f"{name:<40}{pool.row()}", flush=True)


def read(path: Path) -> list[Document]:
    """Return the documents of a labelled stream."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def _module(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stream", type=Path, nargs="+", default=[], help="labelled streams, NDJSON")
    parser.add_argument("--scorer", type=Path, help="Python file that scores decisions")
    parser.add_argument("--peers", action="store_true", help="measure datasketch and rensa as well")
    parser.add_argument("--decisions", type=Path, help="where to write the decisions on the (one) stream, NDJSON")
    parser.add_argument("--size", action="append", default=[], metavar="NAME=N", help="another size of the fingerprint")
    parser.add_argument("--shuffles", type=int, default=0, metavar="N", help="other orders to compare clusters with")
    parser.add_argument("--scale", type=int, nargs="+", metavar="N", help="articles in the window, ascending")
    parser.add_argument("--fold", type=int, metavar="N", help="articles to restore from the log alone")
    options = parser.parse_args()
    if options.size:
        sizes = _module("workers.dedup.sizes", Path(__file__).parents[1] / "workers/dedup/sizes.py")
        # Before dedup is imported: it takes the sizes once.
        sys.modules[sizes.__name__] = sizes
        for setting in options.size:
            name, _, value = setting.partition("=")
            if not hasattr(sizes, name) or not value.isdigit():
                parser.error(f"{setting}: not a size")
            setattr(sizes, name, int(value))
    if options.scorer:
        quality(options.stream, _module("scorer", options.scorer).score, options.peers)
    if options.decisions:
        decisions, _ = newsmill(read(options.stream[0]))
        options.decisions.write_text("".join(json.dumps(line) + "\n" for line in decisions), "utf-8")
    if options.shuffles:
        from benchmarks.dedup_order import agreement

        for path in options.stream:
            print(f"{path.name}: {agreement(read(path), options.shuffles)}", flush=True)
    if options.scale:
        from benchmarks.dedup_scale import scale

        scale(options.scale)
    if options.fold:
        from benchmarks.dedup_scale import from_log

        from_log(options.fold)


if __name__ == "__main__":
    main()
