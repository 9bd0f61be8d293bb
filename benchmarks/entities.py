"""Measures the entities stage: strict exact-span F1 on .conll files, and words a second on one core.

    python benchmarks/entities.py --data FILE.conll ...

A file holds `token<TAB>tag` lines (BIO2; PER, ORG, LOC, MISC), an empty line after each sentence and a `-DOCSTART-`
line before each document. A span is right when first token, last token and type are right; MISC is not counted in
`micro`. Two systems are measured: `tagger`, the model alone, and `document`, with the rules that make a document's
reading consistent. Speed is that of the whole stage on the files' text (tokens joined by spaces): tokenising, tagging,
resolution and links; JSON aside. Words are runs without white space.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from workers.entities import load
from workers.entities.consistency import consistent
from workers.entities.corpus import Document, read_conll
from workers.entities.tagger import CrfTagger, Span
from workers.entities.weights import load as load_weights

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
    texts = ["\n\n".join(" ".join(tokens) for tokens, _ in document) for document in documents]
    for text in texts[: len(texts) // 2]:
        stage.entities("", text, "en")
    words, begin = 0, time.process_time()
    while time.process_time() - begin < seconds:
        for text in texts:
            stage.entities("", text, "en")
            words += len(text.split())
    return words / (time.process_time() - begin)


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help=".conll files")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="other weights than the package's")
    parser.add_argument("--seconds", type=float, default=3.0, help="least CPU time of each speed measurement")
    options = parser.parse_args()
    begin = time.perf_counter()
    tagger = CrfTagger(load_weights(options.weights.read_bytes()))
    print(f"weights {options.weights.stat().st_size:,} bytes, loaded in {time.perf_counter() - begin:.2f} s\n")
    print(f"{'file':20} {'system':9}" + "".join(f"{kind:>8}" for kind in (*TYPES, "micro")) + f"{'words/s':>10}")
    for path in options.data:
        documents = read_conll(path)
        sentences = [[tokens for tokens, _ in document] for document in documents]
        alone = [tagger.tag(document) for document in sentences]
        whole = [consistent(document, spans) for document, spans in zip(sentences, alone, strict=True)]
        speed = words_per_second(documents, options.seconds) if options.seconds else 0.0
        for system, predicted in (("tagger", alone), ("document", whole)):
            row = scores(documents, predicted)
            figures = "".join(f"{row[kind]:8.4f}" for kind in (*TYPES, "micro"))
            print(f"{path.name:20} {system:9}{figures}" + (f"{speed:10,.0f}" if system == "document" else ""))


if __name__ == "__main__":
    main()
