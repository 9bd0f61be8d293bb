"""How good and how dear classify is: `python -m benchmarks.classify --gold FILE --articles FILE`.

Prints micro-F1, macro-F1, top-1 accuracy and calibration error on labelled articles, precision and recall of each
subject, and the cost of an article. The default, gold.tsv, was labelled after the training texts had been written and
nothing is fitted to it; tune.tsv, beside it, is what the calibration is fitted to.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from schemas.messages import Subjects
from workers.classify import ClassifyStage, load
from workers.classify.calibrate import Labelled, read_gold

REPOSITORY = Path(__file__).resolve().parents[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.classify", description="Quality and cost of classify.")
    parser.add_argument("--gold", type=Path, default=REPOSITORY / "tests/data/classify/gold.tsv")
    parser.add_argument("--articles", type=Path, default=REPOSITORY.parent / "shared/data/articles.ndjson.gz")
    parser.add_argument("--errors", action="store_true", help="list the articles that were labelled otherwise")
    options = parser.parse_args(arguments)
    stage = load()
    articles = read_gold(options.gold, options.articles)
    _quality(stage, options.gold.stem, articles, options.errors)
    _cost(stage, articles)
    return 0


def _quality(stage: ClassifyStage, name: str, articles: Sequence[Labelled], errors: bool) -> None:
    found = [stage.subjects(article.headline, article.body, "en") for article in articles]
    names = {concept.id: concept.name for concept in stage.taxonomy.top}
    hits, said, wanted = dict.fromkeys(names, 0), dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    first = 0
    for article, subjects in zip(articles, found, strict=True):
        ids = [item.id for item in subjects.items]
        first += bool(ids) and ids[0] in article.subjects
        for id in names:
            hits[id] += id in ids and id in article.subjects
            said[id] += id in ids
            wanted[id] += id in article.subjects
        if errors and set(ids) != article.subjects:
            told = ", ".join(f"{item.name} {item.probability}" for item in subjects.items)
            true = ", ".join(sorted(names[id] for id in article.subjects))
            _print(f"  {article.id}: gold {true}; said {told or '-'}")
    micro = _f1(sum(hits.values()), sum(said.values()), sum(wanted.values()))
    each = [_f1(hits[id], said[id], wanted[id]) for id in names if wanted[id]]
    silent = sum(1 for subjects in found if not subjects.items)
    _print(
        f"{name}: {len(articles)} articles, micro-F1 {micro:.3f}, macro-F1 {sum(each) / len(each):.3f},"
        f" top-1 {first / len(articles):.3f}, unclassified {silent},"
        f" error of named probabilities {_calibration_error(articles, found):.3f}"
    )
    for id, label in names.items():
        _print(f"  {label:42} gold {wanted[id]:3}  said {said[id]:3}  right {hits[id]:3}")


def _f1(hits: int, said: int, wanted: int) -> float:
    return 2 * hits / (said + wanted) if said + wanted else 0.0


def _calibration_error(articles: Sequence[Labelled], found: Sequence[Subjects]) -> float:
    """Return the expected calibration error of the probabilities that are named, in ten bins (Naeini et al., 2015)."""
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(10)]
    for article, subjects in zip(articles, found, strict=True):
        for item in subjects.items:
            bins[min(9, int(item.probability * 10))].append((item.probability, item.id in article.subjects))
    total = sum(len(entries) for entries in bins) or 1
    return sum(abs(sum(p for p, _ in entries) - sum(right for _, right in entries)) for entries in bins) / total


def _cost(stage: ClassifyStage, articles: Sequence[Labelled]) -> None:
    for _ in range(2):  # the first pass fills the cache of stems, as a worker's first minute does
        start = time.process_time()
        for article in articles:
            stage.subjects(article.headline, article.body, "en")
        spent = (time.process_time() - start) / len(articles)
    words = sum(len(article.body.split()) for article in articles) / len(articles)
    _print(f"cost: {spent * 1000:.3f} ms of CPU an article of {words:.0f} words on average")


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
