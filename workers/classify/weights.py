"""The file of weights: a fixed header, a JSON index and raw little-endian arrays. No pickle, no timestamps.

Layout: the 8 bytes of `MAGIC`; the length of the index in 4 bytes, little-endian; the index, as UTF-8 JSON with
sorted keys (`subjects`, `terms`, `places`, `form`, `pairs`, `scale`, `dimensions`); then, without gaps,

- `idf`     int16, F:     rarity of each term, in 1/16
- `weight`  int16, F x S: weight of each term for each subject, already times its rarity, in 1/`scale`
- `bias`    int32, S:     in 1/256 of a logit
- `pairs`   int32, P x 2: the two words of each pair, as indices of `terms`, sorted
- `meaning` int16, D x S: weight of each dimension of a window's meaning (vectors.py), in 1/`scale`
- `meaning_bias` int32, S: in 1/256 of a logit

`places` are stems that all stand for the one term PLACE of features.py, where `terms` has it;
`form` are terms that say how an article is told and not what it is about, so that they are no evidence by themselves.
There are S subjects, D dimensions, F = words + P terms: first the words, then the pairs of words.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

MAGIC: Final = b"NMSUBJ3\n"

Int16 = npt.NDArray[np.int16]
Int32 = npt.NDArray[np.int32]


class WeightsError(ValueError):
    """The file is not a file of weights, or it is damaged."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of a linear one-versus-rest model; shapes and units as in the layout above."""

    subjects: tuple[str, ...]
    terms: tuple[str, ...]
    places: tuple[str, ...]
    form: tuple[str, ...]
    pairs: Int32
    idf: Int16
    weight: Int16
    bias: Int32
    scale: int
    meaning: Int16
    meaning_bias: Int32


def dump(weights: Weights) -> bytes:
    """Return the bytes of the file. Equal weights give equal bytes."""
    index = {
        "dimensions": len(weights.meaning),
        "form": list(weights.form),
        "pairs": len(weights.pairs),
        "places": list(weights.places),
        "scale": weights.scale,
        "subjects": list(weights.subjects),
        "terms": list(weights.terms),
    }
    head = json.dumps(index, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8")
    arrays = (
        weights.idf.astype("<i2"),
        weights.weight.astype("<i2"),
        weights.bias.astype("<i4"),
        weights.pairs.astype("<i4"),
        weights.meaning.astype("<i2"),
        weights.meaning_bias.astype("<i4"),
    )
    return MAGIC + len(head).to_bytes(4, "little") + head + b"".join(array.tobytes() for array in arrays)


def parse(data: bytes) -> Weights:
    """Return the weights in `data`. Raises WeightsError when magic, index or length is wrong."""
    if data[: len(MAGIC)] != MAGIC:
        raise WeightsError("not a file of subject weights (wrong magic)")
    start = len(MAGIC) + 4
    position = start + int.from_bytes(data[len(MAGIC) : start], "little")
    try:
        index: dict[str, Any] = json.loads(data[start:position])
        subjects, terms, places, form = (tuple(index[name]) for name in ("subjects", "terms", "places", "form"))
        pairs, scale, dimensions = int(index["pairs"]), int(index["scale"]), int(index["dimensions"])
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"the index can't be read: {error}") from error
    features, width = len(terms) + pairs, len(subjects)
    parts: list[npt.NDArray[Any]] = []
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = (
        ("<i2", (features,)),
        ("<i2", (features, width)),
        ("<i4", (width,)),
        ("<i4", (pairs, 2)),
        ("<i2", (dimensions, width)),
        ("<i4", (width,)),
    )
    for kind, shape in shapes:
        count = int(np.prod(shape))
        try:
            parts.append(np.frombuffer(data, dtype=kind, count=count, offset=position).reshape(shape))
        except ValueError as error:
            raise WeightsError(f"the file is too short: {error}") from error
        position += count * np.dtype(kind).itemsize
    if position != len(data):
        raise WeightsError(f"{len(data) - position} bytes too many")
    idf, weight, bias, pair, meaning, meaning_bias = parts
    return Weights(subjects, terms, places, form, pair, idf, weight, bias, scale, meaning, meaning_bias)
