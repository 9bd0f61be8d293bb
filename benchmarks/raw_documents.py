"""Raw documents for the benchmarks: those of a file, and as many more like them as are wanted."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson

from newsmill.feed import Document, FileSource, Position, expand
from schemas import headers as h
from schemas.keys import source_key

SAMPLES = Path(__file__).parent.parent / "samples"


def raw_documents(path: Path, count: int, name: str = "bench") -> list[Document]:
    """Return `count` raw documents: those of `path` first, then made ones.

    A made document is as long as one of the file and has sentences of its source, every fourth word exchanged for
    another: no copy of anything, so that it takes the whole way. The origin of document N is `<name>:<N>`.
    """
    found = list(FileSource(expand([str(path)]), ingested_ms=0))
    documents = [*found[:count], *_made(found, count - len(found))]
    return [_called(document, f"{name}:{number}") for number, document in enumerate(documents)]


def _called(document: Document, origin: str) -> Document:
    kept = [header for header in document.headers if header[0] not in (h.ORIGIN, h.INGESTED_AT)]
    headers = ((h.ORIGIN, origin.encode()), *kept)
    # Read from memory, it is part of no file.
    return replace(document, headers=headers, origin=origin, position=Position(None, 0))


def _made(found: list[Document], count: int) -> Iterator[Document]:
    if count <= 0:
        return
    models = []
    # By source, so that a document keeps to one language.
    pools: dict[str, list[list[str]]] = {}
    for document in found:
        try:
            plain = orjson.loads(document.value)
        except orjson.JSONDecodeError:
            continue
        if isinstance(plain, dict) and isinstance(plain.get("text"), str) and len(plain["text"]) > 400:
            models.append(plain)
            sentences = plain["text"].replace("\n", " ").split(". ")
            pools.setdefault(str(plain.get("source")), []).extend(s.split() for s in sentences if len(s) > 20)
    if not models:
        raise SystemExit("no document has a text of which more could be made")
    draw = random.Random(1)
    for number in range(count):
        plain = models[number % len(models)]
        pool = pools[str(plain.get("source"))]
        sentences = []
        while sum(map(len, sentences)) < len(plain["text"]):
            words = list(draw.choice(pool))
            for at in range(draw.randrange(4), len(words), 4):
                words[at] = draw.choice(draw.choice(pool))
            sentences.append(" ".join(words) + ".")
        text = "\n\n".join(" ".join(sentences[at : at + 3]) for at in range(0, len(sentences), 3))
        title = " ".join(sentences[0].split()[:9])
        made = {**plain, "url": f"https://made.example/{number}", "title": title, "text": text}
        value, key = orjson.dumps(made), source_key(made["url"], plain.get("source"))
        yield Document(value, key, (), "", Position(None, 0), len(value))
