"""Trains the weights of the model of lines: `python -m workers.ingest.train --articles FILE --pages DIR --out FILE`.

`--articles` is a file of NDJSON ({"url", "text"}, also .gz): pages are put together around them. `--pages` is a folder
of labelled pages; those of the split `tune` are added. `--web` is a file of saved web pages whose lines are labelled by
what the extraction from their HTML finds (`workers.ingest.webpages`). The same files give the same weights. Needs
python-crfsuite.
"""

from __future__ import annotations

import argparse
import gzip
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import orjson
import pycrfsuite

from workers.ingest.characters import clean_line
from workers.ingest.composer import Source, composed, source
from workers.ingest.furniture import furniture_kind
from workers.ingest.labeller import SCALE, Weights, dump
from workers.ingest.lines import LONG_SENTENCES, SIZE, features, headings_of, main_span
from workers.ingest.pages import read_labelled
from workers.ingest.silver import Label
from workers.ingest.text import split_lines
from workers.ingest.webpages import WebPage, read_web_pages
from workers.ingest.wording import first_words

_COMPOSED: Final = 3_508
"""Pages that are put together: four for each of the 877 articles."""

_REPEATS: Final = 8
"""How often each labelled page is shown: there are few, and they are real in their mixture."""

_COMPOSED_BESIDE_WEB: Final = 1_754
_REPEATS_BESIDE_WEB: Final = 16
"""The same where web pages are learnt from, too."""

_LONG_SENTENCE: Final = SCALE // 2
"""What is added to the weight of a long sentence. Training counts lines; who reads counts words, so a long sentence
that is missed is worse than a short line that stays."""

_LANGUAGES: Final = frozenset(("de", "en", "es", "fr", "it", "pt"))
"""Languages for which there are lists of words: web pages in these are learnt from."""

_MOST_LINES: Final = 500
_MOST_CHARS: Final = 15_000
"""Longer web pages are no news: documentation, terms, wikis."""

_PARAMETERS: Final = {"c1": 0.05, "c2": 8.0, "max_iterations": 150, "feature.possible_transitions": True}
_FURNITURE_KINDS: Final = frozenset(("menu", "share", "promotion", "copyright", "author", "comment"))


def read_sources(path: Path) -> list[Source]:
    """Return the articles of an NDJSON file that have at least three paragraphs or ten sentences."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    found = []
    for line in data.splitlines():
        item = orjson.loads(line)
        article = source(item.get("url"), split_lines(item["text"]))
        if len(article.paragraphs) >= 3 or len(article.sentences) >= 10:
            found.append(article)
    return found


def is_news(page: WebPage) -> bool:
    """Return whether a saved web page is one to learn from: its lines are labelled, and it is like a news article in
    language and size."""
    return (
        page.language in _LANGUAGES
        and 0 < len(page.lines) <= _MOST_LINES
        and sum(map(len, page.paragraphs)) < _MOST_CHARS
    )


def train(pages: Iterable[Sequence[tuple[str, Label]]]) -> Weights:
    """Return the weights fitted to the pages; a line without a label counts as a neighbour alone."""
    trainer = pycrfsuite.Trainer(algorithm="lbfgs", verbose=False)
    trainer.set_params(_PARAMETERS)
    for lines in pages:
        texts = [text for text, _label in lines]
        kinds = [furniture_kind(text) for text in texts]
        headings = headings_of(texts, kinds)
        span = main_span(texts, kinds, headings)
        rows = features(texts, kinds, headings, span, first_words(texts), every=True)
        for first, end in _known([label for _text, label in lines]):
            trainer.append(
                [[str(number) for number in row] for row in rows[first:end]],
                ["A" if label else "O" for _text, label in lines[first:end]],
            )
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "model")
        trainer.train(path)
        tagger = pycrfsuite.Tagger()
        tagger.open(path)
        info = tagger.info()
        tagger.close()
    unary = [0.0] * SIZE
    for (name, label), weight in info.state_features.items():
        unary[int(name)] += weight if label == "A" else -weight
    moves = info.transitions
    inside, outside = moves.get(("A", "A"), 0.0), moves.get(("O", "O"), 0.0)
    enter, leave = moves.get(("O", "A"), 0.0), moves.get(("A", "O"), 0.0)
    # Only differences count: staying outside is made 0, and what staying inside gives goes into every line's score.
    whole = [round(SCALE * value) for value in unary]
    for shape in LONG_SENTENCES:
        whole[shape] += _LONG_SENTENCE
    return Weights(
        tuple(whole),
        enter=round(SCALE * (enter - outside)) - round(SCALE * (inside - outside)),
        leave=round(SCALE * (leave - outside)),
        bias=round(SCALE * (inside - outside)),
        digest="",
    )


def averaged(one: Weights, two: Weights) -> Weights:
    """Return the mean of two weights.

    Each errs on pages on which the other does not, and the mean of two linear models is one, at the cost of one.
    """

    def mean(first: int, second: int) -> int:
        return round((first + second) / 2)  # to the even one: rounding down would speak against the article

    return Weights(
        tuple(map(mean, one.unary, two.unary)),
        enter=mean(one.enter, two.enter),
        leave=mean(one.leave, two.leave),
        bias=mean(one.bias, two.bias),
        digest="",
    )


def _known(labels: Sequence[Label]) -> Iterator[tuple[int, int]]:
    """Yield the first and the end of each stretch of lines that have a label."""
    first = 0
    for at, label in enumerate([*labels, None]):
        if label is None:
            if first < at:
                yield first, at
            first = at + 1


def main() -> None:
    """Train, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--articles", type=Path, required=True)
    parser.add_argument("--pages", type=Path, required=True)
    parser.add_argument("--web", type=Path, help="pages of workers.ingest.webpages")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--without", nargs="*", default=[], help="outlets to leave out, to measure on them")
    options = parser.parse_args()
    labelled = [page for page in read_labelled(options.pages) if page.split == "tune"]
    labelled = [page for page in labelled if page.outlet not in options.without]
    furniture = [text for page in labelled for kind, text in page.lines if kind in _FURNITURE_KINDS]
    pages = list(composed(read_sources(options.articles), furniture, _COMPOSED))
    pages = [[(clean_line(text), label) for text, label in page] for page in pages]
    pages = [[(text, label) for text, label in page if text] for page in pages]
    ours = [page.labels() for page in labelled]
    weights = train([*pages, *ours * _REPEATS])
    silver: list[Sequence[tuple[str, Label]]] = []
    if options.web and options.web.exists():
        silver = [page.lines for page in read_web_pages(options.web) if is_news(page)]
        beside = [*pages[:_COMPOSED_BESIDE_WEB], *ours * _REPEATS_BESIDE_WEB]
        weights = averaged(weights, train([*beside, *silver]))
    else:
        print(f"no web pages ({options.web}): the weights will not be those of the package (see MODEL_CARD.md)")
    options.out.write_text(dump(weights), encoding="ascii")
    counts = f"{len(pages)} composed pages, {len(ours)} labelled ones, {len(silver)} web pages"
    print(f"{counts}; {sum(map(bool, weights.unary))} weights in {options.out}")


if __name__ == "__main__":
    main()
