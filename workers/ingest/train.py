"""Trains the weights of the model of lines: `python -m workers.ingest.train --articles FILE --pages DIR --out FILE`.

`--articles` is a file of NDJSON ({"url", "text"}, also .gz): pages are put together around them. `--pages` is a folder
of labelled pages; those of the split `tune` are added. The same files give the same weights. Needs python-crfsuite.
"""

from __future__ import annotations

import argparse
import gzip
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import orjson
import pycrfsuite

from workers.ingest.characters import clean_line
from workers.ingest.composer import Source, composed, source
from workers.ingest.furniture import furniture_kind
from workers.ingest.labeller import SCALE, Weights, dump
from workers.ingest.lines import SIZE, features, headings_of, main_span
from workers.ingest.pages import Lines, read_labelled
from workers.ingest.text import split_lines
from workers.ingest.wording import first_words

_COMPOSED: Final = 3_508
"""Pages that are put together: four for each of the 877 articles."""

_REPEATS: Final = 8
"""How often each labelled page is shown: there are few, and they are real in their mixture."""

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


def train(pages: Iterable[Lines]) -> Weights:
    """Return the weights fitted to the pages."""
    trainer = pycrfsuite.Trainer(algorithm="lbfgs", verbose=False)
    trainer.set_params(_PARAMETERS)
    for lines in pages:
        texts = [text for text, _label in lines]
        kinds = [furniture_kind(text) for text in texts]
        headings = headings_of(texts, kinds)
        span = main_span(texts, kinds, headings)
        rows = features(texts, kinds, headings, span, first_words(texts), every=True)
        trainer.append(
            [[str(number) for number in row] for row in rows], ["A" if label else "O" for _text, label in lines]
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
    return Weights(
        tuple(whole),
        enter=round(SCALE * (enter - outside)) - round(SCALE * (inside - outside)),
        leave=round(SCALE * (leave - outside)),
        bias=round(SCALE * (inside - outside)),
        digest="",
    )


def main() -> None:
    """Train, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--articles", type=Path, required=True)
    parser.add_argument("--pages", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--without", nargs="*", default=[], help="outlets to leave out, to measure on them")
    options = parser.parse_args()
    labelled = [page for page in read_labelled(options.pages) if page.split == "tune"]
    labelled = [page for page in labelled if page.outlet not in options.without]
    furniture = [text for page in labelled for kind, text in page.lines if kind in _FURNITURE_KINDS]
    pages = list(composed(read_sources(options.articles), furniture, _COMPOSED))
    pages = [[(clean_line(text), label) for text, label in page] for page in pages]
    pages += [page.labels() for page in labelled] * _REPEATS
    weights = train([[(text, label) for text, label in page if text] for page in pages])
    options.out.write_text(dump(weights), encoding="ascii")
    print(f"{len(pages)} pages; {sum(1 for weight in weights.unary if weight)} weights in {options.out}")


if __name__ == "__main__":
    main()
