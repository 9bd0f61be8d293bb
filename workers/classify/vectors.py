"""Vectors of words: so that a word that no training text has can still speak for a subject, as its neighbours do.

vectors.bin: the 8 bytes of `MAGIC`; the length of the index in 4 bytes, little-endian; the index, as UTF-8 JSON with
sorted keys (`words`: sorted stems, `dimensions`); then int8, words x dimensions. vectors_build.py makes it. The meaning
of a window is the sum of the vectors of its distinct words, of which only the direction counts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

MAGIC: Final = b"NMVECT1\n"

Int8 = npt.NDArray[np.int8]
Int64 = npt.NDArray[np.int64]


class VectorsError(ValueError):
    """The file is not a file of vectors, or it is damaged."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """`words`: stems, sorted. `matrix`: int8, words x dimensions."""

    words: tuple[str, ...]
    matrix: Int8


def dump(vectors: Vectors) -> bytes:
    """Return the bytes of the file. Equal vectors give equal bytes."""
    index = {"dimensions": vectors.matrix.shape[1], "words": list(vectors.words)}
    head = json.dumps(index, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8")
    return MAGIC + len(head).to_bytes(4, "little") + head + vectors.matrix.astype(np.int8).tobytes()


def parse(data: bytes) -> Vectors:
    """Return the vectors in `data`. Raises VectorsError when magic, index or length is wrong."""
    if data[: len(MAGIC)] != MAGIC:
        raise VectorsError("not a file of vectors (wrong magic)")
    start = len(MAGIC) + 4
    position = start + int.from_bytes(data[len(MAGIC) : start], "little")
    try:
        index: dict[str, Any] = json.loads(data[start:position])
        words = tuple(index["words"])
        matrix = np.frombuffer(data, np.int8, offset=position).reshape(len(words), int(index["dimensions"]))
    except (ValueError, KeyError, TypeError) as error:
        raise VectorsError(f"the file can't be read: {error}") from error
    return Vectors(words, matrix)


def length(sums: Int64) -> Int64:
    """Return the Euclidean length of each row of `sums` in 1/16, at least 1. Correctly rounded, so it never varies."""
    square = (sums * sums).sum(axis=1)
    found: Int64 = np.maximum(np.floor(np.sqrt(square * 256.0)).astype(np.int64), 1)
    return found
