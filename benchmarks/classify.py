"""How good and how dear classify is: `python -m benchmarks.classify --gold FILE [--peers --data FOLDER]`.

Prints micro-F1, macro-F1, top-1 accuracy and calibration error on labelled articles, precision and recall of each
subject, how often and how rightly level 2 speaks, what is lost without headline or without outlet name and
boilerplate, and the cost of an article. `--gold` is NDJSON of `title`, `text` and `subjects`, or lines of article id,
tab, subjects (the texts are then read from `--articles`). The default, gold.tsv, is held out: nothing is fitted to it.
`--peers` trains a linear SVM over TF-IDF and a logistic regression over wordllama on the same texts, and measures them.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.confusion import write_confusion
from schemas.messages import Subject
from workers.classify import ClassifyStage, load
from workers.classify.articles import Labelled, read

REPOSITORY = Path(__file__).resolve().parents[1]

Named = Sequence[Subject]


@dataclass(frozen=True, slots=True)
class Score:
    """Quality on one set: `counts` has right, said and wanted of each subject of level 1."""

    micro: float
    macro: float
    first: float
    silent: int
    counts: dict[str, tuple[int, int, int]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.classify", description="Quality and cost of classify.")
    parser.add_argument("--gold", type=Path, default=REPOSITORY / "tests/data/classify/gold.tsv")
    parser.add_argument("--articles", type=Path, default=REPOSITORY.parent / "shared/data/articles.ndjson.gz")
    parser.add_argument("--errors", action="store_true", help="list the articles that were labelled otherwise")
    parser.add_argument("--confusion", type=Path, help="SVG to write the confusion table to")
    parser.add_argument("--peers", action="store_true", help="measure the peers, too (a few minutes; needs --data)")
    parser.add_argument("--data", type=Path, default=REPOSITORY.parent / "shared/data", help="folder of training data")
    options = parser.parse_args(arguments)
    stage = load()
    articles = read(options.gold, options.articles if options.articles.exists() else None, stage.taxonomy)
    found = _run(stage, articles)
    score = measure(articles, [_top(named) for named in found], stage)
    _report(options.gold.stem, stage, articles, found, score)
    if options.errors:
        _errors(stage, articles, found)
    _second(articles, found)
    _robustness(stage, articles, score)
    if options.confusion:
        write_confusion(options.confusion, [(c.id, c.name) for c in stage.taxonomy.top], articles, found)
    _cost(stage, articles)
    if options.peers:
        from benchmarks.classify_peers import peers

        for name, told, spent in peers(options.data, REPOSITORY / "tests/data/classify/tune.tsv", articles, stage):
            other = measure(articles, told, stage)
            _print(f"{name:26} {_line(other)}, {spent * 1000:.2f} ms an article")
    return 0


def _run(stage: ClassifyStage, articles: Sequence[Labelled]) -> list[Named]:
    return [stage.subjects(article.headline, article.body, "en").items for article in articles]


def _top(named: Named) -> list[str]:
    return [item.id for item in named if item.level == 1]


def measure(articles: Sequence[Labelled], found: Sequence[Sequence[str]], stage: ClassifyStage) -> Score:
    """Return the quality of `found`: for each article the ids of level 1 that it was given, best first."""
    counts: dict[str, tuple[int, int, int]] = {}
    for concept in stage.taxonomy.top:
        said = [concept.id in ids for ids in found]
        wanted = [concept.id in article.subjects for article in articles]
        counts[concept.id] = (sum(map(min, said, wanted)), sum(said), sum(wanted))
    right, said_all, wanted_all = (sum(column) for column in zip(*counts.values(), strict=True))
    each = [_f1(*count) for count in counts.values() if count[2]]
    first = sum(bool(ids) and ids[0] in article.subjects for article, ids in zip(articles, found, strict=True))
    return Score(
        _f1(right, said_all, wanted_all),
        sum(each) / len(each),
        first / len(articles),
        sum(not ids for ids in found),
        counts,
    )


def _line(score: Score) -> str:
    return f"micro-F1 {score.micro:.3f}, macro-F1 {score.macro:.3f}, top-1 {score.first:.3f}, silent {score.silent}"


def _report(name: str, stage: ClassifyStage, articles: Sequence[Labelled], found: list[Named], score: Score) -> None:
    named = [
        (item.probability, item.id in a.subjects)
        for a, items in zip(articles, found, strict=True)
        for item in items
        if item.level == 1
    ]
    everything = [
        (int(probability) / 1000, id in article.subjects)
        for article in articles
        for id, probability in zip(
            stage.model.subjects, stage.model.score(article.headline, article.body).probability, strict=True
        )
        if stage.taxonomy.concepts[id].level == 1
    ]
    _print(f"{name}: {len(articles)} articles, {_line(score)}")
    _print(
        f"  calibration error: {calibration_error(named):.3f} of named, {calibration_error(everything):.3f} of all 17"
    )
    for concept in stage.taxonomy.top:
        right, said, wanted = score.counts[concept.id]
        f1 = _f1(right, said, wanted)
        _print(f"  {concept.name:42} gold {wanted:3}  said {said:3}  right {right:3}  F1 {f1:.2f}")


def _f1(right: int, said: int, wanted: int) -> float:
    return 2 * right / (said + wanted) if said + wanted else 0.0


def calibration_error(pairs: Sequence[tuple[float, bool]]) -> float:
    """Return the expected calibration error of (probability, whether right), in ten bins (Naeini et al., 2015)."""
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(10)]
    for probability, right in pairs:
        bins[min(9, int(probability * 10))].append((probability, right))
    gaps = (abs(sum(p for p, _ in entries) - sum(right for _, right in entries)) for entries in bins)
    return sum(gaps) / (len(pairs) or 1)


def _errors(stage: ClassifyStage, articles: Sequence[Labelled], found: list[Named]) -> None:
    names = {concept.id: concept.name for concept in stage.taxonomy.top}
    for article, items in zip(articles, found, strict=True):
        true = {id for id in article.subjects if id in names}
        if set(_top(items)) != true:
            told = ", ".join(f"{item.name} {item.probability}" for item in items if item.level == 1)
            _print(f"  {article.id}: gold {', '.join(sorted(names[id] for id in true))}; said {told or '-'}")


def _second(articles: Sequence[Labelled], found: list[Named]) -> None:
    pairs = [
        (item, article) for article, items in zip(articles, found, strict=True) for item in items if item.level == 2
    ]
    right = sum(item.id in article.subjects for item, article in pairs)
    speaking = sum(any(item.level == 2 for item in items) for items in found)
    wanted = sum(not id.endswith("000000") for article in articles for id in article.subjects)
    _print(
        f"level 2: speaks of {speaking} articles, {len(pairs)} subjects ({len({i.id for i, _ in pairs})} different),"
        f" precision {right / (len(pairs) or 1):.3f}, recall {right / (wanted or 1):.3f}"
    )


def _robustness(stage: ClassifyStage, articles: Sequence[Labelled], whole: Score) -> None:
    with_headline = [article for article in articles if article.headline]
    base = (
        measure(with_headline, [_top(named) for named in _run(stage, with_headline)], stage) if with_headline else None
    )
    if base is not None:
        bare = [replace(article, headline="") for article in with_headline]
        score = measure(bare, [_top(named) for named in _run(stage, bare)], stage)
        _print(
            f"without headline ({len(bare)} have one): {_line(score)} ({100 * (score.micro - base.micro):+.1f} points)"
        )
    opened = [article if article.headline else _first_as_headline(article) for article in articles]
    bare = [replace(article, headline="") for article in opened]
    with_first = measure(opened, [_top(named) for named in _run(stage, opened)], stage)
    score = measure(bare, [_top(named) for named in _run(stage, bare)], stage)
    _print(f"first sentence as headline: {_line(with_first)}")
    _print(f"first sentence gone: {_line(score)} ({100 * (score.micro - whole.micro):+.1f} points)")
    clean = strip_boilerplate(articles)
    score = measure(clean, [_top(named) for named in _run(stage, clean)], stage)
    _print(f"without outlet and boilerplate: {_line(score)} ({100 * (score.micro - whole.micro):+.1f} points)")


def _first_as_headline(article: Labelled) -> Labelled:
    head = re.match(r".{20,250}?[.!?…](?=\s)", article.body, re.DOTALL)
    return replace(article, headline=head[0], body=article.body[head.end() :].strip()) if head else article


def outlet(article: Labelled) -> str:
    """Return the outlet of an article: its id up to the last underscore."""
    return article.id.rsplit("_", 1)[0]


def strip_boilerplate(articles: Sequence[Labelled]) -> list[Labelled]:
    """Return the articles without what shows the outlet: dateline, its name, lines that recur in its articles."""
    lines = Counter((outlet(a), line) for a in articles for line in {line.strip() for line in a.body.splitlines()})
    cleaned = []
    for article in articles:
        own = outlet(article)
        body = "\n".join(line for line in article.body.splitlines() if lines[(own, line.strip())] < 2)
        body = re.sub(r"^[^.\n]{0,70}?(?:\s[-–—]+\s|[-–—]{2}|:\s)", "", body, count=1)
        for word in re.split(r"[_\W]+", own):
            if len(word) > 3:
                body = re.sub(rf"\b{re.escape(word)}\b", " ", body, flags=re.IGNORECASE)
        cleaned.append(replace(article, body=body))
    return cleaned


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
