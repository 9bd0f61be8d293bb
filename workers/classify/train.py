"""Trains weights and calibration (`make train-classify`; `python -m workers.classify.train --help`).

The weights come first (trainer.py). Then the training is done again, several times without a part of the articles, to
see how the model does on articles that it has not seen: the calibration is fitted to that (calibrate.py).
Needs scikit-learn (the extra `train`).
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from threadpoolctl import threadpool_limits

from workers.classify import calibrate, corpus, weights
from workers.classify.articles import GoldError, read
from workers.classify.collected import read_collected
from workers.classify.corpus import Example
from workers.classify.stage import read_taxonomy, read_vectors
from workers.classify.trainer import OWN_WEIGHT, Trainer

LEXICON_WEIGHT: Final = 0.4
DEFINITION_WEIGHT: Final = 0.4
HEADLINE_WEIGHT: Final = 0.005


def gather(huffpost: Path | None, media_topics: Path) -> list[Example]:
    """Return all short training texts, in a fixed order."""
    examples = list(corpus.own_examples(OWN_WEIGHT))
    examples += corpus.lexicon_texts(LEXICON_WEIGHT)
    examples += corpus.definitions(media_topics, DEFINITION_WEIGHT)
    if huffpost is not None:
        examples += corpus.headlines(huffpost, HEADLINE_WEIGHT)
    return examples


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m workers.classify.train", description="Trains weights.bin and calibration.json."
    )
    parser.add_argument("--huffpost", type=Path, help="NDJSON of weakly labelled headlines")
    parser.add_argument("--media-topics", type=Path, required=True, help="JSON of the IPTC Media Topics")
    parser.add_argument("--articles", type=Path, required=True, help="gzipped NDJSON of the articles in --labels")
    parser.add_argument("--labels", type=Path, required=True, help="lines of article id, tab, subjects between commas")
    parser.add_argument("--collected", type=Path, required=True, help="the same, of articles of web pages")
    parser.add_argument("--collected-from", type=Path, required=True, help="folder of the texts of these")
    parser.add_argument("--out", type=Path, required=True, help="folder to write weights.bin and calibration.json to")
    options = parser.parse_args(arguments)
    table = read_taxonomy()
    try:
        articles = read(options.labels, options.articles, table)
        collected = read_collected(options.collected, options.collected_from, table)
    except GoldError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    examples = gather(options.huffpost, options.media_topics)
    reports = corpus.reports()
    # liblinear takes dot products from BLAS, which adds long vectors up in another order with each number of threads.
    with threadpool_limits(1, user_api="blas"):
        trainer = Trainer(examples, articles, table, read_vectors(), reports, collected)
        data = weights.dump(trainer.train())
        found = calibrate.fit(trainer, articles, collected)
    options.out.joinpath("weights.bin").write_bytes(data)
    options.out.joinpath("calibration.json").write_bytes(found.data)
    counts = Counter(example.source for example in examples)
    sources = ", ".join(f"{count:,} {source}" for source, count in sorted(counts.items()))
    sys.stdout.write(
        f"{len(data):,} bytes, {len(trainer.subjects)} subjects, from {sources}, {len(reports)} reports,"
        f" {len(articles)} + {len(collected)} articles\n"
    )
    sys.stdout.write(f"{found.report}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
