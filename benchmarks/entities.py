"""Measures the entities stage: strict exact-span F1 on .conll files, and words a second on one core.

    python benchmarks/entities.py --data FILE.conll ... [--train ww.train.conll] [--spacy] [--cases]

A file holds `token<TAB>tag` lines (BIO2; PER, ORG, LOC, MISC), an empty line after each sentence and a `-DOCSTART-`
line before each document. A span is right when first token, last token and type are right; MISC is not counted in
`micro`. Systems: `tagger`, the model alone; `document`, with the rules that make a document's reading consistent;
`plain crf` (with --train), python-crfsuite with plain features trained on that file alone; `spacy` (with --spacy),
en_core_web_sm, which needs the `bench` extra. `cases` (with --cases) shows `document` on all sentences in title case,
in capitals and in small letters.

Speed of `document` is that of the whole stage on the files' text (tokens joined by spaces): tokenising, tagging,
resolution and links; JSON aside. That of the others is of tagging. Words are runs without white space.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.entity_peers import PlainCrf, SpaCy
from workers.entities import load
from workers.entities.cities import cities
from workers.entities.consistency import consistent
from workers.entities.corpus import Document, read_conll
from workers.entities.gazetteer import known_names
from workers.entities.lexicon import lexicon
from workers.entities.sentences import read_sentence
from workers.entities.tagger import CrfTagger, Span
from workers.entities.weights import load as load_weights
from workers.entities.wordlists import word_list

TYPES = ("PER", "ORG", "LOC", "MISC")
WEIGHTS = Path(__file__).parents[1] / "workers" / "entities" / "data" / "english.npz"


def gold_spans(tags: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Spans of a tagged sentence; an I- that continues nothing opens one."""
    start, kind = 0, ""
    for at, tag in enumerate([*tags, "O"]):
        prefix, _, label = tag.partition("-")
        if kind and (prefix != "I" or label != kind):
            yield start, at, kind
            kind = ""
        if prefix in ("B", "I") and not kind:
            start, kind = at, label


def scores(documents: Sequence[Document], predicted: Sequence[Sequence[Sequence[Span]]]) -> dict[str, float]:
    """F1 by type and over PER, ORG and LOC together (`micro`)."""
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for document, rows in zip(documents, predicted, strict=True):
        for (_, tags), spans in zip(document, rows, strict=True):
            gold, ours = set(gold_spans(tags)), {span[:3] for span in spans}
            for found in (gold, ours):
                total.update(kind for *_, kind in found)
            right.update(kind for *_, kind in gold & ours)
    for counts in (right, total):
        counts["micro"] = sum(counts[kind] for kind in TYPES[:3])
    return {kind: 2 * right[kind] / total[kind] if total[kind] else 0.0 for kind in (*TYPES, "micro")}


def words_per_second(documents: Sequence[Document], seconds: float) -> float:
    """Words a second of CPU time of the whole stage, without the codec; at least `seconds` long, after a warm-up."""
    stage = load()
    texts = [("", "\n\n".join(" ".join(tokens) for tokens, _ in document), "en") for document in documents]
    stage.entities_of(texts[: len(texts) // 2])
    words, begin = 0, time.process_time()
    while time.process_time() - begin < seconds:
        for at in range(0, len(texts), 100):  # as an engine hands them over
            stage.entities_of(texts[at : at + 100])
        words += sum(len(text.split()) for _, text, _ in texts)
    return words / (time.process_time() - begin)


def recased(documents: Sequence[Document], style: Callable[[str], str]) -> list[Document]:
    """The documents with every token written in another case."""
    return [[([style(token) for token in tokens], tags) for tokens, tags in document] for document in documents]


def as_headline(word: str) -> str:
    """A word as a headline in title case has it."""
    return word if word in word_list("small-in-titles") else word[:1].upper() + word[1:]


def show(name: str, system: str, row: dict[str, float], speed: float | None) -> None:
    """Print one line of the table."""
    figures = "".join(f"{row[kind]:8.4f}" for kind in (*TYPES, "micro"))
    print(f"{name:20} {system:10}{figures}" + ("" if speed is None else f"{speed:10,.0f}"), flush=True)


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help=".conll files")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="other weights than the package's")
    parser.add_argument("--seconds", type=float, default=3.0, help="least CPU time of each speed measurement")
    parser.add_argument("--train", type=Path, help="train a plain CRF on this file and measure it, too")
    parser.add_argument("--spacy", action="store_true", help="measure spaCy's en_core_web_sm, too")
    parser.add_argument("--cases", action="store_true", help="measure other cases of letters, too")
    options = parser.parse_args()
    begin = time.perf_counter()
    tagger = CrfTagger(load_weights(options.weights.read_bytes()))
    lexicon(), cities(), known_names()
    size = sum(path.stat().st_size for path in (options.weights, WEIGHTS.with_name("lexicon.npz")))
    print(f"weights and lexicon {size:,} bytes; with all lists loaded in {time.perf_counter() - begin:.2f} s\n")
    peers: list[PlainCrf | SpaCy] = [PlainCrf(options.train)] if options.train else []
    peers += [SpaCy()] if options.spacy else []
    print(f"{'file':20} {'system':10}" + "".join(f"{kind:>8}" for kind in (*TYPES, "micro")) + f"{'words/s':>10}")
    for path in options.data:
        documents = read_conll(path)
        for peer in peers:
            predicted = [peer.tag([tokens for tokens, _ in document]) for document in documents]
            speed = peer.words_per_second(documents, options.seconds) if options.seconds else None
            show(path.name, peer.name, scores(documents, predicted), speed)
        alone = [tagger.tag([tokens for tokens, _ in document]) for document in documents]
        show(path.name, "tagger", scores(documents, alone), None)
        speed = words_per_second(documents, options.seconds) if options.seconds else None
        show(path.name, "document", scores(documents, as_documents(tagger, documents)), speed)
        for name, style in (("Title Case", as_headline), ("CAPITALS", str.upper), ("small", str.lower)):
            if options.cases:
                written = recased(documents, style)
                show(path.name, name, scores(written, as_documents(tagger, written)), None)
                for peer in peers:
                    other = [peer.tag([tokens for tokens, _ in document]) for document in written]
                    show(path.name, f" {peer.name}", scores(written, other), None)


def as_documents(tagger: CrfTagger, documents: Sequence[Document]) -> list[list[list[Span]]]:
    """The spans of each document with the rules that make its reading consistent."""
    read = [[read_sentence(tokens) for tokens, _ in document] for document in documents]
    return [consistent(document, spans) for document, spans in zip(read, tagger.tag_all(read), strict=True)]


if __name__ == "__main__":
    main()
